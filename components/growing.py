"""Replies on the page as they grow, any number of them at once, in one loop.

Knows `Reply` and where each is to stand, and neither what stands around it nor how it
was asked for.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence

from streamlit.delta_generator import DeltaGenerator

from components.language import _
from components.text import StreamingText
from llm.replies import Reply

FLUSHES_PER_SECOND = 10
"""How often new text goes to a browser. Each flush costs a message and a redraw."""

FLUSHES_OF_ALL = 250
"""A second, for all browsers together: as many as leave half of a core for the replies
themselves. With 50 people at once each sees its text grow five times a second."""

_drawn_now: set[_Drawing] = set()
"""Of all sessions of this process."""


def draw_as_they_grow(replies: Sequence[tuple[Reply, DeltaGenerator]], *,
                      at_end: Callable[[int], None] = lambda number: None) -> None:
    """Draw each reply in its place until all have ended; `at_end` is told which has.

    A new run of the page, a page change and a reload end the drawing and not the replies:
    whoever comes back finds them further on. Only `Reply.stop` stops one.
    """
    drawings = {number: _Drawing(reply, place) for number, (reply, place) in enumerate(replies)}
    _drawn_now.update(drawings.values())
    news = threading.Event()  # one has begun or ended, which shows at once
    for reply, _place in replies:
        reply.tell(news)
    try:
        while drawings:
            news.clear()
            for number, drawing in list(drawings.items()):
                if drawing.is_over_after_drawing():
                    _drawn_now.discard(drawings.pop(number))
                    at_end(number)
            if drawings:
                news.wait(max(0, min(drawing.due for drawing in drawings.values())
                              - time.monotonic()))
    finally:
        _drawn_now.difference_update(drawings.values())


class _Drawing:
    """One reply in its place."""

    def __init__(self, reply: Reply, place: DeltaGenerator):
        self.reply, self.place = reply, place.container()
        self.waiting = self.place.empty()
        self.streaming: StreamingText | None = None
        self.due = 0.0

    def is_over_after_drawing(self) -> bool:
        is_over = not self.reply.is_running  # asked first: text may come until it is
        begins = self.streaming is None and bool(self.reply.text)
        now = time.monotonic()
        if is_over or begins or now >= self.due:
            self.due = now + max(1 / FLUSHES_PER_SECOND, len(_drawn_now) / FLUSHES_OF_ALL)
            self._draw()
        if is_over:
            self.reply.wait(1)  # its figures come a moment after its ending
            self.waiting.empty()
            if self.streaming is not None:
                self.streaming.finish()
        return is_over

    def _draw(self) -> None:
        if not self.reply.text:
            # Drawing anything is where Streamlit lets a new run of the page in.
            self.waiting.caption(_("Thinking …"))
            return
        if self.streaming is None:
            self.waiting.empty()
            self.streaming = StreamingText(self.place)
        self.streaming.update(self.reply.text)
