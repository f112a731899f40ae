"""How an evaluation's work stands: a lane for each model and for the judge, and what to show.

This module does not run anything: `llm.evaluation` does.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import combinations
from typing import Any

from langchain_core.runnables import Runnable

from llm.catalog import ModelSpec, get_model
from llm.journal import Contender, Contents, Key, Pair, Row
from llm.wording import Wording


class State(StrEnum):
    READY = "ready"
    RUNNING = "running"
    PAUSED = "paused"
    """No call is begun; those that were under way still end."""
    FINISHED = "finished"
    """Every row has run."""
    CANCELLED = "cancelled"
    INCOMPLETE = "incomplete"
    """A model could not go on, or the limit on spending is reached: see `halted`."""
    FAILED = "failed"
    """The journal could not be written: see `Progress.error`."""


@dataclass(frozen=True)
class LaneProgress:
    """How far one model is, or the judge."""

    model_id: str
    label: str
    is_judge: bool
    total: int
    done: int
    """Rows in the journal, failed ones and those of earlier sittings included."""
    failed: int
    running: int
    usd: float
    halted: Wording | None
    """Why it does not go on, as a sentence to show."""


@dataclass(frozen=True)
class Progress:
    state: State
    lanes: tuple[LaneProgress, ...]
    usd: float
    """Spent on everything in the journal."""
    max_usd: float | None
    seconds_left: float | None
    """A guess from this sitting's pace; None before there is one."""
    error: Wording | None

    @property
    def done(self) -> int:
        return sum(lane.done for lane in self.lanes)

    @property
    def total(self) -> int:
        return sum(lane.total for lane in self.lanes)

    @property
    def failed(self) -> int:
        return sum(lane.failed for lane in self.lanes)


def progress_of(contents: Contents) -> Progress:
    """How far a journal is that nobody runs now. Its models need not be in the catalog."""
    plan = contents.plan
    done = Counter(key.model for key in contents.rows)
    failed = Counter(key.model for key, row in contents.rows.items() if row.failed)
    usd = dict.fromkeys(plan.models, 0.0)
    for key, row in contents.rows.items():
        usd[key.model] += row.usd or 0.0
    each = len(plan.prompts) * len(plan.settings) * plan.runs
    lanes = [LaneProgress(model, plan.labels.get(model, model), False, each, done[model],
                          failed[model], 0, usd[model], None) for model in plan.models]
    unjudged = 0
    if plan.judge:
        unjudged = sum(1 for pair in plan.pairs() if pair not in contents.judged
                     and Lanes(contents).rows_of(pair))
        lanes.append(LaneProgress(
            plan.judge, plan.labels.get(plan.judge, plan.judge), True, plan.pair_count,
            len(contents.judged), 0, 0,
            sum(line.usd or 0.0 for line in contents.judged.values()), None))
    is_whole = len(contents.rows) == plan.row_count and not unjudged
    return Progress(State.FINISHED if is_whole else State.INCOMPLETE, tuple(lanes), contents.usd,
                    None, None, None)


class Lane:
    """The work of one model. Changed on the event loop only; read from anywhere."""

    def __init__(self, spec: ModelSpec, *, is_judge: bool = False):
        self.spec = spec
        self.is_judge = is_judge
        self.is_closed = not is_judge
        """Whether nothing more will be added to `todo`."""
        self.todo: deque[Any] = deque()
        self.total = self.done = self.failed = self.running = self.unlucky = self.ran = 0
        self.usd = 0.0
        self.halted: Wording | None = None
        self.started: float | None = None
        self.chains: list[Runnable] = []

    def take(self, item: Key | Pair, *, is_done: bool, failed: bool, usd: float | None) -> None:
        """Count a piece of work that the plan holds."""
        self.total += 1
        self.usd += usd or 0.0
        if is_done:
            self.done += 1
            self.failed += failed
        else:
            self.todo.append(item)

    def progress(self) -> LaneProgress:
        return LaneProgress(self.spec.id, self.spec.label, self.is_judge, self.total, self.done,
                            self.failed, self.running, self.usd, self.halted)

    def seconds_left(self) -> float | None:
        if self.done == self.total or self.halted:
            return 0.0
        if not self.ran or self.started is None:
            return None
        return (time.monotonic() - self.started) / self.ran * (self.total - self.done)


@dataclass
class Lanes:
    """All lanes of a plan, with what a journal says is done."""

    contents: Contents
    models: list[Lane] = field(default_factory=list)
    judge: Lane | None = None
    begun: set[Pair] = field(default_factory=set)
    """Pairs that are judged, or in the judge's lane."""

    @classmethod
    def of(cls, contents: Contents, *, retry_failed: bool,
           find: Callable[[str], ModelSpec] = get_model) -> Lanes:
        """Raises `UnknownModelError`."""
        lanes, plan = cls(contents), contents.plan
        for model in plan.models:
            lane = Lane(find(model))
            for key in plan.keys_of(model):
                row = contents.rows.get(key)
                failed = row is not None and row.failed
                lane.take(key, is_done=row is not None and not (failed and retry_failed),
                          failed=failed, usd=row.usd if row else None)
            lanes.models.append(lane)
        if plan.judge:
            lanes.judge = Lane(find(plan.judge), is_judge=True)
            for pair in plan.pairs():
                if judged := contents.judged.get(pair):
                    lanes.judge.take(pair, is_done=True, failed=False, usd=judged.usd)
                    lanes.begun.add(pair)
                else:
                    lanes.judge.total += 1
            for row in contents.rows.values():
                lanes.judge_what_can_be(row)
        return lanes

    @property
    def all(self) -> list[Lane]:
        return [*self.models, *([self.judge] if self.judge else [])]

    def judge_what_can_be(self, row: Row) -> None:
        """Put into the judge's lane the pairs that this row completes, each once."""
        for left, right in combinations(self.contents.plan.contenders(), 2):
            pair = Pair(row.prompt, row.run, left, right)
            if row.contender in (left, right) and pair not in self.begun and self.rows_of(pair):
                self.begun.add(pair)
                self.judge.todo.append(pair)  # type: ignore[union-attr]

    def rows_of(self, pair: Pair) -> tuple[Row, Row] | None:
        """The two rows of a pair, or None while one is missing or failed."""
        left, right = (self._row_of(pair, side) for side in (pair.left, pair.right))
        if left is None or right is None or left.failed or right.failed:
            return None
        return left, right

    def _row_of(self, pair: Pair, side: Contender) -> Row | None:
        return self.contents.rows.get(Key(pair.prompt, side.model, side.settings, pair.run))

    def seconds_left(self) -> float | None:
        """Hosted models run at once, local ones one after another."""
        left = [(lane.seconds_left(), lane.spec.runs_locally) for lane in self.all]
        if any(seconds is None for seconds, _ in left):
            return None
        hosted = [seconds or 0.0 for seconds, local in left if not local]
        return max([sum(seconds or 0.0 for seconds, local in left if local), *hosted])
