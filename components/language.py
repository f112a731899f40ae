"""The interface's language: English in the code, other languages in translations/*.po.

`_("Stop")` is the text itself where the chosen language is English or has no
translation of it, so a missing one is never an empty label; `say(error)` does the same for
what `llm` and `storage` say, also where only the English sentence was stored. The files are
gettext's;
`python -m translations` brings them up to date with the code.

Knows nothing of pages, nor how the language is chosen (`components.language_choice`).
"""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from string import Formatter

import streamlit as st
from babel import Locale
from babel.messages.catalog import Catalog
from babel.messages.pofile import PoFileError, read_po

from llm.wording import Say, Templates, WordedError, Wording

log = logging.getLogger("components.language")

FOLDER = Path(__file__).parent.parent / "translations"
ENGLISH = "en"

_LANGUAGE = "language"


@functools.cache
def languages() -> dict[str, str]:
    """Code -> the language's own name, English first."""
    return {ENGLISH: "English"} | {path.stem: Locale.parse(path.stem).get_display_name()
                                   for path in sorted(FOLDER.glob("*.po"))}


def read_file(path: Path) -> Catalog:
    """A translation file. Raises ValueError, with the line, if it is none."""
    try:
        with path.open("rb") as file:
            return read_po(file, locale=path.stem, abort_invalid=True)
    except PoFileError as error:
        raise ValueError(str(error)) from error


def fields(text: str) -> set[tuple[str, str]] | None:
    """The {gaps} that `str.format` finds in a text, with their formats; None if it would fail."""
    try:
        return {(name, form or "") for _text, name, form, _as in Formatter().parse(text)
                if name is not None}
    except ValueError:
        return None


def translations(code: str) -> Mapping[str, str]:
    """The English texts and what they are in the language of this code, as its file is now."""
    return _of_language(code)[0]


def _of_language(code: str) -> tuple[Mapping[str, str], Templates]:
    """Those texts, and among them the templates of what `llm` and `storage` say."""
    path = FOLDER / f"{code}.po"
    try:
        state = path.stat()
        return _usable(path, (state.st_mtime_ns, state.st_size))
    except OSError:
        return {}, Templates([])


@functools.lru_cache(maxsize=16)
def _usable(path: Path, _state: tuple[int, int]) -> tuple[Mapping[str, str], Templates]:
    """What can be shown of a file: one with a mistake in it must not break a page."""
    try:
        catalog = read_file(path)
    except ValueError as error:
        log.error("%s cannot be read: %s", path.name, error)
        return {}, Templates([])
    usable = {message.id: message for message in catalog
              if isinstance(message.id, str) and message.id and message.string
              and not message.fuzzy and fields(message.id) == fields(message.string)}
    # Not those of the pages: "Closed" is a word on a card, and may be what a model is called.
    said_below = [text for text, message in usable.items()
                  if any(file.startswith(("llm/", "storage/")) for file, _line
                         in message.locations)]
    return {text: message.string for text, message in usable.items()}, Templates(said_below)


def current_language() -> str:
    """The code of the language that this person chose."""
    return st.session_state.get(_LANGUAGE, ENGLISH)


def set_language(code: str) -> None:
    """Show this session's texts in another language. One that there is not is passed over."""
    if code in languages():
        st.session_state[_LANGUAGE] = code


def is_language_set() -> bool:
    """Whether this session has its language yet."""
    return _LANGUAGE in st.session_state


def _(text: str) -> str:
    """The interface text `text` in the chosen language."""
    return _in_language(current_language(), text)


def say(what: WordedError | Wording | str) -> str:
    """What an error or another wording of ours says, in the chosen language.

    A text that is ready, such as one that was stored, is said in it too if it is a sentence of
    ours. Somebody else's stays as it is.
    """
    return _say(current_language(), what)


def say_elsewhere() -> Say:
    """`say` for other threads, where nobody has chosen a language: this person's."""
    return functools.partial(_say, current_language())


def _say(code: str, what: WordedError | Wording | str) -> str:
    wording = getattr(what, "wording", what)
    if not isinstance(wording, Wording):
        text = str(wording)
        found = None if code == ENGLISH else _of_language(code)[1].wording_of(text)
        return _say(code, found) if found else text
    values = {name: _say(code, value) if isinstance(value, Wording) else value
              for name, value in wording.values.items()}
    return _in_language(code, wording.template).format(**values)


def _in_language(code: str, text: str) -> str:
    return text if code == ENGLISH else translations(code).get(text, text)
