"""An hour of use in a minute: many people at once, while servers are killed and begun again.

    python -m tests.soak                              # 50 people, 10 minutes
    python -m tests.soak --people 20 --seconds 60     # the short form, as in CI

Each person chats, stops, reloads in mid-reply, uploads pictures and changes pages, over
the app's WebSocket. The model's server is killed with -9 every few seconds, and the app
itself once. What must hold then, `check` says. What happened is kept for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import random
import re
import sys
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from PIL import Image

from tests import reports
from tests.aftermath import wrong_in_database, wrong_in_logs, wrong_requests
from tests.app import RunningApp, free_port, start_app
from tests.servers.echoing import TAG, EchoingProcess, has_begun, is_answered
from tests.servers.gated import as_default_model
from tests.web.person import GONE, PageFailed, Person
from web.owner_names import owner_of

MEGABYTES_GROWN = 100
"""Memory that the app may take between half of the time and the end of it."""
MEGABYTES_WARM = 350
"""What the app takes in any case once it has shown every kind of page."""
SESSIONS_KEPT = 128
"""Streamlit keeps so many sessions of closed tabs for two minutes, each with an event loop."""
LOOPS_OF_ITS_OWN = 10
"""The server's, the replies', the evaluations', and those of the last tabs as they close."""
FILES_LEFT = 40
"""Open files that the app may have once everybody has left, beyond those at its start, less
those of the event loops: a database's connections, its engine's, threads'."""


@dataclass
class Soak:
    """What was done and seen."""

    people: int
    seconds: float
    done: Counter[str] = field(default_factory=Counter)
    """Actions by name, and what came of them."""
    finished: dict[str, list[str]] = field(default_factory=dict)
    """Person's tag -> the questions whose whole answer that person has seen."""
    cookies: dict[str, str] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What must not be, as sentences. Empty: all is well."""
    figures: dict[str, float] = field(default_factory=dict)

    def report(self) -> dict:
        return {"people": self.people, "seconds": self.seconds, "done": dict(self.done),
                "finished_turns": sum(map(len, self.finished.values())),
                "figures": self.figures, "wrong": self.wrong}


def soak(folder: Path, *, people: int, seconds: float, seed: int = 1) -> Soak:
    """Run it; the app and the model are ended when it returns. `folder` must be empty."""
    outcome, mixed = Soak(people, seconds), folder / "mixed"
    model = EchoingProcess(mixed)
    catalog = as_default_model(model.base_url, folder)
    model.start()
    try:
        asyncio.run(_live(outcome, folder / "home", model, catalog, seed))
    finally:
        model.kill()
    check(outcome, folder, mixed)
    return outcome


@contextmanager
def _app(home: Path, catalog: Path, port: int) -> Iterator[RunningApp]:
    with start_app(home, port=port, env={"PARLEY_MODELS": str(catalog)}) as app:
        yield app


async def _live(outcome: Soak, home: Path, model: EchoingProcess, catalog: Path, seed: int) -> None:
    port, chance = free_port(), random.Random(seed)
    with ExitStack() as running:
        app = await asyncio.to_thread(running.enter_context, _app(home, catalog, port))
        process = psutil.Process(app.process.pid)
        ends = time.monotonic() + outcome.seconds
        lives = [asyncio.create_task(_life(outcome, app.url, number, ends, seed))
                 for number in range(outcome.people)]
        killer = asyncio.create_task(_kill_the_model(outcome, model, ends, chance))
        await asyncio.sleep(outcome.seconds / 4)
        app.process.kill()
        outcome.done["app killed"] += 1
        app = await asyncio.to_thread(running.enter_context, _app(home, catalog, port))
        process = psutil.Process(app.process.pid)
        _count_files(outcome, process, "start")
        await asyncio.sleep(max(0.0, ends - time.monotonic() - outcome.seconds / 2))
        outcome.figures["megabytes_at_half"] = round(process.memory_info().rss / 1e6)
        await asyncio.gather(killer, *lives)
        outcome.figures["megabytes_at_end"] = round(process.memory_info().rss / 1e6)
        for _try in range(100):
            _count_files(outcome, process, "end")
            if not _keeps_files(outcome.figures):
                break
            await asyncio.sleep(0.1)
        zombies = [child.pid for child in process.children(recursive=True)
                   if child.status() == psutil.STATUS_ZOMBIE]
        if zombies:
            outcome.wrong.append(f"{len(zombies)} zombie processes under the app")


def _count_files(outcome: Soak, process: psutil.Process, when: str) -> None:
    """Note the process's open files, and how many event loops have three each of them. Linux."""
    kinds = Counter[str]()
    for file in Path(f"/proc/{process.pid}/fd").iterdir():
        with suppress(OSError):  # closed meanwhile
            kinds[os.readlink(file)] += 1
    loops = kinds["anon_inode:[eventpoll]"]
    outcome.figures |= {f"loops_at_{when}": loops, f"files_at_{when}": kinds.total() - 3 * loops}


