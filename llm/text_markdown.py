"""Text as it stood on a picture, written as Markdown: headings, tables, lists and code.

    as_markdown(read_order(lines))

Lists and code are told by how they stand there. This module knows blocks of text and
no picture.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from statistics import median

from llm.text_layout import Block, TextLine


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown, in which nothing that stood on the picture has a meaning.

    The text is anybody's: an image, a link or HTML in it stays the characters it is. Lists
    and code are told by how they stand there, and keep their indents.
    """
    sizes: list[float] = []
    for height in sorted((_height(block) for block in blocks if block.kind == "heading"),
                         reverse=True):
        # Boxes are not exact: with tails, letters of the same size are a little higher.
        if not sizes or height < 0.85 * sizes[-1]:
            sizes.append(height)
    parts = []
    for run in _with_code_together(blocks):
        parts += [_markdown_code(run)] if _is_code(run) else [
            _markdown_block(block, sizes) for block in run]
    return "\n\n".join(parts)


def _markdown_block(block: Block, sizes: Sequence[float]) -> str:
    if block.kind == "table":
        return _markdown_table(block)
    if block.kind == "heading":
        level = min(sum(size >= _height(block) for size in sizes) or 1, 3)
        return "#" * level + " " + " ".join(map(escaped, block.text_rows))
    if _is_list(block):
        return _markdown_list(block)
    return "\\\n".join(_plain_start(escaped(row)) for row in block.text_rows)


def _height(block: Block) -> float:
    return median(line.height for row in block.rows for line in row if line)


def _markdown_table(block: Block) -> str:
    rows = ["| " + " | ".join(escaped(cell.text) if cell else "" for cell in row) + " |"
            for row in block.rows]
    return "\n".join([rows[0], "|" + " --- |" * len(block.rows[0]), *rows[1:]])


def escaped(text: str) -> str:
    """A line in which no sign means anything in Markdown, unless it begins the line."""
    # Not "[", which means nothing without its twin: "\[" is mathematics in some Markdown.
    return re.sub(r"([\\`*_\]<>|~$&!])", r"\\\1", text)


def _plain_start(row: str) -> str:
    """A row that begins like a heading, a list or a rule is none."""
    return re.sub(r"^(\d+(?=[.)])|(?=[#+=-]))", r"\1\\", row.lstrip())


# ── Lists ────────────────────────────────────────────────────────────────────────────

_POINT = re.compile(r"(?P<mark>[•◦▪●○■‣]|[-–*o](?=\s)|\d{1,3}[.)](?=\s))\s*(?=\S)")
"""What an item of a list begins with. "-5" and "3.5" are numbers, and a hollow point is read as
an "o"."""


def _is_list(block: Block) -> bool:
    """Whether a paragraph begins with a list's mark and holds another."""
    marked = [bool(_POINT.match(row)) for row in block.text_rows]
    return marked[0] and sum(marked) > 1


def _markdown_list(block: Block) -> str:
    items: list[str] = []
    indents: list[float] = []
    """The left ends of the items that the current one stands within, itself included."""
    for row, text in zip(block.rows, block.text_rows, strict=True):
        point = _POINT.match(text)
        left, height = row[0].left, row[0].height
        # An "o" under an item's words is a word, one that stands further in is a point.
        is_word = point and point["mark"] == "o" and items and left < indents[0] + 1.5 * height
        if point is None or is_word:
            items[-1] += f" {escaped(text)}"
            continue
        while indents and left < indents[-1] - 0.5 * height:
            indents.pop()
        if not indents or left > indents[-1] + 0.5 * height:
            indents.append(left)
        number = re.match(r"\d+", point["mark"])
        mark = f"{number[0]}." if number else "-"
        words = _plain_start(escaped(text[point.end():]))
        items.append("    " * (len(indents) - 1) + f"{mark} {words}")
    return "\n".join(items)


# ── Code ─────────────────────────────────────────────────────────────────────────────

_CODE = re.compile(r"[{}();=<>\[\]]|:$|^[\w-]+: |^- |^#|^//|^(import|return|def|class|const) ")
"""What half of the lines of a program or a configuration have, and hardly one of prose."""


def _with_code_together(blocks: Sequence[Block]) -> list[list[Block]]:
    """Neighbouring paragraphs that may be one piece of code, and every other block alone."""
    runs: list[list[Block]] = []
    for block in blocks:
        if runs and _may_be_code(runs[-1][0]) and _goes_on_as_code(runs[-1], block):
            runs[-1].append(block)
        else:
            runs.append([block])
    return runs


def _may_be_code(block: Block) -> bool:
    return (block.kind == "paragraph" and all(len(row) == 1 for row in block.rows)
            and sum(bool(_CODE.search(row)) for row in block.text_rows) * 2 >= len(block.rows))


def _goes_on_as_code(run: Sequence[Block], block: Block) -> bool:
    above, below = run[-1].rows[-1][0], block.rows[0][0]
    return (below.top > above.bottom and below.top - above.bottom < 3 * above.height
            and _may_be_code(block))


def _is_code(run: Sequence[Block]) -> bool:
    """Whether these paragraphs have indents, and letters that are nearly all of one width."""
    lines = [row[0] for block in run for row in block.rows if row[0]]
    if not _may_be_code(run[0]) or len(lines) < 3:
        return False
    width = _letter_width(lines)
    if not all(_spread(ends) > 0.5 * width for ends in zip(
            *((line.right, (line.left + line.right) / 2) for line in lines), strict=True)):
        return False  # It is aligned on the right, or centred.
    # A line in which a letter was not read, or that is short, has others.
    alike = sum(abs(one - width) < 0.1 * width for one in _widths(lines))
    return any(_indent(line, lines, width) for line in lines) and alike >= 0.7 * len(lines)


def _spread(values: Sequence[float]) -> float:
    return max(values) - min(values)


def _letter_width(lines: Sequence[TextLine]) -> float:
    return median(_widths(lines))


def _widths(lines: Sequence[TextLine]) -> list[float]:
    """Of a letter in each line. The box is a little wider than its letters."""
    return [(line.right - line.left) / (len(line.text) + 0.3) for line in lines]


def _indent(line: TextLine, lines: Sequence[TextLine], width: float) -> int:
    """In letters, of which nearly all code has an even number."""
    return 2 * round((line.left - min(other.left for other in lines)) / width / 2)


def _markdown_code(run: Sequence[Block]) -> str:
    lines = [row[0] for block in run for row in block.rows if row[0]]
    width = _letter_width(lines)
    step = median(below.middle - above.middle
                  for above, below in zip(lines, lines[1:], strict=False))
    written: list[str] = []
    for above, line in zip([None, *lines], lines, strict=False):
        if above is not None and line.middle - above.middle > 1.5 * step:
            written.append("")
        written.append(" " * _indent(line, lines, width) + line.text)
    # A fence is longer than any in the text, which so cannot end it.
    fence = "`" * max(3, 1 + max(len(ticks) for ticks in re.findall("`*", "\n".join(written))))
    return "\n".join([fence, *written, fence])
