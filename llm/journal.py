"""The journal of an evaluation: its plan, then a line for each row that has run.

A row is written whole and forced to the disk before it counts as run, and a row in
flight is nowhere in it. So after a kill -9 the journal says exactly what is left to do,
and that no row ran twice can be read off it: each key is there once.

    Journal.begin(folder, plan)   a new one, in an empty place
    Journal.take_up(folder)       one begun earlier, cut off after its last whole line

The file is JSON Lines. This module does not know how rows are run, nor what they mean.
"""

from __future__ import annotations

import errno
import math
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from filelock import FileLock, Timeout
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from llm.checks import Finding
from llm.errors import ImportRefusedError, StorageError
from llm.prompt_sets import MAX_PROMPTS, Prompt
from llm.replies import Ending
from llm.transcript import new_id
from llm.votes import ModelId, Settings
from llm.wording import Wording, WrongValueError, first_fault

FILE_NAME = "journal.jsonl"
MAX_BYTES = 500_000_000


class Contender(NamedTuple):
    """A model with one of the plan's settings."""

    model: str
    settings: int
    """Its place in `Plan.settings`, from 0."""


class Key(NamedTuple):
    """Which row: each runs once."""

    prompt: int
    """`Prompt.number`."""
    model: str
    settings: int
    run: int
    """From 1."""


class Pair(NamedTuple):
    """Which two rows a judge compares."""

    prompt: int
    run: int
    left: Contender
    right: Contender


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Plan(_Line):
    """What is to run: every prompt on every model with every settings, `runs` times."""

    kind: Literal["plan"] = "plan"
    version: Literal[1] = 1
    id: str = Field(default_factory=new_id, max_length=64)
    created_at: float = Field(default_factory=time.time, ge=0)
    """Seconds since the epoch."""
    set_name: str = Field(max_length=200)
    prompts: Annotated[tuple[Prompt, ...], Field(min_length=1, max_length=MAX_PROMPTS)]
    models: Annotated[tuple[ModelId, ...], Field(min_length=1, max_length=20)]
    labels: dict[ModelId, Annotated[str, Field(max_length=200)]] = {}
    """How people know the models, for where there is another catalog."""
    settings: Annotated[tuple[Settings, ...], Field(min_length=1, max_length=10)] = ({},)
    system: str = Field(default="", max_length=100_000)
    """For prompts without a system instruction of their own."""
    runs: int = Field(default=1, ge=1, le=100)
    judge: ModelId | None = None
    """The model that compares the contenders' answers two by two."""

    @model_validator(mode="after")
    def _numbers_its_prompts(self) -> Plan:
        if [prompt.number for prompt in self.prompts] != list(range(1, len(self.prompts) + 1)):
            raise WrongValueError("the prompts must be numbered from 1")
        if len(set(self.models)) < len(self.models):
            raise WrongValueError("each model must be named once")
        return self

    @property
    def row_count(self) -> int:
        """How many rows there are when all have run."""
        return len(self.models) * len(self.settings) * len(self.prompts) * self.runs

    @property
    def pair_count(self) -> int:
        """How many pairs a judge would compare; 0 without one."""
        sides = len(self.models) * len(self.settings)
        return math.comb(sides, 2) * len(self.prompts) * self.runs if self.judge else 0

    def contenders(self) -> list[Contender]:
        return [Contender(model, number) for model in self.models
                for number in range(len(self.settings))]

    def keys_of(self, model: str) -> Iterator[Key]:
        """A model's rows in the order in which they run."""
        for run in range(1, self.runs + 1):
            for prompt in self.prompts:
                for number in range(len(self.settings)):
                    yield Key(prompt.number, model, number, run)

    def pairs(self) -> Iterator[Pair]:
        """What there is for a judge; nothing without one."""
        for run in range(1, self.runs + 1 if self.judge else 1):
            for prompt in self.prompts:
                for left, right in combinations(self.contenders(), 2):
                    yield Pair(prompt.number, run, left, right)

    def name_of(self, contender: Contender) -> str:
        """A contender for people: the model's label, and its settings where there are several."""
        label = self.labels.get(contender.model, contender.model)
        if len(self.settings) == 1:
            return label
        told = ", ".join(f"{name} {value}" for name, value
                         in self.settings[contender.settings].items() if value is not None)
        return f"{label} ({told or 'no settings'})"

    def same_work_as(self, other: Plan) -> bool:
        """Whether both plans run the same rows, whenever and under whatever id."""
        aside = {"id", "created_at", "set_name", "labels"}
        return self.model_dump(exclude=aside) == other.model_dump(exclude=aside)


