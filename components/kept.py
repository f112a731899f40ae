"""What is kept of the conversations: each turn as it ends, for the person whose it is.

    reply = start_reply(…, on_end=when_ended(chat, turn))     # saved when it has ended
    keep(chat, turn)                                          # saved now

Where the database fails, the chat goes on with what the session holds: `problem` is the
sentence to show. Nothing here draws. The one place where the store is opened, and its
errors are caught.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any
from weakref import WeakValueDictionary

import streamlit as st

from components import session
from components.owner import current_owner
from llm import paths
from llm.errors import (
    DamagedConversationError,
    QuotaFullError,
    StorageError,
    UnknownConversationError,
)
from llm.replies import Reply
from llm.transcript import Transcript, Turn
from llm.wording import Wording
from storage import Store, Summary, open_store
from storage.titles import title_from

log = logging.getLogger("components.kept")

REOPENING_SECONDS = 30
"""How long a store that could not be opened is left alone. Each try may take seconds."""

SAVING_SECONDS = 10
"""How long to wait until a reply that has ended is saved, or is known not to be."""

SETTINGS, NOTHING, LAST_SHOWN = "settings", "keep nothing", "last shown"
"""Kinds of records, and in the middle a key of the first. LAST_SHOWN has one for each stage."""

# (owner, conversation's id, turn's id) -> an answer that some session of this process waits
# for or has: who reloads the page in mid-reply finds it again. Held by its reply's run.
_answers: WeakValueDictionary[tuple[str, str, str], Turn] = WeakValueDictionary()


@dataclass(frozen=True)
class _NotOpened:
    reason: Wording
    at: float


def _is_of_use(opened: Store | _NotOpened) -> bool:
    return isinstance(opened, Store) or time.monotonic() < opened.at + REOPENING_SECONDS


@st.cache_resource(show_spinner=False, validate=_is_of_use)
def _opened(where: str) -> Store | _NotOpened:
    try:
        return open_store()
    except StorageError as error:
        return _NotOpened(error.wording, time.monotonic())


def store() -> Store:
    """The process's store. Raises `StorageError` where it cannot be opened."""
    opened = _opened(os.environ.get("PARLEY_DATABASE_URL") or str(paths.home()))
    if isinstance(opened, _NotOpened):
        raise StorageError.of(opened.reason)
    return opened


# ── Saving ───────────────────────────────────────────────────────────────────────────


def when_ended(chat: Transcript, turn: Turn) -> Callable[[Reply], Awaitable[None]]:
    """What saves the AI turn `turn` when its reply has ended: `on_end` of `start_reply`.

    The page may be gone by then.
    """
    await_answer(chat, turn)
    save = saving(chat, _saves(chat, turn))

    def on_end(reply: Reply) -> Awaitable[None]:
        turn.reply = reply
        return asyncio.to_thread(save)

    return on_end


def await_answer(chat: Transcript, turn: Turn) -> None:
    """Know of the AI turn whose reply is about to begin: a reload finds it, a deletion ends it."""
    _answers[current_owner(), chat.id, turn.id] = turn


def keep(chat: Transcript, turn: Turn) -> None:
    """Save a finished turn, or what has changed in it. One whose reply runs is saved later."""
    if turn.reply is None or not turn.reply.is_running:
        saving(chat, _saves(chat, turn))()


def _saves(chat: Transcript, turn: Turn) -> Callable[[Store, str], None]:
    # What was kept and is not there now was deleted for good, elsewhere: it stays so.
    failed = session.keeping().problems.get(chat.id)
    begins = turn.parent_id is None or not isinstance(failed, UnknownConversationError | None)
    return lambda kept, owner: kept.save_turn(owner, chat, turn, begins=begins)


def keep_shown(chat: Transcript) -> None:
    """Save which versions are shown."""
    def write(kept: Store, owner: str) -> None:
        try:
            kept.save_shown(owner, chat)
        except UnknownConversationError:
            pass  # Nothing of it could be saved yet, or another tab has deleted it.

    saving(chat, write)()


def problem(chat: Transcript) -> Wording | None:
    """Why not all of a conversation is kept, as a sentence to show; None if all is."""
    error = session.keeping().problems.get(chat.id)
    return None if error is None else error.wording


def saving(chat: Transcript, write: Callable[[Store, str], None]) -> Callable[[], None]:
    """`write`, for any thread: done unless nothing is to be kept, its failure noted."""
    keeping, owner = session.keeping(), current_owner()
    try:
        kept = store()
    except StorageError as error:
        reason = error
        return lambda: None if _is_private(chat, keeping) else keeping.problems.update(
            {chat.id: reason})

    def save() -> None:
        try:
            # Asked at the end: the person may have changed it while the reply came.
            keeping.nothing = keeping.insists or _wants_nothing(kept, owner)
            if _is_private(chat, keeping):
                return
            if keeping.last_shown.get(chat.stage) != chat.id:
                kept.put_record(owner, LAST_SHOWN, chat.stage, chat.id)
                keeping.last_shown[chat.stage] = chat.id
            write(kept, owner)
            if isinstance(keeping.problems.get(chat.id), QuotaFullError):
                _keep_pictures(kept, owner, chat)
            keeping.problems.pop(chat.id, None)
        except StorageError as error:
            if not _is_private(chat, keeping):
                keeping.problems[chat.id] = error
        except Exception:
            log.exception("A turn was not kept")  # In a reply's thread nobody else would say so.
            raise

    return save


