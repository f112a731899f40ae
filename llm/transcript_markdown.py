"""A conversation as Markdown, for people to read, print and pass on.

It holds the path that is shown; every branch is in the JSON. What was written is data:
outside of its code blocks it brings no picture from elsewhere and no HTML into the file,
and its headings stand below those that say who speaks.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping, Sequence

from markdown_it import MarkdownIt
from markdown_it.token import Token

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


_PARSER = MarkdownIt("commonmark", {"html": False, "maxNesting": 100}).disable("inline")
"""Finds blocks alone. HTML is shown as written, so a block of it is none."""


def defused(text: str) -> str:
    """Markdown that stays as it is but for pictures, HTML and headings outside of code blocks.

    A picture becomes a link that one may follow, HTML is shown as written, a heading goes
    two levels down or, where it was underlined, becomes words above a line, and a code block
    that was left open is closed. What changes leaves every block where it was: a line that
    is code here is code in the result.
    """
    lines = re.split("\r\n?|\n", text)
    code: set[int] = set()
    tokens = _PARSER.parse(text)
    for token in tokens:
        first, end = token.map or (0, 0)
        if token.type == "fence":
            code.update(range(first, end))
        elif token.type == "heading_open" and token.markup.startswith("#"):
            lines[first] = re.sub(r"#{1,6}", lambda found: (found[0] + "##")[:6], lines[first],
                                  count=1)
        elif token.type == "heading_open":
            within = re.match(r"[ \t>]*", lines[end - 1])[0]
            lines[end - 1] = f"{within}\n{within}---"
    lines = [line if number in code else _inert(line) for number, line in enumerate(lines)]
    return "\n".join(lines) + _closing(tokens, lines)


def _inert(line: str) -> str:
    # With the backslashes before it: an even number of them would undo ours.
    line = re.sub(r"\\*!(?=\[)", r"\\!", line)
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", line)


def _closing(tokens: Sequence[Token], lines: Sequence[str]) -> str:
    """What closes a code block that is open to the end. One in a list ends with the list."""
    if not tokens or tokens[-1].type != "fence":
        return ""
    fence, (first, end) = tokens[-1].markup, tokens[-1].map
    is_closed = end - first > 1 and re.fullmatch(
        rf" {{0,3}}{fence}{fence[0]}*[ \t]*", lines[end - 1])
    return "" if is_closed else f"\n{fence}"


def on_one_line(text: str) -> str:
    """A text on one line in which no character means anything in Markdown."""
    return re.sub(r"([\\`*_\[\]<>#!|~])", r"\\\1", " ".join(text.split()))
