"""A file from anywhere is taken in whole or not at all, with the reason, and is only ever data."""

import base64
import hashlib
import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from llm.errors import ImportRefusedError
from llm.transcript_import import MAX_BYTES, read_conversations
from llm.transcript_json import write_conversations
from tests.transcripts import everything

CHAT = everything()
TEXT = write_conversations([CHAT])


def changed(change) -> str:
    document = json.loads(TEXT)
    change(document)
    return json.dumps(document)


def zipped() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("conversations.json", TEXT)
    return file.getvalue()


def first(document) -> dict:
    return document["conversations"][0]


def turn(document, number) -> dict:
    return first(document)["turns"][number]


def put(place, value):
    """A change: the value at a path of keys and indices."""
    def change(document):
        for step in place[:-1]:
            document = document[step]
        document[place[-1]] = value
    return change


def drop(place):
    def change(document):
        for step in place[:-1]:
            document = document[step]
        del document[place[-1]]
    return change


TURN = ("conversations", 0, "turns", 1)
REFUSED = {
    "empty": ("", "not a whole JSON file"),
    "no JSON": ("Dear diary,", "not a whole JSON file"),
    "half a file": (TEXT[:len(TEXT) // 2], "not a whole JSON file"),
    "bad UTF-8": (TEXT.encode().replace(b"Hello", b"H\xff\xfello"), "not a whole JSON file"),
    "a ZIP under another name": (zipped(), "not a whole JSON file"),
    "half a character": (TEXT.replace("Hello Ada.", "\\ud83d"), "hex escape"),
    "a picture": (CHAT.path()[2].pictures[0].data, "not a whole JSON file"),
    "another program's JSON": ('{"messages": []}', "not an export of Parley"),
    "a list": ("[]", "not an export of Parley"),
    "nested too deeply": ("[" * 100_000, "nested too deeply"),
    "nested too deeply within": (changed(put((*TURN, "reply", "settings"), {})).replace(
        '"settings": {}', '"settings": ' + '{"a":' * 100_000 + "1" + "}" * 100_000, 1),
        "nested too deeply"),
    "nested deeply": (changed(put((*TURN, "reply", "settings"), {})).replace(
        '"settings": {}', '"settings": ' + '{"a":' * 400 + "1" + "}" * 400, 1), ""),
    "a later version": (changed(put(["version"], 2)), "version 2"),
    "no version": (changed(drop(["version"])), "version None"),
    "a version that is no number": (changed(put(["version"], "1")), "version 1"),
    "a huge version": (changed(put(["version"], "9" * 10_000)), "version 999"),
    "a name given twice": (TEXT.replace('{"format"', '{"version":1,"format"'),
                           "the same thing twice"),
    "not a number": (TEXT.replace('"total_seconds":2.5', '"total_seconds":NaN'), "NaN"),
    "infinity": (TEXT.replace('"total_seconds":2.5', '"total_seconds":1e999'), "1e999"),
    "infinity where anything goes": (
        TEXT.replace('"temperature":0.7', '"temperature":-1e999'), "-1e999 is not a number"),
    "brackets by the hundred": (
        TEXT.replace('"temperature":0.7', f'"temperature":{"[" * 500}{"]" * 500}'), "recursion"),
    "10,000 conversations": (
        changed(lambda d: d["conversations"].extend([{}] * 10_000)), "holds 10,001 conversations"),
    "200,000 turns": (
        changed(lambda d: first(d)["turns"].extend([{}] * 200_000)), "holds 200,008 messages"),
    "3,000 pictures": (
        changed(lambda d: d["pictures"].update({str(n): "" for n in range(3_000)})),
        "holds 3,002 pictures"),
    "a number of 5,000 digits": (
        TEXT.replace('"input_tokens":120', '"input_tokens":' + "9" * 5_000), ""),
    "the year 300,000": (changed(put((*TURN, "created_at"), 1e13)), "created_at"),
    "an unknown field": (changed(put((*TURN, "colour"), "red")), "colour"),
    "a missing field": (changed(drop((*TURN, "content"))), "content"),
    "a number for a text": (changed(put((*TURN, "content"), 7)), "content"),
    "a text for a number": (changed(put((*TURN, "created_at"), "7")), "created_at"),
    "an unknown role": (changed(put((*TURN, "role"), "tool")), "role"),
    "an unknown ending": (changed(put((*TURN, "reply", "ending"), "running")), "ending"),
    "a rating of 5": (changed(put((*TURN, "rating"), 5)), "rating"),
    "two turns of one id": (
        changed(lambda d: turn(d, 1).update(id=turn(d, 0)["id"])), "same id"),
    "two conversations of one id": (
        changed(lambda d: d["conversations"].append(first(d))), "same id"),
    "a parent that is not there": (changed(put((*TURN, "parent"), "nobody")), "parent"),
    "its own parent": (
        changed(lambda d: turn(d, 0).update(parent=turn(d, 0)["id"])), "parent"),
    "parents in a circle": (
        changed(lambda d: turn(d, 0).update(parent=turn(d, 1)["id"])), "parent"),
    "two versions shown": (
        changed(lambda d: [each.update(shown=True) for each in first(d)["turns"]]),
        "the one shown"),
    "a reply of a human": (changed(put((*TURN, "role"), "human")), "human turn"),
    "sent turns that are not there": (
        changed(put((*TURN, "reply", "sent"), [{"first": "x", "last": "y"}])), "was sent turns"),
    "a turn with a hundred pictures": (
        changed(lambda d: turn(d, 2).update(pictures=turn(d, 2)["pictures"] * 50)), "100 pictures"),
    "a picture that is not there": (changed(put(["pictures"], {})), "lacks 2 of the pictures"),
    "a picture of another hash": (
        changed(lambda d: d["pictures"].update(dict.fromkeys(d["pictures"], "aGVsbG8="))), "hash"),
    "a picture that is not base64": (
        changed(lambda d: d["pictures"].update(dict.fromkeys(d["pictures"], "!"))), "base64"),
    "a LangChain object for a text": (
        changed(put((*TURN, "content"), {"lc": 1, "type": "constructor", "id": ["os", "system"],
                                         "kwargs": {}})), "content"),
}


@pytest.mark.parametrize("file, reason", REFUSED.values(), ids=REFUSED)
def test_what_is_wrong_with_a_file_is_said_in_a_sentence(file, reason):
    with pytest.raises(ImportRefusedError) as refused:
        read_conversations(file)
    sentence = str(refused.value)
    assert sentence.startswith("This file was not taken in: ") and reason in sentence
    assert sentence.endswith(". Nothing was changed.")
    assert len(sentence) < 400 and "\n" not in sentence


def test_a_file_over_the_limit_is_refused_before_it_is_parsed():
    with pytest.raises(ImportRefusedError, match="64.0 MB, and up to 64"):
        read_conversations(b"[" * (MAX_BYTES + 1))


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le"])
def test_a_file_that_another_program_saved_anew_is_read(encoding):
    [chat] = read_conversations(TEXT.encode(encoding))
    assert [turn.text for turn in chat] == [turn.text for turn in CHAT]


def test_a_picture_that_is_none_is_refused():
    data = b"<svg onload=alert(1)>"
    name = hashlib.sha256(data).hexdigest()
    with pytest.raises(ImportRefusedError, match="SVG"):
        read_conversations(changed(put(["pictures", name], base64.b64encode(data).decode())))


def test_a_picture_from_elsewhere_is_made_safe_and_found_under_its_new_hash():
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x010E] = "secret-canary"
    Image.new("RGB", (9, 9), "green").save(file, "JPEG", exif=exif)
    data, old = file.getvalue(), CHAT.path()[2].pictures[0].sha256
    name = hashlib.sha256(data).hexdigest()
    document = json.loads(TEXT.replace(old, name))
    document["pictures"][name] = base64.b64encode(data).decode()
    [chat] = read_conversations(json.dumps(document))
    taken = chat.path()[2].pictures[0]
    assert taken.sha256 != name and b"secret-canary" not in taken.data
    assert taken.data_url in str(list(chat.path()[3].reply.messages))


def test_langchain_objects_in_free_fields_stay_plain_data():
    lc = {"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", "AIMessage"],
          "kwargs": {"content": "x"}}
    [chat] = read_conversations(changed(put((*TURN, "reply", "settings"), {"model": lc})))
    assert chat.path()[1].reply.settings == {"model": lc}


def test_everything_gets_new_ids_so_nothing_kept_can_be_replaced():
    [once], [twice] = read_conversations(TEXT), read_conversations(TEXT)
    assert len({CHAT.id, once.id, twice.id}) == 3
    assert not set(CHAT.turns) & set(once.turns) and not set(once.turns) & set(twice.turns)


def test_one_bad_conversation_keeps_the_good_one_out():
    def add_bad(document):
        document["conversations"].append({**first(document), "id": "other", "turns": [{}]})
    with pytest.raises(ImportRefusedError):
        read_conversations(changed(add_bad))


@given(st.binary(max_size=200) | st.text(max_size=200))
@settings(max_examples=200, deadline=None)
def test_whatever_the_file_it_is_refused_and_never_crashes(file):
    with pytest.raises(ImportRefusedError):
        read_conversations(file)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_export_is_refused_or_read_and_never_crashes(data):
    start = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 30))
    damaged = TEXT[:start] + data.draw(st.text('{}[]",:0a\\', max_size=6)) + TEXT[start + length:]
    try:
        for chat in read_conversations(damaged):
            for read in chat.turns.values():
                assert read.reply is None or list(read.reply.messages) is not None
    except ImportRefusedError:
        pass
