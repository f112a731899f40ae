"""Writes docs/tree.md: every module of the app, with what it says of itself in its first line.

    python -m docs.tree
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tree.md"
FOLDERS = ("pages", "components", "llm", "storage", "web", "benchmarks")


def page() -> str:
    """What docs/tree.md holds."""
    return "\n".join(["# Every module, in a line", "",
                      "Written by `python -m docs.tree` from the modules' own first lines.", "",
                      *_lines("The top", sorted(ROOT.glob("*.py"))),
                      *(line for folder in FOLDERS for line in _lines(
                          f"{folder}/", sorted((ROOT / folder).glob("*.py"))))])


def _lines(title: str, modules: list[Path]) -> Iterator[str]:
    yield from (f"## {title}", "", "| module | what it is |", "|---|---|")
    for module in modules:
        said = (ast.get_docstring(ast.parse(module.read_text("utf-8"))) or "").partition("\n")[0]
        yield f"| {module.name} | {said.replace('|', chr(92) + '|')} |"
    yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), "utf-8")
