"""A text to take along: copied exactly as it is, or as a file. Knows nothing of what it says."""

from __future__ import annotations

import streamlit as st

from components.browser import copy_button
from components.language import _


def offer_text(text: str, file_name: str, *, mime: str = "text/plain", key: str) -> None:
    """Draw the buttons that copy `text` and download it."""
    with st.container(horizontal=True, vertical_alignment="center"):
        copy_button(text, key=f"copy-{key}")
        st.download_button(_("Download"), text.encode("utf-8", "replace"), file_name, mime,
                           key=f"download-{key}", icon=":material/download:", type="tertiary",
                           on_click="ignore")
