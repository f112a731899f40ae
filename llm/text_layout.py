"""Lines of text that were found on a picture, in the order in which a person reads them.

    blocks = read_order(lines)      headings, paragraphs and tables, first to last

Columns are read one after the other, tables row by row. The page is cut along its own
white gaps, again and again (a recursive XY cut): where columns stand side by side between
what goes across them, and around what is plainly a table. This module knows boxes and
words, no picture and no model; `llm.text_markdown` writes the blocks as Markdown.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
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
GUTTER = 0.9
"""Columns are at least so many line heights apart; words in a line are not."""
GAP = 0.6
"""What stands so many line heights further down is another paragraph."""
CELL_GAP = 0.35
"""Rows whose cells hold several lines are at least so many line heights apart."""
HEADING = 1.2
"""A heading's letters are at least so many times as high as the page's usual ones."""

Region = list[TextLine]
Table = tuple[Region, Block]
"""The lines that a table was made of, and the table."""


def read_order(lines: Iterable[TextLine]) -> list[Block]:
    """All of `lines`, as blocks in reading order. The lines of a table's cell become one."""
    lines = list(lines)
    # By the letter: boxes of a few letters are less exact than those of many.
    heights = [line.height for line in lines for _ in range(max(1, len(line.text)))]
    return _blocks(lines, median(heights)) if lines else []


def _blocks(lines: Region, usual: float) -> list[Block]:
    runs = _rows_of_cells(lines)
    plain = _spaced_rows(lines, usual) or [run for run in runs if _is_plain(run)]
    if parts := _columns_of_text(lines, list(map(_all, plain)), usual):
        return [block for part in parts if part for block in _blocks(part, usual)]
    tables = _tables(plain or runs)
    loose = _without(lines, tables)
    bands = _bands([*([line] for line in loose), *(inside for inside, _ in tables)], GAP * usual)
    if len(bands) == 1:
        return _tables_and_paragraphs(tables, loose, usual)
    blocks = []
    for band in bands:
        here = [table for table in tables if any(line is table[0][0] for line in band)]
        rest = _without(band, here)
        blocks += _tables_and_paragraphs(here, rest, usual) if here else _blocks(rest, usual)
    return blocks


def _tables_and_paragraphs(tables: Sequence[Table], loose: Region, usual: float) -> list[Block]:
    blocks = []
    for inside, table in sorted(tables, key=lambda each: _top(each[0])):
        blocks += _paragraphs([line for line in loose if line.middle < _top(inside)], usual)
        blocks.append(table)
        loose = [line for line in loose if line.middle >= _top(inside)]
    return blocks + _paragraphs(loose, usual)


def _without(lines: Region, tables: Sequence[Table]) -> Region:
    taken = {id(line) for inside, _ in tables for line in inside}
    return [line for line in lines if id(line) not in taken]


def _all(parts: Iterable[Region]) -> Region:
    return [line for part in parts for line in part]


def _top(lines: Region) -> float:
    return min(line.top for line in lines)


def _bottom(lines: Region) -> float:
    return max(line.bottom for line in lines)


def _bands(items: Iterable[Region], least: float) -> list[Region]:
    """The lines between gaps of the whole width, from top to bottom. No item is parted."""
    bands: list[Region] = []
    for item in sorted(items, key=_top):
        if bands and _top(item) - _bottom(bands[-1]) < least:
            bands[-1] += item
        else:
            bands.append(list(item))
    return bands


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


Spans = list[tuple[float, float]]
"""From left to right."""


def _columns(lines: Iterable[TextLine]) -> Spans:
    """Where lines overlap, looked at from above."""
    return _merged((line.left, line.right) for line in lines)


def _merged(spans: Iterable[tuple[float, float]]) -> Spans:
    merged: Spans = []
    for left, right in sorted(spans):
        if merged and left < merged[-1][1]:
            merged[-1] = (merged[-1][0], max(merged[-1][1], right))
        else:
            merged.append((left, right))
    return merged


# ── Tables ───────────────────────────────────────────────────────────────────────────


