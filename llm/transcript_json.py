"""Conversations as plain JSON, and back: what is exported, imported and kept.

    text = write_conversations([transcript])

The format is docs/conversation.schema.json, version 1: every branch, rating, summary,
picture and figure comes back as it was. What ran below (HTTP exchanges) is not in it,
and a reply that is still running is written as stopped, without its words.

The messages that were sent for a reply are mostly the conversation itself, so they
are written as spans of its turns; written out, a chat would grow with its square.

This module knows no database. Files from outside are taken in by `llm.transcript_import`.
"""

from __future__ import annotations

import base64
import hashlib
import json
import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue

from llm.images import Picture, image_block
from llm.memory import to_message, was_said
from llm.prices import Cost
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn

FORMAT = "parley-conversations"
VERSION = 1


# ── The format ───────────────────────────────────────────────────────────────────────


def _writable(text: Any) -> Any:
    # Half a surrogate pair has no place in UTF-8: no file, database or server takes it.
    return text.encode("utf-8", "replace").decode() if isinstance(text, str) else text


Words = Annotated[str, BeforeValidator(_writable)]
Id = Annotated[str, Field(min_length=1, max_length=200)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Time = Annotated[float, Field(ge=0, le=253_402_300_799, description="Seconds since the epoch.")]
Seconds = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=0)]


class _Plain(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, allow_inf_nan=False)


class PlainPicture(_Plain):
    """A picture of a turn. Its bytes stand once, under `pictures`, by their hash."""

    sha256: Sha256
    mime_type: Literal["image/png", "image/jpeg"]
    width: Annotated[int, Field(gt=0)]
    height: Annotated[int, Field(gt=0)]
    original_width: Annotated[int, Field(gt=0)]
    original_height: Annotated[int, Field(gt=0)]
    original_bytes: Count
    original_format: str
    changes: list[str]


class SentText(_Plain):
    type: Literal["text"] = "text"
    text: Words


class SentPicture(_Plain):
    type: Literal["picture"] = "picture"
    sha256: Sha256


class SentMessage(_Plain):
    """A message that was sent and is not one of the conversation's turns."""

    role: Literal["system", "human", "ai"]
    content: Words | list[Annotated[SentText | SentPicture, Field(discriminator="type")]]


class SentTurns(_Plain):
    """Turns that were sent word for word: those with words from `first` down to `last`."""

    first: Id
    last: Id


class PlainCost(_Plain):
    kind: Literal["priced", "local"]
    usd: float
    source: str


class PlainReply(_Plain):
    """How an AI turn came to be. Its text is the turn's."""

    model_id: str
    text: Words
    ending: Literal["stop", "length", "stopped", "content_filter", "failed"]
    error: Words | None
    error_type: str | None
    started_at: Time
    first_token_seconds: Seconds | None
    total_seconds: Seconds | None
    input_tokens: Count | None
    output_tokens: Count | None
    tokens_measured: bool
    cost: PlainCost | None
    sent: Annotated[list[SentMessage | SentTurns],
                    Field(description="The messages sent, in order.")]
    settings: dict[str, JsonValue]
    chunk_times: Annotated[list[tuple[Seconds, Count]], Field(
        description="Seconds since the start, and characters so far, at each piece of text.")]


class PlainTurn(_Plain):
    """A turn without its place in the tree."""

    role: Literal["human", "ai"]
    content: Words
    created_at: Time
    pictures: list[PlainPicture]
    reply: PlainReply | None
    rating: Literal[1, -1] | None
    summary: Words | None


class PlacedTurn(PlainTurn):
    """A turn and its place: its parent stands before it in the list, or is null at the root."""

    id: Id
    parent: Id | None
    shown: Annotated[bool, Field(description="Whether it is the one shown among its siblings.")]


class PlainConversation(_Plain):
    id: Id
    title: Words
    stage: str
    # Left out of files before it was known, and still where it says nothing: so an older
    # Parley reads them too.
    pinned: Annotated[bool, Field(exclude_if=operator.not_, description=(
        "Whether it stays at the top of the list; left out, it does not."))] = False
    created_at: Time
    turns: list[PlacedTurn]


class Conversations(_Plain):
    """Parley's conversations: the whole of an export."""

    format: Literal["parley-conversations"]
    version: Literal[1]
    conversations: list[PlainConversation]
    pictures: Annotated[dict[Sha256, str], Field(description="By sha256: the file as base64.")]


