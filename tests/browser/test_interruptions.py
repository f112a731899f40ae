"""What people and networks do in the middle of a reply: nothing is lost, doubled or mixed up.

After each, the history is right, nothing has failed on the page or in the log, and the
next message is answered.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import BrowserContext, Page, expect

from tests.app import RunningApp, start_app, wait_until
from tests.browser.controls import wait_until_at_rest
from tests.servers.cable import cable
from tests.servers.gated import GatedServer, as_default_model, gated

expect.set_options(timeout=30_000)

CHAT = "A chat with memory"


@pytest.fixture(scope="module")
def shared_server() -> Iterator[GatedServer]:
    with gated() as running:
        yield running


@pytest.fixture(scope="module")
def chat_app(shared_server: GatedServer, tmp_path_factory: pytest.TempPathFactory
             ) -> Iterator[RunningApp]:
    folder = tmp_path_factory.mktemp("interruptions")
    catalog = as_default_model(shared_server.base_url, folder)
    with start_app(folder / "home", env={"PARLEY_MODELS": str(catalog)}) as running:
        yield running


@pytest.fixture
def server(shared_server: GatedServer) -> Iterator[GatedServer]:
    """The model's server, its gate closed and nothing asked yet; the gate is open at the end."""
    shared_server.gate.clear()
    shared_server.requests.clear()
    shared_server.waiting = 0
    yield shared_server
    shared_server.gate.set()


@pytest.fixture
def app(chat_app: RunningApp, server: GatedServer) -> Iterator[RunningApp]:
    """The app; at the end of the test nothing new in its log speaks of a failure."""
    before = len(chat_app.printed)
    yield chat_app
    printed = chat_app.printed[before:]
    assert "Traceback" not in printed, printed
    assert "A page failed" not in printed, printed


@pytest.fixture
def chat(page: Page, app: RunningApp) -> Page:
    return open_chat(page, app.url)


def open_from_menu(page: Page, app: RunningApp, heading: str) -> None:
    page.goto(app.url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=heading).click()
    expect(page.get_by_role("heading", name=heading, exact=True)).to_be_visible()
    wait_until_at_rest(page)


def open_chat(page: Page, url: str) -> Page:
    page.goto(url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=CHAT).click()
    expect(page.get_by_role("heading", name=CHAT)).to_be_visible()
    expect(box(page)).to_be_visible()
    return page


def box(page: Page):
    return page.get_by_test_id("stChatInputTextArea")


def say(page: Page, text: str) -> None:
    box(page).fill(text)
    box(page).press("Enter")


def messages(page: Page):
    return page.get_by_test_id("stChatMessage")


def holds(page: Page, *texts: str) -> None:
    """The page shows these messages, in this order, and no other."""
    expect(messages(page)).to_have_count(len(texts))
    for number, text in enumerate(texts):
        expect(messages(page).nth(number)).to_contain_text(text)
    expect(page.get_by_test_id("stException")).to_have_count(0)


def begin_waiting(page: Page, server: GatedServer, text: str) -> None:
    """Ask what is answered by half, and see that half."""
    say(page, text)
    expect(messages(page).last).to_contain_text(f"Begun with {text}")
    expect(stop_button(page)).to_be_visible()


def stop_button(page: Page):
    return page.get_by_test_id("stBottom").get_by_role("button", name="Stop")


def goes_on(page: Page, server: GatedServer, *before: str) -> None:
    """The next message is answered, by a model that was told all that the page holds."""
    say(page, "And now?")
    holds(page, *before, "And now?", "Begun with And now?, ended.")
    assert len(server.conversations()[-1]) == len(before) + 1


def test_reload_in_mid_reply(chat: Page, server: GatedServer, complaints: list[str]) -> None:
    begin_waiting(chat, server, "Wait for the reload")
    chat.reload()
    holds(chat, "Wait for the reload", "Begun with Wait for the reload")
    server.gate.set()
    holds(chat, "Wait for the reload", "Begun with Wait for the reload, ended.")
    goes_on(chat, server, "Wait for the reload", "Begun with Wait for the reload, ended.")
    assert server.questions().count("Wait for the reload") == 1
    # Streamlit first asks for its health below the page's own address.
    complaints[:] = [said for said in complaints if "/memory/_stcore/" not in said]


