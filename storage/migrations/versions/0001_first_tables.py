"""Conversations, their turns and pictures, records, and the full-text index."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None

_number = sa.BigInteger().with_variant(sa.Integer, "sqlite")


def upgrade() -> None:
    op.create_table(
        "conversations",
        sa.Column("number", _number, primary_key=True, autoincrement=True),
        sa.Column("owner", sa.Text, nullable=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("title", sa.Text, nullable=False),
        sa.Column("stage", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
        sa.Column("updated_at", sa.Double, nullable=False),
        sa.Column("pinned", sa.Boolean, nullable=False),
        sa.Column("deleted_at", sa.Double),
        sa.Column("turn_count", sa.Integer, nullable=False),
        sa.UniqueConstraint("owner", "id", name="conversations_owner_id"),
    )
    op.create_index("conversations_latest", "conversations", ["owner", "updated_at"])
    op.create_table(
        "turns",
        sa.Column("conversation", _number,
                  sa.ForeignKey("conversations.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("id", sa.Text, nullable=False),
        sa.Column("parent", sa.Text, nullable=False),
        sa.Column("shown", sa.Boolean, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.UniqueConstraint("conversation", "id", name="turns_conversation_id"),
    )
    op.create_index("turns_siblings", "turns", ["conversation", "parent"])
    op.create_table(
        "pictures",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("size", sa.Integer, nullable=False),
        sa.Column("data", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "picture_uses",
        sa.Column("conversation", _number,
                  sa.ForeignKey("conversations.number", ondelete="CASCADE"), primary_key=True),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("sha256", sa.Text, primary_key=True),
    )
    op.create_table(
        "records",
        sa.Column("owner", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("value", sa.Text, nullable=False),
        sa.Column("created_at", sa.Double, nullable=False),
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("CREATE VIRTUAL TABLE words USING fts5 (written, prefix = '2 3')")
    else:
        op.execute("CREATE TABLE words (key BIGINT PRIMARY KEY, written TSVECTOR NOT NULL)")
        op.execute("CREATE INDEX words_written ON words USING gin (written)")
