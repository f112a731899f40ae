"""A conversation's title, and text in a form that every database takes."""

from __future__ import annotations

import textwrap

from llm.transcript import Transcript

TITLE_CHARACTERS = 80


def title_of(transcript: Transcript) -> str:
    """Its own title, else its first words; "" where it has none."""
    return title_from(transcript.title) or next(
        (title_from(turn.content) for turn in list(transcript.turns.values())
         if turn.role == "human"), "")


def title_from(written: str) -> str:
    """A text on one line of at most `TITLE_CHARACTERS`, cut between words where it can be."""
    line = " ".join(clean(written[:1000]).split())
    if " " not in line[:TITLE_CHARACTERS]:
        return line[:TITLE_CHARACTERS]
    return textwrap.shorten(line, TITLE_CHARACTERS, placeholder="…")


def clean(written: str) -> str:
    """The text without what has no place in UTF-8 (half a surrogate pair), and without NUL,
    which PostgreSQL does not take."""
    return written.replace("\0", "").encode("utf-8", "replace").decode()
