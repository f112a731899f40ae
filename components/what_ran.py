"""The drawer under a reply: what was sent, and what came back."""

from __future__ import annotations

import streamlit as st

from components.language import _
from components.text import show_literal
from llm.replies import Reply


def show_what_ran(reply: Reply, *, key: str) -> None:
    """Draw the closed drawer of one reply; its content is made when it is opened."""
    drawer = st.popover(_("What ran"), icon=":material/build:", type="tertiary",
                        key=f"what-ran-{key}", on_change="rerun")
    if drawer.open:
        with drawer:
            st.markdown(f"**{_('Messages sent')}**")
            for message in reply.messages:
                st.caption(message.type)
                show_literal(message.text)
