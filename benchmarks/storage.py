"""How long it takes to keep a turn, to open a conversation and to search a thousand of them.

On SQLite in a folder of its own, with replies as the app makes them: sent messages,
figures and the time of every piece.
"""

from __future__ import annotations

import itertools
import random
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from langchain_core.messages import SystemMessage

from benchmarks.rows import Options, Row, row
from llm.memory import remember_everything, to_message
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn
from storage import Store, open_store

OWNER = "browser:benchmark"
WORDS = [f"w{number}" for number in range(2_000)]
OFTEN = list(itertools.accumulate(1 / (number + 1) for number in range(2_000)))
LENGTHS = (10, 100, 1_000, 10_000)
SEARCHES = {"a rare word": "w1999", "a common word": "w0", "two words": "w3 w40",
            "the beginning of a word": "w19", "a word nobody wrote": "zebra"}


def conversation(random_words: random.Random, messages: int, pieces: int = 100) -> Transcript:
    """A chat of so many messages, its words drawn as in a language: a few of them most often."""
    def text(length: int) -> str:
        return " ".join(random_words.choices(WORDS, cum_weights=OFTEN, k=length))

    transcript, last = Transcript(stage="memory"), None
    for _ in range(messages // 2):
        latest = list(transcript.turns.values())[-20:]
        question = transcript.add(Turn("human", text(15), parent_id=last))
        history = remember_everything(latest).messages
        answer = transcript.add(Turn("ai", parent_id=question.id, reply=Reply(
            "benchmark", text(60), Ending.STOP, first_token_seconds=0.05, total_seconds=1.0,
            input_tokens=500, output_tokens=pieces, tokens_measured=True,
            messages=[SystemMessage("Be brief."), *history, to_message(question)],
            settings={"temperature": 0.7, "max_tokens": 512, "system": "Be brief."},
            chunk_times=[(number * 0.01, number * 4) for number in range(pieces)],
        )))
        last = answer.id
    return transcript


def rows(options: Options) -> Iterator[Row]:
    """What `python -m benchmarks` shows."""
    if options.quick:
        return measure(conversations=20, messages=10, lengths=(10,))
    return measure()


def measure(*, conversations: int = 1_000, messages: int = 100, url: str | None = None,
            lengths: tuple[int, ...] = LENGTHS) -> Iterator[Row]:
    """`url` None: SQLite in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        store = open_store(url or f"sqlite:///{Path(folder) / 'parley.db'}")
        try:
            yield from _measure(store, conversations, messages, lengths)
        finally:
            store.close()


def _measure(store: Store, conversations: int, messages: int,
             lengths: tuple[int, ...]) -> Iterator[Row]:
    words = random.Random(0)
    for length in lengths:
        long = conversation(words, length)
        store.add(OWNER, [long])
        repeats = 5 if length >= 1_000 else 30
        yield row(f"open a conversation of {length:,} messages",
                  _milliseconds(lambda long=long: store.load(OWNER, long.id), repeats), "ms")
        more = [turn for _ in range(30) for turn in _continue(words, long)]
        save = _each(lambda turn, long=long: store.save_turn(OWNER, long, turn), more)
        yield row(f"save a turn in a conversation of {length:,} messages",
                  _milliseconds(save, len(more)), "ms")
    many = [conversation(words, messages, pieces=1) for _ in range(conversations)]
    store.add(OWNER, many)
    yield row(f"list 50 of {conversations:,} conversations",
              _milliseconds(lambda: store.list(OWNER), 30), "ms")
    for what, asked in SEARCHES.items():
        yield row(f"search {conversations:,} conversations of {messages} messages: {what}",
                  _milliseconds(lambda asked=asked: store.search(OWNER, asked), 15), "ms",
                  at_most=100)


def _continue(words: random.Random, transcript: Transcript) -> list[Turn]:
    added = conversation(words, 2).path()
    added[0].parent_id = transcript.last.id
    return [transcript.add(turn) for turn in added]


def _each(act: Callable[[Turn], None], items: list[Turn]) -> Callable[[], None]:
    remaining = iter(items)
    return lambda: act(next(remaining))


def _milliseconds(act: Callable[[], Any], repeats: int) -> list[float]:
    found = []
    for _ in range(repeats):
        started = time.perf_counter()
        act()
        found.append((time.perf_counter() - started) * 1_000)
    return found
