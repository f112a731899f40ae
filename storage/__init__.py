"""What Parley keeps: conversations, pictures and small records, each its owner's alone.

    from storage import open_store

    store = open_store()                      # PARLEY_HOME/parley.db, or PARLEY_DATABASE_URL
    store.save_turn(owner, transcript, turn)
    transcript = store.load(owner, transcript.id)

SQLite with nothing to set up, PostgreSQL by URL, the same code. No Streamlit and no
models in here: it knows transcripts, and an owner as a string. Who the owner is, the
app says.
"""

from llm.errors import StorageError
from storage.database import open_engine
from storage.store import PICTURE_QUOTA, Store, Summary

__all__ = ["PICTURE_QUOTA", "Store", "Summary", "open_store"]


def open_store(url: str | None = None, *, picture_quota: int = PICTURE_QUOTA) -> Store:
    """The store behind `url`, its tables made or brought up to date.

    Open it once per process: it may be used from every thread. `url` is a SQLAlchemy
    URL of SQLite or PostgreSQL; None means PARLEY_DATABASE_URL, else PARLEY_HOME/parley.db.
    `picture_quota` is in bytes for each owner.

    Raises `StorageError`; the app then goes on with what the session holds.
    """
    engine, notice = open_engine(url)
    store = Store(engine, picture_quota=picture_quota, notice=notice)
    try:
        store.purge_deleted()
    except StorageError:
        pass  # A database that can only be read, or is busy now: the next start does it.
    return store
