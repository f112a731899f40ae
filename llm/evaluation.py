"""Run a prompt set on models and keep every row: for the app, a notebook or a terminal.

    plan = make_plan(load_prompt_set("translation"), ["smollm2-135m", "gpt-6-luna"], runs=3)
    evaluation = Evaluation.begin(plan, Path("out"))
    evaluation.start()                    # in the background; see .progress()
    evaluation.pause(); evaluation.resume(); evaluation.cancel(); evaluation.wait()
    evaluation.results.summaries

    Evaluation.take_up(Path("out"))       # after a cancel or a crash: runs what is left

Hosted models run at once; local ones one after another, since they would share the same
cores. A row counts once it is in the journal. Trying again is the model's own business
(`llm.connections`): a failed row is a result, and is run again only on request.

This module does not know pages, files of prompts or what a figure means. The command line
is in `llm.evaluate`, what a run may cost in `llm.spending`.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import HumanMessage
from langchain_core.runnables import Runnable

from llm import errors
from llm.catalog import ModelSpec, get_model
from llm.chains import build_chat_chain
from llm.errors import ParleyError, StorageError
from llm.journal import Contents, Journal, Judged, Key, Pair, Plan, Row
from llm.judge import JUDGE_SETTINGS, Judgement, build_judge_chain, judge
from llm.lanes import Lane, Lanes, Progress, State
from llm.prompt_sets import PromptSet
from llm.providers import bind_settings, create_chat_model
from llm.replies import Ending, Reply, event_loop, start_reply
from llm.results import Results, write_results
from llm.spending import Budget
from llm.wording import Wording

LOCAL_PARALLEL = 2
HOSTED_PARALLEL = 4
"""Calls at once for one model, unless said otherwise. More make each answer slower on this
machine's cores, and run into the rate limits of services."""
UNLUCKY = 5
"""After so many failures in a row that another time might have spared, a model is left alone."""
_HOPELESS = frozenset({
    "MissingKeyError", "InvalidKeyError", "PermissionDeniedError", "ModelNotFoundError",
    "QuotaExceededError", "WeightsMissingError", "WeightsDamagedError", "UnsupportedModelError",
    "NoRoomError", "FetchCancelledError",
})
"""Errors that every further row would meet too: the row is not taken for a result."""


def make_plan(prompt_set: PromptSet, models: Sequence[str], *, runs: int = 1, system: str = "",
              settings: Sequence[Mapping[str, Any]] = ({},), judge: str | None = None,
              find: Callable[[str], ModelSpec] = get_model) -> Plan:
    """A plan to begin with. `settings`: each prompt runs with each of them. `find`: the entry
    of an id, where there are others than the catalog's.

    Raises `UnknownModelError`, and pydantic's ValidationError for numbers out of bounds.
    """
    specs = [find(model) for model in dict.fromkeys([*models, *([judge] if judge else [])])]
    return Plan(set_name=prompt_set.name, prompts=prompt_set.prompts, runs=runs, system=system,
                models=tuple(dict.fromkeys(models)), labels={spec.id: spec.label for spec in specs},
                settings=tuple(map(dict, settings)), judge=judge)


def unsent_settings(plan: Plan, find: Callable[[str], ModelSpec] = get_model) -> list[Wording]:
    """Which of the plan's settings a model does not take, a sentence for each such model."""
    names = sorted({name for settings in plan.settings for name in settings})
    found = []
    for spec in map(find, plan.models):
        if unsent := [name for name in names if not spec.supports(name)]:
            found.append(Wording("{model} takes no {settings}: it is not sent, and the model's "
                                 "own is used.", model=spec.label, settings=", ".join(unsent)))
    return found


