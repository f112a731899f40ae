"""One reply on the page: its text as it grows, how it ended, its figures. The one renderer.

Knows a `Reply`, and neither how it was asked for nor where it stands.
"""

from __future__ import annotations

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from components.figures import ending_note, figures_line
from components.language import _
from components.text import StreamingText, show_text
from llm.replies import Reply

FLUSHES_PER_SECOND = 10
"""How often new text goes to the browser. Each flush costs a message and a redraw."""


def show_reply(reply: Reply) -> None:
    """Draw a reply; if it still runs, draw it as it grows until it has ended."""
    if reply.is_running:
        _draw_as_it_grows(reply)
    elif reply.text:
        show_text(reply.text)
    if reply.error is not None:
        st.error(reply.error, icon=":material/error:")
    if note := ending_note(reply):
        st.caption(f":material/info: {note}")
    st.caption(figures_line(reply).replace("$", r"\$"))


def _draw_as_it_grows(reply: Reply) -> None:
    place = st.container()
    waiting = place.empty()
    waiting.caption(_("Thinking …"))
    streaming = None
    try:
        for _update in reply.updates(every=1 / FLUSHES_PER_SECOND):
            if reply.text:
                if streaming is None:
                    waiting.empty()
                    streaming = StreamingText(place)
                streaming.update(reply.text)
            else:
                # Drawing anything is where Streamlit lets a Stop or a new run in.
                waiting.caption(_("Thinking …"))
    except StopException:
        # The tab is gone or the person pressed Stop: nobody waits for the rest. A new
        # run of the page is another exception, and finds the reply still running.
        reply.stop()
        raise
    waiting.empty()
    if streaming is not None:
        streaming.finish()
