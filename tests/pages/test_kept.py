"""Conversations that last: what is there again after a reload, and what was never written.

A second `AppTest` is a second session: a reload of the page, or another visit.
"""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from components import kept
from llm import paths
from llm.errors import StorageError
from llm.transcript import Transcript
from storage import Store
from tests.app import ROOT
from tests.pages.test_stages import ask, button, words
from tests.transcripts import picture

ADA, EVE = "browser:ada", "browser:eve"


def visit(name: str = "03_chatbot") -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60)
    page.session_state["what-is-kept"] = True  # unfolded
    page.run()
    assert not page.exception
    return page


def visit_and_ask(text: str, name: str = "03_chatbot") -> AppTest:
    page = visit(name)
    ask(page, text)
    return page


def click(page: AppTest, label: str) -> AppTest:
    button(page, label).click().run()
    assert not page.exception
    return page


def open_actions(page: AppTest) -> AppTest:
    """Unfold what can be done to the conversation that is shown."""
    chat_id = page.chat_input[0].key.removeprefix("box-")
    page.session_state[f"actions-{chat_id}"] = True
    return page.run()


# ── After a reload ───────────────────────────────────────────────────────────────────


def test_a_conversation_is_there_again_with_its_figures_and_its_rating(store):
    page = visit_and_ask("I am Ada.")
    page.get("feedback")[0].set_value(1).run()
    again = visit()
    assert "You said I am Ada." in words(again)
    assert "tokens in" in words(again)
    kept_chat = store.load(ADA, store.list(ADA)[0].id)
    assert (kept_chat.stage, [turn.rating for turn in kept_chat]) == ("chatbot", [None, 1])


def test_each_stage_has_its_own(store):
    visit_and_ask("In the third.")
    assert "In the third." not in words(visit("02_multimodal"))
    assert "In the third." in words(visit())


def test_the_version_that_was_shown_is_the_one_shown(store):
    page = click(visit_and_ask("One?"), "Try again")
    click(page, "Earlier version")
    assert "1 of 2" in words(visit())


def test_an_edited_message_is_kept_beside_the_first(store):
    page = click(visit_and_ask("Fisrt?"), "Edit")
    next(a for a in page.text_area if a.label == "Edit the message").set_value("First?")
    click(page, "Send")
    again = visit()
    assert "You said First?" in words(again) and "2 of 2" in words(again)
    assert "You said Fisrt?" in words(click(again, "Earlier version"))


def test_a_new_conversation_that_was_begun_is_what_a_reload_shows(store):
    click(visit_and_ask("Old."), "New conversation")
    assert "Old." not in words(visit())
    assert len(store.list(ADA)) == 1


def test_nobody_else_sees_it(store, owner):
    visit_and_ask("For Ada alone.")
    owner(EVE)
    assert "For Ada alone." not in words(visit())


def test_a_question_whose_reply_never_came_is_not_asked_again_by_itself(store, echo):
    visit_and_ask("Hello")
    chat = store.load(ADA, store.list(ADA)[0].id)
    store.save_turn(ADA, chat, chat.append("human", "Anybody?"))
    before = len(echo.requests)
    page = visit()
    assert "Anybody?" in words(page) and len(echo.requests) == before
    assert "You said Anybody?" in words(click(page, "Answer it now"))


def test_what_two_tabs_say_in_one_conversation_stands_side_by_side(store):
    first = visit_and_ask("One.")
    second = visit()
    ask(first, "Two.")
    ask(second, "Three.")
    page = visit()
    assert "You said Three." in words(page) and "2 of 2" in words(page)
    click(page, "Earlier version")
    assert "You said Two." in words(page) and "1 of 2" in words(page)


