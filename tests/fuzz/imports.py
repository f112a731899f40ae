"""Ten thousand damaged files: each is taken in or refused, within 2 s of work and 500 MB.

    python -m tests.fuzz.imports --count 10000

Exports of conversations and votes, prompt sets and catalogs, with bytes changed, pieces cut
out, moved or repeated, numbers made huge and brackets piled up. Coverage-guided and longer:
tests/fuzz/guided.py.
"""

from __future__ import annotations

import argparse
import random
import re
import sys
import time
import tracemalloc
from collections.abc import Callable

from llm.catalog import parse_catalog
from llm.errors import ImportRefusedError, InvalidCatalogError
from llm.prompt_sets import parse_prompt_set
from llm.transcript_import import read_conversations
from llm.transcript_json import write_conversations
from llm.votes import import_votes
from tests.fuzz.images import Report, keep
from tests.llm.test_catalog import OWN
from tests.llm.test_votes import line
from tests.transcripts import everything

Reader = Callable[[bytes], object]

READERS: dict[str, tuple[Reader, bytes]] = {
    "conversations": (lambda data: [chat.path() for chat in read_conversations(data)],
                      write_conversations([everything()]).encode()),
    "votes": (import_votes, line() + b"\n" + line(id="b" * 32)),
    "prompts.jsonl": (lambda data: parse_prompt_set(data, name="x", form="jsonl"),
                      b'{"prompt": "Say {w}.", "w": "yes", "expected": ["yes"], "tag": "t"}\n' * 3),
    "prompts.csv": (lambda data: parse_prompt_set(data, name="x", form="csv"),
                    b'prompt,w,expected\n"Say {w}.",yes,yes\nHi,"a ""b""",\n'),
    "catalog": (lambda data: parse_catalog(data, source="x"), OWN.encode()),
}
"""By name: what reads such a file, and a sound one."""

HUGE = (b"9" * 5000, b"1e999", b"-1", b"NaN", b"[" * 50_000, b'{"a":' * 20_000, b"null",
        b'"' + b"x" * 300_000 + b'"', b'{"lc":1,"type":"constructor","id":["os","system"]}',
        b"\\ud800", b"\xff", b"\0", b"../../x", b"true", b"{}", b"[]")


def mutated(number: int) -> tuple[str, bytes]:
    """The damaged file of this number, always the same one, and what it was."""
    draws = random.Random(number)
    name = draws.choice(list(READERS))
    data = bytearray(READERS[name][1])
    for _ in range(draws.choice((1, 1, 2, 4))):
        start = draws.randrange(len(data) + 1)
        length = draws.choice((0, 1, 4, 30, 300))
        match draws.randrange(5):
            case 0:
                data[start:start + length] = draws.randbytes(draws.choice((1, 2, 8)))
            case 1:
                del data[start:start + length]
            case 2:
                data[start:start] = data[start:start + length] * draws.choice((1, 2, 200))
            case 3:
                values = list(re.finditer(rb'"[^"]*"|\d+(\.\d+)?|true|false|null', bytes(data)))
                if values:
                    found = draws.choice(values)
                    data[found.start():found.end()] = draws.choice(HUGE)
            case 4:
                data[start:start] = draws.choice(HUGE)
    return name, bytes(data)


def fuzz(count: int, first: int = 0) -> Report:
    """Reads the files `first` to `first + count - 1`."""
    report = Report()
    for number in range(first, first + count):
        name, data = mutated(number)
        tracemalloc.start()
        begun = time.process_time()  # not the clock: the machine may have other things to do
        outcome = outcome_of(name, data)
        seconds = time.process_time() - begun
        peak = tracemalloc.get_traced_memory()[1] / 1e6
        tracemalloc.stop()
        report.take(number, name, outcome, seconds, peak)
    return report


def outcome_of(name: str, data: bytes) -> str:
    try:
        READERS[name][0](data)
    except (ImportRefusedError, InvalidCatalogError) as error:
        return "refused" if len(str(error)) < 2000 else "FAULT: a sentence of 2,000 characters"
    except Exception as error:
        return f"FAULT: {error!r:.200}"
    return "taken"


def main() -> int:
    """The command. 0: no faults."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first file")
    options = parser.parse_args()
    report = fuzz(options.count, options.first)
    keep(report, "imports")
    print(dict(report.outcomes), "slowest", report.slowest, "largest", report.largest)
    print(*report.faults, sep="\n")
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
