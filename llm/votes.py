"""Blind votes between two answers: what one is, when there is none, and files of them.

A race of three or four models is judged two at a time: a vote is always about two sides.

This module does not know where votes are kept, nor what follows from them
(`llm.standings`).
"""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm.catalog import ModelSpec, list_models
from llm.errors import ImportRefusedError
from llm.naming import gives_itself_away
from llm.replies import Ending, Reply
from llm.transcript import new_id
from llm.wording import Wording, first_fault

Choice = Literal["left", "right", "tie", "both_bad"]

MAX_IMPORT_BYTES = 50_000_000
MAX_IMPORT_VOTES = 100_000
MAX_TAG = 100
"""Characters of a kind of task."""

ModelId = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Settings = Annotated[dict[str, str | int | float | bool | None], Field(max_length=20)]


class Vote(BaseModel):
    """One person's blind choice between two answers. Immutable, and plain data."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    version: Literal[1] = 1
    """Of this format."""
    id: str = Field(default_factory=new_id, pattern=r"^[A-Za-z0-9_-]+$", max_length=64)
    race_id: str = Field(pattern=r"^[A-Za-z0-9_-]+$", max_length=64)
    prompt: str = Field(max_length=200_000)
    pictures: tuple[Sha256, ...] = Field(default=(), max_length=16)
    """SHA-256 of each picture sent with the prompt, in hexadecimal digits."""
    system: str = Field(default="", max_length=200_000)
    models: tuple[ModelId, ModelId]
    """Catalog ids, in the order shown: left, right."""
    settings: tuple[Settings, Settings] = ({}, {})
    """Temperature and the like, as asked for on each side."""
    choice: Choice
    tag: str = Field(default="", max_length=MAX_TAG)
    """The kind of task, in the person's own word."""
    time: float = Field(default_factory=time.time, ge=0, le=1e11)
    """Seconds since the epoch."""
    stopped_early: bool = False
    """Whether it was cast before both had finished."""


@dataclass(frozen=True)
class Imported:
    """What a file of votes held: the new ones, and how many were here already."""

    votes: list[Vote]
    duplicates: int


def shown_order(sides: int, rng: random.Random) -> list[int]:
    """The numbers 0 to `sides` - 1 in random order, each order equally likely."""
    return rng.sample(range(sides), sides)


def void_reason(sides: Sequence[tuple[ModelSpec, Reply]], question: str, *,
                catalog: Iterable[ModelSpec] | None = None) -> Wording | None:
    """Why a race cannot be voted on, as a sentence to show; None if it can.

    It is void if a side failed, was withheld or has said nothing, or gave away which model
    it is (see `llm.naming`). The sentence names that side: show it after the models' names.
    """
    catalog = list_models() if catalog is None else list(catalog)
    for spec, reply in sides:
        if reply.ending is Ending.FAILED:
            return Wording("This race is void: {name} failed. No vote is kept.", name=spec.label)
        if reply.ending is Ending.CONTENT_FILTER:
            return Wording("This race is void: {name}'s answer was withheld. No vote is kept.",
                           name=spec.label)
        if not reply.text.strip():
            return Wording("This race is void: {name} had said nothing yet. No vote is kept.",
                           name=spec.label)
    for spec, reply in sides:
        if said := gives_itself_away(reply.text, question, spec, catalog):
            return Wording("This race is void: {name} gave itself away by saying “{said}”. "
                           "No vote is kept.", name=spec.label, said=said)
    return None


def export_votes(votes: Iterable[Vote]) -> str:
    """Votes as JSON Lines: one object a line, in the given order."""
    return "".join(vote.model_dump_json() + "\n" for vote in votes)


def import_votes(data: bytes, known_ids: Collection[str] = ()) -> Imported:
    """The votes in a JSON Lines file that are not here yet, in the order of the file.

    All or nothing: raises `ImportRefusedError`, naming the first line that is wrong. A vote
    whose id is in `known_ids`, or came earlier in the file, is left out and counted.
    """
    if len(data) > MAX_IMPORT_BYTES:
        raise ImportRefusedError(
            "This file has {size:.0f} MB, more than the {most:.0f} "
            "that are taken at once. Split it and import the parts.",
            size=len(data) / 1e6, most=MAX_IMPORT_BYTES / 1e6,
        )
    votes: dict[str, Vote] = {}
    known = frozenset(known_ids)
    duplicates = 0
    for number, line in enumerate(data.removeprefix(b"\xef\xbb\xbf").split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            vote = Vote.model_validate_json(line)
        except ValidationError as error:
            field, reason = first_fault(error)
            raise ImportRefusedError(
                "Nothing was imported. Line {number} is not a vote: {field}{reason}.",
                number=number, field=field and f"{field}: ", reason=reason,
            ) from error
        if "id" not in vote.model_fields_set:
            # One made up here would be another at the next import of the same file.
            raise ImportRefusedError("Nothing was imported. The vote in line {number} has no id.",
                                     number=number)
        if vote.id in known or vote.id in votes:
            duplicates += 1
        else:
            votes[vote.id] = vote
        if len(votes) > MAX_IMPORT_VOTES:
            raise ImportRefusedError(
                "Nothing was imported: the file holds more than {most:,} votes. "
                "Split it and import the parts.",
                most=MAX_IMPORT_VOTES,
            )
    if not votes and not duplicates:
        raise ImportRefusedError("Nothing was imported: the file holds no votes.")
    return Imported(list(votes.values()), duplicates)