def _keep_pictures(kept: Store, owner: str, chat: Transcript) -> None:
    # Try again what found no room, and say so again while it finds none.
    for turn in list(chat.turns.values()):
        if turn.pictures:
            kept.save_turn(owner, chat, turn)


def _is_private(chat: Transcript, keeping: session.Keeping) -> bool:
    """Whether a conversation must not be written: some of it was said while nothing was kept."""
    if keeping.nothing:
        keeping.private.add(chat.id)
    return chat.id in keeping.private


# ── Keeping nothing ──────────────────────────────────────────────────────────────────


def keeps_nothing() -> bool:
    """Whether the person wants nothing written, in whichever tab that was said."""
    keeping = session.keeping()
    with suppress(StorageError):
        keeping.nothing = keeping.insists or _wants_nothing(store(), current_owner())
    return keeping.nothing


def keep_nothing(wanted: bool) -> None:
    """From now on write nothing, or again. The choice itself is remembered.

    Raises `StorageError` where it cannot be; it then holds for this session.
    """
    keeping = session.keeping()
    keeping.nothing = keeping.insists = wanted
    if wanted:
        store().put_record(current_owner(), SETTINGS, NOTHING, True)
    else:
        store().delete_records(current_owner(), SETTINGS, [NOTHING])
    keeping.insists = False


def setting(name: str) -> Any:
    """What the person once chose, or None where that is not known. See `keep_setting`."""
    try:
        return store().records(current_owner(), SETTINGS).get(name)
    except StorageError:
        return None


def keep_setting(name: str, value: Any) -> None:
    """Remember a choice, any JSON, for the next visit, if anything is kept and can be."""
    if keeps_nothing():
        return
    try:
        store().put_record(current_owner(), SETTINGS, name, value)
    except StorageError:
        pass  # It holds for this session, as it would for somebody who keeps nothing.


def _wants_nothing(kept: Store, owner: str) -> bool:
    return NOTHING in kept.records(owner, SETTINGS)


# ── The list ─────────────────────────────────────────────────────────────────────────
# These raise `StorageError`, and show nothing.


def conversations(limit: int, words: str = "") -> list[Summary]:
    """The person's, pinned ones first, then the latest; with `words`, those that hold them all."""
    if words.strip():
        return store().search(current_owner(), words, limit=limit)
    return store().list(current_owner(), limit=limit)


def replies() -> list[Reply]:
    """The latest of the person's replies in whatever conversation, without their messages."""
    return store().replies(current_owner())


def rename(chat: Transcript, title: str) -> None:
    """Give a conversation another title, also one that is not kept."""
    with _where_kept(chat):
        store().rename(current_owner(), chat.id, title)
    chat.title = title_from(title) or chat.title


def pin(chat: Transcript, pinned: bool) -> None:
    """Keep a conversation at the top of the list, or no longer."""
    store().pin(current_owner(), chat.id, pinned)
    chat.pinned = pinned


def is_pinned(chat: Transcript) -> bool:
    """Whether a conversation is at the top of the list to stay, whoever's tab said so."""
    with suppress(StorageError):
        chat.pinned = store().is_pinned(current_owner(), chat.id)
    return chat.pinned


def delete(chat: Transcript) -> None:
    """Take a conversation out of the list, for good after a day. What runs in it is stopped."""
    _end(chat.turns.values())
    with suppress(UnknownConversationError):  # deleted by a first click, or in another tab
        store().delete(current_owner(), chat.id)


def undelete(chat: Transcript) -> None:
    """Bring a deleted conversation back, and show it."""
    with _where_kept(chat):
        try:
            store().undelete(current_owner(), chat.id)
        except UnknownConversationError:
            store().load(current_owner(), chat.id)  # brought back by a first click
    session.keeping().problems.pop(chat.id, None)  # that it was deleted
    show(chat)


def delete_everything() -> None:
    """Remove all that is kept for this person, and what the session holds of it.

    What was chosen about keeping nothing stays.
    """
    owner, nothing = current_owner(), keeps_nothing()
    _end(turn for (whose, _chat, _turn), turn in list(_answers.items()) if whose == owner)
    session.forget_races()
    # Loaded only here: few chats have an evaluation beside them.
    from llm import evaluation_runs

    evaluation_runs.delete_everything(owner)
    store().delete_everything(owner)
    if nothing:
        store().put_record(owner, SETTINGS, NOTHING, True)
    session.forget_transcripts()
    session.votes().clear()
    session.keeping().last_shown.clear()
    session.lessons_marked().clear()


