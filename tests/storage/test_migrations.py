"""The migrations make exactly the tables that the code knows, and can be run again."""

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect, text

from storage import database, open_store
from storage.schema import HEAD, VERSION_TABLE, metadata


def test_the_newest_migration_is_the_one_the_code_asks_for():
    scripts = ScriptDirectory(str(database._MIGRATIONS))
    assert scripts.get_current_head() == HEAD


def test_the_migrations_make_the_tables_of_the_schema(store):
    with store._read() as db:
        context = MigrationContext.configure(db, opts={
            "version_table": VERSION_TABLE, "compare_type": True,
            # The full-text index is the database's own: see storage.search.
            "include_name": lambda name, kind, parents:
                kind != "table" or not name.startswith("words")})
        assert compare_metadata(context, metadata) == []


def test_what_was_kept_is_there_after_every_further_start(url):
    for number in range(3):
        store = open_store(url)
        store.put_record("me", "starts", str(number), True)
        assert len(store.records("me", "starts")) == number + 1
        store.close()


def test_a_first_start_that_failed_half_way_leaves_nothing_behind(url, monkeypatch):
    from alembic import op

    def fail(*args, **kwargs):
        raise RuntimeError("power cut")

    with monkeypatch.context() as patch:
        patch.setattr(op, "create_index", fail)
        try:
            open_store(url)
        except RuntimeError:
            pass
    engine = create_engine(database._parsed(url))
    with engine.connect() as db:
        assert inspect(db).get_table_names() == []
        db.execute(text("SELECT 1"))
    engine.dispose()
    open_store(url).close()
