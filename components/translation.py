"""The parts of the translation page: the text, the filled prompt, the result, the way back.

Knows `Reply` and the prompt template that it shows; how a translation is had, the
page says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import streamlit as st

from components.conversation import check_length, is_second_click
from components.language import _, say
from components.reply import show_reply
from components.text import as_label, show_literal
from components.what_ran import show_what_ran
from llm.chains import TRANSLATION_PROMPT
from llm.checks import ChrF
from llm.errors import ParleyError
from llm.replies import Ending, Reply

LANGUAGES = ("French", "Spanish", "German", "Hindi", "Italian", "Portuguese", "Japanese",
             "Chinese", "Arabic", "Swahili")
EXAMPLES = ("Good morning! How did you sleep?",
            "The train to Paris leaves at half past eight.",
            "I would like a cup of tea without sugar, please.")
MAX_CHARACTERS = 20_000
"""Of a text. Its box is not told so: a longer paste it would drop without a word."""

Translate = Callable[[Mapping[str, str]], Reply]


@dataclass
class Translation:
    """What is on the page: a text, its translation, and the way back where it was asked for."""

    text: str
    language: str
    reply: Reply
    back: Reply | None = None


def pick_language_and_text() -> tuple[str, str]:
    """Draw the choice of language (a list, or any other typed in) and the text's box."""
    language = st.selectbox(_("Into"), LANGUAGES, key="language-into", accept_new_options=True,
                            persist_state="session",
                            help=_("Choose one, or type another.")) or LANGUAGES[0]
    with st.container(horizontal=True):
        for example in EXAMPLES:
            st.button(example, key=f"example-{example}", type="tertiary",
                      on_click=st.session_state.__setitem__, args=("text", example))
    text = st.text_area(_("Text"), EXAMPLES[0], key="text", persist_state="session")
    return language, text


def show_filled_prompt(inputs: Mapping[str, str]) -> None:
    """Show the messages that will be sent, before they are."""
    with st.expander(_("The filled prompt: what will be sent")):
        for message in TRANSLATION_PROMPT.invoke(dict(inputs)).to_messages():
            st.caption(message.type)
            show_literal(message.text)


def translate_button(translate: Translate, inputs: Mapping[str, str], language: str) -> None:
    """Draw the button; when pressed, start the translation and keep it in the session."""
    if not st.button(_("Translate"), type="primary", icon=":material/translate:"):
        return
    if not inputs["text"].strip():
        st.info(_("Write something to translate first."))
        return
    try:
        check_length(inputs["text"], MAX_CHARACTERS)
    except ParleyError as error:
        st.error(as_label(say(error)), icon=":material/error:")
        return
    if (old := st.session_state.get("translation")) is not None:
        if (old.text, old.language) == (inputs["text"], language) and is_second_click(old.reply):
            return
        old.reply.stop()
    st.session_state["translation"] = Translation(
        inputs["text"], language, _started(translate, inputs))


def show_translation(translate: Translate, back_system: str) -> None:
    """Draw the translation, and offer to have it translated back and compared."""
    shown: Translation | None = st.session_state.get("translation")
    if shown is None:
        return
    st.subheader(shown.language)
    _show(shown.reply, key="there")
    is_whole = shown.reply.ending in (Ending.STOP, Ending.LENGTH)
    if is_whole and shown.back is None and st.button(_("Translate it back and compare")):
        shown.back = _started(translate, {
            "system": back_system.replace("{language}", shown.language),
            "text": shown.reply.text})
    if shown.back is not None:
        st.subheader(_("Back in English"))
        _show(shown.back, key="back")
        if shown.back.text and not shown.back.is_running:
            score = ChrF(reference=shown.text).check(shown.back.text).score
            st.metric(_("chrF of the way there and back"), f"{100 * score:.0f} / 100")
            st.caption(_("chrF counts the groups of letters that two texts share: 100 is the same "
                         "text, under 30 mostly another. A model that copies the English also "
                         "scores 100, so read the translation too."))


def _started(translate: Translate, inputs: Mapping[str, str]) -> Reply:
    try:
        return translate(inputs)
    except ParleyError as error:
        return Reply.failed("", error)


def _show(reply: Reply, *, key: str) -> None:
    stop = st.empty()
    if reply.is_running:
        stop.button(_("Stop"), key=f"stop-{key}", icon=":material/stop_circle:",
                    on_click=reply.stop)
    show_reply(reply, key=key)
    stop.empty()
    if reply.messages:
        show_what_ran(reply, key=key)
