"""The person's conversations in the sidebar: found, opened, named, pinned, deleted, passed on.

Knows the stages by name and page, and no model. What is kept, and how, is
`components.kept`'s affair.
"""

from __future__ import annotations

import streamlit as st

from components import kept, session
from components.language import _
from llm.transcript import Transcript


def pick_conversation(stage: str) -> Transcript:
    """Draw the conversations in the sidebar. Returns the one to show in this stage."""
    chat = session.transcript(stage, kept.last_conversation)
    with st.sidebar:
        st.button(_("New conversation"), icon=":material/add_comment:", on_click=_begin,
                  args=(stage,))
    return chat


def _begin(stage: str) -> None:
    kept.show(Transcript(stage=stage))
