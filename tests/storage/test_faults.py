"""Every fault of a database gets one plain sentence, loses nothing, and passes when it passes."""

import os
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest
from sqlalchemy import event

from llm.errors import StorageError
from llm.transcript import Transcript
from storage import database, open_store
from tests.app import ROOT, clean_environment
from tests.servers.postgres import new_database, postgres
from tests.transcripts import everything, say

ME = "browser:me"


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(database, "BUSY_SECONDS", 1)


@pytest.fixture
def file(tmp_path) -> Path:
    return tmp_path / "parley.db"


@contextmanager
def opened(where):
    store = open_store(f"sqlite:///{where}" if isinstance(where, Path) else where)
    try:
        yield store
    finally:
        store.close()


def save_all(store, chat):
    for turn in chat.turns.values():
        store.save_turn(ME, chat, turn)
    return chat


@contextmanager
def one_sentence(*words):
    """A StorageError that says so and what to do, and nothing of what people wrote."""
    with pytest.raises(StorageError) as refused:
        yield
    sentence = str(refused.value)
    for word in words:
        assert word in sentence
    assert sentence.endswith((".", "?")) and "\n" not in sentence and len(sentence) < 300
    error = refused.value
    while error is not None:
        assert "Ada" not in str(error) and "secret-canary" not in str(error)
        error = error.__cause__


# ── A file that is no database ───────────────────────────────────────────────────────


@pytest.mark.parametrize("content", [b"Dear diary,\n" * 500, b"\x89PNG\r\n\x1a\n",
                                     b"\0" * 5_000, b"x"])
def test_a_file_that_is_no_database_is_set_aside_and_never_overwritten(file, content):
    file.write_bytes(content)
    with opened(file) as store:
        [aside] = file.parent.glob("parley.db.set-aside-*")
        assert aside.read_bytes() == content
        notice = str(store.notice)
        assert aside.name in notice and notice.endswith(".")
        chat = save_all(store, everything())
        assert store.load(ME, chat.id).turns == chat.turns


def test_each_file_that_is_set_aside_has_a_name_of_its_own(file):
    for number in range(3):
        file.write_bytes(b"no database %d" % number)
        with opened(file):
            pass
        file.unlink()
    asides = file.parent.glob("parley.db.set-aside-*")
    assert sorted(aside.read_bytes()[:13] for aside in asides) == [
        b"no database 0", b"no database 1", b"no database 2"]


def test_the_journal_of_a_file_that_is_set_aside_goes_with_it(file):
    file.write_bytes(b"no database")
    (file.parent / "parley.db-wal").write_bytes(b"journal")
    with opened(file):
        [journal] = file.parent.glob("parley.db.set-aside-*-wal")
        assert journal.read_bytes() == b"journal"


def test_a_database_whose_beginning_is_damaged_is_set_aside(file):
    with opened(file) as store:
        save_all(store, everything())
    damaged = file.read_bytes()[:16] + b"\xff" * 84 + file.read_bytes()[100:]
    file.write_bytes(damaged)
    with opened(file) as store:
        assert "set aside" in str(store.notice)
        assert store.list(ME) == []
    [aside] = file.parent.glob("parley.db.set-aside-*")
    assert aside.read_bytes() == damaged


def test_a_database_that_is_damaged_within_says_so_where_it_is_read(file):
    with opened(file) as store:
        for _ in range(30):
            chat = save_all(store, say(Transcript(), "My name is Ada. " * 200, "Hello. " * 500))
    content = bytearray(file.read_bytes())
    for page in range(12 * 4096, len(content), 4096):
        content[page:page + 100] = b"\xff" * 100
    file.write_bytes(content)
    with opened(file) as store, one_sentence("damaged", ".recover"):
        store.load(ME, chat.id)
        store.search(ME, "Ada")


def test_a_row_that_is_damaged_says_so_and_the_others_are_read(url):
    with opened(url) as store:
        bad, good = (save_all(store, say(Transcript(), "Hello", "Hi")) for _ in range(2))
        with store._write() as db:
            db.exec_driver_sql("UPDATE turns SET body = '{\"role\": \"tool' WHERE conversation = 1")
        with one_sentence("damaged"):
            store.load(ME, bad.id)
        assert store.load(ME, good.id).turns == good.turns


def test_an_empty_file_is_a_new_database(file):
    file.touch()
    with opened(file) as store:
        assert store.notice is None and store.list(ME) == []


def test_a_database_that_is_whole_is_never_set_aside(file):
    with opened(file) as store:
        chat = save_all(store, everything())
    with opened(file) as store:
        assert store.notice is None
        assert store.load(ME, chat.id).turns == chat.turns
    assert not list(file.parent.glob("*set-aside*"))


# ── Locked, full, read-only, newer ───────────────────────────────────────────────────