def json_schema() -> dict[str, Any]:
    """The format as a JSON Schema: what docs/conversation.schema.json holds."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema",
            **Conversations.model_json_schema(),
            "title": f"Parley conversations, version {VERSION}"}


# ── Writing ──────────────────────────────────────────────────────────────────────────


def write_conversations(transcripts: Iterable[Transcript]) -> str:
    """An export of one conversation or several, with their pictures."""
    conversations, pictures = [], {}
    for transcript in transcripts:
        turns = list(transcript.turns.values())
        pictures.update((picture.sha256, base64.b64encode(picture.data).decode("ascii"))
                        for turn in turns for picture in turn.pictures)
        conversations.append(PlainConversation(
            id=transcript.id, title=transcript.title, stage=transcript.stage,
            pinned=transcript.pinned, created_at=transcript.created_at,
            turns=[PlacedTurn(**dict(plain_turn(transcript, turn)), id=turn.id,
                              parent=turn.parent_id,
                              shown=transcript.shown.get(turn.parent_id) == turn.id)
                   for turn in turns],
        ))
    return Conversations(format=FORMAT, version=VERSION, conversations=conversations,
                         pictures=pictures).model_dump_json()


def plain_turn(transcript: Transcript, turn: Turn) -> PlainTurn:
    """A turn as it is written. Its pictures are named by their hash, their bytes left out."""
    return PlainTurn(
        role=turn.role, content=turn.content, created_at=turn.created_at,
        pictures=[plain_picture(picture) for picture in turn.pictures],
        reply=None if turn.reply is None else _plain_reply(transcript, turn, turn.reply),
        rating=turn.rating, summary=turn.summary,
    )


def plain_picture(picture: Picture) -> PlainPicture:
    known = {name: getattr(picture, name) for name in PlainPicture.model_fields}
    return PlainPicture(**{**known, "changes": list(picture.changes)})


def _plain_reply(transcript: Transcript, turn: Turn, reply: Reply) -> PlainReply:
    cost = reply.cost
    return PlainReply(
        model_id=reply.model_id, text="" if reply.is_running else reply.text,
        ending=(Ending.STOPPED if reply.is_running else reply.ending).value,
        error=reply.error, error_type=reply.error_type, started_at=reply.started_at,
        first_token_seconds=reply.first_token_seconds, total_seconds=reply.total_seconds,
        input_tokens=reply.input_tokens, output_tokens=reply.output_tokens,
        tokens_measured=reply.tokens_measured,
        cost=cost and PlainCost(kind=cost.kind, usd=cost.usd, source=cost.source),
        sent=_plain_sent(transcript, turn, reply),
        settings=json.loads(_writable(json.dumps(reply.settings, default=str,
                                                 ensure_ascii=False))),
        chunk_times=[] if reply.is_running else list(reply.chunk_times),
    )


def _plain_sent(transcript: Transcript, turn: Turn,
                reply: Reply) -> list[SentMessage | SentTurns]:
    if isinstance(reply.messages, SentMessages):
        return list(reply.messages.sent)
    path = transcript.path_to(turn)[:-1]
    said = [other for other in path if was_said(other)]
    sent: list[SentMessage | SentTurns] = []
    # A history is the end of the path, so it is looked for from its end. A message that
    # no turn says (a summary, a question put in other words) may stand between.
    position = len(said) - 1
    follows_on = False
    for message in reversed(reply.messages):
        found = next((number for number in range(position, max(position - 3, -1), -1)
                      if _says(said[number], message)), None)
        if found is None:
            sent.append(_plain_message(message, path))
            follows_on = False
            continue
        if follows_on and found == position:
            sent[-1] = SentTurns(first=said[found].id, last=sent[-1].last)
        else:
            sent.append(SentTurns(first=said[found].id, last=said[found].id))
        follows_on, position = True, found - 1
    return sent[::-1]


def _says(turn: Turn, message: BaseMessage) -> bool:
    if message.type != turn.role:
        return False
    if isinstance(message.content, str):
        return not turn.pictures and message.content == turn.text
    return bool(turn.pictures) and message.content == to_message(turn).content


def _plain_message(message: BaseMessage, path: Sequence[Turn]) -> SentMessage:
    role = message.type if message.type in ("system", "ai") else "human"
    if isinstance(message.content, str):
        return SentMessage(role=role, content=message.content)
    known = {picture.data_url: picture.sha256 for turn in path for picture in turn.pictures}
    return SentMessage(role=role, content=[_plain_block(block, known)
                                           for block in message.content])


def _plain_block(block: str | dict[str, Any], known: Mapping[str, str]) -> SentText | SentPicture:
    if isinstance(block, str):
        return SentText(text=block)
    if block.get("type") == "text":
        return SentText(text=block["text"])
    url = (block.get("image_url") or {}).get("url", "")
    return SentPicture(sha256=known.get(url) or hashlib.sha256(url.encode()).hexdigest())


# ── Reading ──────────────────────────────────────────────────────────────────────────


class SentMessages(Sequence[BaseMessage]):
    """The messages that were sent for a reply, put together from the turns when looked at."""

    def __init__(self, transcript: Transcript, turn: Turn,
                 sent: Sequence[SentMessage | SentTurns]):
        self._transcript, self._turn, self.sent = transcript, turn, tuple(sent)

    def __bool__(self) -> bool:
        return bool(self.sent)

    def __len__(self) -> int:
        return len(self._messages())

    def __getitem__(self, index):
        return self._messages()[index]

    def __iter__(self) -> Iterator[BaseMessage]:
        return iter(self._messages())

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and self._messages() == list(other)

    __hash__ = None

    def __repr__(self) -> str:
        return f"SentMessages({self.sent!r})"

    def _messages(self) -> list[BaseMessage]:
        path = self._transcript.path_to(self._turn)[:-1]
        pictures = {picture.sha256: picture for turn in path for picture in turn.pictures}
        position = {turn.id: number for number, turn in enumerate(path)}
        messages: list[BaseMessage] = []
        for item in self.sent:
            if isinstance(item, SentMessage):
                messages.append(_message(item, pictures))
            elif item.first in position and item.last in position:
                span = path[position[item.first]:position[item.last] + 1]
                messages += [to_message(turn) for turn in span if was_said(turn)]
        return messages


_MESSAGES = {"system": SystemMessage, "human": HumanMessage, "ai": AIMessage}


def _message(sent: SentMessage, pictures: Mapping[str, Picture]) -> BaseMessage:
    if isinstance(sent.content, str):
        return _MESSAGES[sent.role](sent.content)
    return _MESSAGES[sent.role]([
        {"type": "text", "text": block.text} if isinstance(block, SentText)
        else image_block(pictures[block.sha256]) if block.sha256 in pictures
        else {"type": "text", "text": "(a picture that was not kept)"}
        for block in sent.content
    ])


def turn_from_plain(transcript: Transcript, plain: PlainTurn, *, id: str, parent_id: str | None,
                    pictures: Mapping[str, bytes]) -> Turn:
    """A turn as it was written; the caller puts it into `transcript`.

    `pictures` holds the bytes by hash. A picture whose bytes are not among them is left out,
    and counted.
    """
    found = [_picture(picture, pictures[picture.sha256]) for picture in plain.pictures
             if picture.sha256 in pictures]
    turn = Turn(
        plain.role, plain.content, parent_id=parent_id, id=id, created_at=plain.created_at,
        pictures=found, pictures_lost=len(plain.pictures) - len(found),
        rating=plain.rating, summary=plain.summary,
    )
    if plain.reply is not None:
        turn.reply = reply_from_plain(plain.reply)
        turn.reply.messages = SentMessages(transcript, turn, plain.reply.sent)
    return turn


def reply_from_plain(plain: PlainReply) -> Reply:
    """A reply as it was written, but for the messages sent: they are a conversation's turns."""
    cost = plain.cost
    return Reply(
        plain.model_id, text=plain.text, ending=Ending(plain.ending), error=plain.error,
        error_type=plain.error_type, started_at=plain.started_at,
        first_token_seconds=plain.first_token_seconds, total_seconds=plain.total_seconds,
        input_tokens=plain.input_tokens, output_tokens=plain.output_tokens,
        tokens_measured=plain.tokens_measured,
        cost=cost and Cost(cost.kind, cost.usd, cost.source), settings=dict(plain.settings),
        chunk_times=list(plain.chunk_times),
    )


def _picture(plain: PlainPicture, data: bytes) -> Picture:
    return Picture(**{**dict(plain), "data": data, "changes": tuple(plain.changes)})
