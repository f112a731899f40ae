"""The list of conversations: what one finds, does to them, passes on and takes in."""

from __future__ import annotations

import json
import re

import pytest
from streamlit.testing.v1 import AppTest

from components import conversations
from llm import evaluation_runs
from llm.journal import FILE_NAME
from llm.transcript import Transcript
from llm.transcript_json import write_conversations
from storage import Store
from tests.app import ROOT
from tests.pages.test_kept import ADA, EVE, click, open_actions, visit, visit_and_ask
from tests.pages.test_stages import ask, words
from tests.transcripts import everything, say


def listed(page: AppTest) -> list[str]:
    """The titles in the list, from the top, with what is said of each."""
    return [found.label.replace("\\", "").replace(":small[:gray[", "| ").removesuffix("]]")
            for found in page.button if (found.key or "").startswith("open-")]


def open_titled(page: AppTest, title: str) -> AppTest:
    return click(page, next(found.label for found in page.button if title in found.label))


def field(page: AppTest, label: str):
    return next(found for found in page.text_input if found.label == label)


def take_in(page: AppTest, data: str | bytes) -> AppTest:
    content = data.encode() if isinstance(data, str) else data
    page.file_uploader[0].set_value(("kept.json", content, "application/json")).run()
    assert not page.exception
    return page


# ── The list ─────────────────────────────────────────────────────────────────────────


def test_a_conversation_is_listed_by_its_first_message_and_its_stage_from_the_question_on(store):
    page = visit_and_ask("Which *way* is north?")
    assert listed(page) == ["Which *way* is north? | Without memory · shown now"]
    click(page, "New conversation")
    ask(page, "And south?")
    assert [line.split(" | ")[0] for line in listed(page)] == ["And south?",
                                                               "Which *way* is north?"]


def test_one_is_opened_and_goes_on_where_it_was(store, echo):
    page = click(visit_and_ask("First."), "New conversation")
    ask(page, "Second.")
    open_titled(page, "First.")
    assert "You said First." in words(page) and "You said Second." not in words(page)
    ask(page, "Third.")
    assert len(listed(page)) == 2


def test_one_of_another_stage_is_opened_there(store):
    store.add(ADA, [everything()])
    page = AppTest.from_file(str(ROOT / "navigation.py"), default_timeout=60).run()
    page.switch_page("pages/03_chatbot.py").run()
    open_titled(page, "Trains")
    assert page.title[0].value == "A chat with memory"
    assert "Hello Ada." in words(page)


def test_a_long_list_comes_in_parts(store, monkeypatch):
    monkeypatch.setattr(conversations, "LISTED", 2)
    store.add(ADA, [say(Transcript(title=f"Number {n}"), "Hm?") for n in range(5)])
    page = visit()
    assert len(listed(page)) == 2
    assert len(listed(click(page, "More conversations"))) == 4
    assert len(listed(click(page, "More conversations"))) == 5
    assert "More conversations" not in [found.label for found in page.button]


def test_every_word_of_every_message_is_searched(store):
    page = click(visit_and_ask("Where do puffins nest?"), "New conversation")
    ask(page, "Where do storks nest?")
    field(page, "Search conversations").set_value("puffin said").run()
    assert [line.split(" | ")[0] for line in listed(page)] == ["Where do puffins nest?"]
    assert "You said Where do puffins nest?" in words(page)
    field(page, "Search conversations").set_value("puffins " * 50_000).run()
    assert [line.split(" | ")[0] for line in listed(page)] == ["Where do puffins nest?"]
    field(page, "Search conversations").set_value("albatross").run()
    assert "No conversation has all of these words." in words(page)


def test_nobody_elses_are_listed_found_or_opened_by_their_id(store, owner):
    visit_and_ask("For Ada alone.")
    ada = store.list(ADA)[0].id
    owner(EVE)
    page = visit()
    field(page, "Search conversations").set_value("alone").run()
    assert listed(page) == []
    store.put_record(EVE, "last shown", "chatbot", ada)
    assert "For Ada alone." not in words(visit())


# ── One conversation ─────────────────────────────────────────────────────────────────


def test_it_is_renamed_and_pinned_above_later_ones(store):
    page = open_actions(visit_and_ask("hm"))
    field(page, "Title").set_value("Sea birds")
    click(page, "Rename")
    click(page, "Pin to the top")
    click(page, "New conversation")
    ask(page, "Later.")
    assert listed(page)[0] == "Sea birds | Without memory · pinned"
    open_actions(open_titled(page, "Sea birds"))
    click(page, "Unpin")
    assert listed(visit())[0].startswith("Later.")


def test_a_long_title_is_shortened_and_not_dropped(store):
    page = open_actions(visit_and_ask("hm"))
    title = field(page, "Title")
    assert not title.max_chars
    title.set_value("All that we know of the birds of the sea, " * 5)
    click(page, "Rename")
    assert listed(page)[0].startswith("All that we know of the birds of the sea, All that we know")
    assert "… | Without memory" in listed(page)[0]


def test_deleting_can_be_undone(store):
    page = click(open_actions(visit_and_ask("Dear me.")), "Delete this conversation")
    assert listed(page) == [] and "You said Dear me." not in words(page)
    assert "Deleted: Dear me." in words(page) and listed(visit()) == []
    click(page, "Undo")
    assert len(listed(page)) == 1 and "You said Dear me." in words(page)
    assert "Deleted" not in words(page)
    assert "You said Dear me." in words(visit())


def test_what_cannot_be_done_is_said(store, monkeypatch):
    page = open_actions(visit_and_ask("Hello"))
    store.delete(ADA, store.list(ADA)[0].id)
    click(page, "Pin to the top")
    assert "There is no such conversation here." in words(page)


