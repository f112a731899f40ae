"""Many people at once, each with a reply on its way, and people who come, chat and go.

They speak the app's WebSocket as browsers do, from this process; the model is a server
elsewhere that answers everybody at the same rate. All of it shares the machine's cores.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path

import psutil

from benchmarks.person import CountingPerson
from benchmarks.remote import LAST_WORD, catalog, remote
from benchmarks.rows import Options, Row, row
from tests.app import RunningApp, start_app

RATE, TOKENS = 20, 200
"""The model's: a reply takes ten seconds at best."""


def measure(options: Options) -> Iterable[Row]:
    tokens = options.sized(TOKENS, 20)
    for people in options.sized((50, 100), (5,)):
        with _app(tokens, RATE) as app:
            found = asyncio.run(_all_at_once(app, people))
            memory = _megabytes(app)
        ideal = tokens / RATE
        times = sorted(seconds for seconds in found if seconds is not None)
        slow = times[int(0.95 * (len(times) - 1))]
        goal = people <= 50
        yield row(f"{people} streaming at once: 95 of 100 have the last word within",
                  slow, "s", note=f"{ideal:g} s at the model's rate")
        yield row(f"{people} streaming at once: that over the ideal", slow / ideal, "times",
                  **({"at_most": 1.3} if goal else {}))
        yield row(f"{people} streaming at once: median", statistics.median(times), "s")
        yield row(f"{people} streaming at once: replies that did not come whole",
                  len(found) - len(times), "", at_most=0)
        yield row(f"{people} streaming at once: memory of the app", memory, "MB",
                  **({"at_most": 300} if goal else {}))
    yield from _coming_and_going(options)


class _app(ExitStack):
    """The app with the remote model as its default, until the block ends."""

    def __init__(self, tokens: int, rate: float):
        super().__init__()
        self.tokens, self.rate = tokens, rate

    def __enter__(self) -> RunningApp:
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        file = catalog(folder, {"Remote": self.enter_context(remote(self.rate, self.tokens))})
        return self.enter_context(start_app(
            folder / "home", env={"PARLEY_MODELS": str(file), "OPENAI_API_KEY": "k"}))


def _megabytes(app: RunningApp) -> float:
    return psutil.Process(app.process.pid).memory_info().rss / 1e6


async def _all_at_once(app: RunningApp, people: int) -> list[float | None]:
    """Seconds until each has the whole reply; None for who did not get it."""
    everybody = [CountingPerson(app.url, f"person{number}x") for number in range(people)]
    try:
        for person in everybody:
            await person.open("memory")
        return await asyncio.gather(*map(_ask, everybody))
    finally:
        await asyncio.gather(*(person.__aexit__() for person in everybody))


async def _ask(person: CountingPerson) -> float | None:
    begun = time.perf_counter()
    try:
        await person.ask("Tell me a story.")
    except Exception:
        return None  # counted, whatever it was
    return time.perf_counter() - begun if LAST_WORD in person.words else None


def _coming_and_going(options: Options) -> Iterable[Row]:
    """Each cycle is a new connection, a question, its answer, and the connection closed."""
    cycles = options.sized(500, 4)
    with _app(5, 100) as app:
        asyncio.run(_cycles(app, cycles // 2))
        half = _megabytes(app)
        begun = time.perf_counter()
        asyncio.run(_cycles(app, cycles // 2))
        took = time.perf_counter() - begun
        yield row(f"memory of the app after {cycles // 2} came, chatted and left", half, "MB")
        yield row(f"memory that it grows by in {cycles // 2} more", _megabytes(app) - half, "MB",
                  at_most=15)
        yield row("from coming to having left", took / (cycles // 2), "s")


async def _cycles(app: RunningApp, cycles: int, at_once: int = 4) -> None:
    remaining = iter(range(cycles))

    async def come_and_go() -> None:
        for number in remaining:
            async with CountingPerson(app.url, f"person{number}x") as person:
                await person.open("chat")
                await person.ask("Hello")

    await asyncio.gather(*(come_and_go() for _ in range(at_once)))