def test_a_locked_database_is_said_to_be_and_catches_up_when_it_is_free(file):
    with opened(file) as store, closing(sqlite3.connect(file, isolation_level=None)) as other:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
        other.execute("BEGIN IMMEDIATE")
        say(chat, "Who am I?")
        with one_sentence("Another program holds the database"):
            store.save_turn(ME, chat, chat.last)
        assert len(store.load(ME, chat.id).turns) == 2
        other.execute("ROLLBACK")
        store.save_turn(ME, chat, say(chat, "Ada.").last)
        assert store.load(ME, chat.id).turns == chat.turns


def test_a_database_that_is_locked_at_the_start_is_said_to_be(file):
    with closing(sqlite3.connect(file, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with one_sentence("Another program holds the database"):
            open_store(f"sqlite:///{file}")
    with opened(file) as store:
        assert store.list(ME) == []


def test_rows_that_another_program_locks_are_waited_for_and_then_said_to_be(postgres_url):
    url = new_database(postgres_url, "locked")
    with opened(url) as store, psycopg.connect(url) as other:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
        other.execute("LOCK TABLE turns")
        with one_sentence("Another program holds the database"):
            store.save_turn(ME, chat, say(chat, "Who am I?").last)
        other.rollback()
        store.save_turn(ME, chat, chat.last)
        assert store.load(ME, chat.id).turns == chat.turns


def fill_by_limit(store, file):
    """No root here: the same answer from SQLite when it may not grow."""
    store._reader.dispose()
    pages = file.stat().st_size // 4096 + 2

    @event.listens_for(store._reader, "connect")
    def limit(connection, _record):
        connection.execute(f"PRAGMA max_page_count = {pages}")

    return lambda: (event.remove(store._reader, "connect", limit), store._reader.dispose())


def fill_disk(store, file):
    filler = file.parent / "filler"
    with filler.open("wb", buffering=0) as full, suppress(OSError):
        while True:
            full.write(b"\0" * 4096)
    return filler.unlink


@pytest.fixture
def small_disk(tmp_path):
    """A folder on a disk of 4 MB, and what fills that disk."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = os.getuid() == 0 and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False,
        stderr=subprocess.DEVNULL).returncode == 0
    yield folder, fill_disk if mounted else fill_by_limit
    if mounted:
        subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_is_said_to_be_and_catches_up_when_there_is_room(small_disk):
    folder, fill = small_disk
    with opened(folder / "parley.db") as store:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
        make_room = fill(store, folder / "parley.db")
        with one_sentence("disk", "room"):
            for number in range(200):
                say(chat, f"{number} " * 20_000)
                store.save_turn(ME, chat, chat.last)
        kept = store.load(ME, chat.id)
        assert kept.path() == chat.path()[:len(kept.turns)]
        assert 2 <= len(kept.turns) < len(chat.turns)
        make_room()
        store.save_turn(ME, chat, chat.last)
        assert store.load(ME, chat.id).turns == chat.turns


def test_a_disk_that_is_full_at_the_start_is_said_to_be(small_disk):
    folder, fill = small_disk
    if fill is fill_disk:
        fill(None, folder / "parley.db")
        with one_sentence("."):
            open_store(f"sqlite:///{folder / 'parley.db'}")


def test_a_database_that_can_only_be_read_is_read(file):
    with opened(file) as store:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
        store.delete(ME, save_all(store, say(Transcript(), "Gone")).id)
    with opened(f"sqlite:///file:{file}?mode=ro&uri=true") as store:
        assert store.load(ME, chat.id).turns == chat.turns
        assert store.search(ME, "Ada")
        for change in (lambda: save_all(store, say(chat, "Who am I?")),
                       lambda: store.rename(ME, chat.id, "x"),
                       lambda: store.put_record(ME, "votes", "1", 1),
                       lambda: store.delete(ME, chat.id)):
            with one_sentence("can be read but not written"):
                change()


def test_a_server_that_only_lets_read_is_read(postgres_url):
    url = new_database(postgres_url, "readonly")
    with opened(url) as store:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute("ALTER DATABASE readonly SET default_transaction_read_only = on")
    with opened(url) as store:
        assert store.load(ME, chat.id).turns == chat.turns
        with one_sentence("can be read but not written"):
            save_all(store, say(chat, "Who am I?"))


def test_a_database_of_a_newer_parley_is_left_as_it_is(file):
    with opened(file) as store:
        save_all(store, everything())
    with closing(sqlite3.connect(file)) as newer, newer:
        newer.execute("UPDATE parley_schema SET version_num = '9999'")
    before = file.read_bytes()
    with one_sentence("newer Parley", "Update Parley"):
        open_store(f"sqlite:///{file}")
    assert file.read_bytes() == before
    assert not list(file.parent.glob("*set-aside*"))


def test_a_server_with_a_newer_schema_is_left_as_it_is(postgres_url):
    url = new_database(postgres_url, "newer")
    with opened(url):
        pass
    with psycopg.connect(url, autocommit=True) as newer:
        newer.execute("UPDATE parley_schema SET version_num = '9999'")
    with one_sentence("newer Parley"):
        open_store(url)


def test_another_programs_tables_are_not_touched(file):
    with closing(sqlite3.connect(file)) as other, other:
        other.execute("CREATE TABLE turns (angle REAL)")
        other.execute("INSERT INTO turns VALUES (90)")
    with one_sentence("another program"):
        open_store(f"sqlite:///{file}")
    with closing(sqlite3.connect(file)) as other:
        assert other.execute("SELECT * FROM turns").fetchall() == [(90.0,)]
        assert other.execute("SELECT count(*) FROM sqlite_master").fetchone() == (1,)


# ── Where it is ──────────────────────────────────────────────────────────────────────


def test_with_nothing_set_up_it_is_in_parleys_own_folder_for_its_user_alone(tmp_path):
    with opened(None) as store:
        save_all(store, everything())
        files = list((tmp_path / "parley-home").glob("parley.db*"))
        assert {"parley.db", "parley.db-wal", "parley.db-shm"} <= {file.name for file in files}
        assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files
                   if file.suffix != ".lock")


def test_the_environment_names_another_place(monkeypatch, file):
    monkeypatch.setenv("PARLEY_DATABASE_URL", f"sqlite:///{file}")
    with opened(None):
        assert file.exists()


def test_a_folder_that_cannot_be_made_is_named(monkeypatch, tmp_path):
    (tmp_path / "a file").write_text("")
    monkeypatch.setenv("PARLEY_HOME", str(tmp_path / "a file" / "home"))
    with one_sentence("parley.db cannot be opened or made", "PARLEY_HOME"):
        open_store()


def test_a_folder_in_place_of_the_file_is_said(file):
    file.mkdir()
    with one_sentence("parley.db cannot be opened or made"):
        open_store(f"sqlite:///{file}")


@pytest.mark.parametrize("url, words", [
    ("no url", "no database's URL"),
    ("postgres//ada:secret-canary@host", "no database's URL"),
    ("postgresql://ada:p@secret:canary/x@host/db", "no database's URL"),
    ("postgresql+asyncpg://ada:secret-canary@127.0.0.1:1/db", "does not answer"),
    ("mysql://ada:secret-canary@host/db", "in SQLite or PostgreSQL, not in mysql"),
    ("sqlite://", "needs a file"),
    ("sqlite:///:memory:", "needs a file"),
    ("postgresql://ada:secret-canary@127.0.0.1:1/db", "does not answer"),
    ("postgres://ada:secret-canary@127.0.0.1:1/db", "does not answer"),
])
def test_a_place_that_is_none_is_said_without_its_password(url, words):
    with one_sentence(words):
        open_store(url)


def test_a_database_that_the_server_does_not_have_is_said(postgres_url):
    with one_sentence("."):
        open_store(postgres_url.rpartition("/")[0] + "/nothing_here")


# ── A server that goes away ──────────────────────────────────────────────────────────


def test_a_server_that_goes_away_is_said_and_found_again_when_it_is_back(tmp_path):
    with postgres(tmp_path) as url, opened(url) as store:
        chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
        with psycopg.connect(url, autocommit=True) as admin:
            admin.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                          "WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'")
        store.save_turn(ME, chat, say(chat, "Who am I?").last)
        assert store.load(ME, chat.id).turns == chat.turns
    with one_sentence("does not answer"):
        store.save_turn(ME, chat, say(chat, "Ada.").last)
    with one_sentence("does not answer"):
        store.list(ME)
    store.close()


# ── Starting ─────────────────────────────────────────────────────────────────────────


def test_several_processes_may_start_at_once_on_a_new_database(url):
    code = ("import sys; from storage import open_store; sys.stdin.readline(); "
            "store = open_store(sys.argv[1]); store.put_record('me', 'start', sys.argv[2], 1); "
            "print(store.notice)")
    processes = [subprocess.Popen([sys.executable, "-c", code, url, str(number)], cwd=ROOT,
                                  env=clean_environment(), text=True, stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE, stderr=subprocess.PIPE)
                 for number in range(4)]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [process.communicate(timeout=60) for process in processes]
    assert [out.strip() for out, err in outcomes] == ["None"] * 4, outcomes
    with opened(url) as store:
        assert len(store.records("me", "start")) == 4


def test_a_database_that_is_up_to_date_is_opened_without_alembic(file):
    code = "import sys; from storage import open_store; open_store(sys.argv[1]); " \
           "print('alembic' in sys.modules)"

    def start():
        return subprocess.run([sys.executable, "-c", code, f"sqlite:///{file}"], cwd=ROOT,
                              capture_output=True, text=True, check=True).stdout.strip()

    assert start() == "True"
    assert start() == "False"
