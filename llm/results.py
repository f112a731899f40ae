"""What an evaluation came to: each model's quality, latency and cost, and files to keep.

    results = load_results(folder)          # or a results.jsonl
    results.summaries, results.table(), results.differing()

Every figure has its interval. Runs of one prompt hang together, so it is prompts that
are counted, each with the mean or median of its runs: repeating a prompt a hundred times
makes an evaluation steadier, not surer. Failed rows are counted, and are in no other figure.

This module does not know how rows are run, nor how results are drawn (`llm.report`).
"""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import fmean, median
from typing import Any

from llm.differences import steadiness
from llm.errors import StorageError
from llm.journal import Contender, Contents, Plan, Row, read_contents, read_folder
from llm.spreadsheet import to_csv
from llm.standings import CONFIDENCE, Estimate, Standings, share, standings

RESAMPLES = 1_000


@dataclass(frozen=True)
class Median:
    """A median over prompts with its 95% percentile bootstrap interval (scipy).

    `low` and `high` are None for fewer than two prompts.
    """

    value: float
    low: float | None
    high: float | None
    prompts: int


@dataclass(frozen=True)
class Summary:
    """One model with one of the plan's settings, over all rows that have run."""

    name: str
    contender: Contender
    rows: int
    failed: int
    quality: Estimate | None
    """The mean score, 0 to 1, with the Wilson interval for as many prompts. Between all or
    nothing a score varies less than a coin, so for chrF the interval errs on the wide side."""
    total_seconds: Median | None
    first_token_seconds: Median | None
    tokens_per_second: Median | None
    output_tokens: Median | None
    usd: Median | None
    """US dollars a row; None where no price is known."""
    usd_in_all: float | None
    steadiness: float | None
    """The mean similarity of runs of the same prompt, 0 to 1; None for single runs."""


@dataclass(frozen=True)
class _Comparison:
    models: tuple[str, str]
    choice: str
    tag: str
    settings: tuple[dict, dict] = ({}, {})


class Results:
    """An evaluation's rows, and what follows from them."""

    def __init__(self, contents: Contents):
        self.plan: Plan = contents.plan
        self.contents = contents
        self.rows: tuple[Row, ...] = tuple(
            contents.rows[key] for model in self.plan.models for key in self.plan.keys_of(model)
            if key in contents.rows)
        """In the order of the plan: by model, run, prompt and settings."""

    @property
    def planned(self) -> int:
        """How many rows there are when all have run."""
        return self.plan.row_count

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """One for each contender that has a row, in the order of the plan."""
        by_contender: dict[Contender, list[Row]] = defaultdict(list)
        for row in self.rows:
            by_contender[row.contender].append(row)
        return tuple(_summary(self.plan.name_of(contender), contender, by_contender[contender])
                     for contender in self.plan.contenders() if contender in by_contender)

    def quality_by_tag(self) -> dict[str, dict[Contender, Estimate]]:
        """The same quality for each tag of the prompt set alone."""
        rows: dict[tuple[str, Contender], list[Row]] = defaultdict(list)
        for row in self.rows:
            rows[self.plan.prompts[row.prompt - 1].tag, row.contender].append(row)
        tags = dict.fromkeys(prompt.tag for prompt in self.plan.prompts)
        return {tag: {contender: estimate for contender in self.plan.contenders()
                      if (estimate := _quality(rows.get((tag, contender), ())))}
                for tag in tags}

    def pareto(self, cost: Callable[[Summary], Median | None]) -> list[Summary]:
        """Those that no other beats in quality without being worse in `cost`, the cheapest first.

        `cost`: what less of is better, such as `lambda s: s.total_seconds`. Contenders
        without quality or cost play no part.
        """
        points = [(summary.quality.value, measure.value, summary) for summary in self.summaries
                  if summary.quality and (measure := cost(summary))]
        front = [summary for quality, spent, summary in points
                 if not any(other >= quality and less <= spent and (other > quality or less < spent)
                            for other, less, _ in points)]
        return sorted(front, key=lambda summary: cost(summary).value)  # type: ignore[union-attr]

    def differing(self) -> set[int]:
        """The numbers of the prompts on which contenders differ: one passes where another
        fails; or, without checks that have a bar, their answers are not the same."""
        by_prompt: dict[tuple[int, int], set[Any]] = defaultdict(set)
        for row in self.rows:
            if not row.failed:
                seen = row.passed if row.passed is not None else row.answer.strip()
                by_prompt[row.prompt, row.run].add(seen)
        return {prompt for (prompt, _), seen in by_prompt.items() if len(seen) > 1}

    @cached_property
    def judge_standings(self) -> Standings | None:
        """What the judge's findings say, as votes do; None if it found nothing."""
        found = [_Comparison((self.plan.name_of(Contender(*line.left)),
                              self.plan.name_of(Contender(*line.right))), line.choice,
                             self.plan.prompts[line.prompt - 1].tag)
                 for line in self.contents.judged.values()]
        return standings(found, catalog=[]) if found else None

    def table(self) -> list[dict[str, Any]]:
        """A dict for each row, flat, with the same names in each: for a data frame or CSV."""
        return [self._flat(row) for row in self.rows]

    def _flat(self, row: Row) -> dict[str, Any]:
        prompt = self.plan.prompts[row.prompt - 1]
        return {
            "prompt_number": row.prompt, "tag": prompt.tag, "prompt": prompt.prompt,
            "system": prompt.system or self.plan.system, "expected": " | ".join(prompt.expected),
            "contender": self.plan.name_of(row.contender), "model": row.model,
            **{f"setting_{name}": self.plan.settings[row.settings].get(name)
               for name in sorted({name for one in self.plan.settings for name in one})},
            "run": row.run, "answer": row.answer, "passed": row.passed, "score": row.score,
            "findings": " ".join(finding.detail for finding in row.findings if finding.detail),
            "ending": str(row.ending), "error": row.error,
            "first_token_seconds": row.first_token_seconds, "total_seconds": row.total_seconds,
            "tokens_per_second": row.tokens_per_second, "input_tokens": row.input_tokens,
            "output_tokens": row.output_tokens, "tokens_measured": row.tokens_measured,
            "usd": row.usd,
        }

    def to_csv(self) -> str:
        """The table as CSV for spreadsheets. A cell that a spreadsheet would run as a formula
        gets an apostrophe before it; the JSON Lines hold the text as it is."""
        return to_csv(self.table(), when_empty=["prompt_number"])

    def to_jsonl(self) -> str:
        """All there is, to be opened again by `parse_results`."""
        return "".join(self.contents.lines())


