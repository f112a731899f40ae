"""A race as plain JSON, and back: what is kept of it for the next visit.

    value = plain_race(race)                        # for json.dumps
    race = race_from_plain(value, contenders)

A pane's conversation is written in the format of `llm.transcript_json`, with every version of
its turns and its pictures. Further runs that no history holds are not in it. This module does
not know where a race is kept.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from llm.errors import ImportRefusedError
from llm.race import LETTERS, Contender, Pane, Race
from llm.replies import Ending, Reply
from llm.transcript_import import read_conversations
from llm.transcript_json import write_conversations

AT_ONCE = 0.05
"""Seconds. Questions so close are one message: no person sends a second one so soon."""


class _PlainPane(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    temperature: float | None


class _PlainRace(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = 1
    id: str
    blind: bool
    only: str | None
    verdict: str | None
    panes: Annotated[list[_PlainPane], Field(min_length=2, max_length=len(LETTERS))]
    """In the order shown."""
    chats: str
    """The panes' conversations, in that order."""


def plain_race(race: Race) -> dict[str, Any]:
    """The race as values that JSON has. An answer that runs is written as stopped, wordless."""
    return _PlainRace(
        id=race.id, blind=race.blind, only=race.only,
        verdict=None if race.verdict is None else str(race.verdict),
        panes=[_PlainPane(model=pane.spec.id, temperature=pane.contender.temperature)
               for pane in race.panes],
        chats=write_conversations(pane.chat for pane in race.panes),
    ).model_dump(mode="json")


def race_from_plain(value: Any, contenders: Sequence[Contender]) -> Race:
    """The race as it was, between some of `contenders`.

    What had no answer counts as stopped: nobody is asked again unless somebody says so.
    Raises `ImportRefusedError` if it is damaged, or between others.
    """
    try:
        plain = _PlainRace.model_validate(value)
    except ValidationError as error:
        raise ImportRefusedError("This race is damaged and cannot be opened.") from error
    known = {(entered.spec.id, entered.temperature): entered for entered in contenders}
    chats = read_conversations(plain.chats)
    try:
        drawn = [known[pane.model, pane.temperature] for pane in plain.panes]
        panes = [Pane(letter, contender, chat) for letter, contender, chat
                 in zip(LETTERS[:len(drawn)], drawn, chats, strict=True)]
    except (KeyError, ValueError) as error:
        raise ImportRefusedError("This race is between other models.") from error
    race = Race(panes, plain.blind, id=plain.id, only=plain.only, verdict=plain.verdict,
                entered=tuple(contenders))
    for pane in race.waiting:
        pane.take(Reply(pane.spec.id, ending=Ending.STOPPED))
    _share_moments(race)
    return race


def _share_moments(race: Race) -> None:
    """Let a message have one time in all panes, by which its answers are compared.

    Before, it came to each pane some microseconds after the last.
    """
    questions = [turn for pane in race.panes for turn in pane.chat if turn.role == "human"]
    for before, turn in pairwise(sorted(questions, key=lambda turn: turn.created_at)):
        if turn.created_at - before.created_at < AT_ONCE:
            turn.created_at = before.created_at
