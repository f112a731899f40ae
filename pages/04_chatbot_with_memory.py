"""Stage 04, the same chat with its history: memory is text that is sent again, at a price."""

import streamlit as st

import llm
from components.asking import ready_model
from components.context_gauge import show_context
from components.conversation import converse
from components.conversations import pick_conversation
from components.language import _
from components.lesson import show_lesson
from components.memory_costs import show_costs
from components.memory_lab import ask_under_each, memory_chain, pick_memory, sum_up
from components.picker import pick_model, pick_settings
from llm.memory import to_message
from llm.prompts import CHAT_SYSTEM

st.title(_("A chat with memory"))
st.markdown(_("The model itself remembers nothing. What it is to know is **sent again** with each "
              "message; that is what memory is, and what it costs."))
show_lesson("04_chatbot_with_memory")

spec = pick_model()
settings = pick_settings(spec, system=CHAT_SYSTEM)
chat = pick_conversation("memory")
memory = pick_memory(spec, settings)
lab, gauge = st.container(), st.bottom.empty()


def answer(question, on_end):
    turns = chat.path_to(question)
    show_context(gauge, memory, turns)
    model = ready_model(spec, settings)
    sum_up(memory, chat, turns[:-1], model)
    view = memory.view(turns[:-1])
    return llm.start_reply(memory_chain(memory, model, chat),
                           {"system": view.system(settings["system"]), "history": view.messages,
                            "message": [to_message(question)]}, spec, settings=settings,
                           on_end=on_end)


converse(chat, answer, view=memory.view_of_path,
         starters=(_("What is the capital of France?"),
                   _("Remember this: the name of the user is Ada."), _("What is my name?")))
show_context(gauge, memory, chat.path())
with lab:
    show_costs(memory, chat)
    ask_under_each(memory, chat)
