"""The interface's language: English in the code, other languages in translations/*.po.

`_("Stop")` is the text itself where the chosen language is English or has no
translation of it, so a missing one is never an empty label; `say(error)` does the same for
what `llm` and `storage` say. The files are gettext's;
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

from llm.wording import WordedError, Wording

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
    path = FOLDER / f"{code}.po"
    try:
        state = path.stat()
        return _usable(path, (state.st_mtime_ns, state.st_size))
    except OSError:
        return {}


@functools.lru_cache(maxsize=16)
def _usable(path: Path, _state: tuple[int, int]) -> Mapping[str, str]:
    """What can be shown of a file: one with a mistake in it must not break a page."""
    try:
        catalog = read_file(path)
    except ValueError as error:
        log.error("%s cannot be read: %s", path.name, error)
        return {}
    return {message.id: message.string for message in catalog
            if isinstance(message.id, str) and message.id and message.string
            and not message.fuzzy and fields(message.id) == fields(message.string)}


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
    return _in_chosen_language(text)


def say(what: WordedError | Wording | str) -> str:
    """What an error or another wording of ours says, in the chosen language.

    A text that is ready stays as it is: somebody else's, or one that was stored.
    """
    wording = getattr(what, "wording", what)
    if not isinstance(wording, Wording):
        return str(wording)
    values = {name: say(value) if isinstance(value, Wording) else value
              for name, value in wording.values.items()}
    return _in_chosen_language(wording.template).format(**values)


def _in_chosen_language(text: str) -> str:
    code = current_language()
    return text if code == ENGLISH else translations(code).get(text, text)
