"""Two of the app's processes behind nginx, one killed in mid-reply: what is lost, and what not.

    python -m tests.replicas                              # 100 people
    python -m tests.replicas --people 20 --questions 2    # the short form, as in CI

A real nginx with deploy/nginx.conf, a real PostgreSQL, one model's server that both share, and
people who speak the app's WebSocket, each with a cookie. While everybody has a reply on its way,
one process is killed with -9. Its people come back through nginx and go on at the other. What
must hold then, `_check` says. What happened is kept for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import os
import random
import statistics
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack, ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from unittest.mock import patch

from storage import open_store
from tests import reports
from tests.aftermath import kept_turns, wrong_in_database, wrong_in_logs, wrong_requests
from tests.app import RunningApp, start_app
from tests.servers.echoing import TAG, EchoingProcess, answer_to, has_begun, is_answered
from tests.servers.gated import as_default_model
from tests.servers.nginx import SECRETS, Proxy, nginx
from tests.servers.postgres import postgres
from tests.web.person import GONE, PageFailed, Person
from web.owner_names import owner_of

PAUSE = 1.0
"""Seconds that a person thinks at most before the next question."""
ARRIVING = 8
"""People who open the page at the same moment, when all of them come."""
LOOKED_FOR = 7
"""Finished questions that are looked for on the page, which draws 8 at most with their answers."""
PATIENCE = 60.0
"""Seconds in which enough people see a reply grow, and in which the killed one's are back."""


@dataclass
class Site:
    """What runs: two processes of the app behind one address, what they share, and its traces."""

    proxy: Proxy
    database: str
    replicas: dict[str, RunningApp]
    """"127.0.0.1:port", as nginx calls it -> the process."""


@dataclass
class Visitor:
    """One of the people, and what that person saw."""

    person: Person
    replica: str
    """Whose people this one was of, before anything was killed."""
    finished: list[str] = field(default_factory=list)
    """Questions whose whole answer was seen."""
    asking: str = ""
    """The question under way."""
    cut_off: str = ""
    """The one that was under way when the replica was killed."""
    had_begun: bool = False
    """Whether some of that one's answer had been seen."""
    found: str = ""
    """How that one stood at the other replica: "answered", "without an answer", "not there"."""
    is_back: bool = False
    """Whether this one has come to the other replica."""
    back_after: float | None = None
    """Seconds from the kill to the first whole answer at the other replica."""


@dataclass
class Outcome:
    """What was done and seen."""

    people: int
    questions: int
    seconds: float = 0.0
    killed: str = ""
    killed_at: float = 0.0
    visitors: list[Visitor] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    """Actions by name, and what came of them."""
    figures: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)
    """What must not be, as sentences. Empty: all is well."""

    def of(self, replica: str) -> list[Visitor]:
        return [visitor for visitor in self.visitors if visitor.replica == replica]

    def report(self) -> dict:
        return {"people": self.people, "seconds": round(self.seconds, 1), "done": dict(self.done),
                "finished_turns": sum(len(each.finished) for each in self.visitors),
                "figures": self.figures, "wrong": self.wrong}


def run(folder: Path, *, people: int, questions: int = 4, seed: int = 1) -> Outcome:
    """Run it; all is ended when it returns. `folder` must be empty, `questions` 2 or more."""
    outcome, began = Outcome(people, questions), time.monotonic()
    model = EchoingProcess(folder / "mixed")
    catalog = as_default_model(model.base_url, folder)
    with ExitStack() as running:
        database = running.enter_context(postgres(folder))
        model.start()
        running.callback(model.kill)
        env = {**SECRETS, "PARLEY_MODELS": str(catalog), "PARLEY_DATABASE_URL": database,
               "PARLEY_SHARED": "1"}
        apps = [running.enter_context(start_app(folder / name, env=env)) for name in "ab"]
        (folder / "nginx").mkdir()
        proxy = running.enter_context(nginx(folder / "nginx", [app.port for app in apps]))
        site = Site(proxy, database, {f"127.0.0.1:{app.port}": app for app in apps})
        asyncio.run(_live(outcome, site, seed))
        _check(outcome, site, folder)
    outcome.seconds = time.monotonic() - began
    return outcome


