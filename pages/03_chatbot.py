"""Stage 03, a chat in which every message stands alone: the model sees only the last one."""

import streamlit as st

import llm
from components.asking import ready_model
from components.conversation import converse
from components.conversations import pick_conversation
from components.language import _
from components.lesson import show_lesson
from components.picker import pick_model, pick_settings
from llm.memory import remember_nothing, to_message
from llm.prompts import CHAT_SYSTEM

st.title(_("A chat without memory"))
st.markdown(_("It looks like a conversation, but the model gets **only your last message**. "
              "Tell it your name, then ask for it."))
show_lesson("03_chatbot")

spec = pick_model()
settings = pick_settings(spec, system=CHAT_SYSTEM)
chat = pick_conversation("chatbot")


def answer(question, on_end):
    system = settings["system"]
    history = remember_nothing(chat.path_to(question)[:-1]).messages
    chain = llm.build_chat_chain(ready_model(spec, settings))
    return llm.start_reply(chain, {"system": system, "history": history,
                                   "message": [to_message(question)]}, spec, settings=settings,
                           on_end=on_end)


converse(chat, answer,
         starters=(_("What is the capital of France?"),
                   _("Remember this: the name of the user is Ada."), _("What is my name?")),
         view=lambda turns: remember_nothing(turns[:-2]))
