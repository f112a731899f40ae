"""Stage 01, one prompt: a template is filled, a model answers, a parser takes the text out."""

import streamlit as st

import llm
from components.asking import ready_model
from components.language import _
from components.lesson import show_lesson
from components.picker import pick_model, pick_settings
from components.translation import (
    pick_language_and_text,
    show_filled_prompt,
    show_translation,
    translate_button,
)
from llm.prompts import BACK_TRANSLATION_SYSTEM, TRANSLATION_SYSTEM

st.title(_("One prompt"))
st.markdown(_("A prompt template has gaps. Parley fills them, sends the messages to the model, "
              "and takes the text out of the answer: `prompt | model | parser`."))
show_lesson("01_simple_llm")

spec = pick_model()
settings = pick_settings(spec)

language, text = pick_language_and_text()
template = st.text_area(_("System prompt (a template: {language} is filled in)"),
                        TRANSLATION_SYSTEM, key="translation-system", persist_state="session")
inputs = {"system": template.replace("{language}", language), "text": text}
show_filled_prompt(inputs)


def translate(inputs):
    chain = llm.build_translation_chain(ready_model(spec, settings))
    return llm.start_reply(chain, inputs, spec, settings=settings)


translate_button(translate, inputs, language)
show_translation(translate, BACK_TRANSLATION_SYSTEM)