# ── Export and import ────────────────────────────────────────────────────────────────


def exported(page: AppTest, monkeypatch) -> dict[str, str]:
    """By its label, what each download would hold."""
    written = {}
    with monkeypatch.context() as patch:
        patch.setattr(conversations.st, "download_button",
                      lambda label, data, *args, **kwargs: written.update({label: data()}))
        page.run()
    return written


def test_what_is_exported_can_be_taken_in_by_somebody_else(store, owner, monkeypatch):
    page = click(open_actions(visit_and_ask("Round and round.")), "Pin to the top")
    files = exported(page, monkeypatch)
    assert "You said Round and round." in files["Export as Markdown"]
    assert json.loads(files["Export as a notebook"])["nbformat"] == 4
    owner(EVE)
    page = take_in(visit(), files["Export as JSON"])
    assert "Conversations taken in: 1" in words(page)
    open_titled(page, "Round and round.")
    assert "You said Round and round." in words(page)
    take_in(page, files["Export all conversations"])
    assert len(store.list(EVE)) == 2 and len(store.list(ADA)) == 1
    assert all(summary.pinned for summary in store.list(EVE))


def test_a_damaged_conversation_is_left_out_of_the_export_of_all_and_that_is_said(
        store, monkeypatch):
    page = click(visit_and_ask("Broken."), "New conversation")
    ask(page, "Whole.")
    with store._write() as db:
        db.exec_driver_sql("UPDATE turns SET body = '{' WHERE conversation = 1")
    files = exported(page, monkeypatch)
    [kept_chat] = json.loads(files["Export all conversations"])["conversations"]
    assert kept_chat["title"] == "Whole."
    assert "as they are damaged and cannot be read: Broken." in words(page.run())


def test_a_file_that_cannot_be_taken_in_again_is_announced(store, monkeypatch):
    monkeypatch.setattr(conversations, "MAX_BYTES", 1024 * 1024)
    page = visit()
    assert "A Parley takes in up to" not in words(page)
    with store._write() as db:
        db.exec_driver_sql("INSERT INTO pictures VALUES ('browser:ada', 'x', 2000000, x'')")
    assert "the JSON file has about 2 MB. A Parley takes in up to 1 MB" in words(visit())


@pytest.mark.parametrize(("data", "reason"), [
    (b"not json", "it is not a whole JSON file"),
    (b'{"format": "else"}', "it is not an export of Parley's conversations"),
    (write_conversations([everything()]).replace('"role":"human"', '"role":"boss"', 1),
     "Nothing was changed"),
])
def test_a_file_that_is_not_right_is_refused_whole_with_the_reason(store, data, reason):
    page = take_in(visit(), data)
    assert "This file was not taken in" in words(page) and reason in words(page)
    assert store.list(ADA) == []


def test_what_a_file_calls_its_fields_is_shown_to_the_letter(store):
    hostile = '"![x](http://evil.example/a.png) [y](http://evil.example/)": 1, '
    page = take_in(visit(), write_conversations([everything()]).replace(
        '"role":"human"', hostile + '"role":"human"', 1).encode())
    [said] = [box.value for box in page.warning if "was not taken in" in box.value]
    assert "evil" in said and not re.search(r"(?<!\\)[\[!]", said)


# ── Keeping nothing ──────────────────────────────────────────────────────────────────


def test_while_nothing_is_kept_nothing_is_written_and_it_stays_unwritten(store):
    page = visit()
    page.toggle(key="keep-nothing").set_value(True).run()
    ask(page, "A secret.")
    assert "You said A secret." in words(page)
    assert store.list(ADA) == [] and store.records(ADA, "last shown") == {}
    page.toggle(key="keep-nothing").set_value(False).run()
    ask(page, "No secret.")
    assert store.list(ADA) == [] and "This conversation is not kept" in words(page)
    click(page, "New conversation")
    ask(page, "For keeps.")
    assert [kept.title for kept in store.list(ADA)] == ["For keeps."]


def test_keeping_nothing_holds_on_the_next_visit_and_in_other_tabs(store):
    other = visit_and_ask("Before.")
    visit().toggle(key="keep-nothing").set_value(True).run()
    again = visit()
    assert again.toggle(key="keep-nothing").value
    assert "You said Before." not in words(again)
    ask(other, "After.")
    assert len(store.load(ADA, store.list(ADA)[0].id).turns) == 2


def test_deleting_everything_leaves_nothing_of_it_and_nothing_of_nobody_else(store, owner):
    store.add(EVE, [everything()])
    page = visit_and_ask("Gone.")
    store.put_record(ADA, "vote", "1", "left")
    journal = evaluation_runs.folder_of(ADA) / ("a" * 32) / FILE_NAME
    journal.parent.mkdir(parents=True)
    journal.write_text("What was asked, and what was answered.")
    click(page, "Delete all of it")
    assert not journal.exists()
    assert "is deleted" in words(page) and "You said Gone." not in words(page)
    assert store.list(ADA) == [] and store.records(ADA, "vote") == {}
    assert len(store.list(EVE)) == 1


def test_a_full_disk_is_said_when_the_switch_cannot_be_remembered_and_it_holds_here(
        store, monkeypatch):
    page = visit()
    with monkeypatch.context() as broken:
        def full(*args):
            raise conversations.StorageError("The disk is full.")
        broken.setattr(Store, "put_record", full)
        page.toggle(key="keep-nothing").set_value(True).run()
        assert "The disk is full." in words(page)
    ask(page, "A secret.")
    assert page.toggle(key="keep-nothing").value and store.list(ADA) == []