def test_a_websocket_that_drops_in_mid_reply(page: Page, app: RunningApp, server: GatedServer,
                                             complaints: list[str]) -> None:
    with cable(app.port) as line:
        open_chat(page, line.url)
        begin_waiting(page, server, "Wait for the network")
        line.cut()
        expect(page.get_by_test_id("stConnectionStatus").or_(
            page.get_by_test_id("stStatusWidget")).first).to_be_visible()
        line.mend()
        server.gate.set()
        holds(page, "Wait for the network", "Begun with Wait for the network, ended.")
        goes_on(page, server, "Wait for the network", "Begun with Wait for the network, ended.")
        assert server.questions().count("Wait for the network") == 1
        page.close()
    # A browser says so in three ways, and a press while nothing is connected is not sent.
    told = ("WebSocket", "net::ERR", "when disconnected from server")
    complaints[:] = [said for said in complaints if not any(word in said for word in told)]


def test_enter_pressed_twice_sends_once(chat: Page, server: GatedServer) -> None:
    box(chat).fill("Wait for it")
    box(chat).press("Enter")
    box(chat).press("Enter")
    expect(messages(chat).last).to_contain_text("Begun with Wait for it")
    server.gate.set()
    holds(chat, "Wait for it", "Begun with Wait for it, ended.")
    assert server.questions() == ["Wait for it"]
    goes_on(chat, server, "Wait for it", "Begun with Wait for it, ended.")


def test_a_starter_clicked_twice_is_asked_once(chat: Page, server: GatedServer) -> None:
    chat.get_by_role("button", name="What is my name?").dblclick()
    holds(chat, "What is my name?", "Begun with What is my name?, ended.")
    goes_on(chat, server, "What is my name?", "Begun with What is my name?, ended.")


def click_twice_on_a_slow_page(page: Page, name: str) -> None:
    """The second click comes when the first is under way, and not to be seen yet."""
    expect(page.get_by_role("button", name=name)).to_have_count(1)
    session = page.context.new_cdp_session(page)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 20})
    page.get_by_role("button", name=name).evaluate(
        "button => { button.click(); setTimeout(() => button.click(), 60) }")
    page.wait_for_timeout(1_500)
    session.send("Emulation.setCPUThrottlingRate", {"rate": 1})


def test_what_is_clicked_twice_on_a_slow_page_is_asked_once(
        chat: Page, server: GatedServer) -> None:
    click_twice_on_a_slow_page(chat, "What is my name?")
    holds(chat, "What is my name?", "Begun with What is my name?, ended.")
    click_twice_on_a_slow_page(chat, "Try again")
    holds(chat, "What is my name?", "Begun with What is my name?, ended.")
    expect(messages(chat).last).to_contain_text("2 of 2")


def test_a_translation_is_asked_for_once(page: Page, app: RunningApp, server: GatedServer) -> None:
    open_from_menu(page, app, "One prompt")
    click_twice_on_a_slow_page(page, "Translate")
    expect(page.get_by_role("button", name="Translate it back")).to_be_visible()
    assert len(server.requests) == 1


def test_a_race_is_begun_opened_and_run_again_once(
        page: Page, app: RunningApp, server: GatedServer, complaints: list[str]) -> None:
    page.goto(f"{app.url}/compare?model=smollm2-135m@0&model=smollm2-135m@1&prompt=Wait+here")
    click_twice_on_a_slow_page(page, "Start this race")
    server.gate.set()
    expect(page.get_by_text("Begun with Wait here, ended.")).to_have_count(2)
    wait_until_at_rest(page)
    assert server.questions() == ["Wait here"] * 2
    click_twice_on_a_slow_page(page, "Expand A")
    expect(page.get_by_role("button", name="Side by side")).to_be_visible()
    wait_until_at_rest(page)
    server.gate.clear()
    page.get_by_text("How steady is each?").click()
    expect(page.get_by_role("button", name="Run 6 calls")).to_be_visible()
    wait_until_at_rest(page)
    click_twice_on_a_slow_page(page, "Run 6 calls")
    wait_until(lambda: len(server.questions()) >= 4, "they are asked")
    page.wait_for_timeout(1_000)
    assert server.questions() == ["Wait here"] * 4, "one more of each"
    # Streamlit first asks for its health below the page's own address.
    complaints[:] = [said for said in complaints if "/compare/_stcore/" not in said]


