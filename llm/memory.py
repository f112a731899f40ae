"""What a model is shown of a conversation: strategies from the transcript to messages.

A strategy is a pure function. It gets the turns before the message at hand and
returns the history to send; the transcript itself is never cut. It does not know
models, pages or storage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from llm.images import image_block
from llm.replies import Ending
from llm.transcript import Turn


@dataclass(frozen=True)
class View:
    """The history that is sent, and which turns are in it."""

    messages: list[BaseMessage]
    turn_ids: frozenset[str]


def remember_nothing(turns: Sequence[Turn]) -> View:
    """Every message stands alone."""
    return View([], frozenset())


def remember_everything(turns: Sequence[Turn]) -> View:
    """The whole conversation, again with each message."""
    kept = [turn for turn in turns if _was_said(turn)]
    return View([to_message(turn) for turn in kept], frozenset(turn.id for turn in kept))


def to_message(turn: Turn) -> BaseMessage:
    """A turn as the LangChain message that says it."""
    if turn.role == "ai":
        return AIMessage(turn.text)
    if turn.pictures:
        return HumanMessage([*map(image_block, turn.pictures),
                             {"type": "text", "text": turn.content}])
    return HumanMessage(turn.content)


def _was_said(turn: Turn) -> bool:
    """Whether a turn holds words of its own: a reply that failed or was stopped before
    its first word says nothing, and an empty message is refused by some services."""
    return bool(turn.text.strip())