class Evaluation:
    """A plan being run. May be used from any thread."""

    def __init__(self, journal: Journal, *,
                 create: Callable[[ModelSpec], BaseChatModel] = create_chat_model,
                 find: Callable[[str], ModelSpec] = get_model,
                 parallel: Mapping[str | None, int] | None = None, max_usd: float | None = None,
                 retry_failed: bool = False):
        """Use `begin` or `take_up`. `create` makes the chat model of an entry, with the key of
        whoever pays, `find` the entry of an id; `parallel` is the number of calls at once by a
        model's id, None for the others; `retry_failed` runs failed rows of an earlier sitting
        again."""
        self.plan, self._journal = journal.contents.plan, journal
        self.folder = journal.folder
        self._create, self._parallel = create, dict(parallel or {})
        self._budget = Budget(self.plan, max_usd, journal.contents.usd)
        self._state = State.READY
        self._error: Wording | None = None
        self._crash: BaseException | None = None
        self._task: asyncio.Task[None] | None = None
        self._news, self._unpaused = asyncio.Event(), asyncio.Event()
        self._unpaused.set()
        self._local_turn = asyncio.Lock()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="evaluation")
        self._done = threading.Event()
        self._lanes = Lanes.of(journal.contents, retry_failed=retry_failed, find=find)

    @classmethod
    def begin(cls, plan: Plan, folder: Path, **options: Any) -> Evaluation:
        """A new evaluation in an empty folder. Raises `StorageError`, `UnknownModelError`."""
        for model in plan.models:
            options.get("find", get_model)(model)
        return cls(Journal.begin(folder, plan), **options)

    @classmethod
    def take_up(cls, folder: Path, **options: Any) -> Evaluation:
        """One begun earlier: what is in its journal is not run again.

        Raises `StorageError`, `UnknownModelError`.
        """
        journal = Journal.take_up(folder)
        try:
            return cls(journal, **options)
        except BaseException:
            journal.close()
            raise

    # ── What its owner does ──────────────────────────────────────────────────────────

    def start(self) -> None:
        """Begin running, in the background. Once only."""
        self._state = State.RUNNING
        asyncio.run_coroutine_threadsafe(self._run(), event_loop())

    def pause(self) -> None:
        """Begin no further call. Replies under way end and are kept."""
        event_loop().call_soon_threadsafe(self._set_paused, True)

    def resume(self) -> None:
        event_loop().call_soon_threadsafe(self._set_paused, False)

    def cancel(self) -> None:
        """Stop at once: replies under way are cut off and are not in the journal."""
        if self._state is State.READY:
            self._state = State.CANCELLED
            self._close()
        else:
            event_loop().call_soon_threadsafe(self._cancel)

    def wait(self, timeout: float | None = None) -> Progress:
        """Block until it has ended, or `timeout` seconds have passed.

        What is a bug in here, and not an error to show, is raised.
        """
        self._done.wait(timeout)
        if self._crash is not None:
            raise self._crash
        return self.progress()

    @property
    def is_over(self) -> bool:
        return self._done.is_set()

    def progress(self) -> Progress:
        return Progress(self._state, tuple(lane.progress() for lane in self._lanes.all),
                        self._budget.spent, self._budget.max_usd, self._lanes.seconds_left(),
                        self._error)

    @property
    def results(self) -> Results:
        """Of the rows so far."""
        now = self._journal.contents
        return Results(Contents(now.plan, dict(now.rows), dict(now.judged)))

    # ── The running side: all of it on the event loop ────────────────────────────────

    def _set_paused(self, paused: bool) -> None:
        if self._state in (State.RUNNING, State.PAUSED):
            self._state = State.PAUSED if paused else State.RUNNING
            (self._unpaused.clear if paused else self._unpaused.set)()

    def _cancel(self) -> None:
        if self._task is not None and not self.is_over:
            self._state = State.CANCELLED
            self._task.cancel()

    async def _run(self) -> None:
        self._task = asyncio.current_task()
        try:
            await self._run_lanes()
        except asyncio.CancelledError:
            pass  # asked for: see `cancel`
        finally:
            await self._finish()

    async def _run_lanes(self) -> None:
        try:
            async with asyncio.TaskGroup() as tasks:
                if self._lanes.judge:
                    tasks.create_task(self._run_lane(self._lanes.judge))
                async with asyncio.TaskGroup() as models:
                    for lane in self._lanes.models:
                        models.create_task(self._run_lane(lane))
                if self._lanes.judge:
                    self._lanes.judge.is_closed = True
                    self._news.set()
        except* OSError as group:
            self._state = State.FAILED
            self._error = Wording(
                "The evaluation stopped: its journal in {folder} cannot be written "
                "({reason}). What ran before is kept: make room, and go on with it.",
                folder=self.folder, reason=_first(group))
        except* Exception as group:
            self._state, self._crash = State.FAILED, group

    async def _finish(self) -> None:
        if self._state in (State.RUNNING, State.PAUSED):
            done = all(lane.done == lane.total for lane in self._lanes.models)
            halted = any(lane.halted for lane in self._lanes.all)
            self._state = State.FINISHED if done and not halted else State.INCOMPLETE
        try:
            await asyncio.get_running_loop().run_in_executor(
                self._writer, write_results, self.results, self.folder)
        except StorageError as error:
            self._error = self._error or error.wording
        finally:
            self._close()

    def _close(self) -> None:
        self._writer.shutdown(wait=True)
        self._journal.close()
        self._done.set()

    async def _run_lane(self, lane: Lane) -> None:
        while not lane.todo and not lane.is_closed:
            await self._wait_for_news()
        if not lane.todo:
            return
        local = lane.spec.runs_locally
        async with self._local_turn if local else contextlib.nullcontext():
            lane.started = time.monotonic()
            try:
                # Starting a local engine, or fetching its weights, takes a while.
                lane.chains = await asyncio.to_thread(self._chains, lane)
            except ParleyError as error:
                lane.halted = error.wording
                return
            perform = self._judge_pair if lane.is_judge else self._run_row
            async with asyncio.TaskGroup() as callers:
                for _ in range(self._parallel_for(lane.spec)):
                    callers.create_task(self._caller(lane, perform))

    def _chains(self, lane: Lane) -> list[Runnable]:
        model = self._create(lane.spec)
        if lane.is_judge:
            return [build_judge_chain(bind_settings(model, lane.spec, JUDGE_SETTINGS))]
        return [build_chat_chain(bind_settings(model, lane.spec, settings))
                for settings in self.plan.settings]

    def _parallel_for(self, spec: ModelSpec) -> int:
        default = LOCAL_PARALLEL if spec.runs_locally else HOSTED_PARALLEL
        return self._parallel.get(spec.id) or self._parallel.get(None) or default

    async def _caller(self, lane: Lane, perform: Callable[[Lane, Any], Awaitable[Any]]) -> None:
        """Take one piece of work after another. The next call does not wait for the disk."""
        writing: asyncio.Task[None] | None = None
        try:
            while (taken := await self._next(lane)) is not None:
                item, ahead = taken
                try:
                    line_of = await perform(lane, item)
                except BaseException:
                    self._let_go(lane, ahead)
                    raise
                if line_of is None:
                    self._let_go(lane, ahead)
                    continue
                if writing is not None:
                    await asyncio.shield(writing)
                writing = asyncio.create_task(self._record(lane, line_of, ahead))
        finally:
            if writing is not None:
                await writing

    async def _next(self, lane: Lane) -> tuple[Any, float] | None:
        """The next piece of work and what is set aside for it; None when there is no more."""
        while True:
            await self._unpaused.wait()
            if lane.halted:
                return None
            if lane.todo:
                ahead = self._budget.ahead(lane.spec, lane.todo[0], self._journal.contents)
                if self._budget.reserve(ahead):
                    lane.running += 1
                    return lane.todo.popleft(), ahead
                if not self._budget.reserved:
                    lane.halted = self._budget.told
                    return None
            elif lane.is_closed:
                return None
            await self._wait_for_news()

    async def _wait_for_news(self) -> None:
        self._news.clear()
        await self._news.wait()

    def _let_go(self, lane: Lane, ahead: float) -> None:
        lane.running -= 1
        self._budget.release(ahead)
        self._news.set()

    async def _run_row(self, lane: Lane, key: Key) -> Callable[[], Row] | None:
        prompt = self.plan.prompts[key.prompt - 1]
        inputs = {"system": prompt.system or self.plan.system, "history": [],
                  "message": [HumanMessage(prompt.prompt)]}
        settings = self.plan.settings[key.settings]
        reply = await self._ask(lane.chains[key.settings], inputs, lane.spec, settings)
        if self._is_hopeless(lane, reply):
            lane.todo.appendleft(key)
            return None
        return lambda: self._row(key, reply)

    async def _judge_pair(self, lane: Lane, pair: Pair) -> Callable[[], Judged] | None:
        rows = self._lanes.rows_of(pair)
        assert rows is not None, "a pair is in the lane only once both rows are there"
        left, right = rows
        prompt = self.plan.prompts[pair.prompt - 1]
        replies: list[Reply] = []

        async def ask(inputs: dict) -> str:
            reply = await self._ask(lane.chains[0], inputs, lane.spec, JUDGE_SETTINGS)
            replies.append(reply)
            return reply.text

        found = await judge(ask, prompt.prompt, left.answer, right.answer,
                            reference=" or ".join(prompt.expected))
        hopeless = [self._is_hopeless(lane, reply) for reply in replies]
        if any(reply.ending is Ending.FAILED for reply in replies):
            # No finding: it is asked again at the next sitting.
            lane.failed += not any(hopeless)
            return None
        return lambda: _judged(pair, found, replies)

    def _is_hopeless(self, lane: Lane, reply: Reply) -> bool:
        if reply.error_type in _HOPELESS:
            lane.halted = reply.wording
            return True
        retryable = reply.error_type and getattr(errors, reply.error_type).is_retryable
        lane.unlucky = lane.unlucky + 1 if retryable else 0
        if lane.unlucky >= UNLUCKY and not lane.halted:
            lane.halted = Wording("{count} replies in a row failed. The last one: {reason}",
                                  count=UNLUCKY, reason=reply.wording)
        return False

    async def _ask(self, chain: Runnable, inputs: dict, spec: ModelSpec,
                   settings: Mapping[str, Any]) -> Reply:
        ended = asyncio.get_running_loop().create_future()

        def tell(reply: Reply) -> None:
            if not ended.done():
                ended.set_result(reply)

        reply = start_reply(chain, inputs, spec, settings=settings, on_end=tell)
        try:
            return await ended
        except asyncio.CancelledError:
            reply.stop()
            raise

    async def _record(self, lane: Lane, line_of: Callable[[], Row | Judged], ahead: float) -> None:
        try:
            loop = asyncio.get_running_loop()
            line = await loop.run_in_executor(self._writer, self._write, line_of)
        finally:
            self._let_go(lane, ahead)
        lane.done += 1
        lane.ran += 1
        lane.usd += line.usd or 0.0
        self._budget.spent += line.usd or 0.0
        if isinstance(line, Row):
            lane.failed += line.failed
            if self._lanes.judge:
                self._lanes.judge_what_can_be(line)
                self._news.set()

    def _write(self, line_of: Callable[[], Row | Judged]) -> Row | Judged:
        line = line_of()
        self._journal.append(line)
        return line

    def _row(self, key: Key, reply: Reply) -> Row:
        failed = reply.ending is Ending.FAILED
        before = self._journal.contents.rows.get(key)
        answer = _storable(reply.text)
        checks = self.plan.prompts[key.prompt - 1].checks
        return Row(
            prompt=key.prompt, model=key.model, settings=key.settings, run=key.run,
            attempt=before.attempt + 1 if before else 1, answer=answer, ending=reply.ending,
            error=reply.error, error_type=reply.error_type, started_at=reply.started_at,
            first_token_seconds=reply.first_token_seconds, total_seconds=reply.total_seconds,
            tokens_per_second=reply.tokens_per_second, input_tokens=reply.input_tokens,
            output_tokens=reply.output_tokens, tokens_measured=reply.tokens_measured,
            usd=reply.cost.usd if reply.cost else None,
            findings=() if failed else tuple(check.check(answer) for check in checks))


def _judged(pair: Pair, found: Judgement, replies: Sequence[Reply]) -> Judged:
    costs = [reply.cost.usd if reply.cost else None for reply in replies]
    return Judged(prompt=pair.prompt, run=pair.run, left=pair.left, right=pair.right,
                  choice=found.choice, agreed=found.agreed,
                  said=(_storable(found.said[0]), _storable(found.said[1])),
                  usd=None if None in costs else sum(filter(None, costs)))


def _storable(text: str) -> str:
    # Half a UTF-16 pair, which a model's tokens may spell, has no place in a file.
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


def _first(group: BaseExceptionGroup) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