def test_a_conversation_is_deleted_brought_back_and_pinned_once(
        chat: Page, server: GatedServer) -> None:
    say(chat, "Keep me")
    holds(chat, "Keep me", "Begun with Keep me, ended.")
    wait_until_at_rest(chat)
    chat.get_by_role("button", name="This conversation").click()
    click_twice_on_a_slow_page(chat, "Pin to the top")
    expect(chat.get_by_role("button", name="Unpin")).to_be_visible()
    click_twice_on_a_slow_page(chat, "Delete this conversation")
    holds(chat)
    click_twice_on_a_slow_page(chat, "Undo")
    holds(chat, "Keep me", "Begun with Keep me, ended.")
    expect(chat.get_by_test_id("stAlert")).to_have_count(0)


def test_an_evaluation_is_begun_and_deleted_once(
        page: Page, app: RunningApp, server: GatedServer) -> None:
    open_from_menu(page, app, "Prompt sets")
    page.get_by_text("Typed here").click()
    page.get_by_role("textbox", name="Prompts").fill("Wait one\nWait two")
    page.get_by_role("textbox", name="Prompts").press("Control+Enter")
    click_twice_on_a_slow_page(page, "Start 2 calls")
    expect(page.get_by_role("button", name="Cancel")).to_be_visible()
    server.gate.set()
    page.get_by_role("button", name="Delete").click()
    click_twice_on_a_slow_page(page, "Delete it")
    expect(page.get_by_role("button", name="Start 2 calls")).to_be_visible()
    expect(page.get_by_text("It may have been deleted")).to_have_count(0)


def test_the_memories_are_asked_once_and_all_of_them_are_stopped_at_once(
        chat: Page, server: GatedServer) -> None:
    chat.get_by_text("Ask the same under each memory").click()
    chat.get_by_role("textbox", name="Question").fill("Wait for all")
    click_twice_on_a_slow_page(chat, "Ask under each memory")
    chat.get_by_role("button", name="Stop all of them").click()
    expect(chat.get_by_text("Stopped by you.")).to_have_count(6)
    wait_until_at_rest(chat)
    assert server.questions() == ["Wait for all"] * 6


