"""A conversation as Markdown, for people to read, print and pass on.

It holds the path that is shown; every branch is in the JSON. What was written is data:
outside of its code blocks it brings no picture from elsewhere and no HTML into the file,
and its headings stand below those that say who speaks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from llm.message_text import without_surrogates
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn

_ENDINGS = {
    Ending.RUNNING: "still running",
    Ending.LENGTH: "cut at the limit",
    Ending.STOPPED: "stopped",
    Ending.CONTENT_FILTER: "withheld by the service",
    Ending.FAILED: "failed",
}


def to_markdown(transcript: Transcript, labels: Mapping[str, str] | None = None) -> str:
    """The shown path. `labels` are the models' names by their ids; without one, the id."""
    parts = [f"# {on_one_line(transcript.title) or 'A conversation'}",
             f"*With Parley, {time.strftime('%Y-%m-%d %H:%M', time.gmtime(transcript.created_at))}"
             " UTC*"]
    for turn in transcript:
        parts += [f"## {_speaker(transcript, turn, labels or {})}",
                  *(f"*(a picture, {picture.width} × {picture.height} pixels)*"
                    for picture in turn.pictures),
                  *([defused(turn.text.strip())] if turn.text.strip() else [])]
        if turn.reply is not None and (figures := _figures(turn.reply)):
            parts.append(f"*{figures}*")
    return without_surrogates("\n\n".join(parts)) + "\n"


def _speaker(transcript: Transcript, turn: Turn, labels: Mapping[str, str]) -> str:
    if turn.role == "human":
        name = "You"
    else:
        model_id = turn.reply.model_id if turn.reply is not None else ""
        name = on_one_line(labels.get(model_id, model_id)) or "The model"
    versions = transcript.siblings(turn)
    if len(versions) == 1:
        return name
    number = [version.id for version in versions].index(turn.id) + 1
    return f"{name} (version {number} of {len(versions)})"


def _figures(reply: Reply) -> str:
    figures = []
    if reply.ending in _ENDINGS:
        figures.append(_ENDINGS[reply.ending])
    if reply.error:
        figures.append(on_one_line(reply.error))
    if reply.input_tokens is not None and reply.output_tokens is not None:
        about = "" if reply.tokens_measured else "about "
        figures.append(f"{about}{reply.input_tokens:,} tokens in, {reply.output_tokens:,} out")
    if reply.total_seconds is not None:
        figures.append(f"{reply.total_seconds:.1f} s")
    if reply.cost is not None and reply.cost.kind == "priced":
        figures.append(f"${reply.cost.usd:.6f}")
    return " · ".join(figures)


_HEADING = re.compile(r"( {0,3})(#{1,6})(?=[ \t]|$)")
_UNDERLINE = re.compile(r"( {0,3})(?==+[ \t]*$|-+[ \t]*$)")
"""Beneath a line of words it makes a heading of them."""

_FENCE = re.compile(r" {0,3}(`{3,}(?=[^`]*$)|~{3,})")


def defused(text: str) -> str:
    """Markdown that stays as it is but for pictures, HTML and headings outside of code blocks.

    A picture becomes a link that one may follow, HTML is shown as written, a heading goes
    two levels down, and a code block that was left open is closed.
    """
    lines, fence = [], ""
    for line in re.split("\r\n?|\n", text):
        if fence:
            if re.fullmatch(rf" {{0,3}}{fence[0]}{{{len(fence)},}}[ \t]*", line):
                fence = ""
        elif opening := _FENCE.match(line):
            fence = opening[1]
        else:
            # With the backslashes before it: an even number of them would undo ours.
            line = re.sub(r"\\*!(?=\[)", r"\\!", line)
            line = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)
            line = _HEADING.sub(lambda found: found[1] + "#" * min(len(found[2]) + 2, 6), line, 1)
            if lines and lines[-1].strip():
                line = _UNDERLINE.sub(r"\1\\", line, 1)
        lines.append(line)
    return "\n".join([*lines, fence] if fence else lines)


def on_one_line(text: str) -> str:
    """A text on one line in which no character means anything in Markdown."""
    return re.sub(r"([\\`*_\[\]<>#!|~])", r"\\\1", " ".join(text.split()))
