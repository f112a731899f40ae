"""What so many people need, from measured figures: the app's processes, memory, model servers.

    python -m benchmarks.capacity 300                  what 300 people need
    python -m benchmarks.capacity 300 --replying 0.5 --rate 30
    python -m benchmarks.capacity --check              what it predicts beside what was measured
    python -m benchmarks.capacity --measure http://gpu:8000/v1 --model our-model \\
        --key-from VLLM_KEY --name "H100, vLLM, SmolLM3-3B"      a further model server

The app's figures are those of docs/performance.json, in seconds of one core: `q`, what a question
costs, and `w`, what a second of the reply to it costs but for drawing it as it grows. That is
the difference between two rates, by tokens. Drawing is left out because it yields: with more
people each sees the text grow less often (components/growing.py), and none waits for it. A reply
takes `T` seconds at the model's rate.

**How many processes.** Of N people a share has a reply on its way at any time, n in all, and asks
the next thing when it ends: n·(w + q/T) cores. Python runs one core's worth a process, of which
drawing is to have half; FULL is the other.

**The last word**, if all n ask at the same moment, which is the worst case:

    T·max(1, u) + n·q/p / (1 - min(u, 1)/2)        u = max(n·w/p, n·(w + beside)/c)

p processes of the app on c cores, and `beside` what else those cores do for a second of a reply.
The first: replies come at the model's rate, or slower once there is more to do than cores or
processes can. The second: pages are drawn one after another, and the last person's when all the
others' have been; they get what growing replies leave, of which there are n/2 on average
until then. Assumed is that each person's work is like another's, and that nginx spreads people
evenly. Where u is above 1 it takes longer than this, since drawing has its part too. The
measured people were simulated on the app's own cores, which `beside` holds; where the app
has cores of its own, it is nothing.

**Memory** is what a process takes that is in use, and for each open tab what one more took.
**Model servers**: the people who have a reply on its way, over what one server carries at the
rate asked for (benchmarks/model_servers.py).
"""

from __future__ import annotations

import argparse
import json
import math
import os
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import model_servers, report
from benchmarks.model_servers import ModelServer
from benchmarks.report import Results
from benchmarks.sessions import FASTER, RATE, SIZES, TOKENS
from llm.endpoint import Endpoint

FULL = 0.5
"""The share of the time that a process is to be busy at most, but for drawing what grows."""
REPLYING = 0.33
"""Of a class, seldom more than a third have a reply on its way at once."""

PAGE = report.PAGE.with_name("scaling.md")
MARKED = re.compile(r"(?<=<!-- python -m benchmarks.capacity --check -->\n).*?(?=<!-- end -->)",
                    re.DOTALL)
"""Where the page has the table."""
NOT_MEASURED = ("Not measured yet: `python -m benchmarks --only sessions "
                "--from docs/performance.json --write`.")


class NotMeasured(Exception):
    """A row that is needed is not in the results."""


class Cost(NamedTuple):
    """Seconds of one core."""

    question: float
    second: float
    """For each second of the reply to it."""


SECOND = "a second of a reply at {rate} tokens/s: processor time of the {whose}"
QUESTION = "a question: processor time of the app"
MEMORY = "{} streaming at once: memory of the app"


