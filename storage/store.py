"""The store: every method takes the owner first, and touches that owner's rows alone.

A finished turn is written in one transaction together with which versions are shown,
so whoever reads sees all of it or nothing of it. Every method may be called from any
thread, and raises `StorageError` when the database cannot do it.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    and_,
    delete,
    insert,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite

from llm.errors import (
    DamagedConversationError,
    QuotaFullError,
    StorageError,
    UnknownConversationError,
)
from llm.images import Picture
from llm.replies import Reply
from llm.transcript import Transcript, Turn
from llm.transcript_json import PlainTurn, plain_turn, turn_from_plain
from llm.wording import Wording
from storage import pictures, search
from storage.database import plainly
from storage.replies import replies_of
from storage.schema import conversations, records, turns
from storage.titles import clean, title_from, title_of
from storage.turns import not_kept, save_shown

PICTURE_QUOTA = 200_000_000
"""Bytes of pictures for each owner."""
PURGE_SECONDS = 24 * 3600
"""How long a deleted conversation can be brought back."""


@dataclass(frozen=True)
class Summary:
    """A conversation in a list."""

    id: str
    title: str
    stage: str
    created_at: float
    """Seconds since the epoch, as `updated_at`."""
    updated_at: float
    pinned: bool
    turn_count: int
    """Every version of every turn."""
    excerpt: str = ""
    """Where a search found what was asked for."""


Summaries, Replies = list[Summary], list[Reply]


class Store:
    """An open database. Made by `storage.open_store`, once per process."""

    def __init__(self, engine: Engine, *, picture_quota: int = PICTURE_QUOTA,
                 notice: Wording | None = None):
        self.notice = notice
        """A sentence for people, if a damaged file was set aside when the store was opened."""
        self._quota = picture_quota
        self._reader, self._writer = engine, engine.execution_options(writes=True)
        is_sqlite = engine.dialect.name == "sqlite"
        self._insert = sqlite.insert if is_sqlite else postgresql.insert
        # SQLite has one writer at a time. In a queue of our own the next one starts at once;
        # in SQLite's they sleep and try again.
        self._turn_to_write = threading.Lock() if is_sqlite else nullcontext()

    def close(self) -> None:
        """Close every connection. What was saved is on the disk already."""
        self._reader.dispose()

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with plainly(), self._reader.connect() as db:
            yield db

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with plainly(), self._turn_to_write, self._writer.begin() as db:
            yield db

    # ── Conversations ────────────────────────────────────────────────────────────────

    def save_turn(self, owner: str, transcript: Transcript, turn: Turn, *,
                  begins: bool = True) -> None:
        """Keep a finished turn of `transcript`, or what has changed in it (a rating, a summary).

        Turns above it that are not kept yet are kept with it: what could not be saved
        earlier is made up for. Saving again changes nothing. Unless this `begins` one, a
        conversation that is not there is an `UnknownConversationError`.

        Raises `QuotaFullError` when the owner has no room for a picture; the words are
        then kept without it. Raises `StorageError` where the conversation was deleted, in
        another tab say: the turn is then brought back with it, if it is. A turn whose reply
        still runs is a `ValueError`.
        """
        if turn.reply is not None and turn.reply.is_running:
            raise ValueError("a turn is kept when its reply has ended")
        with self._write() as db:
            number, is_deleted = self._conversation_of(db, owner, transcript, begins=begins)
            fresh = not_kept(db, number, transcript, turn)
            if fresh:
                lost = self._add_turns(db, owner, number, transcript, fresh)
            else:
                lost = self._update_turn(db, owner, number, transcript, turn)
            save_shown(db, number, transcript, {step.parent_id for step in (turn, *fresh)})
        if is_deleted:
            raise StorageError(
                "This conversation was deleted, so what is said in it now will be gone with it. "
                "Undo that where it was deleted, or begin a new one.")
        if lost:
            raise QuotaFullError(
                "Your pictures have used up their {quota} MB here, so the words are kept and the "
                "picture is not. Delete conversations with pictures to make room.",
                quota=self._quota // 1_000_000)

    def save_shown(self, owner: str, transcript: Transcript) -> None:
        """Keep which version of each turn is shown, after going from one to another."""
        with self._write() as db:
            number = _number_of(db, owner, transcript.id)
            save_shown(db, number, transcript, set())

    def add(self, owner: str, transcripts: Sequence[Transcript]) -> None:
        """Keep whole conversations that are new here: all of them or, on an error, none.

        For what `llm.transcript_import` has read. The first of them then is the latest.
        Raises `QuotaFullError`, and keeps nothing, when there is no room for all of the
        pictures.
        """
        with self._write() as db:
            for transcript in reversed(transcripts):
                number, _deleted = self._conversation_of(db, owner, transcript)
                lost = self._add_turns(db, owner, number, transcript,
                                       list(transcript.turns.values()))
                if lost:
                    raise QuotaFullError(
                        "The pictures do not fit into the {quota} MB that are kept for you, so "
                        "nothing was taken in. Delete conversations with pictures to make room.",
                        quota=self._quota // 1_000_000)

    def load(self, owner: str, conversation_id: str) -> Transcript:
        """A conversation as it was, every branch of it.

        Raises `UnknownConversationError` where this owner has none of this id.
        """
        with self._read() as db:
            number = _number_of(db, owner, conversation_id)
            row = db.execute(select(conversations).where(conversations.c.number == number)).one()
            data = pictures.of_conversation(db, clean(owner), number)
            kept = db.execute(
                select(turns.c.id, turns.c.parent, turns.c.shown, turns.c.body)
                .where(turns.c.conversation == number).order_by(turns.c.position)
            ).all()
        transcript = Transcript(row.id, title=row.title, stage=row.stage, pinned=row.pinned,
                                created_at=row.created_at)
        try:
            for turn_id, parent, is_shown, body in kept:
                turn = turn_from_plain(
                    transcript, PlainTurn.model_validate_json(body), id=turn_id,
                    parent_id=parent or None, pictures=data)
                transcript.turns[turn_id] = turn
                if is_shown:
                    transcript.shown[turn.parent_id] = turn_id
        except ValidationError as error:
            raise DamagedConversationError(
                "This conversation is damaged in the database and cannot be opened. "
                "The others are not touched by that."
            ) from error
        return transcript

    def list(self, owner: str, *, stage: str | None = None, limit: int = 50,
             offset: int = 0) -> Summaries:
        """The owner's conversations, pinned ones first, then the latest."""
        wanted = and_(_living(owner), stage is None or conversations.c.stage == stage)
        with self._read() as db:
            return [_summary(row) for row in _rows(db, wanted, limit, offset)]

    def search(self, owner: str, words: str, *, limit: int = 50) -> Summaries:
        """The owner's conversations that hold every one of the words, in whatever turns.

        A word also finds longer ones that begin with it. Any text will do; one without
        a word in it finds nothing.
        """
        if (query := search.parse(words)) is None:
            return []
        with self._read() as db:
            rows = _rows(db, and_(_living(owner), *search.matching(db, query)), limit, 0)
            return [_summary(row, search.excerpt_of(db, query, row.number, row.title))
                    for row in rows]

    def replies(self, owner: str, *, limit: int = 2000) -> Replies:
        """The latest replies of the owner's conversations, oldest first, without messages."""
        with self._read() as db:
            return replies_of(db, _living(owner), limit)

    def rename(self, owner: str, conversation_id: str, title: str) -> None:
        """Give a conversation another title."""
        if not (title := title_from(title)):
            raise StorageError("A title needs at least one letter.")
        with self._write() as db:
            number = _change(db, owner, conversation_id, title=title)
            search.put(db, [(search.key(number, 0), title)])

    def pin(self, owner: str, conversation_id: str, pinned: bool = True) -> None:
        """Keep a conversation at the top of the list, or no longer."""
        with self._write() as db:
            _change(db, owner, conversation_id, pinned=pinned)

    def is_pinned(self, owner: str, conversation_id: str) -> bool:
        """Whether the owner has such a conversation, and pinned it."""
        wanted = and_(_living(owner), conversations.c.id == clean(conversation_id))
        with self._read() as db:
            return any(row.pinned for row in _rows(db, wanted, 1, 0))

    def delete(self, owner: str, conversation_id: str) -> None:
        """Take a conversation out of sight. For a day, `undelete` brings it back."""
        with self._write() as db:
            now = time.time()
            _change(db, owner, conversation_id, deleted_at=now)
            _purge(db, clean(owner), before=now - PURGE_SECONDS)

    def undelete(self, owner: str, conversation_id: str) -> None:
        """Bring a deleted conversation back."""
        with self._write() as db:
            _change(db, owner, conversation_id, is_deleted=True, deleted_at=None)

    def delete_everything(self, owner: str) -> None:
        """Remove all that is kept for this owner, at once and for good."""
        with self._write() as db:
            _purge(db, clean(owner), before=None)
            db.execute(delete(records).where(records.c.owner == clean(owner)))
            search.forget_removed(db)
        if self._reader.dialect.name == "sqlite":
            with self._read() as db:
                # Not within a transaction; what is in the journal would stay in its file.
                db.connection.driver_connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def picture_bytes(self, owner: str) -> int:
        """How much of the quota the owner's pictures take, in bytes."""
        with self._read() as db:
            return pictures.size_of_all(db, clean(owner))

    def purge_deleted(self) -> None:
        """Remove for good what any owner deleted more than a day ago. Done when a store opens."""
        before = time.time() - PURGE_SECONDS
        with self._read() as db:
            owners = db.scalars(select(conversations.c.owner).distinct().where(
                conversations.c.deleted_at < before)).all()
        for owner in owners:
            with self._write() as db:
                _purge(db, owner, before=before)

    # ── Small records ────────────────────────────────────────────────────────────────

    def put_record(self, owner: str, kind: str, key: str, value: Any) -> None:
        """Keep a small JSON value (a lesson's progress, a vote), in place of one of that key."""
        self.put_records(owner, kind, {key: value})

    def put_records(self, owner: str, kind: str, values: Mapping[str, Any]) -> None:
        """Keep several, all of them or, on an error, none."""
        if not values:
            return
        rows = [{"owner": clean(owner), "kind": clean(kind), "key": clean(key),
                 "value": json.dumps(value), "created_at": time.time()}
                for key, value in values.items()]
        statement = self._insert(records)
        with self._write() as db:
            db.execute(statement.on_conflict_do_update(
                index_elements=["owner", "kind", "key"],
                set_={"value": statement.excluded.value}), rows)

    def records(self, owner: str, kind: str) -> dict[str, Any]:
        """All of a kind by their keys, the oldest first."""
        with self._read() as db:
            rows = db.execute(
                select(records.c.key, records.c.value)
                .where(records.c.owner == clean(owner), records.c.kind == clean(kind))
                .order_by(records.c.created_at, records.c.key)
            ).all()
        return {key: json.loads(value) for key, value in rows}

    def delete_records(self, owner: str, kind: str, keys: Sequence[str] | None = None) -> None:
        """Remove these keys of a kind, or all of it. What is not there is no error."""
        wanted = and_(records.c.owner == clean(owner), records.c.kind == clean(kind))
        if keys is not None:
            wanted = and_(wanted, records.c.key.in_([clean(key) for key in keys]))
        with self._write() as db:
            db.execute(delete(records).where(wanted))

    # ── Within a transaction ─────────────────────────────────────────────────────────

    def _conversation_of(self, db: Connection, owner: str, transcript: Transcript, *,
                         begins: bool = True) -> tuple[int, bool]:
        """The number of the transcript's row, made if need be and locked from now on, and
        whether it was deleted."""
        now = time.time()
        title = title_of(transcript)
        statement = self._insert(conversations).values(
            owner=clean(owner), id=transcript.id, title=title, stage=clean(transcript.stage),
            created_at=transcript.created_at, updated_at=now, pinned=transcript.pinned,
            turn_count=0)
        number, count, deleted_at = db.execute(
            statement.on_conflict_do_update(index_elements=["owner", "id"],
                                            set_={"updated_at": now})
            .returning(conversations.c.number, conversations.c.turn_count,
                       conversations.c.deleted_at)
        ).one()
        if count == 0 and not begins:
            raise _unknown()
        if count == 0:
            search.put(db, [(search.key(number, 0), title)])
        return number, deleted_at is not None

    def _update_turn(self, db: Connection, owner: str, number: int, transcript: Transcript,
                     turn: Turn) -> int:
        """Write a turn over what is kept of it. Returns how many pictures found no room."""
        mine = and_(turns.c.conversation == number, turns.c.id == turn.id)
        position, kept = db.execute(select(turns.c.position, turns.c.body).where(mine)).one()
        body = plain_turn(transcript, turn).model_dump_json()
        if body != kept:
            db.execute(update(turns).where(mine).values(body=body))
            search.put(db, [(search.key(number, position), turn.text)])
        return self._keep_pictures(db, owner, number, {position: turn.pictures})

    def _add_turns(self, db: Connection, owner: str, number: int, transcript: Transcript,
                   fresh: Sequence[Turn]) -> int:
        """Write new turns, parents first. Returns how many pictures found no room."""
        if not fresh:
            return 0
        count = db.scalar(update(conversations).where(conversations.c.number == number)
                          .values(turn_count=conversations.c.turn_count + len(fresh))
                          .returning(conversations.c.turn_count))
        if count >= search.MAX_TURNS:
            raise StorageError("This conversation has grown too long to be kept. Begin a new one.")
        placed = dict(enumerate(fresh, start=count - len(fresh) + 1))
        db.execute(insert(turns), [
            {"conversation": number, "position": position, "id": turn.id,
             "parent": turn.parent_id or "",
             "shown": transcript.shown.get(turn.parent_id) == turn.id,
             "body": plain_turn(transcript, turn).model_dump_json()}
            for position, turn in placed.items()])
        search.put(db, [(search.key(number, position), turn.text)
                        for position, turn in placed.items()])
        return self._keep_pictures(db, owner, number, {
            position: turn.pictures for position, turn in placed.items() if turn.pictures})

    def _keep_pictures(self, db: Connection, owner: str, number: int,
                       holding: Mapping[int, Sequence[Picture]]) -> int:
        owner = clean(owner)
        lost = pictures.keep(db, owner, number, holding, self._quota)
        if lost:
            # What was deleted can no longer be brought back when its room is needed.
            _purge(db, owner, before=time.time(), but=number)
            lost = pictures.keep(db, owner, number, holding, self._quota)
        return lost


