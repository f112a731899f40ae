"""Writes docs/reliability.md: what was tried on Parley, and what became of it.

    python3 parley.py test -m "slow or not slow" --junitxml=test-results/junit.xml
    python -m tests.reliability

It reads what a run of the tests left in test-results, as `.ci/run` leaves it too: how each
test ended, and the figures of the soak, the fuzzers and the check of the guards. A longer
run of one of these takes its place: `python -m tests.soak`, `python -m tests.replicas`,
`python -m tests.fuzz.images`, `python -m tests.fuzz.imports`, `python -m tests.mutations`.
"""

from __future__ import annotations

import argparse
import ast
import datetime
import tomllib
import xml.etree.ElementTree as ElementTree
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from tests import reports
from tests.app import ROOT

PAGE = ROOT / "docs" / "reliability.md"
ROWS = ROOT / "tests" / "faults.toml"

Endings = Mapping[str, Counter[str]]
"""By a test's id less its parameters: how often it passed, failed and was skipped."""


def rows() -> Iterator[tuple[str, str, list[str]]]:
    """Of each thing that can go wrong its area, what it is, and the tests that try it."""
    for area, faults in tomllib.loads(ROWS.read_text("utf-8")).items():
        for fault, tests in faults.items():
            yield area.replace("-", " "), fault, tests


def endings(folder: Path) -> Endings:
    """How the tests ended, by the JUnit files in a folder. Of two runs the later counts."""
    cases: dict[tuple[str, str], str] = {}
    for file in sorted(folder.glob("junit*.xml")):
        for case in ElementTree.parse(file).iter("testcase"):
            name = case.get("name", "")
            test = case.get("classname", "").replace(".", "/") + ".py::" + name.partition("[")[0]
            kinds = {child.tag for child in case}
            cases[test, name] = ("failed" if kinds & {"failure", "error"}
                                 else "skipped" if "skipped" in kinds else "passed")
    found: dict[str, Counter[str]] = defaultdict(Counter)
    for (test, _), ending in cases.items():
        found[test][ending] += 1
    return found


def property_tests(folder: Path = ROOT / "tests") -> list[str]:
    """The ids of the tests that Hypothesis feeds."""
    found = []
    for file in sorted(folder.rglob("test_*.py")):
        for node in ast.parse(file.read_text("utf-8")).body:
            if isinstance(node, ast.FunctionDef) and any(
                    ast.unparse(mark).startswith("given(") for mark in node.decorator_list):
                found.append(f"{file.relative_to(ROOT).as_posix()}::{node.name}")
    return found


# ── The page ─────────────────────────────────────────────────────────────────────────


def page(run: Endings, folder: Path) -> str:
    parts = [
        "# Reliability\n",
        f"Written by `python -m tests.reliability` on {datetime.date.today()}, from what a run of "
        f"the tests left.\n{reports.machine()}.\n",
        "## Faults tried\n", _faults(run),
        "## Load and chaos\n", "\n".join(_loads(folder)) or "Not run.\n",
        "## Inputs fuzzed\n", _fuzzed(run, folder),
        "## Guards\n", _guards(_found("mutations", folder)),
        "## Known faults in dependencies\n",
        "No run of the tests asks anybody outside. `.venv/bin/python .ci/audit` does, and must be "
        "run by hand where the internet is: see [SECURITY.md](../SECURITY.md).\n",
    ]
    return "\n".join(parts)


def _found(name: str, folder: Path) -> list[dict]:
    """What the longer form left and what the one in a run of the tests did."""
    return [figures for each in (name, f"{name}-short") if (figures := reports.read(each, folder))]


def _faults(run: Endings) -> str:
    lines = ["| | what goes wrong | cases tried | survived |", "|---|---|---|---|"]
    every: set[str] = set()
    for area, fault, tests in rows():
        ended = _together(run, tests)
        every.update(tests)
        lines.append(f"| {area} | {fault} | {_number(ended)} | {_verdict(ended)} |")
    total = _together(run, every)  # one that tries several things counts once
    lines.append(f"| | **all** | {_number(total)} | {_verdict(total)} |")
    return "\n".join(lines) + "\n\nWhich test tries which: `tests/faults.toml`.\n"


