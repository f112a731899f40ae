"""The models there are: a card for each, and a form to add one's own."""

import streamlit as st

from components import session
from components.engines import engine_status
from components.keys import enter_keys
from components.language import _
from components.model_card import show_model_card
from components.picker import add_own_model

st.title(_("Models"))
st.markdown(_("Open models can be downloaded and run by anyone; closed ones are reached through "
              "their maker's service, with a key. Both are used in the same way."))

with st.expander(_("Add a model of your own"), icon=":material/add:"):
    add_own_model()

with st.expander(_("API keys"), icon=":material/key:"):
    enter_keys(session.models())

for spec in session.models():
    with st.container(border=True):
        show_model_card(spec)
        engine_status(spec)