def _keeps_files(figures: dict[str, float]) -> bool:
    return (figures["files_at_end"] > figures["files_at_start"] + FILES_LEFT
            or figures["loops_at_end"] > LOOPS_OF_ITS_OWN + SESSIONS_KEPT)


async def _kill_the_model(outcome: Soak, model: EchoingProcess, ends: float,
                          chance: random.Random) -> None:
    while time.monotonic() < ends:
        await asyncio.sleep(min(chance.uniform(3, 10), max(0.1, ends - time.monotonic())))
        await asyncio.to_thread(model.kill)
        outcome.done["model killed"] += 1
        await asyncio.sleep(chance.uniform(0, 2))
        model.start()


# One person's use

async def _life(outcome: Soak, url: str, number: int, ends: float, seed: int) -> None:
    tag, chance = f"person{number}x", random.Random(seed * 1000 + number)
    outcome.finished[tag] = []
    actions = {_chat: 12, _stop: 3, _reload: 3, _send_picture: 2, _look_around: 2}
    asked = 0
    async with Person(url, tag) as person:
        while time.monotonic() < ends:
            [act] = chance.choices(list(actions), list(actions.values()))
            try:
                if not person.page:
                    await person.open("memory")
                outcome.cookies[tag] = person.cookie
                await act(outcome, person, f"{tag}-{asked}")
                outcome.done[act.__name__.strip("_")] += 1
            except GONE:
                outcome.done["found the app gone"] += 1
                person.page = ""
                await asyncio.sleep(0.5)
            except PageFailed as error:
                outcome.wrong.append(str(error))
                person.page = ""
            asked += 1
            strangers = set(TAG.findall(person.words)) - {tag}
            if strangers:
                outcome.wrong.append(f"{tag} sees what {strangers} said")


def _note(outcome: Soak, person: Person, question: str) -> None:
    if is_answered(question, person.words):
        outcome.finished[person.tag].append(question)
    elif person.warnings:
        outcome.done["reply failed and said so"] += 1
    else:
        outcome.wrong.append(f"{question} got neither its answer nor a reason: {person.words}")


async def _chat(outcome: Soak, person: Person, question: str) -> None:
    if person.page != "memory":
        await person.open("memory")
    await person.ask(f"{question} hello")
    _note(outcome, person, question)


async def _stop(outcome: Soak, person: Person, question: str) -> None:
    if person.page != "memory":
        await person.open("memory")
    await person.ask(f"{question} hello", until=lambda: (
        has_begun(question, person.words) and person.button("Stop") is not None))
    if not await person.press("Stop"):  # it was over sooner
        _note(outcome, person, question)


async def _reload(outcome: Soak, person: Person, question: str) -> None:
    if person.page != "memory":
        await person.open("memory")
    before = list(outcome.finished[person.tag])
    await person.ask(f"{question} hello", until=lambda: has_begun(question, person.words))
    await person.open("memory")
    _note(outcome, person, question)
    asked_here = [asked for asked in before if re.search(rf"^{asked} ", person.words, re.M)]
    lost = [asked for asked in asked_here if not is_answered(asked, person.words)]
    if lost:
        outcome.wrong.append(f"{person.tag} has lost the answers to {lost} after a reload")


async def _send_picture(outcome: Soak, person: Person, question: str) -> None:
    await person.open("picture")
    buffer = io.BytesIO()
    shade = uuid.uuid4().bytes
    Image.new("RGB", (64, 48), tuple(shade[:3])).save(buffer, "PNG")
    await person.upload("picture.png", buffer.getvalue())
    await person.ask(f"{question} what is it")
    _note(outcome, person, question)
    person.put_away()


async def _look_around(outcome: Soak, person: Person, question: str) -> None:
    await person.open("models")


# What must hold

def check(outcome: Soak, folder: Path, mixed: Path) -> None:
    """Add to `outcome.wrong` whatever does not hold of what is left in the folder."""
    wrong, figures = outcome.wrong, outcome.figures
    wrong += wrong_requests(mixed)
    wrong += wrong_in_logs([*folder.glob("*.log"), folder / "home" / "logs" / "parley.log"])
    # On a slow machine the app may just have begun anew at half of the time.
    grown = figures["megabytes_at_end"] - max(figures["megabytes_at_half"], MEGABYTES_WARM)
    if grown > MEGABYTES_GROWN:
        wrong.append(f"The app's memory grew by {grown:.0f} MB")
    if _keeps_files(figures):
        wrong.append(f"The app keeps files open: {figures}")
    os.environ["PARLEY_HOME"] = str(folder / "home")  # where the cookies' secret is
    owners = {tag: owner_of(cookie) for tag, cookie in outcome.cookies.items()}
    wrong += wrong_in_database(f"sqlite:///{folder / 'home' / 'parley.db'}", owners,
                               outcome.finished)


def main() -> int:
    """The command. 0: all held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write the outcome there")
    chosen = parser.parse_args()
    return reports.tell("soak", lambda folder: soak(
        folder, people=chosen.people, seconds=chosen.seconds, seed=chosen.seed), chosen.report)


if __name__ == "__main__":
    sys.exit(main())