def take_in(transcripts: Sequence[Transcript]) -> None:
    """Keep imported conversations: all or, on an error, none."""
    if keeps_nothing():
        raise StorageError("Nothing is kept now, so nothing was taken in. Switch “Keep nothing” "
                           "off to import.")
    store().add(current_owner(), transcripts)


def everything() -> Callable[[list[Summary]], Iterator[Transcript]]:
    """What gets all of the person's conversations, one after another, in any thread.

    It is given a list, to which it adds those that are damaged and cannot be got.
    """
    kept, owner = store(), current_owner()

    def load_all(damaged: list[Summary]) -> Iterator[Transcript]:
        for summary in kept.list(owner, limit=1_000_000):
            try:
                yield kept.load(owner, summary.id)
            except DamagedConversationError:
                damaged.append(summary)
            except UnknownConversationError:
                pass  # Deleted meanwhile.

    return load_all


def picture_bytes() -> int:
    """How much of `storage.PICTURE_QUOTA` the person's pictures take."""
    return store().picture_bytes(current_owner())


def is_kept(chat: Transcript) -> bool:
    """Whether what is said in a conversation is written; see `keep_nothing`."""
    return not _is_private(chat, session.keeping())


@contextmanager
def _where_kept(chat: Transcript) -> Iterator[None]:
    """For what is done to a conversation in the store, if it is there at all."""
    try:
        yield
    except UnknownConversationError:
        if not (_is_private(chat, session.keeping()) or problem(chat)):
            raise


def _end(turns: Iterable[Turn]) -> None:
    """Stop replies, and wait until what came of them is saved: nothing is written after this."""
    running = [turn.reply for turn in list(turns) if turn.reply is not None]
    for reply in running:
        reply.stop()
    for reply in running:
        reply.wait(SAVING_SECONDS)


# ── Small records ────────────────────────────────────────────────────────────────────


def records(kind: str) -> dict[str, Any]:
    """The person's small records of a kind by their keys, the oldest first.

    Raises `StorageError`.
    """
    return store().records(current_owner(), kind)


def put_records(kind: str, values: Mapping[str, Any]) -> bool:
    """Keep small JSON values by their keys. Whether they are: not while nothing is to be kept.

    Raises `StorageError`, and keeps none of them then.
    """
    if keeps_nothing():
        return False
    store().put_records(current_owner(), kind, values)
    return True


# ── Opening ──────────────────────────────────────────────────────────────────────────


def last_conversation(stage: str) -> Transcript:
    """The conversation to begin a visit of a stage with: the last one there, else a new one."""
    new = Transcript(stage=stage)
    if keeps_nothing():
        return new
    with _noted(new):
        last = store().records(current_owner(), LAST_SHOWN).get(stage)
        if last is not None:
            return load(last)
    return new


def load(conversation_id: str) -> Transcript:
    """One of the person's conversations, with the answers that are under way.

    Raises `StorageError`.
    """
    owner = current_owner()
    # Looked up first: one that ends meanwhile is then in the store.
    under_way = [turn for (whose, chat_id, _turn), turn in list(_answers.items())
                 if (whose, chat_id) == (owner, conversation_id)]
    chat = store().load(owner, conversation_id)
    for turn in under_way:
        if turn.reply is not None and turn.id not in chat.turns and turn.parent_id in chat.turns:
            chat.add(turn)
    answered = {turn.parent_id for turn in chat.turns.values()}
    session.keeping().left_open.update(
        turn.id for turn in chat.turns.values()
        if turn.role == "human" and turn.id not in answered)
    return chat


def show(chat: Transcript) -> None:
    """Make `chat` the conversation of its stage, in this session and on the next visit.

    A reply that still runs in the one shown before goes on, unless it will not be kept:
    then nobody could ever read it.
    """
    keeping = session.keeping()
    before = session.transcript(chat.stage, lambda stage: chat)
    if _is_private(before, keeping):
        _end(before.turns.values())
    session.replace_transcript(chat.stage, chat)
    if keeps_nothing() or keeping.last_shown.get(chat.stage) == chat.id:
        return
    with _noted(chat):
        store().put_record(current_owner(), LAST_SHOWN, chat.stage, chat.id)
        keeping.last_shown[chat.stage] = chat.id


def was_left_open(question: Turn) -> bool:
    """Whether a question had no answer when its conversation was opened."""
    return question.id in session.keeping().left_open


def answer_after_all(question: Turn) -> None:
    """Have the question answered like a new one."""
    session.keeping().left_open.discard(question.id)


@contextmanager
def _noted(chat: Transcript) -> Iterator[None]:
    try:
        yield
    except UnknownConversationError:
        pass  # Begun and never written to, or deleted since.
    except StorageError as error:
        session.keeping().problems[chat.id] = error
