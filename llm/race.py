"""A race: two to four models get the same messages, and each has a history of its own.

    race = Race.of([Contender(get_model("a")), Contender(get_model("b"), temperature=1.0)])
    race.ask("Why is the sky blue?")
    for pane in race.waiting:
        pane.take(start_reply(...))

Nobody is ever fed another's answer: a pane's transcript is all that its model sees. In a
blind race two of the contenders are drawn, in random order, and are `hidden` until `verdict`
is set.

This module does not know how a question is answered, nor pages.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from llm.catalog import ModelSpec
from llm.images import Picture
from llm.replies import Reply
from llm.transcript import Transcript, Turn, new_id
from llm.votes import Choice, Vote, shown_order, void_reason
from llm.wording import Wording

LETTERS = "ABCD"
"""The panes' names, in the order shown: left and right mean nothing on a phone."""


@dataclass(frozen=True)
class Contender:
    """A model that takes part, and the temperature that it alone gets, if any."""

    spec: ModelSpec
    temperature: float | None = None

    @property
    def label(self) -> str:
        own = "" if self.temperature is None else f", temperature {self.temperature:g}"
        return self.spec.label + own

    def settings(self, shared: Mapping[str, Any]) -> dict[str, Any]:
        """The race's settings with this contender's own in their place."""
        own = {} if self.temperature is None else {"temperature": self.temperature}
        return {**shared, **own}


@dataclass
class Pane:
    """One contender's side of a race."""

    letter: str
    contender: Contender
    chat: Transcript = field(default_factory=Transcript)

    @property
    def spec(self) -> ModelSpec:
        return self.contender.spec

    @property
    def reply(self) -> Reply | None:
        """The answer to the last question; None before there is one."""
        last = self.chat.last
        return last.reply if last is not None else None

    def take(self, reply: Reply) -> Turn:
        """Hang the answer under the last question. Needs one."""
        question = self.chat.last_question
        assert question is not None
        return self.hang(Turn("ai", parent_id=question.id, reply=reply))

    def hang(self, turn: Turn) -> Turn:
        """Put a turn where its parent says, and show it, unless it is there already."""
        return self.chat.turns.get(turn.id) or self.chat.add(turn)

    def ask_again(self, answer: Turn) -> None:
        """Stop the last answer and wait for another. The old one stays, as a version.

        An answer that is not the one shown has been left already.
        """
        if answer in self.chat.path()[-1:] and answer.reply is not None:
            answer.reply.stop()
            del self.chat.shown[answer.parent_id]


