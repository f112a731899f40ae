"""Opening a database: found or made, brought up to date, and its faults put in plain words.

Two processes may open the same one at once: the migrations run in one transaction,
behind a lock. A file that is no database is set aside under a new name, and never
overwritten; a database that a newer Parley has written is left as it is.

This module does not know what the tables hold.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from filelock import FileLock
from sqlalchemy import URL, Connection, Engine, event, inspect, text
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as NoConnectionLeft

from llm import paths
from llm.errors import StorageError
from llm.wording import Wording
from storage.schema import HEAD, VERSION_TABLE, metadata

BUSY_SECONDS = 5
"""How long a writer waits for another before it gives up."""
OPENING_SECONDS = 30
"""How long a process waits for another that is preparing the same file."""
_POOL = {"pool_size": 5, "max_overflow": 5, "pool_timeout": 10}
_MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 7_275_953
"""PostgreSQL's advisory locks are numbers; this one is Parley's, by "parley" on a telephone."""

# Alembic's environment is a global of the process.
_migrating = threading.Lock()


def open_engine(url: str | None = None) -> tuple[Engine, Wording | None]:
    """An engine whose database is ready, and a sentence for people if a file was set aside.

    Raises `StorageError`.
    """
    where = _parsed(url or os.environ.get("PARLEY_DATABASE_URL") or _own_file())
    if where.get_backend_name() == "postgresql":
        return _ready(_create_postgresql(where)), None
    # Opened by SQLite's own kind of URL ("file:…?mode=ro"), the file is not ours to prepare.
    if where.database.startswith("file:"):
        return _ready(_create_sqlite(where)), None
    path = Path(where.database)
    with _made(path), FileLock(f"{path}.lock", timeout=OPENING_SECONDS):
        notice = None if _looks_like_database(path) else _set_aside(path)
        _touch_private(path)
        try:
            return _ready(_create_sqlite(where)), notice
        except _Damaged:
            notice = _set_aside(path)
            _touch_private(path)
            return _ready(_create_sqlite(where)), notice


def _own_file() -> str:
    return URL.create("sqlite", database=str(paths.home() / "parley.db")).render_as_string()


def _parsed(url: str) -> URL:
    try:
        where = sqlalchemy.make_url(url)
    except (ArgumentError, ValueError) as error:  # the latter: "p@ss:word" written out
        # The URL itself may hold a password.
        raise StorageError(
            "PARLEY_DATABASE_URL is no database's URL. It looks like "
            "postgresql://user:password@host/name or sqlite:////folder/parley.db."
        ) from error
    # Whatever driver is named: other programs have others, and this one has one for each.
    own = {"postgres": "postgresql+psycopg", "postgresql": "postgresql+psycopg",
           "sqlite": "sqlite"}.get(where.get_backend_name())
    if own is None:
        raise StorageError(
            "Parley keeps conversations in SQLite or PostgreSQL, not in {driver}.",
            driver=where.drivername[:40],
        )
    where = where.set(drivername=own)
    if own == "sqlite" and where.database in (None, "", ":memory:"):
        raise StorageError("A SQLite database needs a file: sqlite:////folder/parley.db.")
    return where


# ── Engines ──────────────────────────────────────────────────────────────────────────


def _create(where: URL, **more) -> Engine:
    # Parameters are what people wrote: they go into no error's text, and so into no log.
    return sqlalchemy.create_engine(where, hide_parameters=True, **_POOL, **more)


def _create_postgresql(where: URL) -> Engine:
    engine = _create(where, pool_pre_ping=True, connect_args={
        "connect_timeout": BUSY_SECONDS, "tcp_user_timeout": 2_000 * BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def set_up(connection, _record) -> None:
        connection.execute(f"SET lock_timeout = '{BUSY_SECONDS}s'")
        connection.commit()

    return engine


def _create_sqlite(where: URL) -> Engine:
    engine = _create(where, connect_args={"timeout": BUSY_SECONDS})

    @event.listens_for(engine, "connect")
    def set_up(connection, _record) -> None:
        # The driver would begin transactions late, or not at all: `begin` below does it.
        connection.isolation_level = None
        # NORMAL: a commit outlives the process, killed or not; a power cut may take the last.
        for setting in ("foreign_keys = ON", "synchronous = NORMAL", "secure_delete = ON"):
            connection.execute(f"PRAGMA {setting}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        # A transaction that read first and writes later cannot wait for another writer.
        writes = connection.get_execution_options().get("writes")
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


class _Damaged(StorageError):
    """SQLite cannot make sense of the file."""


def _ready(engine: Engine) -> Engine:
    """The engine with its tables up to date."""
    try:
        with plainly():
            with engine.connect() as db:
                current = _version(db)
                if current is None:
                    _refuse_strangers(db)
                if current is None and db.dialect.name == "sqlite":
                    db.rollback()
                    db.connection.driver_connection.execute("PRAGMA journal_mode = WAL")
            if current != HEAD:
                _migrate(engine)
        return engine
    except BaseException as error:
        engine.dispose()
        if isinstance(error, SQLAlchemyError):
            raise StorageError(
                "The database could not be prepared, so conversations are not kept for now. Check "
                "the rights of its user, or set PARLEY_DATABASE_URL to another database."
            ) from error
        raise


def _version(db: Connection) -> str | None:
    if not inspect(db).has_table(VERSION_TABLE):
        return None
    return db.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))


def _refuse_strangers(db: Connection) -> None:
    if set(inspect(db).get_table_names()) & {*metadata.tables, "words"}:
        raise StorageError(
            "The database has tables of another program that are called like Parley's, so it is "
            "left as it is. Set PARLEY_DATABASE_URL to a database of Parley's own."
        )


def _migrate(engine: Engine) -> None:
    # Imported late: a database that is up to date needs no Alembic.
    from alembic import command
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    with _migrating, engine.execution_options(writes=True).begin() as db:
        if db.dialect.name == "postgresql":
            db.execute(text(f"SELECT pg_advisory_xact_lock({_MIGRATION_LOCK})"))
        current = _version(db)
        if current is not None and current not in known:
            raise StorageError(
                "The database was written by a newer Parley, so it is left as it is and nothing "
                "is kept for now. Update Parley, or set PARLEY_DATABASE_URL to another database."
            )
        config.attributes["connection"] = db
        command.upgrade(config, "head")


# ── The file ─────────────────────────────────────────────────────────────────────────


@contextmanager
def _made(path: Path) -> Iterator[None]:
    """The file's folder is there; what the file system says against it is a StorageError."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise StorageError(
            "{path} cannot be opened or made ({reason}), so conversations are "
            "not kept for now. Check the folder, or set PARLEY_HOME to another.",
            path=path, reason=error.strerror or Wording("busy"),
        ) from error


