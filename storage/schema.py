"""The tables. Every row has one owner, and only that owner's rows are ever looked at.

    conversations ──< turns                    words: the full-text index over both
          │              │                     (`storage.search`)
          └──< picture_uses >── pictures       records: small JSON values by kind and key

Conversations, pictures and records name their owner; turns and picture_uses belong to
the owner of their conversation, through its `number`, which never leaves this package.

What changes here needs a migration in migrations/versions, and a new HEAD.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
)

HEAD = "0001"
"""The migration that makes what stands here."""
VERSION_TABLE = "parley_schema"

metadata = MetaData()

# SQLite numbers rows by itself only in a column of exactly the type INTEGER.
_Number = BigInteger().with_variant(Integer, "sqlite")

conversations = Table(
    "conversations", metadata,
    Column("number", _Number, primary_key=True, autoincrement=True),
    Column("owner", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("created_at", Double, nullable=False),
    Column("updated_at", Double, nullable=False),
    Column("pinned", Boolean, nullable=False),
    Column("deleted_at", Double),
    Column("turn_count", Integer, nullable=False),
    UniqueConstraint("owner", "id", name="conversations_owner_id"),
    Index("conversations_latest", "owner", "updated_at"),
)
"""Times are in seconds since the epoch. `turn_count` is also the position of the last turn."""

turns = Table(
    "turns", metadata,
    Column("conversation", _Number, ForeignKey("conversations.number", ondelete="CASCADE"),
           primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("id", Text, nullable=False),
    Column("parent", Text, nullable=False),
    Column("shown", Boolean, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("conversation", "id", name="turns_conversation_id"),
    Index("turns_siblings", "conversation", "parent"),
)
"""`position` counts from 1 in the order of saving, parents before children. `parent` is
"" at the root. `body` is a `llm.transcript_json.PlainTurn`, as text and not as the
database's own JSON, which takes no NUL character."""

pictures = Table(
    "pictures", metadata,
    Column("owner", Text, primary_key=True),
    Column("sha256", Text, primary_key=True),
    Column("size", Integer, nullable=False),
    Column("data", LargeBinary, nullable=False),
)

picture_uses = Table(
    "picture_uses", metadata,
    Column("conversation", _Number, ForeignKey("conversations.number", ondelete="CASCADE"),
           primary_key=True),
    Column("position", Integer, primary_key=True, autoincrement=False),
    Column("sha256", Text, primary_key=True),
)
"""Which turn holds which picture: one that no turn holds is thrown away."""

records = Table(
    "records", metadata,
    Column("owner", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("key", Text, primary_key=True),
    Column("value", Text, nullable=False),
    Column("created_at", Double, nullable=False),
)
