"""Stage 02, a picture and a question: the message holds both, and the model must be able to see."""

import streamlit as st

import llm
from components import session
from components.asking import ready_model
from components.conversation import converse
from components.conversations import pick_conversation
from components.language import _
from components.lesson import show_lesson
from components.picker import pick_model, pick_settings
from components.picture_prompts import is_alt_text, mode_of, offer_modes, pick_system
from components.pictures import copy_alt_text_button, preview, read_instead, take_pictures
from llm.memory import remember_everything, to_message
from llm.picture_reader import build_findings_chain
from llm.prompts import BLIND_SYSTEM

st.title(_("A picture"))
st.markdown(_("A message can hold pictures beside its text. What comes back depends on who looks: "
              "a closed model, an open one, or a reader of text and things."))
show_lesson("02_multimodal")

seeing = [spec for spec in session.models() if spec.vision]
spec = pick_model("model-that-sees", choices=session.models(), default=seeing[0].id)
# An instruction to look is no help to a model that only reads what another found.
if spec.vision and spec.supports("system"):
    pick_system("system-picture", begin=BLIND_SYSTEM)
settings = pick_settings(spec, system=BLIND_SYSTEM if spec.vision else "",
                         system_key="system-picture" if spec.vision else "system-findings")
chat = pick_conversation("picture")

pictures = take_pictures()
build_chain = (build_findings_chain if read_instead(spec, session.models())
               else llm.build_image_chain)
preview(pictures, spec)


def answer(question, on_end):
    history = remember_everything(chat.path_to(question)[:-1]).messages
    mode = mode_of(chat, question)
    asked = {**settings, "mode": mode} if mode else settings
    chain = build_chain(ready_model(spec, asked))
    return llm.start_reply(chain, {"system": settings["system"], "history": history,
                                   "message": [to_message(question)]}, spec, settings=asked,
                           on_end=on_end)


def offer_html(turn):
    if is_alt_text(chat, turn):
        copy_alt_text_button(turn.reply.text, key=turn.id)


offer_modes(chat, pictures, by_words=spec.is_language_model)
converse(chat, answer, takes_pictures=True, under_answer=offer_html)
