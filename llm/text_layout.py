"""Lines of text that were found on a picture, in the order in which a person reads them.

    blocks = read_order(lines)      headings, paragraphs and tables, first to last

Columns are read one after the other, tables row by row. The page is cut along its
own white gaps, again and again (a recursive XY cut), after what is plainly a table
has been taken out. This module knows boxes and words, no picture and no model.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal


@dataclass(frozen=True)
class TextLine:
    """A piece of text as found. The box is in pixels of the picture, from its top left."""

    text: str
    confidence: float
    """0 to 1: the recognizer's own mean over the letters."""
    left: float
    top: float
    right: float
    bottom: float

    @property
    def height(self) -> float:
        return self.bottom - self.top

    @property
    def middle(self) -> float:
        return (self.top + self.bottom) / 2


@dataclass(frozen=True)
class Block:
    """What belongs together. A table has one inner tuple a row, one line or none a column."""

    kind: Literal["heading", "paragraph", "table"]
    rows: tuple[tuple[TextLine | None, ...], ...]
    """Of a heading or paragraph: the lines, each of one or more pieces side by side."""

    @property
    def text_rows(self) -> list[str]:
        """A string a row; pieces side by side stand two spaces apart."""
        return ["  ".join(piece.text for piece in row if piece) for row in self.rows]

    @property
    def text(self) -> str:
        return "\n".join(self.text_rows)


MOST_WORDS_IN_A_CELL = 3
"""By the median: two columns of prose have more."""
GUTTER = 1.2
"""Columns are at least so many line heights apart; words in a line are not."""
HEADING = 1.25
"""A heading's letters are at least so many times as high as the page's usual ones."""


def read_order(lines: Iterable[TextLine]) -> list[Block]:
    """All of `lines`, as blocks in reading order."""
    lines = list(lines)
    if not lines:
        return []
    usual = median(line.height for line in lines)
    tables, rest = _take_tables(lines)
    regions = _cut([*([line] for line in rest), *tables], usual)
    blocks = []
    for region in regions:
        if len(region) == 1 and region[0] in tables:
            blocks.append(Block("table", _table_rows(region[0])))
        else:
            blocks += _paragraphs([line for item in region for line in item], usual)
    return blocks


# ── Tables ───────────────────────────────────────────────────────────────────────────

Region = list[TextLine]


def _rows(lines: Sequence[TextLine]) -> list[Region]:
    """Lines that stand side by side, from top to bottom, each row from left to right."""
    rows: list[Region] = []
    for line in sorted(lines, key=lambda line: line.middle):
        near = 0.5 * min(line.height, rows[-1][0].height) if rows else 0
        if rows and abs(line.middle - _middle(rows[-1])) < near:
            rows[-1].append(line)
        else:
            rows.append([line])
    return [sorted(row, key=lambda line: line.left) for row in rows]


def _middle(row: Region) -> float:
    return sum(line.middle for line in row) / len(row)


def _take_tables(lines: Region) -> tuple[list[Region], Region]:
    """The tables, at least two rows each, and the lines that are in none."""
    tables: list[Region] = []
    rest: Region = []
    run: list[Region] = []

    def close() -> None:
        together = [line for row in run for line in row]
        if len(run) >= 2:
            tables.append(together)
        else:
            rest.extend(together)
        run.clear()

    for row in _rows(lines):
        if not _is_table([*run, row]):
            close()
        if _is_table([*run, row]):
            run.append(row)
        else:
            rest += row
    close()
    return tables, rest


def _is_table(rows: list[Region]) -> bool:
    """Whether these rows have two cells or more each, short ones, in the same columns."""
    if min(map(len, rows)) < 2:
        return False
    cells = [line for row in rows for line in row]
    if median(len(line.text.split()) for line in cells) > MOST_WORDS_IN_A_CELL:
        return False
    heights = [line.height for line in cells]
    if max(heights) > 1.6 * min(heights):
        return False
    columns = _columns(cells)
    if any(len({_column_of(line, columns) for line in row}) < len(row) for row in rows):
        return False
    filled = sum(len(row) for row in rows) / (len(rows) * len(columns))
    step = max((_middle(below) - _middle(above) for above, below in
                zip(rows, rows[1:], strict=False)), default=0)
    return len(columns) >= 2 and filled >= 0.6 and step < 5 * median(heights)


def _columns(cells: Sequence[TextLine]) -> list[tuple[float, float]]:
    """Where cells overlap across the rows: (left, right) of each column."""
    columns: list[tuple[float, float]] = []
    for line in sorted(cells, key=lambda line: line.left):
        if columns and line.left < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(columns[-1][1], line.right))
        else:
            columns.append((line.left, line.right))
    return columns


def _column_of(line: TextLine, columns: list[tuple[float, float]]) -> int:
    return next(number for number, (left, right) in enumerate(columns)
                if left <= line.left < right)


def _table_rows(table: Region) -> tuple[tuple[TextLine | None, ...], ...]:
    columns = _columns(table)
    rows = []
    for row in _rows(table):
        cells: list[TextLine | None] = [None] * len(columns)
        for line in row:
            cells[_column_of(line, columns)] = line
        rows.append(tuple(cells))
    return tuple(rows)


