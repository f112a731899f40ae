"""One reply on the page: its text as it grows, how it ended, its figures. The one renderer.

Knows a `Reply`, and neither how it was asked for nor where it stands.
"""

from __future__ import annotations

import streamlit as st

from components import session
from components.browser import announce
from components.figures import ending_note, figures_line
from components.growing import draw_as_they_grow
from components.language import _, say
from components.text import as_label, show_text
from llm.replies import Reply


def show_reply(reply: Reply, *, key: str) -> None:
    """Draw a reply; if it still runs, draw it as it grows until it has ended.

    A screen reader hears it once, when it is whole. `key` tells replies on a page apart.
    """
    # Emptied first, so that nothing of what stood here before is left below the new text.
    place, below = st.empty(), st.empty()
    is_news = reply.is_running
    if is_news:
        draw_as_they_grow([(reply, place)])
    elif reply.text:
        show_text(reply.text, container=place.container())
    with below.container():
        show_outcome(reply)
        if is_news:
            announce(reply.text or _error_of(reply) or _("The reply is empty."),
                     key=f"announce-{key}")


def show_outcome(reply: Reply) -> None:
    """Draw what stands under a reply's text: an error, how it ended, its figures.

    These are noted for the scorecard too: here alone every reply comes by, once it is told who
    gave it.
    """
    session.note_figures(reply)
    if reply.error is not None:
        st.error(as_label(_error_of(reply)), icon=":material/error:")
    if note := ending_note(reply):
        st.caption(f":material/info: {note}")
    st.caption(figures_line(reply).replace("$", r"\$"))


def _error_of(reply: Reply) -> str:
    # One that was opened again has the English sentence alone: `say` knows it.
    return say(reply.wording or reply.error or "")
