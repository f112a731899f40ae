"""The interface in other languages: complete, up to date, and safe from a mistake in a file."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import streamlit as st

from components import language
from components.language import FOLDER, fields, languages, read_file, say, translations
from llm.errors import StorageError
from llm.wording import Wording
from translations import texts
from translations.texts import calls_of, extract, python_files

FILES = sorted(FOLDER.glob("*.po"))
TEXTS = {message.id for message in extract() if message.id}
BRING_UP_TO_DATE = "run `python -m translations`, and translate what it prints"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a test's own translations are looked for."""
    monkeypatch.setattr(language, "FOLDER", tmp_path)
    return tmp_path


def test_english_and_hindi_are_there():
    assert {"en": "English", "hi": "हिन्दी"}.items() <= languages().items()


def test_texts_from_calls_from_f_strings_and_from_tables_are_found():
    assert {"Stop", "Which is better?", "Loading into memory", "Alt text",
            "The whole conversation is sent again with each message, until it no longer fits "
            "the context window."} <= TEXTS


def test_what_is_said_below_the_pages_is_found_wherever_it_is_worded():
    assert {"There are no prompts in it.", "a PDF document", "it is nested too deeply",
            "Picture {number} of {count}: {reason}", "turned upright",
            "a pattern must not call itself",
            "The database server does not accept the user name or password.",
            "{label} cannot chat: it comes without a chat template. Choose its instruct version.",
            "Waiting until another local model is free."} <= TEXTS


@pytest.mark.parametrize("written", [
    'raise StorageError(f"{path} is full.")', 'raise errors.NoRoomError("a" + str(path))',
    "raise PictureError(sentence)"])
def test_a_sentence_that_nobody_could_translate_is_refused_with_its_place(
        written: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "llm").mkdir()
    (tmp_path / "llm" / "wordy.py").write_text(f"x = 1\n{written}\n")
    monkeypatch.setattr(texts, "ROOT", tmp_path)
    monkeypatch.setattr(texts, "python_files", lambda: [tmp_path / "llm" / "wordy.py"])
    with pytest.raises(LookupError, match=r"llm/wordy\.py:2"):
        extract()


def _worded() -> Iterator[tuple[str, str, ast.Call]]:
    for path in python_files():
        name = path.relative_to(texts.ROOT).as_posix()
        for call in calls_of(path, name):
            if ast.unparse(call.func) != "_" and isinstance(call.args[0], ast.Constant):
                yield f"{name}:{call.lineno}", call.args[0].value, call


def test_each_sentence_is_given_what_its_gaps_ask_for_and_nothing_else():
    found = list(_worded())
    assert len(found) > 250
    wrong = {place: template for place, template, call in found
             if {name for name, _form in fields(template)}
             != {given.arg for given in call.keywords} - {"retry_after"}}
    assert wrong == {}


def test_an_error_is_said_in_the_chosen_language_with_what_is_in_it(
        folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "fr.po").write_text(
        'msgid "{who} says {what}."\nmsgstr "{what}, dit {who}."\n\n'
        'msgid "{count:,} words"\nmsgstr "{count:,} mots"\n', "utf-8")
    error = StorageError("{who} says {what}.", who="{what}", what=Wording("{count:,} words",
                                                                         count=1234))
    assert say(error) == "{what} says 1,234 words."
    monkeypatch.setitem(st.session_state, "language", "fr")
    assert say(error) == "1,234 mots, dit {what}."
    assert str(error) == "{what} says 1,234 words."
    assert say("{ready}") == "{ready}"


def test_a_sentence_of_ours_that_was_stored_is_said_in_the_chosen_language(
        folder: Path, monkeypatch: pytest.MonkeyPatch):
    (folder / "fr.po").write_text(
        '#: llm/images.py\nmsgid "first of {frames:,} frames"\n'
        'msgstr "la première de {frames:,} images"\n\n'
        '#: components/model_card.py\nmsgid "Closed"\nmsgstr "Fermé"\n', "utf-8")
    assert say("first of 1,200 frames") == "first of 1,200 frames"
    monkeypatch.setitem(st.session_state, "language", "fr")
    assert say("first of 1,200 frames") == "la première de 1,200 images"
    assert say("Closed") == "Closed"  # what a page says; here it is somebody's name for something


def _filled(template: str) -> Wording:
    """The sentence with something in each gap."""
    return Wording(template, **{
        name: {"": f"⟨{name}⟩", ",": 1234}.get(form, 1.5)
        for name, form in fields(template)})


def test_every_sentence_with_words_of_its_own_is_known_again_when_it_was_stored(
        monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(st.session_state, "language", "hi")
    said = {message.id for message in extract() if message.id
            and any(place.startswith(("llm/", "storage/")) for place, _line in message.locations)}
    assert len(said) > 300
    lost = [template for template in said
            if say(str(_filled(template))) != say(_filled(template))]
    assert all(sum(map(str.isalpha, re.sub("{.*?}", "", template))) < 8 for template in lost), lost


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
class TestEveryLanguage:
    def test_no_text_is_missing(self, path: Path):
        done = {message.id for message in read_file(path) if message.string}
        assert sorted(TEXTS - done) == [], BRING_UP_TO_DATE

    def test_no_text_is_stale(self, path: Path):
        assert sorted({message.id for message in read_file(path) if message.id} - TEXTS) == [], \
            BRING_UP_TO_DATE

    def test_the_gaps_are_the_same(self, path: Path):
        wrong = {message.id: message.string for message in read_file(path)
                 if message.string and fields(message.id) != fields(message.string)}
        assert wrong == {}

    def test_all_of_it_reaches_the_page(self, path: Path):
        assert translations(path.stem).keys() >= TEXTS


def test_a_changed_file_is_seen_without_a_restart(folder: Path):
    (folder / "fr.po").write_text('msgid "Stop"\nmsgstr "Arrêter"\n')
    assert translations("fr") == {"Stop": "Arrêter"}
    (folder / "fr.po").write_text('msgid "Stop"\nmsgstr "Arrête-toi"\n')
    assert translations("fr") == {"Stop": "Arrête-toi"}


def test_a_translation_with_other_gaps_is_left_in_english(folder: Path):
    (folder / "fr.po").write_text(
        'msgid "{n} of {m}"\nmsgstr "{n} de {x}"\n\nmsgid "{tokens} out"\nmsgstr "{tokens"\n\n'
        'msgid "total {time}"\nmsgstr "en tout {time}"\n')
    assert translations("fr") == {"total {time}": "en tout {time}"}


@pytest.mark.parametrize("content", [
    b'msgid "Stop\nmsgstr', b"\xff\xfe\x00", b"nothing of the kind", b""])
def test_a_damaged_file_leaves_the_page_in_english(folder: Path, content: bytes):
    (folder / "fr.po").write_bytes(content)
    assert translations("fr") == {}
    assert translations("de") == {}
