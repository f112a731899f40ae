"""Pictures, each kept once for each owner, by the hash of its bytes.

Nothing here is shared between owners: whether somebody else keeps the same picture
cannot be told from what happens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import Connection, delete, func, select, text
from sqlalchemy.dialects import postgresql, sqlite

from llm.images import Picture
from storage.schema import conversations, picture_uses, pictures


def keep(db: Connection, owner: str, conversation: int,
         holding: Mapping[int, Sequence[Picture]], quota: int) -> int:
    """Keep the pictures of turns, by the turns' positions. Returns how many found no room.

    Which turn holds which is written down for those too, so keeping them can be tried again.
    """
    wanted = {picture.sha256: picture for held in holding.values() for picture in held}
    if not wanted:
        return 0
    insert = sqlite.insert if db.dialect.name == "sqlite" else postgresql.insert
    if db.dialect.name == "postgresql":
        # Two of the owner's tabs must not both find the same last room.
        db.execute(text("SELECT pg_advisory_xact_lock(hashtextextended(:owner, 0))"),
                   {"owner": owner})
    there = set(db.scalars(select(pictures.c.sha256).where(
        pictures.c.owner == owner, pictures.c.sha256.in_(wanted))))
    taken, lost = size_of_all(db, owner), 0
    for sha256, picture in wanted.items():
        if sha256 in there:
            continue
        if taken + len(picture.data) > quota:
            lost += 1
            continue
        taken += len(picture.data)
        db.execute(insert(pictures).values(owner=owner, sha256=sha256, size=len(picture.data),
                                           data=picture.data))
    db.execute(insert(picture_uses).on_conflict_do_nothing(), [
        {"conversation": conversation, "position": position, "sha256": sha256}
        for position, held in holding.items() for sha256 in {picture.sha256 for picture in held}])
    return lost


def of_conversation(db: Connection, owner: str, conversation: int) -> dict[str, bytes]:
    """The bytes of a conversation's pictures, by their hash."""
    used = select(picture_uses.c.sha256).where(picture_uses.c.conversation == conversation)
    rows = db.execute(select(pictures.c.sha256, pictures.c.data).where(
        pictures.c.owner == owner, pictures.c.sha256.in_(used)))
    return {sha256: bytes(data) for sha256, data in rows}


def size_of_all(db: Connection, owner: str) -> int:
    """In bytes."""
    return db.scalar(select(func.coalesce(func.sum(pictures.c.size), 0))
                     .where(pictures.c.owner == owner))


def throw_away_unused(db: Connection, owner: str) -> None:
    """Remove the owner's pictures that no turn of theirs holds any more."""
    used = select(picture_uses.c.sha256).join(
        conversations, conversations.c.number == picture_uses.c.conversation
    ).where(conversations.c.owner == owner)
    db.execute(delete(pictures).where(pictures.c.owner == owner,
                                      pictures.c.sha256.not_in(used)))
