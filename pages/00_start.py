"""Where one lands: what Parley is, whether the built-in model is ready, and the way in."""

import streamlit as st

from components.engines import engine_status
from components.language import _
from components.lesson import show_progress
from llm.catalog import list_models

st.title("Parley")
st.markdown(_("Learn, use and compare closed and open language models. "
              "An open model is built in: it runs on this machine, free, offline, and "
              "nothing you write leaves it."))

built_in = list_models()[0]
st.markdown(f"**{built_in.label}**")
engine_status(built_in)

lessons_done = show_progress()

for page, title, lesson in (
    ("01_simple_llm", _("1 One prompt"), _("A template, a model, a parser: translate a sentence.")),
    ("02_multimodal", _("2 A picture"), _("Have a picture described, and ask about it.")),
    ("03_chatbot", _("3 A chat without memory"), _("Each message stands alone. See it forget.")),
    ("04_chatbot_with_memory", _("4 A chat with memory"),
     _("The same chat, with its history, and what that costs.")),
    ("05_compare", _("5 Side by side"),
     _("One prompt to two models: speed, cost and answers compared.")),
):
    done = f" · {_('done')}" if page in lessons_done else ""
    st.page_link(f"pages/{page}.py", label=f"**{title}** — {lesson}{done}")
