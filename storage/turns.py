"""Which turns of a conversation are kept already, and which version of each is shown."""

from __future__ import annotations

from collections import Counter

from sqlalchemy import Connection, bindparam, exists, select, update

from llm.transcript import Transcript, Turn
from storage.schema import turns


def not_kept(db: Connection, number: int, transcript: Transcript, turn: Turn) -> list[Turn]:
    """The turn and those above it that the database does not have, oldest first."""
    fresh: list[Turn] = []
    step: Turn | None = turn
    while step is not None and not db.scalar(
            select(exists().where(turns.c.conversation == number, turns.c.id == step.id))):
        fresh.append(step)
        step = transcript.turns.get(step.parent_id)
    return fresh[::-1]


def save_shown(db: Connection, number: int, transcript: Transcript,
               parents: set[str | None]) -> None:
    """Write which version is shown below these parents, and wherever there are several."""
    versions = Counter(turn.parent_id for turn in list(transcript.turns.values()))
    parents = parents | {parent for parent, count in versions.items() if count > 1}
    if not parents:
        return
    is_shown = turns.c.id == bindparam("turn")
    # Turns that another tab has put beside these are counted in, and only changes written.
    db.execute(
        update(turns).where(turns.c.conversation == number, turns.c.parent == bindparam("below"),
                            turns.c.shown != is_shown).values(shown=is_shown),
        [{"below": parent or "", "turn": transcript.shown.get(parent, "")} for parent in parents])
