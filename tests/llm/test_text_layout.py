"""Pieces of text are put into the order in which a person reads them."""

import re

from hypothesis import given
from hypothesis import strategies as st

from llm.text_layout import TextLine, read_order
from llm.text_markdown import as_markdown


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


def test_columns_that_begin_with_headings_side_by_side_are_read_one_after_the_other():
    lines = [line("The Evening Courier", 250, 0, height=40),
             *column("Bridge to reopen", *LEFT, left=0, top=80),
             *column("Choir wins prize", *RIGHT, left=400, top=80),
             line("Rain, then sun.", 0, 300)]
    assert [text for _, text in kinds_and_texts(lines)] == [
        "The Evening Courier", "\n".join(("Bridge to reopen", *LEFT)),
        "\n".join(("Choir wins prize", *RIGHT)), "Rain, then sun."]


def test_a_heading_over_the_first_column_parts_what_stands_above_and_below_it():
    lines = [*column(*LEFT, left=0), *column(*RIGHT, left=400), line("More", 0, 130, height=30),
             *column(*RIGHT, left=0, top=190), *column(*LEFT, left=400, top=190)]
    assert [text for _, text in kinds_and_texts(lines)] == [
        "\n".join(LEFT), "\n".join(RIGHT), "More", "\n".join(RIGHT), "\n".join(LEFT)]


def test_messages_of_a_chat_are_read_in_turn_whichever_side_they_stand_on():
    said = ("Who is coming on Sunday?", "I am, with the children", "Can you bring a salad?",
            "How many are we going to be?", "Eight, I think, or nine", "See you on Sunday then")
    lines = [line(words, 400 * (turn % 2), 80 * turn) for turn, words in enumerate(said)]
    assert [text for _, text in kinds_and_texts(lines)] == list(said)


MENU = (("Tomato soup with basil and cream", "5.50"), ("Smoked salmon on toasted rye", "9.80"),
        ("A salad of goat's cheese and walnuts", "8.20"))


def test_prices_stay_with_what_they_are_for_however_long_its_name():
    lines = [line("Menu", 0, 0, height=30),
             *(line(cell, 600 * at, 60 + 30 * row) for row, cells in enumerate(MENU)
               for at, cell in enumerate(cells)),
             line("All prices in euros.", 0, 180)]
    heading, table, end = read_order(lines)
    assert [[cell.text for cell in row] for row in table.rows] == [list(row) for row in MENU]
    assert (heading.text, end.text) == ("Menu", "All prices in euros.")


def test_a_line_of_its_own_in_a_price_list_is_a_row_of_it():
    (table,) = read_order([*column("Milk", "Bananas", "at 1.10 a kilo", "Bread", left=0, step=22),
                           *column("1.85", "0.93", left=300, step=22), line("2.40", 300, 66)])
    assert [[cell and cell.text for cell in row] for row in table.rows] == [
        ["Milk", "1.85"], ["Bananas", "0.93"], ["at 1.10 a kilo", None], ["Bread", "2.40"]]


def test_text_close_to_a_table_leaves_it_a_table():
    lines = [line("Calories and all that we know of", 0, 0),
             *(line(cell, 400 * at, 22 + 22 * row) for row, cells in
               enumerate((("Fat", "6 g"), ("Salt", "1 g"))) for at, cell in enumerate(cells))]
    assert [kind for kind, _ in kinds_and_texts(lines)] == ["paragraph", "table"]


def test_a_cell_of_several_lines_is_one_cell():
    lines = [*table(("Task", "Who", "How")), *table(("", "", "with the green paint"), top=40),
             *table(("Paint", "Ada", "from the shed in the"), top=62),
             *table(("", "", "garden"), top=84), *table(("Mow", "Ben", "slowly"), top=130)]
    (block,) = read_order(lines)
    assert [[cell.text for cell in row] for row in block.rows] == [
        ["Task", "Who", "How"],
        ["Paint", "Ada", "with the green paint from the shed in the garden"],
        ["Mow", "Ben", "slowly"]]


def test_a_menu_beside_a_table_is_no_column_of_it():
    menu = column("Dashboard", "Users", "Billing", "Settings", "Audit log", left=0, step=33)
    rows = (("Name", "Role", "Seen"), ("Ada", "Owner", "today"), ("Chen", "Editor", "never"),
            ("Ines", "Editor", "in May"))
    lines = [line(cell, 300 + 200 * at, 5 + 40 * row) for row, cells in enumerate(rows)
             for at, cell in enumerate(cells)]
    *before, block = read_order([*menu, *lines])
    assert "\n".join(each.text for each in before) == "\n".join(each.text for each in menu)
    assert [[cell.text for cell in row] for row in block.rows] == [list(row) for row in rows]


def test_columns_above_a_table_leave_it_whole():
    address = ("Northwind Printing Limited", "7 Canal Road, third floor", "Leeds LS1 4AB, England")
    lines = [*column(*address, left=0, step=22),
             *column("Invoice number 2026-0417", "Date: the twelfth of May", "Due: next month",
                     left=500, step=24),
             *table(("Item", "Qty", "Each", "Sum"), ("Book", "12", "8.50", "102.00"),
                    ("Map", "4", "3.25", "13.00"), top=120)]
    blocks = read_order(lines)
    assert blocks[0].text == "\n".join(address)
    assert [block.kind for block in blocks] == ["paragraph", "paragraph", "table"]
    assert len(blocks[2].rows[0]) == 4


def test_headings_that_differ_by_a_letters_tail_are_of_one_level():
    lines = [line("Tickets", 0, 0, height=26), *column(*LEFT, left=0, top=60),
             line("Getting here", 0, 180, height=29), *column(*RIGHT, left=0, top=240)]
    markdown = as_markdown(read_order(lines))
    assert "# Tickets" in markdown and "\n# Getting here" in markdown


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
    assert as_markdown(read_order(as_typed("• Milk", "    o oat", "    o soy", "• Eggs"))) == (
        "- Milk\n    - oat\n    - soy\n- Eggs")
    words = as_typed("• gato", "  o cão", "• peixe")
    assert as_markdown(read_order(words)) == "- gato o cão\n- peixe"
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
    address = ("Invoice: 17", "Date: 12 May 2026", "Due: 11 June 2026")
    assert "```" not in as_markdown(read_order(
        [line(row, 400 - 10 * len(row), 30 * at) for at, row in enumerate(address)]))
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
    # A cell's lines are joined by spaces, and are otherwise what they were.
    out = " ".join(piece.text for block in blocks for row in block.rows for piece in row if piece)
    assert sorted(out.replace(" ", "")) == sorted("".join(line.text for line in lines)
                                                  .replace(" ", ""))
    written = as_markdown(blocks)
    for piece in lines:
        for word in re.findall(r"[^\W\d_]+", piece.text):
            assert word in written
