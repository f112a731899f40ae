"""Planted keys, typed and from the environment: each reaches its service, and nothing else.

Not the page, what the app sends to the browser, a log, the database, an export, what the
browser keeps, nor the command line of any process; not even when a service hands the key
back in its error.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, WebSocket, expect

from tests.app import RunningApp, processes_of_this_run, start_app, wait_until
from tests.browser.controls import choose
from tests.browser.drawer import PARTS, close_drawer, open_drawer, show_part
from tests.servers import recording
from tests.servers.hostile import Hostile

expect.set_options(timeout=30_000)

KEYS = {
    "typed": "typed!key.of~no-known-kind-7319",
    "environment": "planted/key_of+the=environment-4286",
    "openai": "sk-proj-planted0123456789abcdefOPENAI",
    "hub": "hf_plantedabcdefghijklmnopqrstuvwx",
    "google": "AIzaSyPlanted0123456789abcdefghijklmnop",
}

ENTRY = """
[[model]]
id = "{id}"
label = "{id}"
provider = "{provider}"
model = "{model}"
base_url = "{url}"
open = true
"""

MODELS = ("fine", "401", "400-echo")


@pytest.fixture(scope="module")
def server() -> Iterator[recording.Server]:
    with recording.running(Hostile) as running:
        yield running


@pytest.fixture(scope="module")
def keyed_app(server: recording.Server, tmp_path_factory: pytest.TempPathFactory
              ) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("keys")
    catalog = folder / "models.toml"
    # The built-in model's place is taken, so that no engine starts.
    catalog.write_text(ENTRY.format(id="smollm2-135m", provider="openai", model="fine",
                                    url=server.base_url) + "".join(
        ENTRY.format(id=f"{provider}-{source}-{model}", provider=provider, model=model,
                     url=server.base_url)
        for model in MODELS for source in ("typed", "environment")
        for provider in ("openai", "huggingface")))
    planted = {f"PARLEY_KEY_{provider}_ENVIRONMENT_{model}".upper().replace("-", "_"):
               KEYS["environment"] for model in MODELS for provider in ("openai", "huggingface")}
    with start_app(folder / "home", env={
            "PARLEY_MODELS": str(catalog), "OPENAI_API_KEY": KEYS["openai"],
            "HF_TOKEN": KEYS["hub"], "GOOGLE_API_KEY": KEYS["google"], **planted}) as app:
        yield app


def everything_received(page: Page) -> list[bytes]:
    """What comes to the browser over its websockets and as documents, from now on."""
    received: list[bytes] = []

    def keep(frame: str | bytes) -> None:
        received.append(frame if isinstance(frame, bytes) else frame.encode())

    def listen(socket: WebSocket) -> None:
        socket.on("framereceived", keep)

    page.on("websocket", listen)
    page.on("response", lambda answer: received.append(
        str(answer.headers).encode() + (answer.body() if "text/" in answer.headers.get(
            "content-type", "") and answer.status == 200 else b"")))
    return received


def choose_model(page: Page, model: str) -> None:
    picker = page.get_by_test_id("stSidebar").get_by_role("combobox", name="Model")
    choose(picker, model, typed=model)  # the list is longer than what of it is drawn
    # The field or the line of the model chosen before is another.
    expect(page.get_by_test_id("stSidebar").get_by_text(variable(model)).first).to_be_visible()


def variable(model: str) -> str:
    return f"PARLEY_KEY_{model}".upper().replace("-", "_")


def type_key(page: Page, model: str) -> None:
    field = page.get_by_test_id("stSidebar").get_by_label(variable(model), exact=True)
    field.fill(KEYS["typed"])
    field.press("Enter")
    expect(page.get_by_text(f"{variable(model)} was typed, for this tab alone.")).to_be_visible()
    expect(field).to_have_count(0)


def say(page: Page, text: str) -> None:
    page.get_by_test_id("stChatInputTextArea").fill(text)
    page.get_by_test_id("stChatInputTextArea").press("Enter")


def look_into(page: Page, drawer: Locator) -> None:
    """Go through all parts of an open drawer, and take all of it along as one file."""
    for part in PARTS:
        show_part(drawer, part)
        assert leaks(page.content().encode()) == []
    with page.expect_download() as download:
        drawer.get_by_role("button", name="All of it as one file").click()
    taken = Path(download.value.path()).read_bytes()
    assert b"Bearer" in taken and "•••".encode() in taken
    assert leaks(taken) == []


def bytes_under(folder: Path) -> Iterator[tuple[Path, bytes]]:
    for path in folder.rglob("*"):
        if path.is_file():
            yield path, path.read_bytes()


def leaks(data: bytes) -> list[str]:
    return [source for source, key in KEYS.items() if key.encode() in data]


@pytest.mark.parametrize("provider", ["openai", "huggingface"])
def test_keys_go_to_their_service_and_are_found_nowhere_else(
        page: Page, keyed_app: RunningApp, server: recording.Server, provider: str) -> None:
    server.requests.clear()
    received = everything_received(page)
    page.goto(keyed_app.url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="A chat with memory").click()
    expect(page.get_by_role("heading", name="A chat with memory")).to_be_visible()
    replies = {"fine": "Good morning.", "401": "was not accepted", "400-echo": "refused"}
    assert set(replies) == set(MODELS)
    count = 0
    for source in ("typed", "environment"):
        for model in MODELS:
            choose_model(page, f"{provider}-{source}-{model}")
            if source == "typed":
                type_key(page, f"{provider}-{source}-{model}")
            say(page, f"Hello, {model} with a key {source}")
            count += 2
            message = page.get_by_test_id("stChatMessage")
            expect(message).to_have_count(count)
            expect(message.last.get_by_role("button", name="Try again")).to_be_visible()
            assert leaks(page.content().encode()) == []
            drawer = open_drawer(message.last)
            assert leaks(page.content().encode()) == []
            if model == "400-echo":  # of all services the one that tells most
                look_into(page, drawer)
            close_drawer(drawer)

    sent = [request.headers.get("authorization") for request in server.requests]
    assert sent == [f"Bearer {KEYS[source]}" for source in ("typed", "environment")
                    for _model in MODELS]

    page.get_by_role("button", name="This conversation").click()
    for export in ("JSON", "Markdown", "notebook"):
        with page.expect_download() as download:
            page.get_by_role("button", name=f"Export as {export}").or_(
                page.get_by_role("button", name=f"Export as a {export}")).first.click()
        exported = Path(download.value.path()).read_bytes()
        assert b"Hello, fine" in exported
        assert leaks(exported) == []

    assert any(b"Hello, fine" in frame for frame in received)
    assert [leaks(frame) for frame in received if leaks(frame)] == []
    kept = page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}, "
                         "document.cookie, location.href])")
    assert leaks(kept.encode()) == []
    assert leaks(keyed_app.printed.encode()) == []
    wait_until((keyed_app.home / "logs" / "parley.log").exists, "a log")
    found = {str(path): leaks(data) for path, data in bytes_under(keyed_app.home) if leaks(data)}
    assert found == {}
    assert any(b"Hello, fine" in data for _path, data in bytes_under(keyed_app.home))
    commands = [" ".join(process.cmdline()).encode() for process in processes_of_this_run()]
    assert any(b"streamlit" in command for command in commands)
    assert [leaks(command) for command in commands if leaks(command)] == []


def test_a_typed_key_is_forgotten_when_asked_and_is_another_tabs_secret(
        page: Page, keyed_app: RunningApp) -> None:
    for tab in (page, page.context.new_page()):
        tab.goto(keyed_app.url)
        tab.get_by_test_id("stSidebarNav").get_by_role("link", name="A chat with memory").click()
        choose_model(tab, "openai-typed-fine")
        # The second tab is asked for it too: what the first has is the first's alone.
        type_key(tab, "openai-typed-fine")
        tab.get_by_role("button", name="Forget it").click()
        expect(tab.get_by_label(variable("openai-typed-fine"), exact=True)).to_have_value("")