def test_enter_during_a_reply_stops_it_and_asks_the_next(chat: Page, server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait for me")
    say(chat, "Never mind")
    holds(chat, "Wait for me", "Stopped by you.", "Never mind", "Begun with Never mind, ended.")
    goes_on(chat, server, "Wait for me", "Begun with Wait for me", "Never mind", "ended.")


def test_two_tabs_are_two_conversations(chat: Page, context: BrowserContext, app: RunningApp,
                                        server: GatedServer) -> None:
    other = open_chat(context.new_page(), app.url)
    begin_waiting(chat, server, "Wait in the first tab")
    begin_waiting(other, server, "Wait in the second tab")
    server.gate.set()
    holds(chat, "Wait in the first tab", "Begun with Wait in the first tab, ended.")
    holds(other, "Wait in the second tab", "Begun with Wait in the second tab, ended.")
    goes_on(chat, server, "Wait in the first tab", "ended.")
    assert "Wait in the second tab" not in server.conversations()[-1]
    goes_on(other, server, "Wait in the second tab", "ended.")
    assert "Wait in the first tab" not in server.conversations()[-1]


def test_another_page_in_mid_reply_and_back(chat: Page, server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait while I look around")
    chat.get_by_role("link", name="Models").click()
    expect(chat.get_by_role("heading", name="Models")).to_be_visible()
    server.gate.set()
    chat.get_by_role("link", name=CHAT).click()
    holds(chat, "Wait while I look around", "Begun with Wait while I look around, ended.")
    goes_on(chat, server, "Wait while I look around", "ended.")
    assert server.questions().count("Wait while I look around") == 1


def test_back_and_forward_in_mid_reply(chat: Page, server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait for my return")
    chat.go_back()
    expect(chat.get_by_role("heading", name=CHAT)).to_have_count(0)
    chat.go_forward()
    expect(chat.get_by_role("heading", name=CHAT)).to_be_visible()
    expect(messages(chat).last).to_contain_text("Begun with Wait for my return")
    server.gate.set()
    holds(chat, "Wait for my return", "Begun with Wait for my return, ended.")
    chat.go_back()
    expect(chat.get_by_role("heading", name=CHAT)).to_have_count(0)
    chat.go_forward()
    holds(chat, "Wait for my return", "Begun with Wait for my return, ended.")
    goes_on(chat, server, "Wait for my return", "ended.")


def test_stop_twice_in_mid_reply(chat: Page, server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait until I stop you")
    stop_button(chat).dblclick()
    holds(chat, "Wait until I stop you", "Stopped by you.")
    goes_on(chat, server, "Wait until I stop you", "Begun with Wait until I stop you")
    assert server.questions().count("Wait until I stop you") == 1


def test_streamlits_own_stop_ends_the_drawing_and_not_the_reply(chat: Page, server: GatedServer
                                                                ) -> None:
    begin_waiting(chat, server, "Wait for the page")
    chat.get_by_test_id("stStatusWidget").get_by_role("button", name="Stop").click()
    expect(chat.get_by_test_id("stStatusWidget")).to_have_count(0)
    server.gate.set()
    chat.get_by_role("link", name="Models").click()
    expect(chat.get_by_role("heading", name="Models")).to_be_visible()
    chat.get_by_role("link", name=CHAT).click()
    holds(chat, "Wait for the page", "Begun with Wait for the page, ended.")
    goes_on(chat, server, "Wait for the page", "ended.")


def test_the_tab_is_closed_in_mid_reply(chat: Page, context: BrowserContext, app: RunningApp,
                                        server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait without me")
    chat.close()
    server.gate.set()
    other = open_chat(context.new_page(), app.url)
    holds(other, "Wait without me", "Begun with Wait without me, ended.")
    goes_on(other, server, "Wait without me", "ended.")


def test_a_conversation_opened_in_mid_reply_stands_alone(chat: Page, server: GatedServer) -> None:
    told = ("Tell me one", "Begun with Tell me one, ended.", "Tell me two",
            "Begun with Tell me two, ended.")
    say(chat, told[0])
    holds(chat, *told[:2])
    say(chat, told[2])
    holds(chat, *told)
    chat.get_by_role("button", name="New conversation").click()
    holds(chat)
    begin_waiting(chat, server, "Wait here")
    conversations = chat.get_by_test_id("stSidebar")
    conversations.get_by_role("button", name="Tell me one").click()
    holds(chat, *told)
    conversations.get_by_role("button", name="Wait here").click()
    holds(chat, "Wait here", "Begun with Wait here")


def open_race(page: Page, app: RunningApp, complaints: list[str]) -> None:
    page.goto(f"{app.url}/compare?model=smollm2-135m@0&model=smollm2-135m@0.5")
    expect(box(page)).to_be_visible()
    # Streamlit first asks for its health below the page's own address.
    complaints[:] = [said for said in complaints if "/compare/_stcore/" not in said]


def test_another_race_in_mid_reply_stands_alone(
        page: Page, app: RunningApp, server: GatedServer, complaints: list[str]) -> None:
    open_race(page, app, complaints)
    say(page, "Wait first")
    holds(page, *["Wait first", "Begun with Wait first"] * 2)
    page.get_by_text("Who races").click()
    blind = page.get_by_text("Blind", exact=True)
    blind.click()
    holds(page)
    say(page, "Wait second")
    holds(page, *["Wait second", "Begun with Wait second"] * 2)
    blind.click()
    holds(page, *["Wait first", "Begun with Wait first"] * 2)
    expect(page.get_by_text("Wait second")).to_have_count(0)
    server.gate.set()
    holds(page, *["Wait first", "Begun with Wait first, ended."] * 2)


def test_a_message_goes_to_those_who_were_chosen_a_moment_before(
        page: Page, app: RunningApp, server: GatedServer, complaints: list[str]) -> None:
    open_race(page, app, complaints)
    wait_until_at_rest(page)
    box(page).fill("Hello")
    page.get_by_role("button", name="One model, two temperatures").evaluate("""preset => {
        preset.click();
        document.querySelector("[data-testid=stChatInputSubmitButton]").click();
    }""")
    holds(page, *["Hello", "Begun with Hello, ended."] * 2)
    expect(page.get_by_label("Its own temperature").last).to_have_value("1.00")
    assert server.questions() == ["Hello"] * 2


def test_a_key_typed_and_forgotten_in_mid_reply_is_gone_from_its_box(
        chat: Page, server: GatedServer) -> None:
    begin_waiting(chat, server, "Wait for the key")
    key = chat.get_by_role("textbox", name="PARLEY_KEY_SMOLLM2_135M")
    key.fill("a-secret-of-mine")
    key.press("Enter")
    chat.get_by_role("button", name="Forget it").click()
    expect(chat.get_by_role("button", name="Forget it")).to_have_count(0)
    expect(key).to_have_value("")
    server.gate.set()
    holds(chat, "Wait for the key", "Begun with Wait for the key, ended.")
    assert server.questions() == ["Wait for the key"]
