"""What a long conversation costs, and a long reply: the app's time, and bytes to the browser."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.person import CountingPerson
from benchmarks.remote import LAST_WORD, catalog, remote
from benchmarks.rows import Options, Row, ratio, row
from benchmarks.storage import conversation
from components.kept import LAST_SHOWN
from storage import open_store
from tests.app import RunningApp, start_app

SHORT, LONG = 10, 1_000
RERUNS = 7
"""Of each in a repeat: one takes a twentieth of a second, and now and then twice that."""


def measure(options: Options) -> Iterable[Row]:
    tokens = options.sized(1_000, 100)
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        models = {"Remote": running.enter_context(remote(200, tokens))}
        app = running.enter_context(start_app(
            folder / "home", env={"PARLEY_MODELS": str(catalog(folder, models)),
                                  "OPENAI_API_KEY": "k"}))
        yield from asyncio.run(_reruns(app, options))
        yield from asyncio.run(_reply(app, options, tokens))


async def _reruns(app: RunningApp, options: Options) -> list[Row]:
    lengths = {SHORT: ([], []), options.sized(LONG, 100): ([], [])}
    people = {length: CountingPerson(app.url, f"person{length}x") for length in lengths}
    try:
        for length, person in people.items():
            await _come_to_a_chat_of(app, person, length)
            for _ in range(2):  # the first counts each message's tokens
                await person.run()
        for _ in [*options.times] * RERUNS:
            for length, person in people.items():
                before, begun = person.received, time.perf_counter()
                await person.run()
                lengths[length][0].append((time.perf_counter() - begun) * 1e3)
                lengths[length][1].append((person.received - before) / 1e3)
    finally:
        for person in people.values():
            await person.leave()
    (short, short_sent), (long, long_sent) = lengths.values()
    long_name = max(lengths)
    return [
        row(f"a rerun with {SHORT} messages: the app's time", short, "ms"),
        row(f"a rerun with {long_name:,} messages: the app's time", long, "ms"),
        ratio(f"a rerun's time, {long_name:,} messages / {SHORT}", long, short, at_most=1.5),
        row(f"a rerun with {SHORT} messages: sent to the browser", short_sent, "kB"),
        row(f"a rerun with {long_name:,} messages: sent to the browser", long_sent, "kB"),
        ratio(f"a rerun's bytes, {long_name:,} messages / {SHORT}", long_sent, short_sent,
              at_most=1.5),
    ]


async def _come_to_a_chat_of(app: RunningApp, person: CountingPerson, length: int) -> None:
    await person.open("memory")
    owner, _dot, _signature = person.cookie.rpartition(".")
    chat = conversation(random.Random(length), length, pieces=10)
    store = open_store(f"sqlite:///{app.home / 'parley.db'}")
    try:
        store.add(owner, [chat])
        store.put_record(owner, LAST_SHOWN, chat.stage, chat.id)
    finally:
        store.close()
    await person.open("memory")
    last = chat.last.text
    if last[:40] not in person.words:
        raise RuntimeError(f"the chat of {length} messages is not shown")


async def _reply(app: RunningApp, options: Options, tokens: int) -> list[Row]:
    sent = []
    for repeat in range(options.sized(3, 1)):
        async with CountingPerson(app.url, f"person{repeat}x") as person:
            await person.open("chat")
            before = person.received
            await person.ask("Tell me a long story.")
            sent.append((person.received - before) / 1e3)
            if LAST_WORD not in person.words:
                raise RuntimeError("the reply did not come to its end")
    return [row(f"a reply of {tokens:,} tokens: sent to the browser", sent, "kB", at_most=200)]
