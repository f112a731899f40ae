"""Which language a person reads: the one last chosen, else the browser's, else English.

Knows where a choice is kept, and no language by name.
"""

from __future__ import annotations

import streamlit as st

from components import kept
from components.browser import declare_language
from components.language import _, current_language, is_language_set, languages, set_language

_CHOICE = "language-choice"
_SETTING = "language"


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
    declare_language(current_language())


def _choose() -> None:
    set_language(st.session_state[_CHOICE])
    kept.keep_setting(_SETTING, current_language())