def _tables(runs: list[list[Region]]) -> list[Table]:
    return [(_all(run), Block("table", _cells(run))) for run in runs]


def _spaced_rows(lines: Region, usual: float) -> list[list[Region]]:
    """Runs of rows that stand apart, and whose cells hold a line or several."""
    runs: list[list[Region]] = [[]]
    for band in _bands([[line] for line in lines], CELL_GAP * usual):
        if not _has_columns([*runs[-1], band]):
            runs.append([])
        if _has_columns([*runs[-1], band]):
            runs[-1].append(band)
    return [run for run in runs if len(run) >= 3 and _has_wrapped_cells(run)]


def _has_wrapped_cells(rows: list[Region]) -> bool:
    """Whether some cells hold several lines, and in each row another holds but one."""
    columns = _columns(_all(rows))
    sizes = [[len(_rows(cell)) for cell in _by_column(row, columns) if cell] for row in rows]
    return max(map(max, sizes)) > 1 == max(map(min, sizes)) == median(
        size for row in sizes for size in row)


def _rows_of_cells(lines: Region) -> list[list[Region]]:
    """Runs of rows with a line a cell. A line that stands alone close between two is a row."""
    runs: list[list[Region]] = [[]]
    alone: list[Region] = []
    for row in _rows(lines):
        if len(runs[-1]) >= 2 and not alone and len(row) == 1 and _is_close(runs[-1][-1], row):
            alone = [row]
            continue
        if alone and _is_close(alone[0], row) and _is_table([*runs[-1], *alone, row]):
            runs[-1] += alone
        elif alone:
            runs.append([])
        alone = []
        if not _is_table([*runs[-1], row]):
            runs.append([])
        if _is_table([*runs[-1], row]):
            runs[-1].append(row)
    return [run for run in runs if len(run) >= 2]


def _is_close(above: Region, below: Region) -> bool:
    return _top(below) - _bottom(above) < 0.5 * min(above[0].height, below[0].height)


def _is_table(rows: list[Region]) -> bool:
    """Whether these rows stand in the same columns, a short line a cell."""
    if not _has_columns(rows):
        return False
    cells = _all(rows)
    columns = _columns(cells)
    step = max((_middle(below) - _middle(above) for above, below in pairwise(rows)), default=0)
    return (all(len(row) == _filled(row, columns) for row in rows)
            and step < 5 * median(line.height for line in cells)
            and (_are_short(cells)
                 or _are_figures([line for line in cells if line.left >= columns[0][1]])))


def _is_plain(rows: list[Region]) -> bool:
    """Whether it is a table that no columns of text beside each other look like."""
    columns = _columns(_all(rows))
    return (len(rows) >= 3
            and (len(columns) >= 3 or _are_figures([line for line in _all(rows)
                                                    if line.left >= columns[1][0]]))
            and all(abs(line.middle - _middle(row)) < 0.25 * line.height
                    for row in rows for line in row))


def _has_columns(rows: list[Region]) -> bool:
    """Whether the rows stand in the same columns, two or more, few of their cells empty."""
    cells = _all(rows)
    heights, columns = [line.height for line in cells], _columns(cells)
    filled = [_filled(row, columns) for row in rows]
    least = 0.75 if len(rows) == 2 else 0.6
    return (min(filled[0], filled[-1]) >= 2 and sum(filled) >= least * len(rows) * len(columns)
            and max(heights) <= 1.6 * min(heights))


def _are_short(cells: Region) -> bool:
    return median(len(line.text.split()) for line in cells) <= MOST_WORDS_IN_A_CELL


def _are_figures(cells: Region) -> bool:
    """Prices, page numbers and the like: what stands before them may be a whole sentence."""
    figures = sum(any(map(str.isdigit, line.text)) for line in cells)
    return _are_short(cells) and figures >= 0.8 * len(cells)


def _by_column(row: Region, columns: Spans) -> list[Region]:
    return [[line for line in row if left <= line.left < right] for left, right in columns]


def _filled(row: Region, columns: Spans) -> int:
    return sum(map(bool, _by_column(row, columns)))


