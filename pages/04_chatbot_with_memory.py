"""Stage 04, the same chat with its history: memory is text that is sent again, at a price."""

import streamlit as st

from components.asking import ready_model
from components.context_gauge import show_context
from components.conversation import converse
from components.conversations import pick_conversation
from components.language import _
from components.picker import pick_model, pick_settings
from llm import build_chat_chain, start_reply
from llm.memory import remember_everything, to_message
from llm.prompts import CHAT_SYSTEM

st.title(_("A chat with memory"))
st.markdown(_("The model itself remembers nothing. The **whole conversation is sent again** with "
              "each message; that is what memory is, and what it costs."))

spec = pick_model()
settings = pick_settings(spec, system=CHAT_SYSTEM)
chat = pick_conversation("memory")
gauge = st.empty()


def answer(question, on_end):
    history = remember_everything(chat.path_to(question)[:-1]).messages
    chain = build_chat_chain(ready_model(spec, settings))
    return start_reply(chain, {"system": settings["system"], "history": history,
                               "message": [to_message(question)]}, spec, settings=settings,
                       on_end=on_end)


converse(chat, answer,
         starters=(_("What is the capital of France?"),
                   _("Remember this: the name of the user is Ada."), _("What is my name?")))
show_context(gauge, spec, settings, remember_everything(chat.path()))
