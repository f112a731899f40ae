"""No box on any page is told how long a text may be: it would drop a longer paste unsaid."""

from __future__ import annotations

import ast

from tests.app import ROOT


def test_no_box_is_told_how_much_it_may_hold():
    told = [f"{path.relative_to(ROOT)}:{call.lineno}"
            for folder in ("pages", "components")
            for path in sorted((ROOT / folder).glob("*.py"))
            for call in ast.walk(ast.parse(path.read_text("utf-8")))
            if isinstance(call, ast.Call)
            and any(keyword.arg == "max_chars" for keyword in call.keywords)]
    assert told == []