def test_what_is_said_where_another_tab_deleted_it_is_said_to_go_with_it(store):
    page = visit_and_ask("One.")
    other = click(open_actions(visit()), "Delete this conversation")
    ask(page, "Two.")
    assert "You said Two." in words(page) and "This conversation was deleted" in words(page)
    click(other, "Undo")
    ask(page, "Three.")
    assert "This conversation was deleted" not in words(page)
    again = words(visit())
    assert "You said Two." in again and "You said Three." in again


def test_what_was_deleted_for_good_in_another_process_is_not_written_again(store):
    page = visit_and_ask("One.")
    store.delete_everything(ADA)
    for question in ("Two.", "Three."):
        ask(page, question)
        assert f"You said {question}" in words(page)
        assert "There is no such conversation here." in words(page) and store.list(ADA) == []
    ask(click(page, "New conversation"), "Four.")
    assert [summary.title for summary in store.list(ADA)] == ["Four."]


def test_a_picture_is_there_again_with_its_message(store):
    chat = Transcript(stage="chatbot")
    store.save_turn(ADA, chat, chat.append("human", "What is this?", pictures=[picture()]))
    store.put_record(ADA, "last shown", "chatbot", chat.id)
    page = visit()
    assert "Sent as 8 × 8" in words(page) and len(page.get("image")) == 1


# ── When it cannot be kept ───────────────────────────────────────────────────────────


def test_a_failed_save_is_said_and_the_chat_goes_on_and_what_was_missed_is_made_up_for(
        store, monkeypatch):
    def full(*args, **options):
        raise StorageError("The disk is full.")

    with monkeypatch.context() as broken:
        broken.setattr(Store, "save_turn", full)
        page = visit_and_ask("One.")
        assert "You said One." in words(page) and "The disk is full." in words(page)
    ask(page, "Two.")
    assert "The disk is full." not in words(page)
    assert "You said One." in words(visit()) and "You said Two." in words(visit())


def test_a_picture_without_room_is_said_to_be_missing_until_there_is_room(store, monkeypatch):
    missing = "the words are kept and the picture is not"
    lost = "found no room and were not kept: 1"
    monkeypatch.setattr(kept.store(), "_quota", 10)
    page = visit("02_multimodal")
    page.file_uploader(key="pictures").set_value(("a.png", picture().data, "image/png")).run()
    ask(page, "What is this?")
    assert missing in words(page) and lost not in words(page)
    assert lost in words(visit("02_multimodal"))
    ask(page, "And now?")
    assert missing in words(page)
    monkeypatch.setattr(kept.store(), "_quota", 10_000)
    ask(page, "And now?")
    assert missing not in words(page)
    again = visit("02_multimodal")
    assert lost not in words(again) and "Sent as 8 × 8" in words(again)
    assert "Pictures: 0.0 MB of 200 MB" in words(again)


def test_a_store_that_cannot_be_opened_is_said_and_the_chat_goes_on(echo, owner, monkeypatch):
    monkeypatch.setenv("PARLEY_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    page = visit_and_ask("One.")
    assert "You said One." in words(page)
    assert "server does not answer" in words(page)


def test_a_file_that_is_no_database_is_set_aside_and_that_is_said(echo, owner):
    damaged = paths.home() / "parley.db"
    damaged.parent.mkdir(parents=True, exist_ok=True)
    damaged.write_bytes(b"no database" * 1000)
    page = visit_and_ask("One.")
    [aside] = damaged.parent.glob("parley.db.set-aside-*")
    assert aside.read_bytes() == b"no database" * 1000
    assert f"It is set aside as {aside.name}" in words(page)
    assert "You said One." in words(visit())


def _hand_on_twice():
    import streamlit as st

    from components.conversation import ask
    from llm.transcript import Transcript

    chat = Transcript(stage="memory")
    for _time in range(2):
        ask(chat, "Hello")
    st.text(" / ".join(turn.content for turn in chat.path()))


def test_a_message_that_streamlit_hands_on_twice_is_asked_once(store):
    page = AppTest.from_function(_hand_on_twice, default_timeout=60).run()
    assert not page.exception and page.text[0].value == "Hello"