def _cells(rows: list[Region]) -> tuple[tuple[TextLine | None, ...], ...]:
    columns = _columns(_all(rows))
    return tuple(tuple(map(_joined, _by_column(row, columns))) for row in rows)


def _joined(cell: Region) -> TextLine | None:
    """The lines of a cell as one."""
    if len(cell) < 2:
        return cell[0] if cell else None
    ordered = _all(_rows(cell))
    return TextLine(" ".join(line.text for line in ordered),
                    min(line.confidence for line in cell), min(line.left for line in cell),
                    _top(cell), max(line.right for line in cell), _bottom(cell))


# ── Columns of text ──────────────────────────────────────────────────────────────────


def _columns_of_text(lines: Region, tables: Sequence[Region],
                     usual: float) -> list[Region] | None:
    """What stands above two columns, the left one, the right one, and what stands below.

    No table is parted.
    """
    bands = _bands([[line] for line in lines], 0)
    first = 0
    while first < len(bands):
        last, spans = first, _columns(bands[first])
        while last + 1 < len(bands) and _gutters(
                more := _merged([*spans, *_columns(bands[last + 1])]), usual):
            last, spans = last + 1, more
        for gutter in _gutters(spans, usual):
            start, end = _between(bands, first, last + 1, gutter, usual)
            inside = _all(bands[start:end])
            left = [line for line in inside if line.left < gutter]
            right = [line for line in inside if line.left >= gutter]
            if _are_columns(left, right, usual) and not any(
                    _holds_any(left, table) and _holds_any(right, table) for table in tables):
                return [_all(bands[:start]), left, right, _all(bands[end:])]
        first += 1
    return None


def _holds_any(lines: Region, of: Region) -> bool:
    return not {id(line) for line in lines}.isdisjoint(map(id, of))


def _gutters(spans: Spans, usual: float) -> list[float]:
    """Where a column may begin, after the widest gap first."""
    gaps = sorted(((right[0] - left[1], right[0]) for left, right in pairwise(spans)), reverse=True)
    return [start for width, start in gaps if width >= GUTTER * usual]


def _between(bands: list[Region], first: int, end: int, gutter: float,
             usual: float) -> tuple[int, int]:
    """The bands up to a heading on one side, which parts what stands in columns above and
    below it, and less a title or footer: what lies on one side, behind the widest gap."""
    def is_beside(band: Region) -> bool:
        return len({line.left < gutter for line in band}) > 1

    for number in range(first + 1, end):
        if (not is_beside(bands[number]) and min(line.height for line in bands[number])
                >= HEADING * usual and any(map(is_beside, bands[first:number]))):
            end = number
            break
    gaps = {number: _top(bands[number]) - _bottom(bands[number - 1])
            for number in range(first + 1, end)}
    widest = max(gaps, key=gaps.__getitem__, default=first)
    if gaps and gaps[widest] >= 1.2 * usual:
        if not any(map(is_beside, bands[widest:end])):
            return first, widest
        if not any(map(is_beside, bands[first:widest])):
            return widest, end
    return first, end


def _are_columns(left: Region, right: Region, usual: float) -> bool:
    """Whether these are read one after the other, and not row by row or in turn."""
    if not left or not right:
        return False
    few, many = sorted((_rows(left), _rows(right)), key=len)
    if len(few) < 2:
        return False
    blocks = _bands([[line] for row in many for line in row], 1.5 * usual)
    beside = sum(any(_top(block) <= _middle(row) <= _bottom(block) for block in blocks)
                 for row in few)
    aligned = sum(any(abs(_middle(row) - _middle(other)) < 0.25 * row[0].height for other in many)
                  for row in few)
    is_table = aligned >= 0.8 * len(few) and (
        _are_short(_all(few)) and _are_short(_all(many)) or _are_figures(right))
    return beside >= 0.5 * len(few) and not is_table


# ── Paragraphs ───────────────────────────────────────────────────────────────────────


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
    lines = _all(group)
    stand_upright = any(line.height > 1.5 * (line.right - line.left) for line in lines)
    return (len(lines) == len(group) <= 2 and not stand_upright
            and median(line.height for line in lines) >= HEADING * usual)
