"""Conversations last: past a closed browser and an app that was killed, for their owner alone.

A profile here is a folder, as people have one: what Chromium itself writes down when it is
closed is what makes its owner known again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app import RunningApp, find_chromium, free_port, start_app
from tests.browser.conftest import FLAGS, is_loopback, listen
from tests.servers.gated import GatedServer, as_default_model, gated
from tests.servers.postgres import postgres

expect.set_options(timeout=30_000)

CHAT = "A chat with memory"

Visit = Callable[[str], AbstractContextManager[Page]]
"""Opens a browser with the profile of this name, closed at the end of the block."""


@pytest.fixture(scope="module")
def shared_server() -> Iterator[GatedServer]:
    with gated() as running:
        yield running


@pytest.fixture
def server(shared_server: GatedServer) -> Iterator[GatedServer]:
    """The model's server, its gate closed and nothing asked yet; the gate is open at the end."""
    shared_server.gate.clear()
    shared_server.requests.clear()
    yield shared_server
    shared_server.gate.set()


@pytest.fixture(scope="module")
def settings(shared_server: GatedServer, tmp_path_factory: pytest.TempPathFactory
             ) -> dict[str, str]:
    catalog = as_default_model(shared_server.base_url, tmp_path_factory.mktemp("kept"))
    return {"PARLEY_MODELS": str(catalog)}


@pytest.fixture(scope="module")
def app(settings: dict[str, str], tmp_path_factory: pytest.TempPathFactory
        ) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("kept") / "home", env=settings) as running:
        yield running


@pytest.fixture
def visit(browser: Browser, tmp_path: Path, complaints: list[str]) -> Iterator[Visit]:
    @contextmanager
    def opened(name: str) -> Iterator[Page]:
        profile = browser.browser_type.launch_persistent_context(
            tmp_path / f"profile-{name}", executable_path=find_chromium(), args=FLAGS,
            viewport={"width": 1280, "height": 900}, locale="en-GB")
        profile.on("request", lambda sent: is_loopback(sent.url)
                   or complaints.append(f"a request to another host: {sent.url}"))
        page = profile.new_page()
        listen(page, complaints)
        try:
            yield page
        finally:
            profile.close()

    yield opened
    # Streamlit first asks for its health below the page's own address.
    assert [said for said in complaints if "/memory/_stcore/" not in said] == []


def open_chat(page: Page, url: str) -> None:
    page.goto(f"{url}/memory")
    expect(page.get_by_role("heading", name=CHAT)).to_be_visible()
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()


