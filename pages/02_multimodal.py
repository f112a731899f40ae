"""Stage 02, a picture and a question: the message holds both, and the model must be able to see."""

import streamlit as st

from components import session
from components.asking import ready_model
from components.conversation import ask, converse
from components.conversations import pick_conversation
from components.language import _
from components.picker import pick_model, pick_settings
from components.pictures import refuse_blind_models, take_pictures
from llm import build_image_chain, start_reply
from llm.memory import remember_everything, to_message
from llm.prompts import BLIND_SYSTEM, IMAGE_TASKS

st.title(_("A picture"))
st.markdown(_("A message can hold pictures beside its text. What comes back depends on who looks: "
              "a closed model, an open one, or a reader of text and things."))

seeing = [spec for spec in session.models() if spec.vision]
spec = pick_model("model-that-sees", choices=session.models(), default=seeing[0].id)
settings = pick_settings(spec, system=BLIND_SYSTEM, system_key="system-picture")
chat = pick_conversation("picture")

pictures = take_pictures()
if refuse_blind_models(spec, session.models()):
    st.stop()


def answer(question, on_end):
    history = remember_everything(chat.path_to(question)[:-1]).messages
    chain = build_image_chain(ready_model(spec, settings))
    return start_reply(chain, {"system": settings["system"], "history": history,
                               "message": [to_message(question)]}, spec, settings=settings,
                       on_end=on_end)


with st.container(horizontal=True):
    for name, task in IMAGE_TASKS.items():
        st.button(_(name), on_click=ask, args=(chat, task, pictures), disabled=not pictures)
converse(chat, answer, pictures=pictures)
