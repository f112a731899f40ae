"""What is said to a model about pictures, ready-made: system prompts, and a button for each mode.

All of it can be changed before it is sent, and one press sends it as it is. Which mode a
question belongs to is remembered with its answer, whatever its words. Knows `llm.prompts`,
and no model by name.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from components.conversation import ask_by_button, refusing_in
from components.language import _, current_language
from components.pictures import hold
from llm.images import Picture
from llm.picture_reader import ANSWERS, MODE_OF_TASK, Mode
from llm.prompts import IMAGE_TASKS, PICTURE_SYSTEMS
from llm.transcript import Transcript, Turn

_PRESET = "system-preset"
_ASKED = "asked-by-button"
"""The session's keys for the choice of a system prompt, and for the modes by the words sent."""


def pick_system(key: str, *, begin: str) -> None:
    """Draw the choice of a system prompt in the sidebar. It goes into the box of that `key`."""
    current = st.session_state.setdefault(key, begin)
    # None, and so the placeholder, once somebody has changed the words in the box.
    st.session_state[_PRESET] = next(
        (name for name, text in PICTURE_SYSTEMS.items() if text == current), None)
    with st.sidebar:
        st.selectbox(_("Instruction"), list(PICTURE_SYSTEMS), key=_PRESET, index=None,
                     format_func=lambda preset: _(preset), placeholder=_("Your own words"),
                     on_change=_take_system, args=(key,),
                     help=_("It goes into the system prompt under Settings, where you can change "
                            "it."))


def _take_system(key: str) -> None:
    if (name := st.session_state[_PRESET]) in PICTURE_SYSTEMS:
        st.session_state[key] = PICTURE_SYSTEMS[name]


def offer_modes(chat: Transcript, pictures: Sequence[Picture], *, by_words: bool) -> None:
    """Draw a button for each mode, and under them what they ask, to be changed.

    `by_words`: whether the model that is asked goes by the words.
    """
    has_pictures = bool(pictures) or any(turn.pictures for turn in chat)
    with st.container(horizontal=True):
        for name in IMAGE_TASKS:
            st.button(_(name), key=f"ask-{name}", on_click=_ask_for, args=(chat, name),
                      disabled=not has_pictures)
    with st.expander(_("Change what these buttons ask"), icon=":material/edit:"):
        st.caption(_("These words are sent with the picture. You can ask for another language, or "
                     "for more or less.") if by_words else
                   _("The picture reader goes by the button alone. Any other model is asked in "
                     "these words."))
        for name in IMAGE_TASKS:
            st.session_state.setdefault(_box(name), _words_at_first(name))
            st.text_area(_("What “{button}” asks").format(button=_(name)), key=_box(name),
                         height="content", persist_state="session")
        if any(st.session_state[_box(name)] != _words_at_first(name) for name in IMAGE_TASKS):
            st.button(_("Ask as at first"), icon=":material/undo:", on_click=_ask_as_at_first)


def mode_of(chat: Transcript, question: Turn) -> Mode | None:
    """The mode whose button put this question; None if the person asked in words of their own."""
    answers = [turn.reply for turn in chat.turns.values()
               if turn.parent_id == question.id and turn.reply is not None]
    known = [*(reply.settings.get("mode") for reply in answers),
             st.session_state.get(_ASKED, {}).get(question.content),
             MODE_OF_TASK.get(question.content)]
    return next((mode for mode in known if isinstance(mode, str) and mode in ANSWERS), None)


def is_alt_text(chat: Transcript, answer: Turn) -> bool:
    """Whether an answer is one picture's alt text: the button asked for it, or an edit did."""
    question = chat.turns[answer.parent_id]
    pictures = next((turn.pictures for turn in reversed(chat.path_to(question)) if turn.pictures),
                    [])
    return len(pictures) == 1 and any(
        mode_of(chat, version) == "alt" for version in chat.siblings(question))


def _ask_for(chat: Transcript, name: str) -> None:
    words = st.session_state.get(_box(name), "").strip() or _words_at_first(name)
    st.session_state.setdefault(_ASKED, {})[words] = MODE_OF_TASK[IMAGE_TASKS[name]]
    with refusing_in(chat):
        ask_by_button(chat, words, hold())


def _ask_as_at_first() -> None:
    for name in IMAGE_TASKS:
        st.session_state[_box(name)] = _words_at_first(name)


def _words_at_first(name: str) -> str:
    return _(IMAGE_TASKS[name])


def _box(name: str) -> str:
    # What was written in one language is no answer to what the others begin with.
    return f"asks-{name}-{current_language()}"
