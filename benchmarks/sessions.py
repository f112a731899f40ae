"""Many people at once, each with a reply on its way, and people who come, chat and go.

They speak the app's WebSocket as browsers do, from this process; the model is a server
elsewhere that answers everybody at the same rate. All of it shares the machine's cores.
"""

from __future__ import annotations

import asyncio
import statistics
import tempfile
import time
from collections.abc import AsyncIterator, Iterable
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import psutil

from benchmarks.person import CountingPerson
from benchmarks.remote import LAST_WORD, catalog, remote
from benchmarks.rows import Options, Row, row
from tests.app import RunningApp, start_app
from web import warm_up

RATE, TOKENS = 20, 200
"""The model's: a reply takes ten seconds at best."""
SIZES = (10, 50, 100)
FEW, FASTER = 10, 60
"""So many people leave cores idle: what they cost is measured, at the rate and at a higher one."""


class Work(NamedTuple):
    """Seconds of one core, so far: the app's, and those of all else that a benchmark runs."""

    app: float
    rest: float
    """The simulated people, in this process, and the model's server."""

    def since(self, earlier: Work) -> Work:
        return Work(self.app - earlier.app, self.rest - earlier.rest)


def measure(options: Options) -> Iterable[Row]:
    tokens = options.sized(TOKENS, 20)
    for people in options.sized(SIZES, (5,)):
        with _app(tokens, RATE) as app:
            found, work = asyncio.run(_all_at_once(app, people))
            memory = _megabytes(app)
        ideal = tokens / RATE
        times = sorted(seconds for seconds in found if seconds is not None)
        slow = times[int(0.95 * (len(times) - 1))]
        goal = people == 50
        yield row(f"{people} streaming at once: 95 of 100 have the last word within",
                  slow, "s", note=f"{ideal:g} s at the model's rate")
        yield row(f"{people} streaming at once: that over the ideal", slow / ideal, "times",
                  **({"at_most": 1.3} if goal else {}))
        yield row(f"{people} streaming at once: median", statistics.median(times), "s")
        yield row(f"{people} streaming at once: replies that did not come whole",
                  len(found) - len(times), "", at_most=0)
        yield row(f"{people} streaming at once: memory of the app", memory, "MB",
                  **({"at_most": 300} if goal else {}))
        yield row(f"{people} streaming at once: processor time of the app", work.app, "s")
        yield row(f"{people} streaming at once: processor time of the people and the model",
                  work.rest, "s")
    yield from _costs(options)
    yield from _coming_and_going(options)


class _app(ExitStack):
    """The app with the remote model as its default, until the block ends."""

    def __init__(self, tokens: int, rate: float):
        super().__init__()
        self.tokens, self.rate = tokens, rate

    def __enter__(self) -> RunningApp:
        folder = Path(self.enter_context(tempfile.TemporaryDirectory()))
        file = catalog(folder, {"Remote": self.enter_context(remote(self.rate, self.tokens))})
        app = self.enter_context(start_app(
            folder / "home", env={"PARLEY_MODELS": str(file), "OPENAI_API_KEY": "k"}))
        # What it loads once, after its start, is not people's.
        time.sleep(warm_up.PATIENCE + warm_up.LATER + 8)
        return app


def _megabytes(app: RunningApp) -> float:
    return psutil.Process(app.process.pid).memory_info().rss / 1e6


def _work(app: RunningApp) -> Work:
    own, its = psutil.Process(), app.process.pid
    rest = [own, *(child for child in own.children(recursive=True) if child.pid != its)]
    return Work(_busy(psutil.Process(its)), sum(map(_busy, rest)))


def _busy(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


@asynccontextmanager
async def _everybody(app: RunningApp, people: int) -> AsyncIterator[list[CountingPerson]]:
    """So many people who have the page open."""
    everybody = [CountingPerson(app.url, f"person{number}x") for number in range(people)]
    try:
        for person in everybody:
            await person.open("memory")
        yield everybody
    finally:
        await asyncio.gather(*(person.__aexit__() for person in everybody))


async def _all_at_once(app: RunningApp, people: int) -> tuple[list[float | None], Work]:
    """Seconds until each has the whole reply, None for who did not get it; and what it cost."""
    async with _everybody(app, people) as everybody:
        before = _work(app)
        found = await asyncio.gather(*map(_ask, everybody))
        return found, _work(app).since(before)


async def _ask(person: CountingPerson) -> float | None:
    begun = time.perf_counter()
    try:
        await person.ask("Tell me a story.")
    except Exception:
        return None  # counted, whatever it was
    return time.perf_counter() - begun if LAST_WORD in person.words else None


def _costs(options: Options) -> Iterable[Row]:
    """What benchmarks/capacity.py reckons with: the parts that a reply's processor time is of."""
    people, ideal = options.sized(FEW, 2), options.sized(10, 1)
    for rate in (RATE, FASTER):
        with _app(rate * ideal, rate) as app:
            alone = _megabytes(app)
            question, second = asyncio.run(_parts(app, people, ideal))
        of = f"a second of a reply at {rate} tokens/s: processor time of the"
        yield row(f"{of} app", second.app, "s")
        if rate == RATE:
            yield row(f"{of} people and the model", second.rest, "s")
            yield row("a question: processor time of the app", question, "s",
                      note="its page drawn, before and after the reply")
            yield row("memory of the app before anybody comes", alone, "MB")


async def _parts(app: RunningApp, people: int, ideal: float) -> tuple[float, Work]:
    """What one person's question costs the app, and a second of the reply that grows."""
    async with _everybody(app, 1) as first:
        await _ask(first[0])  # what is loaded with the first question of all
    async with _everybody(app, people) as everybody:
        before = _work(app)
        asking = asyncio.gather(*map(_ask, everybody))
        await asyncio.sleep(0.3 * ideal)
        begun, early = time.perf_counter(), _work(app)
        await asyncio.sleep(0.5 * ideal)
        took, growing = time.perf_counter() - begun, _work(app).since(early)
        await asking
        whole = _work(app).since(before)
    second = Work(*(part / took / people for part in growing))
    return max(0.0, whole.app / people - second.app * ideal), second


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
