"""The races that are kept: who goes away and comes back finds every pane as it was.

The last race of each set of contenders is kept, as a small record of its owner's. A reload
in mid-reply finds the race itself, with its answers still growing. Nothing here draws;
`components.kept` knows the store, and whether anything is to be kept.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
from collections.abc import Awaitable, Callable, Sequence
from weakref import WeakValueDictionary

from components import kept, session
from components.owner import current_owner
from llm.errors import ImportRefusedError, StorageError
from llm.race import Contender, Pane, Race
from llm.race_json import plain_race, race_from_plain
from llm.replies import Reply
from llm.transcript import Transcript, Turn
from llm.wording import Wording
from storage import Store

RACE = "race"
"""The kind of the records, each by a digest of who was entered; and the races' stage."""
MAX_KEPT = 10
"""Races of one person."""
MAX_CHARACTERS = 4_000_000
"""Of one race, its pictures included."""

# (owner, who was entered) -> a race of which an answer runs. Held by that answer's run.
_running: WeakValueDictionary[tuple[str, str], Race] = WeakValueDictionary()
_writing = threading.Lock()


def race_of(contenders: Sequence[Contender], *, blind: bool) -> Race:
    """The race of these contenders: this session's, else the one that is kept, else a new one."""
    return session.race(contenders, blind=blind, begin=_find)


def begin_anew(contenders: Sequence[Contender], *, blind: bool) -> None:
    """Have these contenders race from the start. A callback."""
    session.replace_race(contenders, blind=blind)
    key = _key(contenders, blind)
    _running.pop((current_owner(), key), None)
    try:
        kept.store().delete_records(current_owner(), RACE, [key])
    except StorageError:
        pass  # The next answer writes over it.


def when_ended(race: Race, pane: Pane, turn: Turn) -> Callable[[Reply], Awaitable[None]]:
    """What keeps the race when the reply of the AI turn `turn` of `pane` has ended.

    The page may be gone by then, and the turn not in the pane yet.
    """
    save = _saving(race)
    kept.await_answer(_as_chat(race), turn)
    if not kept.keeps_nothing():
        _running[current_owner(), _key(race.entered, race.blind)] = race

    def on_end(reply: Reply) -> Awaitable[None]:
        turn.reply = reply
        pane.hang(turn)
        return asyncio.to_thread(save)

    return on_end


def keep(race: Race) -> None:
    """Keep the race as it is now."""
    _saving(race)()


def problem(race: Race) -> Wording | None:
    """Why the race is not kept, as a sentence to show; None if it is, or must not be."""
    return kept.problem(_as_chat(race))


def _find(contenders: Sequence[Contender], *, blind: bool) -> Race:
    key = _key(contenders, blind)
    if kept.keeps_nothing():
        return Race.of(contenders, blind=blind)
    if (running := _running.get((current_owner(), key))) is not None:
        if running.is_running:
            return running
        for reply in running.replies:
            reply.wait(kept.SAVING_SECONDS)  # until it is saved too
    try:
        if (value := kept.records(RACE).get(key)) is not None:
            return race_from_plain(value, contenders)
    except (StorageError, ImportRefusedError):
        pass  # The page is there for a race all the same.
    return Race.of(contenders, blind=blind)


def _saving(race: Race) -> Callable[[], None]:
    key = _key(race.entered, race.blind)

    def write(store: Store, owner: str) -> None:
        # Panes end at the same time; the last to be written must be the latest.
        with _writing:
            value = plain_race(race)
            if len(value["chats"]) > MAX_CHARACTERS:
                raise StorageError("This race has grown too large to be kept. Begin a new one.")
            store.put_record(owner, RACE, key, value)
            others = [other for other in store.records(owner, RACE) if other != key]
            store.delete_records(owner, RACE, others[:max(0, len(others) + 1 - MAX_KEPT)])

    return kept.saving(_as_chat(race), write)


def _as_chat(race: Race) -> Transcript:
    """What stands for the race where what is kept is told by conversations' ids."""
    return Transcript(race.id, stage=RACE)


def _key(contenders: Sequence[Contender], blind: bool) -> str:
    entered = [[contender.spec.id, contender.temperature] for contender in contenders]
    return hashlib.sha256(json.dumps([blind, entered]).encode()).hexdigest()