def load_results(path: str | Path) -> Results:
    """The results in an evaluation's folder, finished or not, or in a results.jsonl.

    Raises `StorageError` or `ImportRefusedError`.
    """
    path = Path(path)
    if path.is_dir():
        return Results(read_folder(path))
    try:
        return parse_results(path.read_bytes(), name=path.name)
    except OSError as error:
        raise StorageError("{path} cannot be read ({reason}).",
                           path=path, reason=error.strerror) from error


def parse_results(data: bytes, *, name: str = "This file") -> Results:
    """The results in a results.jsonl's bytes. Raises `ImportRefusedError`."""
    return Results(read_contents(data, name=name))


def write_results(results: Results, folder: Path) -> list[Path]:
    """Write results.csv, results.jsonl and report.html, each whole or not at all.

    Raises `StorageError`.
    """
    from llm.report import render

    # A spreadsheet takes UTF-8 for what it is by the mark before it.
    texts = {"results.csv": "\ufeff" + results.to_csv(), "results.jsonl": results.to_jsonl(),
             "report.html": render(results)}
    try:
        for name, text in texts.items():
            draft = folder / f".{name}.part"
            draft.write_text(text, encoding="utf-8", newline="")
            os.replace(draft, folder / name)
    except OSError as error:
        raise StorageError("The results cannot be written ({reason}).",
                           reason=error.strerror) from error
    return [folder / name for name in texts]


def _summary(name: str, contender: Contender, rows: Sequence[Row]) -> Summary:
    good = [row for row in rows if not row.failed]
    costs = [row.usd for row in good]
    by_prompt: dict[int, list[str]] = defaultdict(list)
    for row in good:
        by_prompt[row.prompt].append(row.answer)
    steady = [measure for answers in by_prompt.values()
              if (measure := steadiness(answers).mean_similarity) is not None]
    return Summary(
        name=name, contender=contender, rows=len(rows), failed=len(rows) - len(good),
        quality=_quality(rows),
        total_seconds=_median((row.prompt, row.total_seconds) for row in good),
        first_token_seconds=_median((row.prompt, row.first_token_seconds) for row in good),
        tokens_per_second=_median((row.prompt, row.tokens_per_second) for row in good),
        output_tokens=_median((row.prompt, row.output_tokens) for row in good),
        usd=None if None in costs else _median((row.prompt, row.usd) for row in good),
        usd_in_all=None if None in costs else sum(row.usd or 0 for row in rows),
        steadiness=fmean(steady) if steady else None,
    )


def _quality(rows: Iterable[Row]) -> Estimate | None:
    by_prompt: dict[int, list[float]] = defaultdict(list)
    for row in rows:
        if not row.failed and row.score is not None:
            by_prompt[row.prompt].append(row.score)
    means = [fmean(scores) for scores in by_prompt.values()]
    # Sums of floats may pass their bound in the last digit.
    return share(min(sum(means), len(means)), len(means)) if means else None


def _median(values: Iterable[tuple[int, float | None]]) -> Median | None:
    import numpy as np
    from scipy.stats import bootstrap

    by_prompt: dict[int, list[float]] = defaultdict(list)
    for prompt, value in values:
        if value is not None:
            by_prompt[prompt].append(value)
    medians = [median(runs) for runs in by_prompt.values()]
    if not medians:
        return None
    if len(medians) < 2:
        return Median(medians[0], None, None, len(medians))
    interval = bootstrap((np.array(medians),), np.median, n_resamples=RESAMPLES, batch=100,
                         confidence_level=CONFIDENCE, method="percentile",
                         rng=np.random.default_rng(0)).confidence_interval
    return Median(median(medians), float(interval.low), float(interval.high), len(medians))
