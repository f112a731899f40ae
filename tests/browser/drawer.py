"""The drawer "What ran" under a reply, as a person opens it and goes through its parts."""

from __future__ import annotations

from playwright.sync_api import Locator, expect

from tests.browser.controls import wait_until_at_rest

PARTS = ("Messages", "Prompt", "Request", "Response", "Code", "Chain")


def drawer_of(message: Locator) -> Locator:
    """The drawer of a message, closed or open."""
    return message.get_by_test_id("stExpander").filter(
        has=message.page.get_by_text("What ran", exact=True))


def open_drawer(message: Locator) -> Locator:
    """Open the drawer of a message; its first part is then there."""
    drawer = drawer_of(message)
    drawer.get_by_text("What ran", exact=True).click()
    expect(drawer.get_by_text("The messages sent, in their order.")).to_be_visible()
    wait_until_at_rest(message.page)
    return drawer


def close_drawer(drawer: Locator) -> None:
    drawer.get_by_text("What ran", exact=True).click()
    expect(drawer.get_by_role("tab")).to_have_count(0)
    wait_until_at_rest(drawer.page)


def show_part(drawer: Locator, part: str) -> Locator:
    """Go to a part of an open drawer, and wait until it is drawn."""
    drawer.get_by_role("tab", name=part, exact=True).click()
    panel = drawer.get_by_role("tabpanel", name=part, exact=True)
    expect(panel.get_by_role("button", name="Download").or_(
        panel.get_by_test_id("stMarkdownContainer")).first).to_be_visible()
    wait_until_at_rest(drawer.page)
    return panel
