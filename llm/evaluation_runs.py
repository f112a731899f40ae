"""The evaluations that are kept under PARLEY_HOME, each its owner's alone, and those that run.

    run_id = begin(owner, plan, max_usd=1.0)
    progress(owner, run_id); running(owner, run_id)     # the latter to pause or cancel
    results(owner, run_id)
    go_on(owner, run_id)                                # after a cancel or a restart
    take_in(owner, results_jsonl)                       # one that ran elsewhere

An evaluation goes on in the background, whoever looks. An owner is a string that this
module is told; nobody reads, runs or removes another owner's by guessing an id. Like the
local engines, what runs belongs to the process.

It does not know what a run asks or finds (`llm.evaluation`, `llm.results`).
"""

from __future__ import annotations

import hashlib
import re
import shutil
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm import paths
from llm.errors import ImportRefusedError, StorageError
from llm.evaluation import Evaluation
from llm.journal import FILE_NAME, Contents, Journal, Plan, read_contents, read_folder, read_plan
from llm.lanes import Progress, progress_of
from llm.results import Results, write_results
from llm.wording import Wording

MAX_ROWS = 50_000
"""In one plan: a day's work for a fast service. More are for the command line."""
MAX_KEPT = 100
"""Evaluations of one owner."""
MAX_AT_ONCE = 2
"""Evaluations of one owner that run at the same time."""
MAX_IMPORT_BYTES = 50_000_000
REMEMBERED = 1_000
"""Ended evaluations of which is known how they ended, and plans that are not read again."""


@dataclass(frozen=True)
class Kept:
    """An evaluation in a list."""

    id: str
    set_name: str
    created_at: float
    """Seconds since the epoch."""
    labels: tuple[str, ...]
    """Of its models."""
    rows: int
    """When all have run."""


_lock = threading.RLock()
_running: dict[Path, Evaluation] = {}
_ended: OrderedDict[Path, Progress] = OrderedDict()
_known: OrderedDict[Path, Kept] = OrderedDict()


def folder_of(owner: str) -> Path:
    """Where an owner's evaluations are: a folder for each. May not exist yet."""
    # Digests, since a folder's name takes neither every character nor every length.
    return paths.home() / "evaluations" / _digest(owner)


def begin(owner: str, plan: Plan, **options: Any) -> str:
    """Begin an evaluation, and run it in the background. Returns its id.

    One that has begun already, by a first click, goes on as it does. `options` are those of
    `Evaluation`. Raises `StorageError`, `UnknownModelError`.
    """
    with _lock:
        folder = folder_of(owner) / _digest(plan.id)
        if (folder / FILE_NAME).exists():
            return folder.name
        _refuse_too_much(owner, plan, runs=True)
        with _without_its_path(folder):
            _start(folder, Evaluation.begin(plan, folder, **options))
        return folder.name


def go_on(owner: str, run_id: str, **options: Any) -> None:
    """Run what is left of an evaluation. Does nothing to one that runs.

    Raises `StorageError`, `UnknownModelError`.
    """
    with _lock:
        folder = _folder(owner, run_id)
        if _live(folder) is not None:
            return
        _refuse_too_much(owner, None, runs=True)
        with _without_its_path(folder):
            _start(folder, Evaluation.take_up(folder, **options))


