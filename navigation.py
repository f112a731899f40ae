"""The frame round every page: its title, the menu, and what all pages share in the sidebar."""

import streamlit as st

from components.language import _, say
from components.language_choice import begin_language, pick_language
from components.look import draw_look
from components.owner import let_in
from components.text import as_label
from llm.errors import InvalidCatalogError
from web import warm_up

# Before the navigation: the tab would have its page's icon, fetched from a font's host.
st.set_page_config(page_icon="static/icon.png")
begin_language()

page = st.navigation({
    "": [st.Page("pages/00_start.py", title=_("Start"), icon=":material/home:", default=True)],
    _("Learn"): [
        st.Page("pages/01_simple_llm.py", title=_("1 One prompt"), icon=":material/translate:",
                url_path="translate"),
        st.Page("pages/02_multimodal.py", title=_("2 A picture"), icon=":material/image:",
                url_path="picture"),
        st.Page("pages/03_chatbot.py", title=_("3 A chat without memory"),
                icon=":material/chat_bubble:", url_path="chat"),
        st.Page("pages/04_chatbot_with_memory.py", title=_("4 A chat with memory"),
                icon=":material/forum:", url_path="memory"),
        st.Page("pages/05_compare.py", title=_("5 Side by side"), icon=":material/compare:",
                url_path="compare"),
    ],
    _("Choose"): [
        st.Page("pages/07_evaluate.py", title=_("Prompt sets"), icon=":material/table_chart:",
                url_path="evaluate"),
        st.Page("pages/06_models.py", title=_("Models"), icon=":material/deployed_code:",
                url_path="models"),
        st.Page("pages/08_scorecard.py", title=_("Scorecard"), icon=":material/speed:",
                url_path="scorecard"),
    ],
})

st.set_page_config(page_title=f"{page.title} · Parley",
                   # Columns need the room; text reads better in a narrow one.
                   layout="wide" if page.url_path in ("compare", "evaluate") else "centered")

draw_look()
with st.sidebar:
    pick_language()
let_in()
try:
    page.run()
except InvalidCatalogError as error:  # the operator's file, read anew by each run of each page
    st.error(as_label(say(error)), icon=":material/error:")
finally:
    warm_up.first_page_sent.set()
