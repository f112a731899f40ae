"""What each model showed on this machine: medians and sums over replies that ran here.

    scores = score([measure(reply) for reply in replies])
    print(scores[0].first_token_seconds.median)

Figures only: no reply's words are kept or exported. This module does not know where the
replies were kept, pages or models.
"""

from __future__ import annotations

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from llm import spreadsheet
from llm.replies import Ending, Reply

FORMAT, VERSION = "parley-scorecard", 1


@dataclass(frozen=True)
class Measured:
    """The figures of one reply that has ended. None where a figure is not known."""

    model_id: str
    started_at: float
    """Seconds since the epoch."""
    ending: str
    error_type: str | None
    first_token_seconds: float | None
    total_seconds: float | None
    tokens_per_second: float | None
    """After the first token."""
    input_tokens: int | None
    output_tokens: int | None
    tokens_measured: bool
    """True: the service counted. False: estimated here."""
    usd: float | None
    """0 on this machine."""

    @property
    def failed(self) -> bool:
        return self.ending == Ending.FAILED


def measure(reply: Reply) -> Measured:
    """The figures of a reply that has ended."""
    return Measured(
        reply.model_id, reply.started_at, reply.ending.value, reply.error_type,
        reply.first_token_seconds, reply.total_seconds, reply.tokens_per_second,
        reply.input_tokens, reply.output_tokens, reply.tokens_measured,
        reply.cost.usd if reply.cost is not None else None)


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and between what the middle half of them lies."""

    median: float
    low: float
    """The first quartile; the median where there is but one value."""
    high: float
    """The third."""
    count: int


@dataclass(frozen=True)
class Score:
    """One model's figures. Failed replies count as such, and are in no time and no rate."""

    model_id: str
    replies: int
    """All of them, failed ones too."""
    failed: int
    failures: dict[str, int]
    """Kind of error (a class of `llm.errors`) -> how often."""
    first_token_seconds: Spread | None
    total_seconds: Spread | None
    tokens_per_second: Spread | None
    input_tokens: int
    output_tokens: int
    estimated: int
    """Replies whose tokens were estimated, not counted by the service."""
    usd: float | None
    """What is known to have been paid, None where no cost is known. 0 on this machine."""
    usd_unknown: int
    """Replies with tokens whose cost is not known: `usd` leaves them out."""


def score(measured: Iterable[Measured]) -> list[Score]:
    """A score for each model, the most used first. A reply given twice counts once."""
    once = {(figures.model_id, figures.started_at): figures for figures in measured}
    by_model: dict[str, list[Measured]] = defaultdict(list)
    for figures in once.values():
        by_model[figures.model_id].append(figures)
    return sorted((_score(model_id, figures) for model_id, figures in by_model.items()),
                  key=lambda found: (-found.replies, found.model_id))


def _score(model_id: str, measured: Sequence[Measured]) -> Score:
    good = [figures for figures in measured if not figures.failed]
    failures = Counter(figures.error_type or "unknown" for figures in measured if figures.failed)
    costs = [figures.usd for figures in measured if figures.usd is not None]
    return Score(
        model_id, len(measured), len(measured) - len(good), dict(failures.most_common()),
        first_token_seconds=spread(figures.first_token_seconds for figures in good),
        total_seconds=spread(figures.total_seconds for figures in good),
        tokens_per_second=spread(figures.tokens_per_second for figures in good),
        input_tokens=sum(figures.input_tokens or 0 for figures in measured),
        output_tokens=sum(figures.output_tokens or 0 for figures in measured),
        estimated=sum(figures.output_tokens is not None and not figures.tokens_measured
                      for figures in measured),
        usd=sum(costs) if costs else None,
        usd_unknown=sum(figures.output_tokens is not None and figures.usd is None
                        for figures in measured))


def spread(values: Iterable[float | None]) -> Spread | None:
    """Median and quartiles of the values that there are; None if there are none."""
    known = [value for value in values if value is not None]
    if not known:
        return None
    if len(known) == 1:
        return Spread(known[0], known[0], known[0], 1)
    low, median, high = statistics.quantiles(known, n=4, method="inclusive")
    return Spread(median, low, high, len(known))


def as_rows(scores: Iterable[Score]) -> list[dict[str, Any]]:
    """One flat row for each model, in SI units and US dollars."""
    rows = []
    for found in scores:
        row: dict[str, Any] = {"model_id": found.model_id, "replies": found.replies,
                               "failed": found.failed}
        for name in ("first_token_seconds", "total_seconds", "tokens_per_second"):
            known: Spread | None = getattr(found, name)
            row |= {f"{name}_median": known and known.median, f"{name}_quartile_1":
                    known and known.low, f"{name}_quartile_3": known and known.high}
        rows.append(row | {
            "input_tokens": found.input_tokens, "output_tokens": found.output_tokens,
            "replies_with_estimated_tokens": found.estimated, "usd": found.usd,
            "replies_of_unknown_cost": found.usd_unknown})
    return rows


def to_csv(scores: Sequence[Score]) -> str:
    """The rows as CSV for spreadsheets."""
    return spreadsheet.to_csv(as_rows(scores), when_empty=["model_id"])


def to_json(measured: Sequence[Measured]) -> str:
    """The scores, and the figures of every reply that they were made of."""
    return json.dumps({
        "format": FORMAT, "version": VERSION,
        "models": [asdict(found) for found in score(measured)],
        "replies": [asdict(figures) for figures in measured],
    }, indent=2, ensure_ascii=False)
