"""Which language a person reads: the one last chosen, else the browser's, else English.

Knows where a choice is kept, and no language by name.
"""

from __future__ import annotations

import streamlit as st

from components import kept
from components.browser import declare_language
from components.language import (
    ENGLISH,
    _,
    current_language,
    is_language_set,
    languages,
    set_language,
)

_CHOICE = "language-choice"
_SETTING = "language"
_DECLARED = "language-declared"
_NOT_TOLD_AGAIN = ("what-ran-part-", "draft-", "title-", "memory-question")
"""How the keys begin of what is chosen by its words, which in another language is another, and
of what is being written in a form: the browser alone has it until it is sent."""


def begin_language() -> None:
    """Find out the language. To be called before the first text is drawn."""
    if not is_language_set():
        set_language((st.context.locale or "").split("-")[0].lower())
        set_language(str(kept.setting(_SETTING)))


def pick_language() -> None:
    """Draw the choice of language, unless there is only one."""
    if len(languages()) < 2:
        return
    st.session_state[_CHOICE] = current_language()
    # Each by its own name: whoever cannot read the one that is shown looks for the other.
    st.selectbox(_("Language"), list(languages()), key=_CHOICE, on_change=_choose,
                 format_func=languages().__getitem__, label_visibility="collapsed")
    _declare(current_language())


def _declare(code: str) -> None:
    """Tell the browser the language, unless it is the one that Streamlit's page comes in.

    Who reads English from the start is spared a quarter of a second: what tells it is large.
    """
    if code != ENGLISH:
        st.session_state[_DECLARED] = True
    if _DECLARED in st.session_state:
        declare_language(code)


def _choose() -> None:
    set_language(st.session_state[_CHOICE])
    kept.keep_setting(_SETTING, current_language())
    _say_choices_anew()


def _say_choices_anew() -> None:
    """Have what is chosen in lists told to the browser again.

    It knows a choice by its words, and would send those of the language before: then
    Streamlit finds no such option, and falls back on the first.
    """
    for key, value in list(st.session_state.items()):
        is_choice = isinstance(value, str) or (
            isinstance(value, list) and value and all(isinstance(one, str) for one in value))
        if is_choice and not str(key).startswith(_NOT_TOLD_AGAIN):
            st.session_state[key] = value