class Row(_Line):
    """One prompt answered once by one model: the reply, and what the checks found."""

    kind: Literal["row"] = "row"
    prompt: int = Field(ge=1)
    model: ModelId
    settings: int = Field(ge=0)
    run: int = Field(ge=1)
    attempt: int = Field(default=1, ge=1)
    """Above 1 only where a failed row was run again on request."""
    answer: str
    ending: Ending
    error: str | None = None
    error_type: str | None = None
    started_at: float
    first_token_seconds: float | None = None
    total_seconds: float | None = None
    tokens_per_second: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_measured: bool = False
    usd: float | None = None
    """None: no price is known. 0 for a local model."""
    findings: tuple[Finding, ...] = ()
    """One for each of the prompt's checks, in order; none for a failed row."""

    @property
    def key(self) -> Key:
        return Key(self.prompt, self.model, self.settings, self.run)

    @property
    def contender(self) -> Contender:
        return Contender(self.model, self.settings)

    @property
    def failed(self) -> bool:
        return self.ending is Ending.FAILED

    @property
    def score(self) -> float | None:
        """The mean of the checks' scores, 0 to 1; None without checks."""
        if not self.findings:
            return None
        return sum(finding.score for finding in self.findings) / len(self.findings)

    @property
    def passed(self) -> bool | None:
        """Whether it passed every check that has a bar; None if none has one."""
        verdicts = [finding.passed for finding in self.findings if finding.passed is not None]
        return all(verdicts) if verdicts else None


class Judged(_Line):
    """What the judge found about two rows of one prompt and run."""

    kind: Literal["judged"] = "judged"
    prompt: int = Field(ge=1)
    run: int = Field(ge=1)
    left: Contender
    right: Contender
    choice: Literal["left", "right", "tie"]
    agreed: bool
    said: tuple[str, str]
    usd: float | None = None

    @property
    def pair(self) -> Pair:
        return Pair(self.prompt, self.run, Contender(*self.left), Contender(*self.right))


_LINE: TypeAdapter[Plan | Row | Judged] = TypeAdapter(
    Annotated[Plan | Row | Judged, Field(discriminator="kind")])


@dataclass
class Contents:
    """What a journal holds. A row run again replaces its failed forerunner."""

    plan: Plan
    rows: dict[Key, Row] = field(default_factory=dict)
    judged: dict[Pair, Judged] = field(default_factory=dict)
    usd: float = 0.0
    """What all of it cost, as far as prices are known, replaced rows included."""

    def take(self, line: Row | Judged) -> None:
        """Raises ValueError if the plan has no such row, or it has run already."""
        known = set(self.plan.contenders())
        sides = {line.contender} if isinstance(line, Row) else {line.pair.left, line.pair.right}
        if not sides <= known or line.run > self.plan.runs or line.prompt > len(self.plan.prompts):
            raise WrongValueError("the plan has no such row")
        if isinstance(line, Judged):
            if line.pair in self.judged:
                raise WrongValueError("{pair} was judged twice", pair=line.pair)
            self.judged[line.pair] = line
            self.usd += line.usd or 0.0
            return
        before = self.rows.get(line.key)
        if before is not None and not (before.failed and line.attempt == before.attempt + 1):
            raise WrongValueError("{key} ran twice", key=line.key)
        self.rows[line.key] = line
        self.usd += line.usd or 0.0

    def lines(self) -> Iterator[str]:
        """As JSON Lines: the plan, the rows in the plan's order, what was judged."""
        keys = (key for model in self.plan.models for key in self.plan.keys_of(model))
        rows = (self.rows[key] for key in keys if key in self.rows)
        for line in (self.plan, *rows, *self.judged.values()):
            yield _to_json(line)