def say(page: Page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")


def holds(page: Page, *texts: str) -> None:
    """The page shows these messages, in this order, and no other."""
    shown = page.get_by_test_id("stChatMessage")
    expect(shown).to_have_count(len(texts))
    for number, text in enumerate(texts):
        expect(shown.nth(number)).to_contain_text(text)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def listed(page: Page):
    """The conversations in the sidebar's list."""
    return page.locator("[class*='st-key-open-']")


def id_of(page: Page) -> str:
    """The id of the only conversation in the list."""
    expect(listed(page)).to_have_count(1)
    return re.search(r"st-key-open-(\S+)", listed(page).get_attribute("class"))[1]


def test_in_the_same_profile_a_conversation_is_there_again_and_goes_on(
        visit: Visit, app: RunningApp, server: GatedServer) -> None:
    with visit("ada") as page:
        open_chat(page, app.url)
        say(page, "Trains are fine")
        holds(page, "Trains are fine", "Begun with Trains are fine, ended.")
    with visit("ada") as page:
        open_chat(page, app.url)
        holds(page, "Trains are fine", "Begun with Trains are fine, ended.")
        expect(listed(page)).to_contain_text("Trains are fine")
        say(page, "And now?")
        holds(page, "Trains are fine", "Begun with Trains are fine, ended.",
              "And now?", "Begun with And now?, ended.")
    assert server.conversations()[-1] == [
        "Trains are fine", "Begun with Trains are fine, ended.", "And now?"]


def test_another_profile_sees_nothing_of_it(visit: Visit, app: RunningApp, server: GatedServer
                                            ) -> None:
    with visit("ada") as page:
        open_chat(page, app.url)
        say(page, "A secret of Ada's")
        holds(page, "A secret of Ada's", "ended.")
        known = id_of(page)
    with visit("eve") as page:
        for address in ("", f"?conversation={known}", f"?id={known}", f"?chat={known}",
                        f"#{known}"):
            page.goto("about:blank")  # A change after the # alone would load nothing.
            page.goto(f"{app.url}/memory{address}")
            expect(page.get_by_role("heading", name=CHAT)).to_be_visible()
            # The sidebar's last part: by now the list above it is drawn.
            expect(page.get_by_text("What is kept")).to_be_visible()
            holds(page)
            expect(listed(page)).to_have_count(0)
        search = page.get_by_label("Search conversations")
        search.fill("secret")
        search.press("Enter")
        expect(page.get_by_text("No conversation has all of these words.")).to_be_visible()
        expect(listed(page)).to_have_count(0)


def test_a_browser_closed_in_mid_reply_finds_the_whole_reply(
        visit: Visit, app: RunningApp, server: GatedServer) -> None:
    with visit("ada") as page:
        open_chat(page, app.url)
        say(page, "Wait without me")
        holds(page, "Wait without me", "Begun with Wait without me")
    server.gate.set()
    with visit("ada") as page:
        open_chat(page, app.url)
        holds(page, "Wait without me", "Begun with Wait without me, ended.")
    assert server.questions().count("Wait without me") == 1


@pytest.mark.timeout(300)
def test_an_app_killed_in_mid_reply_has_lost_that_reply_and_nothing_else(
        visit: Visit, settings: dict[str, str], tmp_path: Path, server: GatedServer) -> None:
    home, port = tmp_path / "home", free_port()
    with visit("ada") as page:
        with start_app(home, port=port, env=settings) as app:
            open_chat(page, app.url)
            say(page, "Trains are fine")
            holds(page, "Trains are fine", "Begun with Trains are fine, ended.")
            say(page, "Wait for the end")
            holds(page, "Trains are fine", "ended.", "Wait for the end", "Begun with")
            page.goto("about:blank")
            app.process.kill()
        server.gate.set()
    with start_app(home, port=port, env=settings) as app, visit("ada") as page:
        open_chat(page, app.url)
        holds(page, "Trains are fine", "Begun with Trains are fine, ended.", "Wait for the end")
        page.get_by_role("button", name="Answer it now").click()
        holds(page, "Trains are fine", "ended.", "Wait for the end",
              "Begun with Wait for the end, ended.")


@pytest.fixture
def two_apps(settings: dict[str, str], tmp_path: Path) -> Iterator[tuple[str, str]]:
    """The addresses of two processes, as behind a load balancer: one database, one secret."""
    with postgres(tmp_path) as url:
        env = {**settings, "PARLEY_DATABASE_URL": url, "PARLEY_COOKIE_SECRET": "of this test " * 4}
        with (start_app(tmp_path / "first", env=env) as first,
              start_app(tmp_path / "second", env=env) as second):
            yield first.url, second.url


@pytest.mark.timeout(300)
def test_a_conversation_begun_in_one_app_process_goes_on_in_another(
        visit: Visit, two_apps: tuple[str, str], server: GatedServer) -> None:
    first, second = two_apps
    said = ["Trains are fine", "Begun with Trains are fine, ended."]
    with visit("ada") as page:
        open_chat(page, first)
        say(page, "Trains are fine")
        holds(page, *said)
        open_chat(page, second)
        holds(page, *said)
        expect(listed(page)).to_contain_text("Trains are fine")
        say(page, "Wait for the other process")
        holds(page, *said, "Wait for the other process", "Begun with")
        # The reply under way is the second process's alone, and finished in the database.
        open_chat(page, first)
        holds(page, *said, "Wait for the other process")
        expect(page.get_by_role("button", name="Answer it now")).to_be_visible()
        server.gate.set()
        said += ["Wait for the other process", "Begun with Wait for the other process, ended."]
        open_chat(page, second)
        holds(page, *said)
        open_chat(page, first)
        holds(page, *said)
        say(page, "And now?")
        holds(page, *said, "And now?", "Begun with And now?, ended.")
    assert server.conversations()[-1] == [*said, "And now?"]
    with visit("eve") as page:
        for address in two_apps:
            open_chat(page, address)
            expect(page.get_by_text("What is kept")).to_be_visible()
            holds(page)
            expect(listed(page)).to_have_count(0)
