"""Draws each text of the file named in HOSTILE_TEXTS in every way that the pages do."""

import json
import os
from pathlib import Path

import streamlit as st

from components.text import StreamingText, show_literal, show_text

how = st.query_params.get("how", "shown")
which = st.query_params.get("which", "attacks")
texts = json.loads(Path(os.environ["HOSTILE_TEXTS"]).read_text("utf-8"))[which]
with st.container(key="texts"):
    for text in texts:
        if how == "raw":
            # No policy keeps a page from sending its reader elsewhere: that is for the text's
            # guard alone, and would end this page.
            if "http-equiv" not in text:
                st.markdown(text, unsafe_allow_html=True)
        elif how == "streamed":
            streaming = StreamingText()
            for end in range(1, len(text) + 1):
                streaming.update(text[:end])
            streaming.finish()
        elif how == "person":
            show_text(text, by_person=True)
            show_literal(text)
        else:
            show_text(text)
st.write("All texts drawn")
