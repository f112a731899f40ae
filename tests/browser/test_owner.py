"""A browser is known again, another is another, and a cookie that was made up counts for none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page

from tests.app import ROOT, RunningApp, start_app

COOKIE = "parley_owner"


@pytest.fixture(scope="module")
def owner_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("owner") / "home",
                   script=Path(__file__).with_name("one_page_app.py"),
                   env={"PYTHONPATH": str(ROOT), "PAGE": "owner_page.py"},
                   args=["--browser.gatherUsageStats=false"]) as running:
        yield running


def owner(page: Page) -> str:
    line = page.get_by_text("owner ")
    line.wait_for()
    return line.inner_text()


def test_a_browser_stays_the_same_owner(page: Page, owner_app: RunningApp) -> None:
    page.goto(owner_app.url)
    first = owner(page)
    assert first.startswith("owner browser:")
    page.get_by_role("button", name="Again").click()
    page.wait_for_timeout(500)
    assert owner(page) == first
    page.reload()
    assert owner(page) == first
    cookie = next(kept for kept in page.context.cookies() if kept["name"] == COOKIE)
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Lax"
    assert COOKIE not in page.evaluate("document.cookie")


def test_another_browser_is_another_owner(page: Page, browser: Browser,
                                          owner_app: RunningApp) -> None:
    page.goto(owner_app.url)
    other = browser.new_context().new_page()
    other.goto(owner_app.url)
    assert owner(other) != owner(page)
    other.context.close()


def test_a_forged_cookie_counts_as_none_and_is_replaced(page: Page, browser: Browser,
                                                        owner_app: RunningApp) -> None:
    page.goto(owner_app.url)
    known = owner(page).removeprefix("owner ")
    forger = browser.new_context()
    forger.add_cookies([{"name": COOKIE, "value": f"{known}.c2lnbmF0dXJl", "url": owner_app.url}])
    forged = forger.new_page()
    forged.goto(owner_app.url)
    fresh = owner(forged)
    assert known not in fresh
    forged.reload()
    assert owner(forged) == fresh
    forger.close()
