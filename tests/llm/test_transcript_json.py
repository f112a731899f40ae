"""A conversation that is written and read again is the same one, by the published schema."""

import json

import jsonschema
from hypothesis import given, settings

from llm import transcript_json
from llm.replies import Ending, Reply
from llm.transcript import Transcript
from llm.transcript_import import read_conversations
from llm.transcript_json import write_conversations
from llm.wire import Exchange
from tests.app import ROOT
from tests.transcripts import PICTURES, everything, reply_to, say, transcripts

SCHEMA = ROOT / "docs" / "conversation.schema.json"


def same(chat: Transcript, copy: Transcript) -> None:
    """All of it is equal but for the ids, which are new."""
    for name in ("title", "stage", "pinned", "created_at"):
        assert getattr(copy, name) == getattr(chat, name), name
    ids = dict(zip(chat.turns, copy.turns, strict=True)) | {None: None}
    assert copy.shown == {ids[above]: ids[below] for above, below in chat.shown.items()}
    for old, new in zip(chat.turns.values(), copy.turns.values(), strict=True):
        assert (ids[old.id], ids[old.parent_id]) == (new.id, new.parent_id)
        for name in ("role", "content", "created_at", "pictures", "rating", "summary", "reply"):
            assert getattr(new, name) == getattr(old, name), name


def test_a_conversation_comes_back_with_every_branch_picture_rating_and_figure():
    chat = everything()
    [copy] = read_conversations(write_conversations([chat]))
    same(chat, copy)


@given(chat=transcripts())
@settings(max_examples=150, deadline=None)
def test_any_conversation_comes_back_as_it_was(chat):
    [copy] = read_conversations(write_conversations([chat]))
    same(chat, copy)


def test_several_conversations_go_into_one_file():
    chats = [everything(), say(Transcript(title="Tea"), "Tea?", "Tea.")]
    for chat, copy in zip(chats, read_conversations(write_conversations(chats)), strict=True):
        same(chat, copy)


def test_a_file_from_before_pins_were_written_is_read_and_one_without_pins_looks_like_it():
    [conversation] = (file := json.loads(write_conversations([everything()])))["conversations"]
    del conversation["pinned"]
    [copy] = read_conversations(json.dumps(file))
    assert copy.pinned is False
    assert "pinned" not in write_conversations([copy])


@given(chat=transcripts())
@settings(max_examples=50, deadline=None)
def test_what_is_written_keeps_the_published_schema(chat):
    jsonschema.validate(json.loads(write_conversations([chat])), json.loads(SCHEMA.read_text()))


def test_the_published_schema_is_that_of_the_code():
    written = json.dumps(transcript_json.json_schema(), indent=2, ensure_ascii=False) + "\n"
    assert SCHEMA.read_text() == written, "write llm.transcript_json.json_schema() to docs/"


def test_a_picture_is_in_the_file_once_however_often_it_was_sent():
    chat = Transcript()
    for question in ("What is this?", "And now?", "And now?"):
        chat.append("human", question, pictures=[PICTURES[0]])
        chat.append("ai", reply=reply_to(chat, "A red square."))
    text = write_conversations([chat])
    assert text.count(PICTURES[0].data_url.partition(",")[2]) == 1
    [copy] = read_conversations(text)
    assert copy.last.reply.messages == chat.last.reply.messages


def test_a_long_chat_that_remembers_everything_does_not_grow_with_its_square():
    chat = Transcript()
    for number in range(100):
        chat.append("human", f"Question {number}")
        chat.append("ai", reply=reply_to(chat, "An answer. " * 20))
    text = write_conversations([chat])
    assert text.count("An answer. " * 20) == 100
    [copy] = read_conversations(text)
    assert copy.last.reply.messages == chat.last.reply.messages
    assert len(copy.last.reply.messages) == 200


def test_a_question_that_was_put_in_other_words_is_kept_in_those_words():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.", "Who am I?")
    reply = reply_to(chat, "Ada.")
    reply.messages[-1] = reply.messages[-1].model_copy(update={"content": "Findings: … Who am I?"})
    chat.append("ai", reply=reply)
    [copy] = read_conversations(write_conversations([chat]))
    assert [message.text for message in copy.last.reply.messages] == [
        "Be brief.", "I am Ada.", "Hello Ada.", "Findings: … Who am I?"]


def test_a_reply_that_still_runs_is_written_as_stopped_without_its_words():
    chat = say(Transcript(), "Hello")
    chat.append("ai", reply=Reply("m", "Half a sen"))
    [copy] = read_conversations(write_conversations([chat]))
    assert (copy.last.text, copy.last.reply.ending) == ("", Ending.STOPPED)


def test_what_ran_below_is_not_written():
    chat = say(Transcript(), "Hello", "Hi")
    chat.last.reply.exchanges.append(Exchange(
        "POST", "http://127.0.0.1/v1", {"authorization": "secret-canary"}, b"secret-canary", 13, 0))
    assert "secret-canary" not in write_conversations([chat])


def test_half_a_character_becomes_a_question_mark_and_breaks_nothing():
    chat = say(Transcript(title="\ud800"), "a\udc00\0b", "\ud800")
    chat.last.reply.settings["system"] = "\ud800"
    [copy] = read_conversations(write_conversations([chat]))
    assert [turn.text for turn in copy] == ["a?\0b", "?"]


def test_written_again_a_file_is_the_same_but_for_the_ids():
    first = write_conversations([everything()])
    second = write_conversations(read_conversations(first))
    ids = [turn["id"] for turn in json.loads(first)["conversations"][0]["turns"]]
    new = [turn["id"] for turn in json.loads(second)["conversations"][0]["turns"]]
    for old_id, new_id in zip(ids, new, strict=True):
        first = first.replace(old_id, new_id)
    first, second = json.loads(first), json.loads(second)
    del first["conversations"][0]["id"], second["conversations"][0]["id"]
    assert first == second