@dataclass
class Race:
    """The panes in the order shown, and what the race has come to."""

    panes: list[Pane]
    blind: bool = False
    entered: tuple[Contender, ...] = ()
    """All who could be drawn: a blind race is between two of them."""
    id: str = field(default_factory=new_id)
    only: str | None = None
    """The letter of the one pane that follow-ups go to; None: all."""
    verdict: Wording | str | None = None
    """A sentence on the vote of a blind race, or on why it is void."""
    runs: dict[str, list[Reply]] = field(default_factory=dict)
    """By letter: further answers to the latest question, which no history holds."""
    runs_wanted: int = 0
    """How many of them each pane is to have."""

    @classmethod
    def of(cls, contenders: Sequence[Contender], *, blind: bool = False,
           rng: random.Random | None = None) -> Race:
        """A race that has not begun. A blind one is between two, drawn by `rng`."""
        entered = tuple(contenders)
        if blind:
            drawn = shown_order(len(contenders), rng or random.Random())[:2]
            contenders = [contenders[number] for number in drawn]
        panes = [Pane(letter, contender)
                 for letter, contender in zip(LETTERS, contenders, strict=False)]
        return cls(panes, blind, entered)

    @property
    def hidden(self) -> bool:
        """Whether names and figures must not be seen yet."""
        return self.blind and self.verdict is None

    @property
    def replies(self) -> list[Reply]:
        """The answers to the last question that there are."""
        return [pane.reply for pane in self.panes if pane.reply is not None]

    @property
    def waiting(self) -> list[Pane]:
        """The panes whose last question has no answer yet, not even a running one."""
        return [pane for pane in self.panes
                if pane.chat.last is not None and pane.chat.last.role == "human"]

    @property
    def is_running(self) -> bool:
        return any(reply.is_running for reply in self.replies)

    @property
    def is_over(self) -> bool:
        """Whether every pane has had its answer to the last question."""
        return bool(self.replies) and not self.is_running and not self.waiting

    @property
    def comparable(self) -> list[Pane]:
        """The panes that answered the latest question. Those it did not go to are left out."""
        asked = {pane.letter: question.created_at for pane in self.panes
                 if (question := pane.chat.last_question)}
        return [pane for pane in self.panes if pane.reply is not None
                and asked[pane.letter] == max(asked.values())]

    def ask(self, content: str, pictures: Sequence[Picture] = ()) -> None:
        """Put a message to every pane, or to the one that the race goes on with."""
        self.stop()
        self.stop_runs()
        self.runs = {}
        asked_at = time.time()  # The same for all: by this the question is known as one.
        for pane in self.panes:
            if self.only in (None, pane.letter):
                question = pane.chat.append("human", content, pictures=list(pictures))
                question.created_at = asked_at

    def stop(self) -> None:
        """Stop every answer that runs, and wait a moment until it has."""
        running = [reply for reply in self.replies if reply.is_running]
        for reply in running:
            reply.stop()
        for reply in running:
            reply.wait(1)

    # ── The same question again and again ────────────────────────────────────────────

    def begin_runs(self, count: int) -> None:
        """Want `count` further answers to the latest question of each pane that answered it.

        Whoever draws the page asks for them. As many as are on their way are not begun anew.
        """
        if count == self.runs_wanted and not self.runs_are_over:
            return
        self.stop_runs()
        self.runs, self.runs_wanted = {pane.letter: [] for pane in self.comparable}, count

    def stop_runs(self) -> None:
        """Want no more, and stop those that run."""
        self.runs_wanted = 0
        for runs in self.runs.values():
            for run in runs:
                run.stop()

    @property
    def runs_are_over(self) -> bool:
        return all(len(runs) >= self.runs_wanted and not any(run.is_running for run in runs)
                   for runs in self.runs.values())

    # ── Blind ────────────────────────────────────────────────────────────────────────

    def void_reason(self) -> Wording | None:
        """Why this race cannot be voted on; None if it can. See `llm.votes.void_reason`."""
        question = self.panes[0].chat.last_question
        return void_reason([(pane.spec, pane.reply or Reply(pane.spec.id)) for pane in self.panes],
                           question.content if question else "")

    def settle(self) -> None:
        """Let a blind race that is over and cannot be voted on say so, and be seen."""
        if self.hidden and self.is_over:
            self.verdict = self.void_reason()

    def vote(self, choice: Choice, *, tag: str = "") -> Vote | None:
        """End the race with a vote. None, and a `verdict` that says so, if it is void."""
        left, right = self.panes
        stopped_early = self.is_running
        self.stop()
        self.verdict = self.void_reason()
        if self.verdict is not None:
            return None
        said = [turn for turn in left.chat if turn.role == "human"]
        assert left.reply is not None and right.reply is not None
        return Vote(
            race_id=self.id, prompt="\n\n".join(turn.content for turn in said),
            pictures=tuple(picture.sha256 for turn in said for picture in turn.pictures),
            system=left.reply.settings.get("system", ""),
            models=(left.spec.id, right.spec.id),
            settings=(_without_system(left.reply), _without_system(right.reply)),
            choice=choice, tag=tag.strip(), stopped_early=stopped_early,
        )


def _without_system(reply: Reply) -> dict[str, Any]:
    return {name: value for name, value in reply.settings.items() if name != "system"}