def take_in(owner: str, data: bytes) -> str:
    """Keep an evaluation that ran elsewhere: its results.jsonl or its journal. Returns its id.

    One that is here already stays as it is. Raises `ImportRefusedError`, `StorageError`.
    """
    if len(data) > MAX_IMPORT_BYTES:
        raise ImportRefusedError(
            "This file has more than {most} MB. Its folder holds "
            "report.html, which opens in any browser.", most=MAX_IMPORT_BYTES // 1_000_000)
    contents = read_contents(data, name=Wording("This file"))
    with _lock:
        folder = folder_of(owner) / _digest(contents.plan.id)
        if (folder / FILE_NAME).exists():
            return folder.name
        _refuse_too_much(owner, contents.plan, runs=False)
        with _without_its_path(folder):
            Journal.begin(folder, contents.plan, contents).close()
            write_results(Results(contents), folder)
    return folder.name


def kept(owner: str) -> list[Kept]:
    """The owner's evaluations, the latest first. One that cannot be read is left out."""
    found = []
    for path in _folders(owner):
        try:
            found.append(_kept(path))
        except StorageError:
            continue
    return sorted(found, key=lambda one: one.created_at, reverse=True)


def running(owner: str, run_id: str) -> Evaluation | None:
    """The evaluation if it runs in this process now, paused ones included.

    Raises `StorageError` where this owner has none of this id, as all below do.
    """
    return _live(_folder(owner, run_id))


def progress(owner: str, run_id: str) -> Progress:
    """How far it is, running or not."""
    folder = _folder(owner, run_id)
    if (evaluation := _live(folder)) is not None:
        return evaluation.progress()
    if (told := _ended.get(folder)) is not None:
        return told
    return progress_of(_contents(folder))


def results(owner: str, run_id: str) -> Results:
    """Of the rows so far."""
    folder = _folder(owner, run_id)
    evaluation = _live(folder)
    return evaluation.results if evaluation is not None else Results(_contents(folder))


def journal_bytes(owner: str, run_id: str) -> int:
    """The size of its journal, which grows with each row: the same size, the same results."""
    return (_folder(owner, run_id) / FILE_NAME).stat().st_size


def delete(owner: str, run_id: str) -> None:
    """End it if it runs, and remove all that is kept of it."""
    folder = _folder(owner, run_id)
    if (evaluation := _live(folder)) is not None:
        evaluation.cancel()
        evaluation.wait(10)
    with _lock:
        _live(folder)
        _ended.pop(folder, None)
        _known.pop(folder, None)
        shutil.rmtree(folder, ignore_errors=True)


def delete_everything(owner: str) -> None:
    """Remove all evaluations of this owner."""
    for path in _folders(owner):
        delete(owner, path.name)


def shutdown(seconds: float = 5.0) -> None:
    """Cancel what runs, so that it can go on another time. Before the engines are ended: a
    reply that fails because its engine is gone would be taken for a result."""
    with _lock:
        evaluations = list(_running.values())
    for evaluation in evaluations:
        evaluation.cancel()
    for evaluation in evaluations:
        evaluation.wait(seconds)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def _folders(owner: str) -> list[Path]:
    try:
        return [path for path in folder_of(owner).iterdir() if (path / FILE_NAME).exists()]
    except OSError:
        return []


def _folder(owner: str, run_id: str) -> Path:
    if re.fullmatch("[0-9a-f]{32}", run_id):
        folder = folder_of(owner) / run_id
        if (folder / FILE_NAME).exists():
            return folder
    raise StorageError("There is no such evaluation here. It may have been deleted.")


def _live(folder: Path) -> Evaluation | None:
    with _lock:
        evaluation = _running.get(folder)
        if evaluation is None or not evaluation.is_over:
            return evaluation
        # With it goes the key of whoever pays.
        del _running[folder]
        _remember(_ended, folder, evaluation.progress())
        return None


def _start(folder: Path, evaluation: Evaluation) -> None:
    _ended.pop(folder, None)
    _running[folder] = evaluation
    evaluation.start()


def _refuse_too_much(owner: str, plan: Plan | None, *, runs: bool) -> None:
    if plan is not None and max(plan.row_count, plan.pair_count) > MAX_ROWS:
        raise StorageError("That is more than {most:,} calls. Take fewer prompts, models, "
                           "settings or runs, or use the command line.", most=MAX_ROWS)
    folders = _folders(owner)
    if plan is not None and len(folders) >= MAX_KEPT:
        raise StorageError("{most} evaluations are kept for you already. Delete one first.",
                           most=MAX_KEPT)
    if runs and sum(_live(folder) is not None for folder in folders) >= MAX_AT_ONCE:
        raise StorageError("{most} of your evaluations run already. Wait for one of them, "
                           "or cancel it.", most=MAX_AT_ONCE)


def _kept(folder: Path) -> Kept:
    if folder not in _known:
        plan = read_plan(folder)
        labels = tuple(plan.labels.get(model, model) for model in plan.models)
        _remember(_known, folder, Kept(folder.name, plan.set_name, plan.created_at, labels,
                                       plan.row_count))
    return _known[folder]


def _remember(memory: OrderedDict[Path, Any], folder: Path, value: Any) -> None:
    with _lock:
        memory[folder] = value
        while len(memory) > REMEMBERED:
            memory.popitem(last=False)


def _contents(folder: Path) -> Contents:
    with _without_its_path(folder):
        return read_folder(folder)


@contextmanager
def _without_its_path(folder: Path) -> Iterator[None]:
    """Whoever uses a shared app needs not know where the server keeps things."""
    try:
        yield
    except StorageError as error:
        hidden = {str(folder / FILE_NAME): Wording("Its journal"),
                  str(folder): Wording("its folder")}
        raise StorageError(error.wording.template, **{
            name: hidden.get(value, value) for name, value in error.wording.values.items()
        }) from error
