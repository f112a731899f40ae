"""What a benchmark says: a row of median, spread, goal, and whether that is met.

This module does not know what is measured.
"""

from __future__ import annotations

import itertools
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True)
class Options:
    """How thoroughly to measure."""

    repeats: int = 5
    quick: bool = False
    """One short look at each, to see that it runs. Its figures mean nothing."""

    @property
    def times(self) -> range:
        return range(1 if self.quick else self.repeats)

    def sized(self, full: int, quick: int) -> int:
        """How many of something: `full`, or `quick` for a short look."""
        return quick if self.quick else full


@dataclass(frozen=True)
class Row:
    """One figure. A row that could not be measured has no median, and says why in `note`."""

    name: str
    median: float | None
    spread: tuple[float, float] | None
    """The least and the most of the repeats; None for a single figure."""
    unit: str
    goal: str | None = None
    """"at most 1.05", "at least 2.5"; None: there is none."""
    met: bool | None = None
    note: str = ""

    def as_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, written: dict[str, Any]) -> Row:
        spread = written["spread"]
        return cls(**{**written, "spread": tuple(spread) if spread else None})


def row(name: str, values: Sequence[float] | float, unit: str, *, at_most: float | None = None,
        at_least: float | None = None, note: str = "") -> Row:
    """The median of `values`, held against its goal."""
    values = [float(values)] if isinstance(values, int | float) else list(values)
    median = statistics.median(values)
    goal, met = None, None
    if at_most is not None:
        goal, met = f"at most {at_most:g}", median <= at_most
    elif at_least is not None:
        goal, met = f"at least {at_least:g}", median >= at_least
    spread = (min(values), max(values)) if len(values) > 1 else None
    return Row(name, median, spread, unit, goal, met, note)


def ratio(name: str, over: Sequence[float], under: Sequence[float], **goal: Any) -> Row:
    """The median of the ratios, pair by pair: what slowed both of a pair cancels out."""
    return row(name, [one / other for one, other in zip(over, under, strict=True)], "times", **goal)


def could_not(name: str, error: BaseException) -> Row:
    """The row of what could not be measured."""
    said = str(error).strip().splitlines()
    return Row(name, None, None, "", note=f"not measured: {type(error).__name__}: "
                                          f"{said[0][:200] if said else ''}")


def in_turn(options: Options, *measures: Callable[[int], None]) -> None:
    """Call each with the number of the repeat, in another order each time.

    So none is always the one that comes after a given other, and none gets all of a
    disturbance that lasts a while.
    """
    for repeat in options.times:
        first = repeat % len(measures)
        for measure in (*measures[first:], *measures[:first]):
            measure(repeat)


def until(true: Callable[[], object], what: str, *, seconds: float = 60,
          every: float = 0.005) -> float:
    """Wait until `true()`. The time by `time.perf_counter` at which it was."""
    deadline = time.perf_counter() + seconds
    while not true():
        if time.perf_counter() > deadline:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(every)
    return time.perf_counter()


SUBJECTS = ("a fox", "a lighthouse", "a clockmaker", "two rivers", "a lost letter", "an old bridge",
            "a violin", "a desert town", "the night train", "a quiet harbour", "a glass garden",
            "three brothers", "a winter market", "a stray dog", "the last map", "a stone tower")


_numbers = itertools.count()


def new_question() -> str:
    """One that takes more than 200 tokens to answer, and was not asked in this run yet.

    No engine has any of it in its cache, but for the words before the question.
    """
    number = next(_numbers)
    chapter, subject = divmod(number, len(SUBJECTS))
    return f"Write chapter {chapter + 1} of a long story about {SUBJECTS[subject]}."