def _together(run: Endings, tests: Collection[str]) -> Counter[str]:
    return sum((run.get(test, Counter(skipped=1)) for test in tests), Counter[str]())


def _number(ended: Counter[str]) -> str:
    return str(ended["passed"] + ended["failed"])


def _verdict(ended: Counter[str]) -> str:
    said = [f"{ended['failed']} failed"] * bool(ended["failed"])
    said += [f"{ended['skipped']} not run"] * bool(ended["skipped"])
    return ", ".join(said) or "all"


LOADS = {"soak": "one process, killed once, and its model's server again and again",
         "replicas": "two processes behind nginx, one killed in mid-reply"}
"""By the name of the report and the module: what was run."""


def _loads(folder: Path) -> Iterator[str]:
    for name, what in LOADS.items():
        for figures in _found(name, folder):
            yield _load(name, what, figures)


def _load(name: str, what: str, figures: dict) -> str:
    done = ", ".join(f"{act} {number}" for act, number in sorted(figures["done"].items()))
    measured = ", ".join(f"{figure.replace('_', ' ')} {number:g}"
                         for figure, number in figures["figures"].items())
    wrong = "".join(f"\n- {each[:300]}" for each in figures["wrong"])
    return (f"{figures['date']}: {figures['people']} people for {figures['seconds']:g} seconds, "
            f"{what} (`python -m tests.{name}`), on {figures['on']}.\n\n"
            f"- Done: {done}.\n- Finished turns, each looked for in the database afterwards: "
            f"{figures['finished_turns']}.\n- Measured: {measured}.\n- Lost, mixed up, leaked or "
            f"left behind: {'nothing' if not wrong else ''}{wrong}\n")


def _fuzzed(run: Endings, folder: Path) -> str:
    lines = []
    for name, what in (("images", "damaged pictures"), ("imports", "damaged files")):
        found = _found(name, folder)
        lines += [f"- {what}: not run."] * (not found)
        for figures in found:
            ends = ", ".join(f"{outcome} {number:,}"
                             for outcome, number in figures["outcomes"].items())
            lines.append(f"- {figures['date']}: {figures['count']:,} {what}, {figures['faults']} "
                         f"faults; {ends}; slowest {figures['slowest_seconds']:.2f} s, largest "
                         f"{figures['largest_megabytes']:.0f} MB.")
    files: dict[str, Counter[str]] = defaultdict(Counter)
    for test in property_tests():
        files[test.partition("::")[0]] += run.get(test, Counter(skipped=1))
    lines += [f"- Property tests, each with some hundred inputs of Hypothesis' making: "
              f"{sum(map(Counter.total, files.values()))} in {len(files)} files, of which "
              f"{sum(ended['passed'] for ended in files.values())} passed:"]
    lines += [f"  - `{file}`: {ended.total()}" for file, ended in files.items()]
    return "\n".join(lines) + "\n"


def _guards(found: list[dict]) -> str:
    if not found:
        return "Not run.\n"
    lines = ["Each was taken out of a copy of the tree, and its tests run "
             "(`python -m tests.mutations`).\n", "| without | fails | on |", "|---|---|---|"]
    # The shorter form tries some of the same: what was tried last counts.
    last = {each["guard"]: (each["failed"], figures["date"])
            for figures in sorted(found, key=lambda figures: figures["date"])
            for each in figures["guards"]}
    lines += [f"| {guard} | {f'`{failed}`' if failed else 'nothing'} | {day} |"
              for guard, (failed, day) in last.items()]
    return "\n".join(lines) + "\n"


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", type=Path, default=reports.FOLDER.parent,
                        help="the folder that a run of the tests left")
    chosen = parser.parse_args()
    PAGE.write_text(page(endings(chosen.results), chosen.results / "reliability"), "utf-8")
    print(PAGE.relative_to(ROOT))


if __name__ == "__main__":
    main()