# ── Columns and paragraphs ───────────────────────────────────────────────────────────


def _cut(items: list[Region], usual: float) -> list[list[Region]]:
    """Regions in reading order. An item is a line, or a table that stays whole."""
    if len(items) <= 1:
        return [items]
    sideways = _split(items, key=lambda item: (min(line.left for line in item),
                                               max(line.right for line in item)),
                      least=GUTTER * usual)
    if sideways and min(len(_rows(_lines(side))) for side in sideways) >= 2:
        return [region for side in sideways for region in _cut(side, usual)]
    downwards = _split(items, key=lambda item: (min(line.top for line in item),
                                                max(line.bottom for line in item)),
                       least=0.6 * usual)
    if downwards:
        return [region for part in downwards for region in _cut(part, usual)]
    return [items]


def _lines(items: Iterable[Region]) -> Region:
    return [line for item in items for line in item]


def _split(items: list[Region], *, key, least: float) -> tuple[list[Region], list[Region]] | None:
    """The items before and after the widest empty gap of at least `least`, or None."""
    ordered = sorted(items, key=lambda item: key(item)[0])
    best, at, reach = least, None, key(ordered[0])[1]
    for number, item in enumerate(ordered[1:], start=1):
        start, end = key(item)
        if start - reach >= best:
            best, at = start - reach, number
        reach = max(reach, end)
    return None if at is None else (ordered[:at], ordered[at:])


def _paragraphs(lines: Region, usual: float) -> list[Block]:
    groups: list[list[Region]] = []
    for row in _rows(lines):
        last = groups[-1][-1] if groups else None
        if last is not None and _goes_on(last, row):
            groups[-1].append(row)
        else:
            groups.append([row])
    return [Block("heading" if _is_heading(group, usual) else "paragraph",
                  tuple(tuple(row) for row in group)) for group in groups]


def _goes_on(above: Region, below: Region) -> bool:
    height = min(above[0].height, below[0].height)
    gap = min(line.top for line in below) - max(line.bottom for line in above)
    return gap < 0.8 * height and max(above[0].height, below[0].height) < 1.35 * height


def _is_heading(group: list[Region], usual: float) -> bool:
    return (len(group) <= 2 and median(line.height for row in group for line in row)
            >= HEADING * usual and sum(len(row) for row in group) == len(group))


# ── Markdown ─────────────────────────────────────────────────────────────────────────


def as_markdown(blocks: Sequence[Block]) -> str:
    """The blocks as Markdown, in which nothing that stood on the picture has a meaning.

    The text is anybody's: an image, a link or HTML in it stays the characters it is. Lists
    and code are told by how they stand there, and keep their indents.
    """
    sizes = sorted({round(_height(block)) for block in blocks if block.kind == "heading"},
                   reverse=True)
    parts = []
    for run in _with_code_together(blocks):
        parts += [_markdown_code(run)] if _is_code(run) else [
            _markdown_block(block, sizes) for block in run]
    return "\n\n".join(parts)


def _markdown_block(block: Block, sizes: Sequence[int]) -> str:
    if block.kind == "table":
        return _markdown_table(block)
    if block.kind == "heading":
        level = min(sizes.index(round(_height(block))) + 1, 3)
        return "#" * level + " " + " ".join(map(_escaped, block.text_rows))
    if _is_list(block):
        return _markdown_list(block)
    return "\\\n".join(_plain_start(_escaped(row)) for row in block.text_rows)


def _height(block: Block) -> float:
    return median(line.height for row in block.rows for line in row if line)


def _markdown_table(block: Block) -> str:
    rows = ["| " + " | ".join(_escaped(cell.text) if cell else "" for cell in row) + " |"
            for row in block.rows]
    return "\n".join([rows[0], "|" + " --- |" * len(block.rows[0]), *rows[1:]])


def _escaped(text: str) -> str:
    # Not "[", which means nothing without its twin: "\[" is mathematics in some Markdown.
    return re.sub(r"([\\`*_\]<>|~$&!])", r"\\\1", text)


def _plain_start(row: str) -> str:
    """A row that begins like a heading, a list or a rule is none."""
    return re.sub(r"^(\d+(?=[.)])|(?=[#+=-]))", r"\1\\", row.lstrip())


# ── Lists ────────────────────────────────────────────────────────────────────────────

_POINT = re.compile(r"(?P<mark>[•◦▪●○■‣]|[-–*](?=\s)|\d{1,3}[.)](?=\s))\s*(?=\S)")
"""What an item of a list begins with. "-5" and "3.5" are numbers."""


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
        if point is None:
            items[-1] += f" {_escaped(text)}"
            continue
        left, height = row[0].left, row[0].height
        while indents and left < indents[-1] - 0.5 * height:
            indents.pop()
        if not indents or left > indents[-1] + 0.5 * height:
            indents.append(left)
        number = re.match(r"\d+", point["mark"])
        mark = f"{number[0]}." if number else "-"
        words = _plain_start(_escaped(text[point.end():]))
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
    # A line in which a letter was not read, or that is short, has others.
    alike = sum(abs(one - width) < 0.1 * width for one in _widths(lines))
    return any(_indent(line, lines, width) for line in lines) and alike >= 0.7 * len(lines)


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