def _number_of(db: Connection, owner: str, conversation_id: str) -> int:
    """The number of the owner's conversation, which leads to all the rest of it."""
    number = db.scalar(select(conversations.c.number).where(
        _living(owner), conversations.c.id == clean(conversation_id)))
    if number is None:
        raise _unknown()
    return number


def _change(db: Connection, owner: str, conversation_id: str, *, is_deleted: bool = False,
            **values: Any) -> int:
    """Set columns of the owner's conversation. Returns its number."""
    number = db.scalar(
        update(conversations)
        .where(conversations.c.owner == clean(owner),
               conversations.c.id == clean(conversation_id),
               conversations.c.deleted_at.is_not(None) if is_deleted
               else conversations.c.deleted_at.is_(None))
        .values(**values).returning(conversations.c.number))
    if number is None:
        raise _unknown()
    return number


def _unknown() -> UnknownConversationError:
    return UnknownConversationError(
        "There is no such conversation here. It may have been deleted; choose another or begin a "
        "new one."
    )


def _living(owner: str) -> ColumnElement[bool]:
    return and_(conversations.c.owner == clean(owner), conversations.c.deleted_at.is_(None))


def _rows(db: Connection, wanted: ColumnElement[bool], limit: int, offset: int) -> Sequence[Row]:
    return db.execute(
        select(conversations).where(wanted)
        .order_by(conversations.c.pinned.desc(), conversations.c.updated_at.desc(),
                  conversations.c.number.desc())
        .limit(limit).offset(offset)
    ).all()


def _summary(row: Row, excerpt: str = "") -> Summary:
    return Summary(row.id, row.title, row.stage, row.created_at, row.updated_at, row.pinned,
                   row.turn_count, excerpt)


def _purge(db: Connection, owner: str, *, before: float | None, but: int = 0) -> None:
    """Remove what was deleted `before` a time, or with None every conversation, for good."""
    gone = and_(conversations.c.owner == owner, conversations.c.number != but)
    if before is not None:
        gone = and_(gone, conversations.c.deleted_at < before)
    if numbers := db.scalars(delete(conversations).where(gone)
                             .returning(conversations.c.number)).all():
        search.remove_conversations(db, numbers)
        pictures.throw_away_unused(db, owner)