def _looks_like_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            # SQLite takes an empty file for a new database.
            return file.read(16) in (b"", b"SQLite format 3\x00")
    except FileNotFoundError:
        return True


def _touch_private(path: Path) -> None:
    # Made before SQLite does, so that nobody else on the machine can read it, nor its journal.
    os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))


def _set_aside(path: Path) -> Wording:
    """Rename a file that is no database, and its journals with it. Returns the notice."""
    stamp = time.strftime("%Y%m%d-%H%M%S")
    number, aside = 1, path.with_name(f"{path.name}.set-aside-{stamp}")
    while aside.exists():
        number += 1
        aside = path.with_name(f"{path.name}.set-aside-{stamp}-{number}")
    for ending in ("-wal", "-shm", ""):
        part = path.with_name(path.name + ending)
        if part.exists():
            part.rename(aside.with_name(aside.name + ending))
    return Wording("{file} is damaged or no database. It is set aside as {aside} in the same "
                   "folder, and a new one was begun.", file=path.name, aside=aside.name)


# ── Faults ───────────────────────────────────────────────────────────────────────────


@contextmanager
def plainly() -> Iterator[None]:
    """Turn what the database could not do into a `StorageError`; bugs are left to raise."""
    try:
        yield
    except NoConnectionLeft as error:
        raise StorageError(
            "The database is too busy and was not read or written. Try again in a moment."
        ) from error
    except DBAPIError as error:
        if isinstance(error, (sqlalchemy.exc.IntegrityError, sqlalchemy.exc.ProgrammingError,
                              sqlalchemy.exc.DataError)):
            raise
        raise _translated(error.orig) from error
    except sqlite3.Error as error:
        raise _translated(error) from error  # From a PRAGMA, which stands outside of transactions.


_SQLITE = {
    "SQLITE_BUSY": "Another program holds the database, so this was not kept. Try again in a "
                   "moment; if it stays so, close the other program.",
    "SQLITE_LOCKED": "Another program holds the database, so this was not kept. Try again in a "
                     "moment; if it stays so, close the other program.",
    "SQLITE_FULL": "The disk is full, so this was not kept. Make room, or delete conversations "
                   "with pictures.",
    "SQLITE_READONLY": "The database can be read but not written, so this was not kept. Check "
                       "the permissions of its file and folder.",
    "SQLITE_CANTOPEN": "The database's file cannot be opened. Check its folder and the folder's "
                       "permissions.",
    "SQLITE_IOERR": "The disk failed to read or write the database. Check the disk and its room.",
    "SQLITE_CORRUPT": "The database's file is damaged. Keep a copy of it: sqlite3's .recover may "
                      "bring back most of it.",
    "SQLITE_NOTADB": "The database's file is damaged. Keep a copy of it: sqlite3's .recover may "
                     "bring back most of it.",
}

_POSTGRESQL = {
    "53100": "The database server's disk is full, so this was not kept.",
    "53300": "The database server takes no more connections. Try again in a moment.",
    "25006": "The database can be read but not written, so this was not kept.",
    "28P01": "The database server does not accept the user name or password.",
    "28000": "The database server does not accept the user name or password.",
    "3D000": "The database server has no database of that name. Make it with createdb.",
    "42501": "The database's user may not do this. Give it rights on its own schema.",
    "55P03": "Another program holds the database, so this was not kept. Try again in a moment.",
    "40P01": "Another program holds the database, so this was not kept. Try again in a moment.",
}


def _translated(cause: BaseException) -> StorageError:
    # "SQLITE_READONLY_DIRECTORY" is a kind of SQLITE_READONLY; "SQLITE_BUSY" is one itself.
    name = "_".join(getattr(cause, "sqlite_errorname", "").split("_")[:2])
    if name in ("SQLITE_CORRUPT", "SQLITE_NOTADB"):
        return _Damaged(_SQLITE[name])
    if name in _SQLITE:
        return StorageError(_SQLITE[name])
    code = getattr(cause, "sqlstate", None)
    if code in _POSTGRESQL:
        return StorageError(_POSTGRESQL[code])
    if name == "" and code is None:
        return StorageError("The database server does not answer, so nothing was read or kept. "
                            "Try again in a moment.")
    return StorageError("The database failed, so nothing was read or kept. "
                        "Try again in a moment.")
