"""Replies as they are kept, looked at across conversations and without them."""

from __future__ import annotations

from pydantic import ValidationError
from sqlalchemy import ColumnElement, Connection, select

from llm.replies import Reply
from llm.transcript_json import PlainTurn, reply_from_plain
from storage.schema import conversations, turns


def replies_of(db: Connection, wanted: ColumnElement[bool], limit: int) -> list[Reply]:
    """The replies of the conversations that are `wanted`, oldest first, their messages left out.

    Of more than `limit` turns only those of the conversations used last are looked at. What is
    damaged is left out.
    """
    bodies = db.scalars(
        select(turns.c.body).join(conversations, turns.c.conversation == conversations.c.number)
        .where(wanted)
        .order_by(conversations.c.updated_at.desc(), conversations.c.number.desc(),
                  turns.c.position.desc())
        .limit(limit))
    found = []
    for body in bodies:
        try:
            reply = PlainTurn.model_validate_json(body).reply
        except ValidationError:
            continue
        if reply is not None:
            found.append(reply_from_plain(reply))
    return sorted(found, key=lambda reply: reply.started_at)
