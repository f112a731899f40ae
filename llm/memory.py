"""What a model is shown of a conversation: strategies from the transcript to messages.

    view = STRATEGIES["last"].see(transcript.path(), Options(last=4))
    chain.invoke({"system": view.system("Be brief."), "history": view.messages,
                  "message": [HumanMessage("What is my name?")]})

A strategy is a pure function. It gets the turns before the message at hand and
returns the history to send; the transcript itself is never cut, and a view names
the turns that the model does not see. A history never starts on an AI message:
some models' chat templates refuse that.

It does not know pages or storage, nor which model it is. What fills the context
window is counted in `llm.context`; LangGraph's way is in `llm.langgraph_memory`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    trim_messages,
)
from langchain_core.messages.utils import count_tokens_approximately

from llm.images import image_block
from llm.transcript import Turn

Count = Callable[[Sequence[BaseMessage]], int]
"""The tokens of messages as sent."""


@dataclass(frozen=True)
class View:
    """The history that is sent, which turns are in it, and which are not."""

    turns: Sequence[Turn] = ()
    """Those that are sent, oldest first."""
    unseen: tuple[str, ...] = ()
    """The ids of the turns that said something and are left out, oldest first."""
    summary: str | None = None
    """What stands for the turns up to and with `summary_after`, in the system message."""
    summary_after: str | None = None

    @cached_property
    def messages(self) -> list[BaseMessage]:
        """The turns as they are sent. Made when asked for: to grey a long chat needs none."""
        return [to_message(turn) for turn in self.turns]

    @cached_property
    def turn_ids(self) -> frozenset[str]:
        """The ids of the turns."""
        return frozenset(turn.id for turn in self.turns)

    def system(self, system: str) -> str:
        """The system message to send with this history: `system`, and the summary if any.

        It is one message, not two: many chat templates take a system message only
        at the very beginning.
        """
        if self.summary is None:
            return system
        return f"{system}\n\n{SUMMARY_INTRODUCTION}\n{self.summary}".strip()


SUMMARY_INTRODUCTION = "A summary of the conversation so far:"


@dataclass(frozen=True)
class Options:
    """What the strategies can be told. Each looks only at what concerns it."""

    last: int = 6
    """Messages that `remember_last` sends, and that a running summary leaves word for word."""
    budget: int = 512
    """Tokens of the system message and the history together, for `remember_within`."""
    system: str = ""
    count: Count = field(default=count_tokens_approximately)


def remember_nothing(turns: Sequence[Turn], options: Options = Options()) -> View:
    """Every message stands alone."""
    return _view(turns, [])


def remember_everything(turns: Sequence[Turn], options: Options = Options()) -> View:
    """The whole conversation, again with each message."""
    return _view(turns, [turn for turn in turns if was_said(turn)])


def remember_last(turns: Sequence[Turn], options: Options = Options()) -> View:
    """The last `options.last` messages, or one fewer where they would start on a reply."""
    said = [turn for turn in turns if was_said(turn)]
    return _view(turns, said[max(len(said) - options.last, 0):])


def remember_within(turns: Sequence[Turn], options: Options = Options()) -> View:
    """As many of the last messages as fit `options.budget`, the system message counted in.

    Where the system message alone fills the budget, no history is sent.
    """
    said = [turn for turn in turns if was_said(turn)]
    system = [SystemMessage(options.system)] if options.system.strip() else []
    trimmed = trim_messages(
        [*system, *map(to_message, said)], max_tokens=options.budget,
        token_counter=_counted_once(options.count), strategy="last", start_on="human",
        include_system=True,
    )
    return _view(turns, said[len(said) - (len(trimmed) - len(system)):])


def remember_summary(turns: Sequence[Turn], options: Options = Options()) -> View:
    """The latest summary that a model made on this path, and every message after it.

    Nothing is left out for which no summary stands: until one is made, this is
    `remember_everything`. When to make one, `turns_to_summarise` says.
    """
    summarised = _summarised(turns)
    kept = [turn for turn in turns[summarised:] if was_said(turn)]
    if not summarised:
        return _view(turns, kept)
    last = turns[summarised - 1]
    return _view(turns, kept, summary=last.summary, summary_after=last.id)


def _view(turns: Sequence[Turn], kept: list[Turn], *, summary: str | None = None,
          summary_after: str | None = None) -> View:
    while kept and kept[0].role == "ai":
        kept = kept[1:]
    seen = frozenset(turn.id for turn in kept)
    unseen = tuple(turn.id for turn in turns if was_said(turn) and turn.id not in seen)
    return View(kept, unseen, summary, summary_after)


def _counted_once(count: Count) -> Count:
    """`count`, message by message: a trimmer counts the same ones again and again."""
    known: dict[int, tuple[BaseMessage, int]] = {}

    def total(messages: Sequence[BaseMessage]) -> int:
        for message in messages:
            if id(message) not in known:
                # The message is held on to, so that its id stays its own.
                known[id(message)] = message, count([message])
        return sum(known[id(message)][1] for message in messages)

    return total


@dataclass(frozen=True)
class Strategy:
    """A way to remember, with the words that a page shows for it."""

    label: str
    explanation: str
    see: Callable[[Sequence[Turn], Options], View]


STRATEGIES: dict[str, Strategy] = {
    "nothing": Strategy(
        "Nothing", "Each message stands alone: cheap, and forgetful.", remember_nothing),
    "everything": Strategy(
        "Everything", "The whole conversation is sent again with each message, "
        "until it no longer fits the context window.", remember_everything),
    "last": Strategy(
        "The last messages", "Only the latest few messages are sent: the cost stays level, "
        "and what was said earlier is gone.", remember_last),
    "budget": Strategy(
        "A token budget", "As many of the latest messages as fit a number of tokens, the "
        "instruction always among them.", remember_within),
    "summary": Strategy(
        "A running summary", "The model itself sums up the older messages, and reads its "
        "summary in their place: short, and only as good as the model.", remember_summary),
    "langgraph": Strategy(
        "A LangGraph thread", "LangGraph keeps the messages of each thread in a checkpointer "
        "and adds the new one to them: everything, without sending it by hand.",
        remember_everything),
}


# ── The running summary ──────────────────────────────────────────────────────────────


def turns_to_summarise(turns: Sequence[Turn], options: Options = Options()) -> list[Turn]:
    """The turns that a new summary should take in, oldest first; empty while none is due.

    One is due when twice `options.last` messages stand after the summary so far; it
    then takes in all but the last of them, and the rest starts on a human message.
    What `llm.summary.extend_summary` makes of them belongs into the `summary` of the last.
    """
    fresh = [turn for turn in turns[_summarised(turns):] if was_said(turn)]
    if len(fresh) <= 2 * options.last:
        return []
    end = len(fresh) - options.last
    while end < len(fresh) and fresh[end].role != "human":
        end += 1
    return fresh[:end]


def _summarised(turns: Sequence[Turn]) -> int:
    """How many of the turns the latest summary stands for."""
    return next((number for number in range(len(turns), 0, -1) if turns[number - 1].summary), 0)


# ── Turns as messages ────────────────────────────────────────────────────────────────


def to_message(turn: Turn) -> BaseMessage:
    """A turn as the LangChain message that says it."""
    if turn.role == "ai":
        return AIMessage(turn.text)
    if turn.pictures:
        return HumanMessage([*map(image_block, turn.pictures),
                             {"type": "text", "text": turn.content}])
    return HumanMessage(turn.content)


def was_said(turn: Turn) -> bool:
    """Whether a turn holds words of its own: a reply that failed or was stopped before
    its first word says nothing, and an empty message is refused by some services."""
    return bool(turn.text.strip())
