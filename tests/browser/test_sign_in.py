"""Signing in by OpenID Connect, at a real provider that the test runs.

With a provider set up nobody sees a page before; a person is the same owner in every
browser, and no other person is.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.app import ROOT, RunningApp, clean_environment, end, free_port, start_app, wait_until

SECRETS = """
[auth]
redirect_uri = "{app}/oauth2callback"
cookie_secret = "a secret that only this test knows, and nobody else"
client_id = "parley"
client_secret = "the client's secret"
server_metadata_url = "{provider}/.well-known/openid-configuration"
"""


@pytest.fixture(scope="module")
def provider() -> Iterator[str]:
    """The address of an OpenID Connect provider that knows anybody by the name they give."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "oidc_provider_mock", "--port", str(port)],
        env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"http://127.0.0.1:{port}"

    def answers() -> bool:
        try:
            urllib.request.urlopen(f"{address}/.well-known/openid-configuration", timeout=1).close()
            return True
        except OSError:
            return False

    try:
        wait_until(answers, "the provider answers")
        yield address
    finally:
        end(process)


@pytest.fixture(scope="module")
def secured(provider: str,
            tmp_path_factory: pytest.TempPathFactory) -> Callable[[], dict[str, Any]]:
    """Further options of `start_app`, for an app that asks the provider who somebody is."""
    folder = tmp_path_factory.mktemp("sign-in")

    def options() -> dict[str, Any]:
        port = free_port()
        secrets = folder / f"secrets-{port}.toml"
        secrets.write_text(SECRETS.format(app=f"http://127.0.0.1:{port}", provider=provider))
        return {"port": port,
                "args": ["--browser.gatherUsageStats=false", f"--secrets.files={secrets}"]}

    return options


@pytest.fixture(scope="module")
def owner_app(secured, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("owner") / "home",
                   script=Path(__file__).with_name("one_page_app.py"),
                   env={"PYTHONPATH": str(ROOT), "PAGE": "owner_page.py"},
                   **secured()) as running:
        yield running


@pytest.fixture(autouse=True)
def the_providers_pages_are_its_own_affair(context: BrowserContext, complaints: list[str],
                                           provider: str) -> Iterator[None]:
    """Its style sheet is somewhere else, and it has no icon."""
    yield
    complaints[:] = [said for said in complaints if provider not in said and "picocss" not in said]


def sign_in(page: Page, app: RunningApp, person: str) -> None:
    page.goto(app.url)
    page.get_by_role("button", name="Sign in").click()
    page.locator("input[name=sub]").fill(person)
    page.get_by_role("button", name="Authorize").click()


def owner(page: Page) -> str:
    line = page.get_by_text("owner ")
    line.wait_for()
    return line.inner_text().removeprefix("owner ")


def test_a_person_is_the_same_owner_in_every_browser_and_no_one_else_is(
        page: Page, browser: Browser, owner_app: RunningApp) -> None:
    sign_in(page, owner_app, "ada@example.org")
    ada = owner(page)
    assert ada.startswith("person:")
    assert "example" not in ada
    elsewhere = browser.new_context().new_page()
    sign_in(elsewhere, owner_app, "ada@example.org")
    assert owner(elsewhere) == ada
    elsewhere.context.clear_cookies()
    sign_in(elsewhere, owner_app, "grace@example.org")
    assert owner(elsewhere).startswith("person:")
    assert owner(elsewhere) != ada
    elsewhere.context.close()


def test_a_made_up_sign_in_cookie_lets_nobody_in(page: Page, owner_app: RunningApp) -> None:
    page.context.add_cookies([{
        "name": "_streamlit_user", "url": owner_app.url,
        "value": '{"is_logged_in":true,"iss":"x","sub":"ada@example.org"}.c2ln'}])
    page.goto(owner_app.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_text("owner ")).to_have_count(0)


def test_the_app_shows_nothing_before_and_nothing_after(page: Page, secured, own_app) -> None:
    app = own_app(**secured())
    chat = page.get_by_test_id("stSidebarNav").get_by_role("link", name="A chat without")
    page.goto(app.url)
    chat.click()
    page.wait_for_url("**/chat")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
    expect(page.get_by_test_id("stChatInput")).to_have_count(0)
    sign_in(page, app, "ada@example.org")
    chat.click()
    expect(page.get_by_test_id("stChatInput")).to_be_visible()
    page.get_by_role("button", name="Sign out").click()
    page.wait_for_url("**/end_session**")
    page.goto(app.url)
    expect(page.get_by_role("button", name="Sign in")).to_be_visible()