@dataclass(frozen=True)
class Measured:
    """The app's figures, and the machine's."""

    cores: int
    rows: dict[str, float]

    @classmethod
    def of(cls, machine: dict[str, Any], results: Results) -> Measured:
        return cls(machine["cores"], {found.name: found.median
                                      for found in results.get("sessions", ())
                                      if found.median is not None})

    def row(self, name: str) -> float:
        if name not in self.rows:
            raise NotMeasured(name)
        return self.rows[name]

    def cost(self, rate: float = RATE) -> Cost:
        """The app's, at any rate: by what a token cost from the one measured to the other."""
        slow, fast = (self.row(SECOND.format(rate=known, whose="app")) for known in (RATE, FASTER))
        token = max(0.0, fast - slow) / (FASTER - RATE)
        return Cost(self.row(QUESTION), token * rate)

    def beside(self) -> float:
        """Seconds of one core, of all else on the cores measured, for each second of a reply."""
        return self.row(SECOND.format(rate=RATE, whose="people and the model"))

    def megabytes(self) -> float:
        """Of a process that people use, less what each of them takes."""
        few = SIZES[0]
        return self.row(MEMORY.format(few)) - few * self.megabytes_each()

    def megabytes_each(self) -> float:
        """Of one more person's tab."""
        few, many = (self.row(MEMORY.format(people)) for people in (SIZES[0], SIZES[-1]))
        return max(0.0, (many - few) / (SIZES[-1] - SIZES[0]))


def last_word(people: float, ideal: float, cost: Cost, *, processes: int, cores: int,
              beside: float = 0.0) -> float:
    """Seconds within which all have the last word of a reply that takes `ideal` at best."""
    busy = max(people * cost.second / processes, people * (cost.second + beside) / cores)
    pages = people * cost.question / min(processes, cores)
    return ideal * max(1, busy) + pages / (1 - min(busy, 1) / 2)


@dataclass(frozen=True)
class Needs:
    """What so many people need."""

    at_once: float
    """People with a reply on its way."""
    cores: float
    """What the app does, in cores that are busy all the time, but for drawing what grows."""
    processes: int
    megabytes: float
    """Of all processes."""
    tokens_per_second: float
    """Of all model servers together."""
    times_the_ideal: float
    """When the last one has the last word if all of them ask at the same moment."""


def needs(people: int, measured: Measured, *, replying: float = REPLYING, rate: float = RATE,
          tokens: int = TOKENS) -> Needs:
    """Replies of `tokens`, at `rate` a second, to the share `replying` of the people at a time."""
    cost, ideal, at_once = measured.cost(rate=rate), tokens / rate, people * replying
    cores = at_once * (cost.second + cost.question / ideal)
    processes = max(1, math.ceil(cores / FULL))
    return Needs(at_once, cores, processes,
                 processes * measured.megabytes() + people * measured.megabytes_each(),
                 at_once * rate,
                 last_word(at_once, ideal, cost, processes=processes, cores=processes) / ideal)


def servers_for(at_once: float, server: ModelServer, rate: float) -> int | None:
    """How many such servers; None if it is too slow for even one reply at that rate."""
    carried = server.carries(rate)
    return math.ceil(at_once / carried) if carried else None


# ── The check ────────────────────────────────────────────────────────────────────────


def check(measured: Measured) -> Iterator[tuple[int, float, float]]:
    """People at once, predicted and measured times the ideal until the last word."""
    ideal = TOKENS / RATE
    for people in SIZES:
        found = measured.row(f"{people} streaming at once: that over the ideal")
        predicted = last_word(people, ideal, measured.cost(), processes=1, cores=measured.cores,
                              beside=measured.beside())
        yield people, predicted / ideal, found


def table(measured: Measured) -> str:
    """The check as Markdown."""
    try:
        lines = [f"| {people} | {predicted:.2f} | {found:.2f} | {predicted / found:.2f} |"
                 for people, predicted, found in check(measured)]
    except NotMeasured:
        return NOT_MEASURED
    return "\n".join(["| people at once | predicted, times the ideal | measured | "
                      "predicted / measured |", "|---:|---:|---:|---:|", *lines])


def write_table(data: Path = report.DATA, page: Path = PAGE) -> None:
    """Put the check's table into the page, in place of the one there."""
    said = table(Measured.of(*_read(data)))
    page.write_text(MARKED.sub(lambda _: said + "\n", page.read_text("utf-8")), "utf-8")


# ── The command ──────────────────────────────────────────────────────────────────────


