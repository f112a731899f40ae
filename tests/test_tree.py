"""docs/tree.md has a line for every module, and it is the module's own."""

from docs import tree


def test_the_page_is_what_the_modules_say_of_themselves() -> None:
    assert tree.PAGE.read_text("utf-8") == tree.page(), "python -m docs.tree writes it anew"


def test_every_module_says_what_it_is() -> None:
    silent = [line for line in tree.page().splitlines() if line.endswith("|  |")]
    assert silent == []