async def _live(outcome: Outcome, site: Site, seed: int) -> None:
    chance = random.Random(seed)
    async with AsyncExitStack() as there:
        persons = [await there.enter_async_context(Person(site.proxy.url, f"person{number}x"))
                   for number in range(outcome.people)]
        await _arrive(persons)
        for person in persons:
            [replica] = site.proxy.who_served(person.cookie)
            outcome.visitors.append(Visitor(person, replica))
        half = outcome.questions // 2
        await _everybody_asks(outcome, range(half), chance)
        asking = asyncio.create_task(
            _everybody_asks(outcome, range(half, outcome.questions), chance))
        await _kill_in_mid_reply(outcome, site)
        await asking


async def _arrive(persons: list[Person]) -> None:
    door = asyncio.Semaphore(ARRIVING)

    async def arrive(person: Person) -> None:
        async with door:
            await person.open("memory")

    await asyncio.gather(*map(arrive, persons))


async def _kill_in_mid_reply(outcome: Outcome, site: Site) -> None:
    """Kill the first replica as soon as a quarter of its people see a reply grow."""
    outcome.killed, app = next(iter(site.replicas.items()))
    theirs = outcome.of(outcome.killed)
    until = time.monotonic() + PATIENCE
    while sum(map(_sees_it_grow, theirs)) < max(1, len(theirs) // 4):
        if time.monotonic() > until:
            raise AssertionError("Too few replies were on their way at once")
        await asyncio.sleep(0.02)
    outcome.figures |= {
        "people_of_the_killed_replica": len(theirs),
        "people_of_the_other": outcome.people - len(theirs),
        "replies_under_way_at_the_other": sum(
            bool(each.asking) for each in outcome.visitors if each not in theirs)}
    for each in theirs:
        each.cut_off, each.had_begun = each.asking, _sees_it_grow(each)
    app.process.kill()
    outcome.killed_at = time.monotonic()
    await asyncio.to_thread(app.process.wait)


def _sees_it_grow(visitor: Visitor) -> bool:
    return bool(visitor.asking) and has_begun(visitor.asking, visitor.person.words)


# One person's use

async def _everybody_asks(outcome: Outcome, numbers: range, chance: random.Random) -> None:
    await asyncio.gather(*(_ask_some(outcome, visitor, numbers, random.Random(chance.random()))
                           for visitor in outcome.visitors))


async def _ask_some(outcome: Outcome, visitor: Visitor, numbers: range,
                    chance: random.Random) -> None:
    for number in numbers:
        await asyncio.sleep(chance.uniform(0, PAUSE))
        question = f"{visitor.person.tag}-{number}"
        try:
            await _get_answer(outcome, visitor, question)
        except PageFailed as error:
            outcome.wrong.append(str(error))
            return
        strangers = set(TAG.findall(visitor.person.words)) - {visitor.person.tag}
        if strangers:
            outcome.wrong.append(f"{visitor.person.tag} sees what {strangers} said")


async def _get_answer(outcome: Outcome, visitor: Visitor, question: str) -> None:
    """Ask until the whole answer is there. Who is cut off comes back, as a browser does."""
    person, until = visitor.person, time.monotonic() + PATIENCE
    while not (person.page and is_answered(question, person.words)):
        try:
            if not person.page:
                await _come_back(outcome, visitor)
            elif person.button("Answer it now"):
                await _under_way(visitor, question, person.press("Answer it now"))
                outcome.done["answered after all"] += 1
            else:
                outcome.done["asked"] += 1
                await _under_way(visitor, question, person.ask(f"{question} hello"))
                if not is_answered(question, person.words):
                    raise PageFailed(f"{question} got no answer: {person.words}")
        except GONE as error:
            outcome.done["cut off"] += 1
            if visitor.replica != outcome.killed or time.monotonic() > until:
                raise PageFailed(f"{person.tag} of {visitor.replica} was cut off: "
                                 f"{type(error).__name__}: {error}") from error
            person.page = ""
            await asyncio.sleep(0.2)
    visitor.finished.append(question)
    if visitor.is_back and visitor.back_after is None:
        visitor.back_after = time.monotonic() - outcome.killed_at


async def _under_way(visitor: Visitor, question: str, asking) -> None:
    visitor.asking = question
    try:
        await asking
    finally:
        visitor.asking = ""


async def _come_back(outcome: Outcome, visitor: Visitor) -> None:
    """Open the page anew, and look for all that was there."""
    person = visitor.person
    await person.open("memory")
    visitor.is_back = True
    outcome.done["reconnected"] += 1
    missing = [asked for asked in visitor.finished[-LOOKED_FOR:]
               if not is_answered(asked, person.words)]
    if missing:
        outcome.wrong.append(f"{person.tag} misses the answers to {missing} after coming back")
    if visitor.cut_off and not visitor.found:
        visitor.found = ("answered" if is_answered(visitor.cut_off, person.words) else
                         "without an answer" if person.button("Answer it now") else "not there")


# What must hold

def _check(outcome: Outcome, site: Site, folder: Path) -> None:
    """Add to `outcome.wrong` what does not hold, and to its figures what was counted."""
    wrong, theirs = outcome.wrong, outcome.of(outcome.killed)
    cut_off = [each for each in theirs if each.cut_off]
    for each in cut_off:
        if each.had_begun and each.found == "not there":
            wrong.append(f"The question {each.cut_off}, of whose answer some was seen, is not kept")
    for each in theirs:
        if not site.replicas.keys() <= site.proxy.who_served(each.person.cookie):
            wrong.append(f"{each.person.tag} did not come to the other replica")
    waited = sorted(each.back_after or math.inf for each in theirs)
    outcome.figures |= {
        "in_flight_at_the_kill": len(cut_off),
        "of_these_seen_to_grow": sum(each.had_begun for each in cut_off),
        "lost": sum(each.found != "answered" for each in cut_off),
        "whose_question_was_kept": sum(each.found == "without an answer" for each in cut_off),
        "finished_all_the_same": sum(each.found == "answered" for each in cut_off),
        "failures_at_the_other": sum(len(each.finished) < outcome.questions
                                     for each in outcome.visitors if each not in theirs),
        "seconds_to_the_first_answer_at_the_other": round(waited[0], 1),
        "in_the_median": round(statistics.median(waited), 1),
        "for_the_slowest": round(waited[-1], 1)}
    wrong += wrong_requests(folder / "mixed")
    wrong += wrong_in_logs([*folder.glob("[ab]-*.log"), *folder.glob("[ab]/logs/parley.log")])
    _check_what_is_kept(outcome, site.database)


def _check_what_is_kept(outcome: Outcome, database: str) -> None:
    with patch.dict(os.environ, SECRETS):
        owners = {each.person.tag: owner_of(each.person.cookie) for each in outcome.visitors}
    finished = {each.person.tag: each.finished for each in outcome.visitors}
    outcome.wrong += wrong_in_database(database, owners, finished)
    with closing(open_store(database)) as store:
        for tag, owner in owners.items():
            kept = kept_turns(store, owner)
            asked = [f"{tag}-{number}" for number in range(outcome.questions)]
            said = {"human": [f"{question} hello" for question in asked],
                    "ai": [answer_to(question) for question in asked]}
            for role, texts in said.items():
                found = sorted(turn.text for turn in kept if turn.role == role)
                if found != sorted(texts):
                    outcome.wrong.append(f"{tag}'s {role} turns are kept as {found}")


def main() -> int:
    """The command. 0: all held."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--questions", type=int, default=4, help="that each asks, half of them "
                        "before the kill; 2 or more")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path, help="write the outcome there")
    chosen = parser.parse_args()
    return reports.tell("replicas", lambda folder: run(
        folder, people=chosen.people, questions=chosen.questions, seed=chosen.seed), chosen.report)


if __name__ == "__main__":
    sys.exit(main())
