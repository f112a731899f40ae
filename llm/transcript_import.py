"""Taking in a file of conversations: all of it, or nothing and the reason.

    transcripts = read_conversations(uploaded_bytes)      # or ImportRefusedError

The format is that of `llm.transcript_json`. A file is only ever data: nothing in it
names a class, LangChain's loaders never see it, and its pictures go through
`llm.images` like any other. Every conversation and turn gets a new id, so that
nothing that is kept can be replaced.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from llm.errors import ImportRefusedError, PictureError
from llm.images import MAX_PICTURES, Picture, read_image
from llm.transcript import Transcript, new_id
from llm.transcript_json import (
    FORMAT,
    VERSION,
    Conversations,
    PlacedTurn,
    PlainConversation,
    PlainTurn,
    SentMessage,
    SentPicture,
    SentTurns,
    plain_picture,
    turn_from_plain,
)
from llm.wording import Wording, WrongValueError, first_fault

MAX_BYTES = 64 * 1024 * 1024
"""Of a file: some fifty photos. Reading it takes up to five times as much memory."""
MAX_CONVERSATIONS = 5_000
MAX_TURNS = 100_000
MAX_FILE_PICTURES = 2_000
"""In a file, of all its conversations together."""


def read_conversations(data: bytes | str) -> list[Transcript]:
    """The conversations of an exported file, under new ids, so that they replace nothing.

    Raises `ImportRefusedError`, which says why: nothing of the file is then used.
    """
    document = _parse(data.encode("utf-8", "replace") if isinstance(data, str) else data)
    pictures = _checked_pictures(document.pictures)
    _refuse_duplicates([conversation.id for conversation in document.conversations],
                       Wording("two conversations in it have the same id"))
    return [_checked_transcript(conversation, pictures)
            for conversation in document.conversations]


def _refused(template: str, /, **values: Any) -> ImportRefusedError:
    """The error with its reason, which is worded as in `llm.wording`."""
    return _refused_because(Wording(template, **values))


def _refused_because(reason: WrongValueError | Wording | str) -> ImportRefusedError:
    return ImportRefusedError("This file was not taken in: {reason}. Nothing was changed.",
                              reason=reason)


def _parse(data: bytes) -> Conversations:
    if len(data) > MAX_BYTES:
        raise _refused("it has {size:.1f} MB, and up to {most} are taken",
                       size=len(data) / 1024 / 1024, most=MAX_BYTES // 1024 // 1024)
    try:
        # Other programs save JSON with a byte order mark, or as UTF-16.
        text = data.decode(json.detect_encoding(data))
        raw = json.loads(text, object_pairs_hook=_without_doubles, parse_constant=_no_number,
                         parse_float=_finite)
    except RecursionError as error:
        raise _refused("it is nested too deeply") from error
    except ValueError as error:
        if isinstance(error, _NotPlain):
            raise _refused_because(error) from error
        raise _refused("it is not a whole JSON file") from error
    if not isinstance(raw, dict) or raw.get("format") != FORMAT:
        raise _refused("it is not an export of Parley's conversations")
    if raw.get("version") != VERSION:
        raise _refused("it has version {version} of the format, "
                       "and this Parley reads version {own}",
                       version=str(raw.get("version"))[:20], own=VERSION)
    _refuse_too_many(raw)
    del raw  # Half of the memory that this takes.
    try:
        return Conversations.model_validate_json(text)
    except ValidationError as error:
        place, reason = first_fault(error)
        if not place:
            # Half a character, say, or a hundred brackets: Python is not that strict.
            raise _refused_because(reason) from error
        raise _refused("at {place}: {reason}", place=place, reason=reason) from error


def _refuse_too_many(raw: Mapping[str, Any]) -> None:
    """Nobody else can save while they are written, which takes a second for each 2,000."""
    conversations, pictures = _items(raw.get("conversations")), _items(raw.get("pictures"))
    turns = sum(len(_items(each.get("turns"))) for each in conversations
                if isinstance(each, dict))
    if len(conversations) > MAX_CONVERSATIONS:
        raise _refused("it holds {count:,} conversations, and up to {most:,} are taken",
                       count=len(conversations), most=MAX_CONVERSATIONS)
    if turns > MAX_TURNS:
        raise _refused("it holds {count:,} messages, and up to {most:,} are taken",
                       count=turns, most=MAX_TURNS)
    if len(pictures) > MAX_FILE_PICTURES:
        raise _refused("it holds {count:,} pictures, and up to {most:,} are taken",
                       count=len(pictures), most=MAX_FILE_PICTURES)


def _items(value: Any) -> Sequence[Any] | Mapping[str, Any]:
    return value if isinstance(value, list | dict) else ()


class _NotPlain(WrongValueError):
    """JSON that Python reads and the standard has no meaning for."""


def _without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    together = dict(pairs)
    if len(together) < len(pairs):
        raise _NotPlain("one of its objects names the same thing twice")
    return together


def _finite(number: str) -> float:
    if not math.isfinite(value := float(number)):
        raise _NotPlain("{name} is not a number in JSON", name=number[:20])
    return value


def _no_number(name: str) -> None:
    raise _NotPlain("{name} is not a number in JSON", name=name)


def _refuse_duplicates(ids: Sequence[str], reason: Wording) -> None:
    if len(set(ids)) < len(ids):
        raise _refused_because(reason)


def _checked_pictures(encoded: Mapping[str, str]) -> dict[str, Picture]:
    """By the hash in the file: each picture as `llm.images` passes it."""
    pictures = {}
    for sha256, text in encoded.items():
        try:
            data = base64.b64decode(text, validate=True)
        except (binascii.Error, ValueError) as error:
            raise _refused("a picture in it is not base64") from error
        if hashlib.sha256(data).hexdigest() != sha256:
            raise _refused("a picture in it is damaged: it does not have its own hash")
        try:
            # Parley's own come out as the same bytes; anything else is made safe first.
            pictures[sha256] = read_image(data)
        except PictureError as error:
            raise _refused("a picture in it cannot be used ({reason})", reason=error) from error
    return pictures


def _checked_transcript(plain: PlainConversation, pictures: Mapping[str, Picture]) -> Transcript:
    transcript = Transcript(title=plain.title, stage=plain.stage, pinned=plain.pinned,
                            created_at=plain.created_at)
    _refuse_duplicates([turn.id for turn in plain.turns],
                       Wording("two turns in it have the same id"))
    ids = {turn.id: new_id() for turn in plain.turns}
    data = {picture.sha256: picture.data for picture in pictures.values()}
    earlier: set[str | None] = {None}
    for placed in plain.turns:
        if placed.parent not in earlier:
            raise _refused("a turn in it stands before its parent, or has none")
        if placed.role == "human" and placed.reply is not None:
            raise _refused("a human turn in it has a model's reply")
        earlier.add(placed.id)
        body = _renamed(placed, ids, pictures)
        turn = turn_from_plain(transcript, body, id=ids[placed.id],
                               parent_id=ids.get(placed.parent), pictures=data)
        transcript.turns[turn.id] = turn
        if placed.shown:
            if turn.parent_id in transcript.shown:
                raise _refused("two versions of a turn in it are both the one shown")
            transcript.shown[turn.parent_id] = turn.id
    return transcript


def _renamed(placed: PlacedTurn, ids: Mapping[str, str],
             pictures: Mapping[str, Picture]) -> PlainTurn:
    """The turn with the new ids, and each picture as it was read."""
    if len(placed.pictures) > MAX_PICTURES:
        raise _refused("a turn in it has {count} pictures, and up to {most} are sent at once",
                       count=len(placed.pictures), most=MAX_PICTURES)
    if missing := [picture for picture in placed.pictures if picture.sha256 not in pictures]:
        raise _refused("it lacks {count} of the pictures that it names",
                       count=len(missing))
    own = [picture if pictures[picture.sha256].sha256 == picture.sha256
           else plain_picture(pictures[picture.sha256]) for picture in placed.pictures]
    reply = placed.reply
    if reply is not None:
        spans = [item for item in reply.sent if isinstance(item, SentTurns)]
        if any(span.first not in ids or span.last not in ids for span in spans):
            raise _refused("a reply in it was sent turns that it does not hold")
        reply = reply.model_copy(update={"sent": [
            SentTurns(first=ids[item.first], last=ids[item.last])
            if isinstance(item, SentTurns) else _with_read_pictures(item, pictures)
            for item in reply.sent
        ]})
    return placed.model_copy(update={"pictures": own, "reply": reply})


def _with_read_pictures(sent: SentMessage, pictures: Mapping[str, Picture]) -> SentMessage:
    if isinstance(sent.content, str):
        return sent
    return sent.model_copy(update={"content": [
        SentPicture(sha256=pictures[block.sha256].sha256)
        if isinstance(block, SentPicture) and block.sha256 in pictures else block
        for block in sent.content
    ]})
