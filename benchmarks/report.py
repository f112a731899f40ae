"""The results as a table in a terminal, as JSON, and as docs/performance.md and .json.

What no measurement can say, why a goal is missed and what was tried, stands in notes.toml.
"""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.rows import Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
DATA = PAGE.with_suffix(".json")
NOTES = Path(__file__).with_name("notes.toml")

Results = dict[str, list[Row]]
"""By the group's name, in the order shown."""


def figure(number: float | None, unit: str = "") -> str:
    """Three figures or so: enough to compare, and no more than was measured."""
    if number is None:
        return "–"
    digits = 0 if abs(number) >= 100 else 1 if abs(number) >= 10 else 2 if abs(number) >= 1 else 3
    return f"{number:,.{digits}f}{' ' + unit if unit and unit != 'times' else ''}"


def verdict(found: Row) -> str:
    return "" if found.met is None else "met" if found.met else "MISSED"


def table_line(found: Row) -> str:
    """For a terminal."""
    spread = f"{figure(found.spread[0])} … {figure(found.spread[1])}" if found.spread else ""
    return (f"{found.name[:70]:70} {figure(found.median, found.unit):>16}  {spread:19} "
            f"{found.goal or '':15} {verdict(found):7}{found.note}").rstrip()


def as_json(machine: dict[str, Any], results: Results) -> str:
    """One object: the machine, and each row with the group that it is of."""
    rows = [{"group": group, **found.as_json()} for group, rows in results.items()
            for found in rows]
    return json.dumps({"machine": machine, "rows": rows}, ensure_ascii=False, indent=1)


def from_json(text: str) -> Results:
    """What `as_json` wrote."""
    results: Results = {}
    for written in json.loads(text)["rows"]:
        results.setdefault(written.pop("group"), []).append(Row.from_json(written))
    return results


def as_page(machine: dict[str, Any], results: Results, titles: dict[str, str]) -> str:
    """docs/performance.md."""
    notes = tomllib.loads(NOTES.read_text("utf-8"))
    goals = [found for rows in results.values() for found in rows if found.met is not None]
    missed = [found for found in goals if not found.met]
    versions = ", ".join(f"{name} {number}" for name, number in machine["versions"].items())
    lines = [
        "# Performance", "",
        "Written by `python -m benchmarks --write`; not by hand. Medians of repeats, measured in "
        "turn in one run, with the least and the most of them.", "",
        f"**The machine** ({machine['date']}): {machine['cores']} cores of {machine['processor']} "
        f"({', '.join(machine['instructions'])}), {machine['memory_gb']:g} GB of memory, "
        f"{machine['system']}, Python {machine['python']}, {versions}.", "",
        f"**Goals**: {len(goals) - len(missed)} of {len(goals)} met.", "",
    ]
    for found in missed:
        lines.append(f"- Missed: {found.name}: {figure(found.median, found.unit)} ({found.goal}). "
                     f"{_reason(notes, found)}".rstrip())
    for group, rows in results.items():
        lines += ["", f"## {titles.get(group, group)}", "",
                  "| what | median | least … most | goal | |", "|---|---:|---:|---|---|"]
        for found in rows:
            spread = " … ".join(map(figure, found.spread)) if found.spread else ""
            name = found.name + (f" ({found.note})" if found.note else "")
            mark = {None: "", True: "met", False: "**missed**"}[found.met]
            lines.append(f"| {name.replace('|', '/')} | {figure(found.median, found.unit)} "
                         f"| {spread} | {found.goal or ''} | {mark} |")
        if said := notes.get("about", {}).get(group):
            lines += ["", said.strip()]
    if tried := notes.get("tried"):
        lines += ["", "## What was tried", ""]
        lines += [f"- **{what}.** {came.strip()}" for what, came in tried.items()]
    return "\n".join(lines) + "\n"


def _reason(notes: dict[str, Any], found: Row) -> str:
    for beginning, reason in notes.get("missed", {}).items():
        if found.name.startswith(beginning):
            return reason.strip()
    return ""
