"""The interface in other languages: complete, up to date, and safe from a mistake in a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import language
from components.language import FOLDER, fields, languages, read_file, translations
from translations.texts import extract

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