class Journal:
    """The journal open for writing. One process at a time can hold it."""

    def __init__(self, folder: Path, lock: FileLock, contents: Contents):
        self.folder, self.contents = folder, contents
        self._lock = lock
        self._file = (folder / FILE_NAME).open("ab", buffering=0)

    @classmethod
    def begin(cls, folder: Path, plan: Plan, contents: Contents | None = None) -> Journal:
        """A new journal, with what ran elsewhere if `contents` are given.

        Raises `StorageError` if the folder has one, or cannot be written.
        """
        lock = _locked(folder)
        path = folder / FILE_NAME
        try:
            if path.exists() and b"\n" in path.read_bytes():
                raise StorageError(
                    "{folder} already holds an evaluation. Go on with that one, or choose "
                    "another folder.", folder=folder)
            contents = contents or Contents(plan)
            draft = path.with_suffix(".part")
            with draft.open("wb") as file:
                file.writelines(line.encode() for line in contents.lines())
                file.flush()
                os.fsync(file.fileno())
            os.replace(draft, path)
            _fsync_folder(folder)
            return cls(folder, lock, contents)
        except OSError as error:
            lock.release()
            raise _cannot_write(folder, error) from error
        except BaseException:
            lock.release()
            raise

    @classmethod
    def take_up(cls, folder: Path) -> Journal:
        """The journal in `folder`. Raises `StorageError` if it has none, or another process
        is running it, or it is damaged other than at its very end."""
        lock = _locked(folder)
        try:
            data = _read(folder / FILE_NAME)
            whole = data[:data.rfind(b"\n") + 1]
            contents = read_contents(whole, name=str(folder / FILE_NAME))
            if len(whole) < len(data):
                os.truncate(folder / FILE_NAME, len(whole))
            return cls(folder, lock, contents)
        except ImportRefusedError as error:
            lock.release()
            raise StorageError.of(error.wording) from error
        except BaseException:
            lock.release()
            raise

    def append(self, line: Row | Judged) -> None:
        """Write a line and force it to the disk. Raises OSError; then the line is not in it."""
        text = _to_json(line).encode()
        before = self._file.tell()
        try:
            if self._file.write(text) < len(text):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(before)
            raise
        self.contents.take(line)

    def close(self) -> None:
        self._file.close()
        self._lock.release()


def read_contents(data: bytes, *, name: str | Wording) -> Contents:
    """What a journal's bytes hold, or those of results.jsonl. A last line cut short is left out.

    Raises `ImportRefusedError`, naming the line.
    """
    if len(data) > MAX_BYTES:
        raise ImportRefusedError("{name} has more than {most} MB.",
                                 name=name, most=MAX_BYTES // 1_000_000)
    contents = None
    for number, text in enumerate(data.split(b"\n")[:-1], start=1):
        try:
            line = _LINE.validate_json(text)
            if contents is None and isinstance(line, Plan):
                contents = Contents(line)
            elif contents is None or isinstance(line, Plan):
                raise WrongValueError("the plan must come first, and once")
            else:
                contents.take(line)
        except ValidationError as error:
            place, reason = first_fault(error)
            if not place:  # It is no JSON, or JSON of another kind.
                raise ImportRefusedError(
                    "{name} is damaged at line {number}: it is not a line of an evaluation. "
                    "Choose a file that Parley wrote as JSON Lines.",
                    name=name, number=number) from error
            raise ImportRefusedError(
                "{name} is damaged at line {number}: {place}: {reason}.",
                name=name, number=number, place=place, reason=reason) from error
        except ValueError as error:
            raise ImportRefusedError("{name} is damaged at line {number}: {reason}.",
                                     name=name, number=number, reason=error) from error
    if contents is None:
        raise ImportRefusedError("{name} holds no evaluation.", name=name)
    return contents


def read_folder(folder: Path) -> Contents:
    """What a folder's journal holds, while it runs or afterwards. Raises `StorageError`."""
    try:
        return read_contents(_read(folder / FILE_NAME), name=str(folder / FILE_NAME))
    except ImportRefusedError as error:
        raise StorageError.of(error.wording) from error


def read_plan(folder: Path) -> Plan:
    """A journal's plan alone, whatever has run. Raises `StorageError`."""
    path = folder / FILE_NAME
    try:
        with path.open("rb") as file:
            line = file.readline(MAX_BYTES)
        return Plan.model_validate_json(line)
    except OSError as error:
        raise StorageError("{path} cannot be read ({reason}).",
                           path=path, reason=error.strerror) from error
    except ValidationError as error:
        raise StorageError("{path} holds no evaluation.", path=path) from error


def _to_json(line: Plan | Row | Judged) -> str:
    return line.model_dump_json(by_alias=True) + "\n"


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise StorageError("{path} has more than {most} MB.",
                               path=path, most=MAX_BYTES // 1_000_000)
        return path.read_bytes()
    except FileNotFoundError as error:
        raise StorageError("{folder} holds no evaluation.", folder=path.parent) from error
    except OSError as error:
        raise StorageError("{path} cannot be read ({reason}).",
                           path=path, reason=error.strerror) from error


def _locked(folder: Path) -> FileLock:
    # The system lets go of the lock when the process ends, however it ends.
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock", timeout=0, thread_local=False)
        lock.acquire()
    except Timeout as error:
        raise StorageError("The evaluation in {folder} is running already.",
                           folder=folder) from error
    except OSError as error:
        raise _cannot_write(folder, error) from error
    return lock


def _fsync_folder(folder: Path) -> None:
    if os.name == "posix":  # elsewhere a folder cannot be opened, and need not be
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _cannot_write(folder: Path, error: OSError) -> StorageError:
    return StorageError("{folder} cannot be written ({reason}). Choose another folder.",
                        folder=folder, reason=error.strerror or error)