def _read(data: Path) -> tuple[dict[str, Any], Results]:
    text = data.read_text("utf-8")
    return json.loads(text)["machine"], report.from_json(text)


def say(people: int, found: Needs, servers: Sequence[ModelServer], rate: float) -> str:
    """What they need, for a terminal."""
    lines = [f"{people} people, {found.at_once:.0f} of them with a reply on its way at {rate:g} "
             "tokens/s:",
             f"  processes of the app  {found.processes}, a core each",
             f"  their memory          {found.megabytes:,.0f} MB",
             f"  if all ask at once    the last word within {found.times_the_ideal:.2f} times what "
             "the model takes",
             f"  model servers         {found.tokens_per_second:,.0f} tokens/s in all"]
    for server in servers:
        number = servers_for(found.at_once, server, rate)
        carried = f"{server.carries(rate)} replies each" if number else "too slow for one reply"
        lines.append(f"{number or '–':>22}  {server.name} ({carried})")
    return "\n".join(lines)


def main(arguments: Sequence[str]) -> None:
    parser = _parser()
    asked = parser.parse_args(arguments)
    if asked.measure:
        if not asked.name or not asked.model:
            parser.error("--measure wants --model and --name")
        if asked.key_from and asked.key_from not in os.environ:
            parser.error(f"{asked.key_from} is not set")
        key = os.environ[asked.key_from] if asked.key_from else "none"
        endpoint = Endpoint(asked.measure.rstrip("/"), key, asked.model)
        server = model_servers.measure(asked.name, endpoint, at_once=asked.at_once)
        model_servers.keep(server, asked.servers)
        for number, tokens in server.together.items():
            print(f"{number:4} at once: {tokens:,.0f} tokens/s together")
        return
    if not asked.people and not asked.check:
        parser.error("say how many people, --check or --measure")
    machine, results = _read(asked.data)
    measured = Measured.of(machine, results)
    if asked.check:
        print(table(measured))
    if asked.people:
        servers = [*model_servers.engines(machine, results), *model_servers.read(asked.servers)]
        try:
            found = needs(asked.people, measured, replying=asked.replying, rate=asked.rate,
                          tokens=asked.tokens)
        except NotMeasured as row:
            sys.exit(f"{asked.data} has no row “{row}”. {NOT_MEASURED}")
        print(say(asked.people, found, servers, asked.rate))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.capacity",
                                     description=__doc__.splitlines()[0])
    parser.add_argument("people", type=int, nargs="?")
    parser.add_argument("--replying", type=float, default=REPLYING, metavar="SHARE",
                        help="of the people, who have a reply on its way at a time (%(default)s)")
    parser.add_argument("--rate", type=float, default=RATE, metavar="TOKENS_PER_S",
                        help="of each reply; 20 is about as fast as anybody reads (%(default)s)")
    parser.add_argument("--tokens", type=int, default=TOKENS, help="of a reply (%(default)s)")
    parser.add_argument("--check", action="store_true",
                        help="what it predicts for the people who were measured, beside that")
    parser.add_argument("--data", type=Path, default=report.DATA, metavar="FILE",
                        help="what `python -m benchmarks --json FILE` wrote")
    parser.add_argument("--servers", type=Path, default=model_servers.FILE, metavar="FILE",
                        help="where measured model servers are kept")
    parser.add_argument("--measure", metavar="BASE_URL", help="ask the model server there, and "
                        "keep how many tokens a second it makes")
    parser.add_argument("--model", metavar="NAME", help="the model's, at that server")
    parser.add_argument("--key-from", metavar="ENVVAR",
                        help="the environment variable that holds the server's key")
    parser.add_argument("--at-once", type=int, nargs="+", default=model_servers.AT_ONCE,
                        metavar="N", help="how many questions (1 8 32 64)")
    parser.add_argument("--name", help="what it is kept under: the GPU, the server and the model")
    return parser


if __name__ == "__main__":
    main(sys.argv[1:])
