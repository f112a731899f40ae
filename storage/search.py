"""Full text, behind one door: SQLite's FTS5 and PostgreSQL's tsvector.

The words are told apart here and not by the database, so that both find the same: case,
accents and punctuation do not matter, and scripts that put no spaces between words are
split into letters. Any text may be asked for; none of it is a query language.

A row of the index has the key `conversation's number << 20 | position of the turn`, so that
conversations are found without a look at their turns. Position 0 is the title.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, Text, TextClause, bindparam, select, text

from storage.schema import turns

POSITION_BITS = 20
MAX_TURNS = 1 << POSITION_BITS
"""In one conversation."""
MAX_WORDS = 8
"""Of what is asked for; more would only narrow nothing down to nothing."""
INDEXED_CHARACTERS = 100_000
"""Of one message. PostgreSQL takes a megabyte of words in a row at most."""

# Thai, Lao, Burmese, Khmer; Chinese and Japanese with their older and wider forms.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff" \
            "\U00020000-\U0003ffff"
_WORD = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+")


def words_of(written: str) -> list[str]:
    """The words of a text as they are indexed: lower case, without accents."""
    written = written[:INDEXED_CHARACTERS]
    if not written.isascii():
        written = "".join(letter for letter in unicodedata.normalize("NFKD", written)
                          if unicodedata.category(letter) != "Mn")
    return _WORD.findall(written.casefold())


@dataclass(frozen=True)
class Query:
    """What was asked for: each item is to be found, as its words in a row."""

    items: tuple[tuple[str, ...], ...]
    written: tuple[str, ...]
    """The items as they were typed."""


def parse(asked: str) -> Query | None:
    """A query for each space-separated piece of `asked`; None if there is no word in it."""
    pieces = [(piece, tuple(words_of(piece)[:20])) for piece in asked[:1000].split()]
    pieces = [(piece, words) for piece, words in pieces if words][:MAX_WORDS]
    return Query(tuple(words for _, words in pieces),
                 tuple(piece for piece, _ in pieces)) if pieces else None


def key(conversation: int, position: int) -> int:
    return conversation << POSITION_BITS | position


def matching(db: Connection, query: Query) -> list[TextClause]:
    """For each item of the query: a condition on `conversations`, that it holds the item."""
    if db.dialect.name == "sqlite":
        condition = f"conversations.number IN (SELECT rowid >> {POSITION_BITS} FROM words " \
                    "WHERE words MATCH :{name})"
        pattern = _fts5
    else:
        # An array is made once. An IN would be planned by statistics, and made again for each
        # conversation where a new database has none yet.
        condition = f"conversations.number = ANY (ARRAY(SELECT DISTINCT key >> {POSITION_BITS} " \
                    "FROM words WHERE written @@ to_tsquery('simple', :{name})))"
        pattern = _tsquery
    return [text(condition.replace("{name}", f"item{number}"))
            .bindparams(bindparam(f"item{number}", pattern(item), Text))
            for number, item in enumerate(query.items)]


def position_of_match(db: Connection, query: Query, conversation: int) -> int:
    """The position of the first turn with all the items, else of the first with any of them.

    0 is the title.
    """
    if db.dialect.name == "sqlite":
        statement = "SELECT min(rowid) FROM words WHERE words MATCH :items " \
                    "AND rowid BETWEEN :low AND :high"
        items, all_of, any_of = map(_fts5, query.items), " AND ", " OR "
    else:
        statement = "SELECT min(key) FROM words WHERE written @@ to_tsquery('simple', :items) " \
                    "AND key BETWEEN :low AND :high"
        items, all_of, any_of = (f"({_tsquery(item)})" for item in query.items), " & ", " | "
    items = list(items)
    for joined in (all_of.join(items), any_of.join(items)):
        found = db.scalar(text(statement), {"items": joined, **_range(conversation)})
        if found is not None:
            return found & (MAX_TURNS - 1)
    return 0


def excerpt_of(db: Connection, query: Query, conversation: int, title: str) -> str:
    """The place in a conversation, or in its title, where an item of the query stands."""
    position = position_of_match(db, query, conversation)
    body = db.scalar(select(turns.c.body).where(turns.c.conversation == conversation,
                                                turns.c.position == position))
    if body is None:
        return excerpt(title, query)
    turn = json.loads(body)
    return excerpt(turn["reply"]["text"] if turn["reply"] else turn["content"], query)


def _fts5(item: Sequence[str]) -> str:
    return f'"{" ".join(item)}"' + (" *" if _is_beginning(item) else "")


def _tsquery(item: Sequence[str]) -> str:
    return " <-> ".join(f"'{word}'" for word in item) + (":*" if _is_beginning(item) else "")


def _is_beginning(item: Sequence[str]) -> bool:
    # "transl" finds "translate". A single letter would find nearly everything.
    return len(item[-1]) > 1


def put(db: Connection, rows: Sequence[tuple[int, str]]) -> None:
    """Index texts by key, in place of what was indexed by those keys."""
    remove_keys(db, [number for number, _ in rows])
    insert = "INSERT INTO words (rowid, written) VALUES (:key, :written)" \
        if db.dialect.name == "sqlite" else \
        "INSERT INTO words (key, written) VALUES (:key, to_tsvector('simple', :written))"
    db.execute(text(insert), [{"key": number, "written": " ".join(words_of(said))}
                              for number, said in rows])


def remove_keys(db: Connection, keys: Sequence[int]) -> None:
    name = "rowid" if db.dialect.name == "sqlite" else "key"
    db.execute(text(f"DELETE FROM words WHERE {name} = :key"), [{"key": key} for key in keys])


def remove_conversations(db: Connection, numbers: Sequence[int]) -> None:
    name = "rowid" if db.dialect.name == "sqlite" else "key"
    db.execute(text(f"DELETE FROM words WHERE {name} BETWEEN :low AND :high"),
               [_range(number) for number in numbers])


def forget_removed(db: Connection) -> None:
    """Rewrite the index, so that no word of what was removed is left in the file."""
    if db.dialect.name == "sqlite":
        db.execute(text("INSERT INTO words (words) VALUES ('optimize')"))


def _range(conversation: int) -> dict[str, int]:
    return {"low": key(conversation, 0), "high": key(conversation, MAX_TURNS - 1)}


def excerpt(written: str, query: Query, around: int = 60) -> str:
    """The place in a text where an item of the query stands, on one line."""
    flat = " ".join(written.split())
    places = [found.start() for piece in query.written
              if (found := re.search(re.escape(piece), flat, re.IGNORECASE))]
    middle = min(places, default=0)
    start, end = max(middle - around, 0), middle + around
    return ("…" if start else "") + flat[start:end] + ("…" if end < len(flat) else "")
