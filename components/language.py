"""The interface's language: English in the code, other languages in translations/*.toml.

`_("Stop")` is the text itself where the chosen language is English or has no
translation of it, so a missing one is never an empty label. A translation file is
TOML with one table, `texts`, from the English text to the other.

Knows nothing of pages; a test holds every `_("…")` in the code against each file.
"""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

import streamlit as st

FOLDER = Path(__file__).parent.parent / "translations"
ENGLISH = "en"


@functools.cache
def languages() -> dict[str, str]:
    """Code -> the language's own name, English first."""
    return {ENGLISH: "English"} | {
        path.stem: tomllib.loads(path.read_text("utf-8"))["name"]
        for path in sorted(FOLDER.glob("*.toml"))
    }


@functools.cache
def translations(code: str) -> dict[str, str]:
    """The English texts and what they are in the language of this code."""
    path = FOLDER / f"{code}.toml"
    return tomllib.loads(path.read_text("utf-8"))["texts"] if path.exists() else {}


def current_language() -> str:
    """The code of the language that this person chose."""
    return st.session_state.get("language", ENGLISH)


def pick_language() -> None:
    """Draw the language's selectbox, unless there is only one."""
    if len(languages()) > 1:
        st.selectbox("Language · भाषा", list(languages()), key="language",
                     format_func=languages().__getitem__, persist_state="session")


def _(text: str) -> str:
    """The interface text `text` in the chosen language."""
    return translations(current_language()).get(text, text)
