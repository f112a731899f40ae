"""Choosing from a list on the page, and waiting for the page to be at rest."""

from __future__ import annotations

from playwright.sync_api import Error, Locator, Page, expect

TRIES = 5


def wait_until_at_rest(page: Page) -> None:
    """The page's script has run to its end: nothing grows, nothing is drawn again.

    Until then, what the page offers as a file may go.
    """
    expect(page.get_by_test_id("stApp")).to_have_attribute(
        "data-test-script-state", "notRunning", timeout=120_000)


def choose(field: Locator, option: str, *, typed: str = "") -> None:
    """Choose the first option of this name from a list; `typed` into it, it may be shorter.

    A list that is opened while the page is drawn or scrolls (a chat follows its newest
    message) is shut again, as any list of a browser's; a person opens it once more. A tab
    behind another is hardly drawn, and a list in it never comes to rest.
    """
    field.page.bring_to_front()
    wait_until_at_rest(field.page)
    wanted = field.page.get_by_role("option", name=option).first
    for tries_left in reversed(range(TRIES)):
        try:
            if field.get_attribute("aria-expanded") != "true":
                field.click()
            if typed:
                field.fill(typed)
            wanted.click(timeout=3_000)
            return
        except Error:
            if not tries_left:
                raise
