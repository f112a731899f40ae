"""A reply of a thousand tokens that comes at a hundred a second, and then stands still."""

import threading
import time

import streamlit as st

from components.text import StreamingText

TEXT = "\n\n".join(f"{number}. " + "word and more of it " * 16 for number in range(1, 15))
TOKENS = [TEXT[start:start + 5] for start in range(0, len(TEXT), 5)]

st.button("Leave")
st.text(f"run {st.session_state.setdefault('runs', 0)}")
st.session_state["runs"] += 1
if st.session_state["runs"] == 1:
    streaming = StreamingText()
    for end in range(10, len(TOKENS) + 10, 10):
        streaming.update("".join(TOKENS[:end]))
        time.sleep(0.1)
    st.text("All has come")
    for _ in range(600):
        streaming.update(TEXT)
        time.sleep(0.1)
else:
    time.sleep(2)
    runs = [thread for thread in threading.enumerate() if "scriptThread" in thread.name]
    st.text(f"{len(runs)} running")
