"""What fills a model's context window, and what a message would push out of it.

    for part, count in context_parts(spec, system, view, message, max_tokens=512): ...

Pure: it counts (`llm.tokens` says of each count whether it was measured), and it
neither cuts nor sends. It does not know pages.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from langchain_core.messages import BaseMessage, SystemMessage

from llm.catalog import ModelSpec
from llm.memory import (
    Count,
    Options,
    Strategy,
    View,
    to_message,
    turns_to_summarise,
    was_said,
)
from llm.prices import price_of
from llm.tokens import TokenCount, count_message_tokens, count_template_tokens
from llm.transcript import Turn

USUAL_REPLY = 200
"""Tokens: how long a reply is taken to be when there is no other to judge by."""


class Part(NamedTuple):
    """A share of the context window: "system", "summary", "history", "message" or "reply"."""

    part: str
    count: TokenCount


def counter(spec: ModelSpec) -> Count:
    """A function that counts messages for this model, for `Options.count`."""
    return lambda messages: count_message_tokens(spec, messages).tokens


def context_parts(spec: ModelSpec, system: str, view: View, message: Sequence[BaseMessage] = (),
                  max_tokens: int | None = None) -> list[Part]:
    """What one request puts into the context window, in the order in which it is sent.

    `message` is the message at hand, as a list of one or none. What the chat template adds
    to a request by itself is counted to the system message. The last part is the
    room kept for the reply: `max_tokens`, or what is left where nobody set it. The
    parts are there even when they are 0; "reply" is left out where there is neither.
    """
    seen = view.system(system)
    alone = _system_tokens(spec, system)
    summed_up = _system_tokens(spec, seen)
    parts = [
        Part("system", alone + count_template_tokens(spec, has_system=bool(seen.strip()))),
        Part("summary", TokenCount(summed_up.tokens - alone.tokens, summed_up.measured)),
        Part("history", count_message_tokens(spec, view.messages)),
        Part("message", count_message_tokens(spec, message)),
    ]
    if max_tokens is None and spec.context_window is not None:
        used = sum((part.count for part in parts), TokenCount(0, True))
        parts.append(Part("reply", TokenCount(max(spec.context_window - used.tokens, 0),
                                              used.measured)))
    elif max_tokens is not None:
        parts.append(Part("reply", TokenCount(max_tokens, True)))
    return parts


def _system_tokens(spec: ModelSpec, system: str) -> TokenCount:
    # A blank instruction is not sent at all: see `llm.chains`.
    return count_message_tokens(spec, [SystemMessage(system)] if system.strip() else [])


@dataclass(frozen=True)
class Cut:
    """What would be lost, before it is."""

    turn_ids: tuple[str, ...]
    """Turns that the model sees now and would not see any more, oldest first."""
    tokens_over: int
    """How far the request would be over the context window; 0 where it fits."""
    at_once: bool
    """True: with the message at hand. False: with the one after the coming reply."""


def will_cut(spec: ModelSpec, system: str, strategy: Strategy, turns: Sequence[Turn],
             options: Options, message: str = "", max_tokens: int | None = None,
             now: View | None = None) -> Cut | None:
    """Whether the message at hand, or the next one, pushes anything out. None: nothing.

    `turns` are those before `message`. What is to come is guessed: a reply as long as
    those so far (`max_tokens` at most), and a next message as long as the last. `now` is
    what the strategy sees of them, where that is at hand.
    """
    room = max_tokens or 0
    now = now or strategy.see(turns, options)
    question = Turn("human", message)
    over = _tokens_over(spec, system, now, question, room)
    if over:
        return Cut((), over, at_once=True)
    reply_tokens = _usual_reply(turns)
    if max_tokens is not None:
        reply_tokens = min(reply_tokens, max_tokens)
    last = next((turn.content for turn in reversed(turns) if turn.role == "human"), "")
    if not question.content.strip():
        question = Turn("human", last or "Hello")
    later_turns = [*turns, question, Turn("ai", "word " * max(reply_tokens, 1))]
    later = strategy.see(later_turns, options)
    lost = tuple(turn.id for turn in now.turns if turn.id not in later.turn_ids)
    over = _tokens_over(spec, system, later, question, room)
    return Cut(lost, over, at_once=False) if lost or over else None


def _tokens_over(spec: ModelSpec, system: str, view: View, question: Turn, room: int) -> int:
    if spec.context_window is None:
        return 0
    message = [to_message(question)] if was_said(question) else []
    used = sum(part.count.tokens for part in context_parts(spec, system, view, message, room))
    return max(used - spec.context_window, 0)


def _usual_reply(turns: Sequence[Turn]) -> int:
    lengths = [turn.reply.output_tokens for turn in turns
               if turn.reply is not None and turn.reply.output_tokens]
    return sum(lengths) // len(lengths) if lengths else USUAL_REPLY


@dataclass(frozen=True)
class TurnTokens:
    """What one message of a conversation would have cost under one strategy."""

    turn_id: str
    strategy: str
    """A key of `STRATEGIES`."""
    input: TokenCount
    """Everything sent: instruction, summary, history and the message itself, and for the
    running summary also what was sent to make one at this turn."""
    usd: float | None
    """With the reply as long as it was; None where there is no price to be known."""


def tokens_per_turn(spec: ModelSpec, system: str, turns: Sequence[Turn], options: Options,
                    strategies: Sequence[str] = ("nothing", "everything", "last", "budget",
                                                 "summary"), *,
                    priced_as: ModelSpec | None = None) -> list[TurnTokens]:
    """Each strategy's tokens at each human message of a path, on the same conversation.

    The running summary is reckoned with summaries of `SUMMARY_WORDS` words, made when
    `turns_to_summarise` asks for one, and never counts as measured. `priced_as` is the
    model whose price is reckoned with, where it is not `spec`.
    """
    count = _remembering(spec)
    around = functools.partial(count_template_tokens, spec)
    # Asked once: the price list takes longer than all the rest of a turn.
    price = price_of(priced_as or spec)
    rows = []
    for key in strategies:
        for number, sent in _sent_each_time(key, turns, system, options, count, around):
            answer = turns[number + 1].reply if number + 1 < len(turns) else None
            written = (answer.output_tokens or 0) if answer is not None else 0
            rows.append(TurnTokens(turns[number].id, key, sent,
                                   None if price is None else price.usd(sent.tokens, written)))
    return rows


def _sent_each_time(key: str, turns: Sequence[Turn], system: str, options: Options,
                    count: Callable[[BaseMessage], TokenCount],
                    around: Callable[..., TokenCount]) -> Iterator[tuple[int, TokenCount]]:
    """The number of each question among `turns`, and the tokens that are sent for it.

    What a strategy shows is the end of what was said, from a message on that never moves
    back. So one walk along the conversation tells it, where asking the strategy anew at
    each question would take time with the square of the conversation's length.
    """
    from llm.summary import SUMMARY_PROMPT, SUMMARY_WORDS, summary_inputs

    a_summary = "word " * SUMMARY_WORDS
    said: list[Turn] = []
    tokens, guesses = [0], [0]
    """Of the first so many of `said`."""
    start = 0
    told = _counted_system(system, count) + around(has_system=bool(system.strip()))
    within = options.budget - _counted_system(options.system, count).tokens
    for number, turn in enumerate(turns):
        if not was_said(turn):
            continue
        words = count(to_message(turn))
        if turn.role == "human":
            making = TokenCount(0, key != "summary")
            if key == "nothing":
                start = len(said)
            elif key == "last":
                start = max(len(said) - options.last, 0)
            elif key == "budget":
                while start < len(said) and tokens[-1] - tokens[start] > within:
                    start += 1
            elif key == "summary" and (folded := turns_to_summarise(said[start:], options)):
                start += len(folded)
                told = around(has_system=True) + _counted_system(
                    View(summary=a_summary).system(system), count)
                making = sum(map(count, SUMMARY_PROMPT.format_messages(
                    **summary_inputs(a_summary, folded))), making + around(has_system=True))
            first = start
            while first < len(said) and said[first].role == "ai":
                first += 1
            history = TokenCount(tokens[-1] - tokens[first], guesses[-1] == guesses[first])
            yield number, told + history + words + making
        said.append(dataclasses.replace(turn, summary=None))
        tokens.append(tokens[-1] + words.tokens)
        guesses.append(guesses[-1] + (not words.measured))


def _counted_system(system: str, count: Callable[[BaseMessage], TokenCount]) -> TokenCount:
    return count(SystemMessage(system)) if system.strip() else TokenCount(0, True)


def _remembering(spec: ModelSpec) -> Callable[[BaseMessage], TokenCount]:
    """A counter of single messages that counts the same words once only."""
    by_words = functools.cache(
        lambda kind, text: count_message_tokens(spec, [kind(text)]))

    def count(message: BaseMessage) -> TokenCount:
        if isinstance(message.content, str):
            return by_words(type(message), message.content)
        return count_message_tokens(spec, [message])

    return count
