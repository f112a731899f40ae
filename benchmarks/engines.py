"""The same weights in every way that people run them: one person, a long prompt, eight at once.

Each rate is also told as the share of what the memory allows, measured in the same run: a
token cannot come sooner than all of the weights have been read once.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from benchmarks import machine, ways
from benchmarks.asking import Timing, user
from benchmarks.rows import Options, Row, could_not, in_turn, new_question, ratio, row
from benchmarks.ways import WAYS, Way

PEOPLE = 8
LONG_SENTENCES = 76
"""Which make a prompt of about 1,475 tokens."""

Found = dict[str, list[float]]


def long_prompt(number: int, sentences: int = LONG_SENTENCES) -> str:
    """A prompt of which nothing was asked before, about 19 tokens a sentence."""
    sentences = [f"Item {item}: the quick brown fox number {item} jumps over the lazy dog."
                 for item in range(sentences)]
    return f"List {number}. {' '.join(sentences)} What is the first item?"


def measure(options: Options) -> Iterable[Row]:
    """All ways that run here, in turn."""
    megabytes = options.sized(1024, 64)
    gigabytes = [machine.read_gigabytes_per_second(megabytes=megabytes)]
    found: dict[str, Found] = {}
    with ExitStack() as running:
        started: dict[str, Way] = {}
        for name, start in WAYS.items():
            try:
                started[name] = running.enter_context(start())
                started[name].ask(user(new_question()), 8)  # loads, connects, fills caches
            except Exception as error:
                started.pop(name, None)
                yield could_not(name, error)
        for name in started:
            found[name] = defaultdict(list)
        in_turn(options, *(_look(way, found[name], options) for name, way in started.items()))
    gigabytes.append(machine.read_gigabytes_per_second(megabytes=megabytes))
    yield row("memory is read at", gigabytes, "GB/s", note="by all cores together")
    for name, figures in found.items():
        yield from _told(name, started[name], figures, max(gigabytes))
    yield from _compared(found)


def _look(way: Way, found: Found, options: Options) -> Callable[[int], None]:
    def look(repeat: int) -> None:
        short = way.ask(user(new_question()), options.sized(100, 20))
        found["first"].append(short.first)
        found["rate"].append(short.rate)
        asked = user(long_prompt(repeat, options.sized(LONG_SENTENCES, 10)))
        long = way.ask(asked, options.sized(30, 5))
        found["prompt tokens"].append(long.prompt_tokens)
        found["long first"].append(long.first)
        follow_up = [*asked, {"role": "assistant", "content": long.text}, *user("And the second?")]
        found["follow-up"].append(way.ask(follow_up, 5).first)
        eight(way, found, options.sized(40, 10))
    return look


def eight(way: Way, found: Found, tokens: int) -> None:
    """Ask so many questions at the same moment."""
    begun = time.perf_counter()
    replies: list[Timing] = way.ask_at_once([user(new_question()) for _ in range(PEOPLE)], tokens)
    found["together"].append(sum(reply.tokens for reply in replies)
                             / (time.perf_counter() - begun))
    found["slowest"].append(max(reply.first for reply in replies))


def _told(name: str, way: Way, found: Found, gigabytes: float) -> Iterable[Row]:
    ours = name == "built-in"
    shares = [rate * way.bytes / 1e9 / gigabytes for rate in found["rate"]]
    yield row(f"{name}: first token", found["first"], "s")
    yield row(f"{name}: rate", found["rate"], "tokens/s")
    yield row(f"{name}: rate as a share of what memory allows", shares, "times",
              **({"at_least": 0.65} if ours else {}))
    yield row(f"{name}: first token of a long prompt", found["long first"], "s",
              note=f"{found['prompt tokens'][0]:.0f} tokens")
    yield row(f"{name}: first token of the next question on it", found["follow-up"], "s",
              **({"at_most": 0.1} if ours else {}))
    yield row(f"{name}: eight at once, together", found["together"], "tokens/s")
    yield row(f"{name}: eight at once, the slowest's first token", found["slowest"], "s",
              **({"at_most": 0.5} if ours else {}))


COMPARED = (
    ("rate", "rate", "tutorial", {"at_least": 2.5}),
    ("rate", "rate", "llama.cpp Q4_1", {"at_least": 1}),
    ("first token of a long prompt", "long first", "llama.cpp Q4_1", {"at_most": 0.5}),
    ("eight at once, together", "together", "llama.cpp Q4_1", {"at_least": 1}),
    ("eight at once, together", "together", "tutorial", {"at_least": 4}),
)
"""What the built-in is held against: the row's name, the figure, the other way, the goal."""


def _compared(found: dict[str, Found]) -> Iterable[Row]:
    for what, figure, other, goal in COMPARED:
        if "built-in" in found and other in found:
            yield ratio(f"{what}: built-in / {other}", found["built-in"][figure],
                        found[other][figure], **goal)


def transformers_rows(options: Options) -> Iterable[Row]:
    """The app's transformers engine beside the bare server: its guards are to cost nothing."""
    found: dict[str, Found] = {"the app's": defaultdict(list), "bare": defaultdict(list)}
    with ways.transformers_of_the_app() as own, ways.transformers_serve() as bare:
        for way in (own, bare):
            way.ask(user(new_question()), 8)
        in_turn(options, *(_look_short(way, figures, options)
                           for way, figures in zip((own, bare), found.values(), strict=True)))
    for what, unit in (("first", "s"), ("total", "s"), ("eight", "s")):
        for name, figures in found.items():
            yield row(f"transformers serve, {name}: {WHAT[what]}", figures[what], unit)
        yield ratio(f"transformers serve, {WHAT[what]}: the app's / bare",
                    found["the app's"][what], found["bare"][what], at_most=1.1)


WHAT = {"first": "first token", "total": "60 tokens", "eight": "eight at once"}


def _look_short(way: Way, found: Found, options: Options) -> Callable[[int], None]:
    def look(_repeat: int) -> None:
        short = way.ask(user(new_question()), options.sized(60, 10))
        found["first"].append(short.first)
        found["total"].append(short.total)
        begun = time.perf_counter()
        way.ask_at_once([user(new_question()) for _ in range(PEOPLE)], options.sized(30, 5))
        found["eight"].append(time.perf_counter() - begun)
    return look
