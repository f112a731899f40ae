"""Pieces of text are put into the order in which a person reads them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from llm.text_layout import TextLine, as_markdown, read_order


def line(text: str, left: float, top: float, *, height: float = 20,
         width: float | None = None) -> TextLine:
    return TextLine(text, 0.99, left, top, left + (width or 10 * len(text)), top + height)


def column(*texts: str, left: float, top: float = 0, step: float = 30) -> list[TextLine]:
    return [line(text, left, top + number * step) for number, text in enumerate(texts)]


def kinds_and_texts(lines):
    return [(block.kind, block.text) for block in read_order(lines)]


LEFT = ("the first column of the page", "goes down on the left side", "and ends at its foot here")
RIGHT = ("the second column stands on", "the right and is read after", "the first has been read")


def test_nothing_has_no_order():
    assert read_order([]) == []
    assert as_markdown([]) == ""


def test_columns_are_read_one_after_the_other():
    lines = [*column(*RIGHT, left=400), *column(*LEFT, left=0)]
    assert kinds_and_texts(lines) == [("paragraph", "\n".join(LEFT)),
                                      ("paragraph", "\n".join(RIGHT))]


def test_a_heading_across_two_columns_comes_first_and_a_footer_last():
    lines = [*column(*LEFT, left=0, top=100), *column(*RIGHT, left=400, top=100),
             line("The Headline of the Day", 150, 0, height=40),
             line("printed in the year of the great flood, page four of nine", 60, 300)]
    texts = [text for _, text in kinds_and_texts(lines)]
    assert texts == ["The Headline of the Day", "\n".join(LEFT), "\n".join(RIGHT),
                     "printed in the year of the great flood, page four of nine"]
    assert read_order(lines)[0].kind == "heading"


def test_a_wide_gap_between_lines_begins_a_paragraph():
    lines = [*column("one line", "and its second", left=0),
             *column("after a gap", "another paragraph", left=0, top=120)]
    assert kinds_and_texts(lines) == [("paragraph", "one line\nand its second"),
                                      ("paragraph", "after a gap\nanother paragraph")]


def test_pieces_side_by_side_stay_on_one_line():
    lines = [line("an invitation to the yearly", 0, 0), line("meeting of all our members", 290, 1),
             line("on the last day of the month of May", 0, 30)]
    assert kinds_and_texts(lines)[0][1].split("\n")[0] == (
        "an invitation to the yearly  meeting of all our members")


def table(*rows: tuple[str, ...], top: float = 0) -> list[TextLine]:
    return [line(cell, 200 * number, top + 40 * row)
            for row, cells in enumerate(rows) for number, cell in enumerate(cells) if cell]


def test_short_cells_in_common_columns_are_a_table():
    rows = (("Train", "From", "At"), ("IC 4", "Bern", "9:04"), ("S 12", "Chur", "9:17"))
    (block,) = read_order(table(*rows))
    assert block.kind == "table"
    assert [[cell.text for cell in row] for row in block.rows] == [list(row) for row in rows]


def test_an_empty_cell_stays_empty():
    (block,) = read_order(table(("Item", "Note", "Price"), ("Tea", "", "2.10"),
                                ("Cake", "vegan", "3.50")))
    assert [cell and cell.text for cell in block.rows[1]] == ["Tea", None, "2.10"]
    assert "| Tea |  | 2.10 |" in as_markdown([block])


def test_text_around_a_table_stays_around_it():
    lines = [line("Our prices have been the same for years.", 0, 0),
             *table(("Tea", "2.10"), ("Cake", "3.50"), top=60),
             line("We wish you a very pleasant afternoon.", 0, 160)]
    assert [kind for kind, _ in kinds_and_texts(lines)] == ["paragraph", "table", "paragraph"]


def test_prose_in_columns_is_no_table():
    lines = [*column(*LEFT, left=0), *column(*RIGHT, left=400)]
    assert "table" not in [block.kind for block in read_order(lines)]


def test_larger_headings_are_of_a_higher_level():
    lines = [line("Great", 0, 0, height=60), line("Middling", 0, 100, height=40),
             *column(*LEFT, "more of the text", "and some more of it", left=0, top=180)]
    assert as_markdown(read_order(lines)).startswith("# Great\n\n## Middling\n\nthe first column")


def as_typed(*rows: str, step: float = 30) -> list[TextLine]:
    """Rows in letters of one width, an empty one being an empty line."""
    return [line(row.strip(), 10 * (len(row) - len(row.lstrip())), number * step)
            for number, row in enumerate(rows) if row]


def test_points_and_numbers_are_a_list_with_its_levels():
    lines = as_typed("• Milk", "• Bread of", "the day", "    • rye", "    • *wheat*", "• Eggs",
                     "", "", "1. Buy", "2) Eat")
    assert as_markdown(read_order(lines)) == (
        "- Milk\n- Bread of the day\n    - rye\n    - \\*wheat\\*\n- Eggs\n\n1. Buy\n2. Eat")


CODE = ("import os", "", "class Cart:", "    def add(self, item):", "        # ``` is no end",
        "        self.items.append(item)", "", "    def clear(self):", "        self.items = []")


def test_code_keeps_its_indents_and_empty_lines_and_cannot_end_its_fence():
    assert as_markdown(read_order(as_typed(*CODE))) == "\n".join(["````", *CODE, "````"])


def test_what_only_looks_a_little_like_code_stays_text():
    for rows in (("Our shop (new)", "    12 Station Road (rear)", "Open: daily"),
                 ("If it rains (it will),", "take a coat; take a hat:", "    you know why.")):
        lines = [line(row.text, row.left, row.top, width=7 * len(row.text) + 9 * number ** 2)
                 for number, row in enumerate(as_typed(*rows), start=1)]
        assert "```" not in as_markdown(read_order(lines))
    for rows in (("CORNER BAKERY", "   12 Station Road", "     Tel 0123 456789"),
                 ("f(x) = 1;", "g(x) = 2;", "h(x) = 3;")):
        assert "```" not in as_markdown(read_order(as_typed(*rows)))


def test_nothing_that_stood_on_the_picture_acts_as_markdown():
    from markdown_it import MarkdownIt

    hostile = ["![x](http://evil.example/?q=1)", "[click](javascript:alert(1))",
               "<img src=http://evil.example>", "# not a heading", "1. not a list", "- nor this",
               "`code` ~~gone~~ $x$ &amp; **bold** | a | b |", "***", "===", "https://a.example"]
    markdown = as_markdown(read_order(column(*hostile, left=0)))
    html = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(markdown)
    for tag in ("<img", "<a ", "<h1", "<ol", "<ul", "<code", "<em", "<strong", "<table", "<hr",
                "<s>"):
        assert tag not in html
    # And it is shown as it stood there.
    for text in ("![x](http://evil.example/?q=1)", "1. not a list", "# not a heading", "&amp;amp;"):
        assert text in html
    # Nor is it mathematics, which some begin with these.
    assert not any(sign in markdown for sign in ("\\[", "\\("))


boxes = st.builds(
    lambda text, left, top, width, height: TextLine(text, 0.9, left, top, left + width,
                                                    top + height),
    st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12),
    st.floats(0, 2000), st.floats(0, 2000), st.floats(1, 900), st.floats(1, 200))


@given(st.lists(boxes, max_size=40))
def test_whatever_the_boxes_every_piece_comes_out_once(lines):
    blocks = read_order(lines)
    out = [piece for block in blocks for row in block.rows for piece in row if piece]
    assert sorted(map(id, out)) == sorted(map(id, lines))
    written = as_markdown(blocks)
    for piece in lines:
        for word in re.findall(r"[^\W\d_]+", piece.text):
            assert word in written
