"""A conversation: a tree of turns, of which one path is shown.

Editing a message or asking again never destroys anything: the new turn becomes
a sibling of the old one, and the transcript remembers which sibling is shown.

    human "My name is Ada." ── ai "Hello Ada." ── human "What is my name?" ── ai "Ada."
                                               └─ human "And who are you?" ── ai …

A transcript does not know models, prompts, memory strategies, storage or pages.
It is plain data: everything in it can be written as JSON.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Literal

from llm.images import Picture
from llm.replies import Reply

Role = Literal["human", "ai"]


def new_id() -> str:
    """A random id that nobody can guess: 32 hexadecimal digits."""
    return uuid.uuid4().hex


@dataclass
class Turn:
    """One message in a conversation.

    `pictures` holds the processed pictures that were sent with a human turn, in
    order. `reply` is how an AI turn came to be; its text is the turn's text, and
    goes on growing while the reply streams.
    """

    role: Role
    content: str = ""
    parent_id: str | None = None
    id: str = field(default_factory=new_id)
    created_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    pictures: list[Picture] = field(default_factory=list)
    reply: Reply | None = None
    rating: Literal[1, -1] | None = None
    """Thumbs up or down on an AI turn."""
    summary: str | None = None
    """What a model made of the path down to this turn, itself included: see `llm.memory`."""
    pictures_lost: int = 0
    """Pictures that were sent with it and found no room where it is kept."""

    @property
    def text(self) -> str:
        return self.reply.text if self.reply is not None else self.content


@dataclass
class Transcript:
    """The turns by id, and which child of each turn is the one shown."""

    id: str = field(default_factory=new_id)
    title: str = ""
    stage: str = ""
    """Where it is held, in the app's own word."""
    pinned: bool = False
    """Whether it stays at the top of a list of conversations."""
    created_at: float = field(default_factory=time.time)
    turns: dict[str, Turn] = field(default_factory=dict)
    shown: dict[str | None, str] = field(default_factory=dict)
    """parent id (None for the root) -> id of the child on the shown path."""

    def __iter__(self) -> Iterator[Turn]:
        """The turns of the shown path, oldest first."""
        parent: str | None = None
        while (turn_id := self.shown.get(parent)) is not None:
            yield self.turns[turn_id]
            parent = turn_id

    def path(self) -> list[Turn]:
        return list(self)

    def path_to(self, turn: Turn) -> list[Turn]:
        """The turns from the root down to `turn`, itself included."""
        path = [turn]
        while path[-1].parent_id is not None:
            path.append(self.turns[path[-1].parent_id])
        return path[::-1]

    def siblings(self, turn: Turn) -> list[Turn]:
        """The versions of this turn, oldest first, itself included."""
        return [other for other in self.turns.values() if other.parent_id == turn.parent_id]

    def add(self, turn: Turn) -> Turn:
        """Hang `turn` under its `parent_id` and show it. Returns it."""
        self.turns[turn.id] = turn
        self.shown[turn.parent_id] = turn.id
        return turn

    def append(self, role: Role, content: str = "", *, reply: Reply | None = None,
               pictures: list[Picture] | None = None) -> Turn:
        """Add a turn below the last one shown. Returns it."""
        last = self.last
        return self.add(Turn(role, content, parent_id=last.id if last else None,
                             reply=reply, pictures=pictures or []))

    @property
    def last(self) -> Turn | None:
        """The last turn of the shown path."""
        path = self.path()
        return path[-1] if path else None

    @property
    def last_question(self) -> Turn | None:
        """The last message of the person on the shown path, answered or not."""
        return next((turn for turn in reversed(self.path()) if turn.role == "human"), None)

    def show(self, turn: Turn) -> None:
        """Make `turn` the shown one among its siblings, and its ancestors too."""
        for step in self.path_to(turn):
            self.shown[step.parent_id] = step.id

    def branch(self, turn: Turn, content: str = "", *, reply: Reply | None = None) -> Turn:
        """Add a new version of `turn` beside it, and show it. Returns the new one.

        A new version of a human turn keeps its pictures.
        """
        return self.add(Turn(turn.role, content, parent_id=turn.parent_id, reply=reply,
                             pictures=list(turn.pictures)))
