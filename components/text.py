"""Anybody's words on the page: the only way in which model and user text is drawn.

    show_text(reply.text)                    # finished
    show_text(message, by_person=True)
    show_literal(prompt)                     # to the letter, as code

    streaming = StreamingText(container)     # as it grows
    streaming.update(text_so_far)            # about ten times a second
    streaming.finish()

What the text may do is decided in `components.safe_markdown`. This module cuts it into
the elements to draw, and sends only those that changed.
"""

from __future__ import annotations

from hashlib import sha256

import streamlit as st
from streamlit.delta_generator import DeltaGenerator
from streamlit.errors import StreamlitDuplicateElementKey

from components.language import _
from components.safe_markdown import Block, blocks, escape, legible

MAX_SHOWN = 40_000
"""Characters of one text that are drawn. The browser takes about a second for these, and
for a megabyte longer than anybody waits. The whole is offered as a file."""

MAX_ELEMENT = 2_000
"""Characters of Markdown in one element of the page. Fewer cost a message each when the page
is drawn again; more are sent again with each change."""

BYTES_PER_CHARACTER = 30
"""What a growing text may cost on its way to the browser, for each of its characters."""

FREE_BYTES = 6_000
"""What it may cost before that counts, so that the first words come without a wait."""

_MESSAGE_BYTES = 150
"""About what one element's change costs beyond its text."""


def show_text(text: str, *, by_person: bool = False, wrapped: bool = False,
              container: DeltaGenerator | None = None) -> None:
    """Draw a finished text as Markdown. `by_person`, `wrapped`: see `safe_markdown.blocks`."""
    place = st.container() if container is None else container
    for piece in _join(blocks(legible(text[:MAX_SHOWN]), by_person=by_person, wrapped=wrapped)):
        _draw(place, piece)
    _offer_whole(place, text)


def show_literal(text: str, *, language: str | None = None,
                 container: DeltaGenerator | None = None) -> None:
    """Draw a text to the letter, every sign of it visible. `language` colours it as code."""
    place = st.container() if container is None else container
    place.code(legible(text[:MAX_SHOWN]), language=language, wrap_lines=True)
    _offer_whole(place, text)


def as_label(text: str) -> str:
    """A text for a widget's label or a caption, which are Markdown: on one line, to the letter."""
    return escape(" ".join(legible(text).split()), at_line_start=True)


class StreamingText:
    """A text that grows, drawn so that each change costs little.

    Blocks that another follows are done with: they are parsed once, and sent once or,
    while they share an element with a few others, a few times. Only the last block is
    drawn again and again and, where it is a long one, less often than asked for.
    What stands there after `finish` is what `show_text` draws.
    """

    def __init__(self, container: DeltaGenerator | None = None):
        self._place = st.container() if container is None else container
        self._slots: list[DeltaGenerator] = []
        self._drawn: list[Block] = []
        self._text = ""
        self._done: list[Block] = []
        """The pieces made of blocks that cannot change any more."""
        self._lines_done = 0
        self._spent = 0
        """Bytes sent so far, about."""

    def update(self, text: str) -> None:
        """Show `text`, all of it so far. Most of the time this sends only its end."""
        # Streamlit ends a run that is no longer wanted only where it calls Streamlit. An update
        # that sends nothing must too, or each click on a page whose reply stands still would
        # leave a thread behind.
        st.session_state.get("any")
        self._text = text
        pieces = self._pieces()
        cost = sum(_MESSAGE_BYTES + len(piece.text.encode()) for piece in self._changed(pieces))
        if self._spent + cost <= FREE_BYTES + BYTES_PER_CHARACTER * len(text):
            self._show(pieces)
            self._spent += cost

    def finish(self) -> None:
        """Show the text last given as `show_text` does, whatever it costs."""
        # From the beginning: a formula's end, say, may have changed what its lines are.
        self._show(_join(blocks(legible(self._text[:MAX_SHOWN]))))
        _offer_whole(self._place, self._text)

    def _pieces(self) -> list[Block]:
        """What is to be seen: pieces that are done, and then the block that still grows."""
        lines = legible(self._text[:MAX_SHOWN]).split("\n")
        found = blocks("\n".join(lines[self._lines_done:]))
        # "*" begins a list, and "*word*" goes on with the paragraph: wait for the line's end.
        if len(found) > 1 and self._lines_done + found[-1].line < len(lines) - 1:
            self._done = _join([*self._done, *found[:-1]])
            self._lines_done += found[-1].line
            found = found[-1:]
        return [*self._done, *found]

    def _changed(self, pieces: list[Block]) -> list[Block]:
        return [piece for number, piece in enumerate(pieces) if not self._stands(number, piece)]

    def _stands(self, number: int, piece: Block) -> bool:
        """Whether the element of this number shows `piece` already."""
        if number >= len(self._drawn):
            return False
        drawn = self._drawn[number]
        return (drawn.text, drawn.language) == (piece.text, piece.language)

    def _show(self, pieces: list[Block]) -> None:
        for number, piece in enumerate(pieces):
            if number == len(self._slots):
                self._slots.append(self._place.empty())
            if not self._stands(number, piece):
                _draw(self._slots[number], piece)
        for slot in self._slots[len(pieces):len(self._drawn)]:
            slot.empty()
        self._drawn = pieces


def _join(parts: list[Block]) -> list[Block]:
    """Neighbouring blocks of Markdown made one, up to a size. Code stays by itself."""
    pieces: list[Block] = []
    for part in parts:
        last = pieces[-1] if pieces else None
        if (last is not None and last.language is None and part.language is None
                and len(last.text) + len(part.text) < MAX_ELEMENT):
            pieces[-1] = Block(f"{last.text}\n\n{part.text}", None, last.line)
        else:
            pieces.append(part)
    return pieces


def _draw(place: DeltaGenerator, piece: Block) -> None:
    if piece.language is None:
        place.markdown(piece.text, anchors=False)
    else:
        place.code(piece.text, language=piece.language or None, wrap_lines=True)


def _offer_whole(place: DeltaGenerator, text: str) -> None:
    """Of a text too long to draw, say so and offer all of it."""
    if len(text) <= MAX_SHOWN:
        return
    content = text.encode("utf-8", "replace")
    place.caption(_("Only the first {shown:,} of {all:,} characters are shown.").format(
        shown=MAX_SHOWN, all=len(text)))
    try:
        place.download_button(
            _("Download the whole text"), content, "text.txt", "text/plain",
            key=f"whole-{sha256(content).hexdigest()[:16]}", on_click="ignore",
            icon=":material/download:",
        )
    except StreamlitDuplicateElementKey:
        pass  # The same text stands further up, with the same button.
