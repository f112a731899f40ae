"""A store on each database: SQLite in the test's folder, and a real PostgreSQL."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from storage import Store, open_store
from tests.servers.postgres import new_database, postgres

_names = (f"test{number}" for number in itertools.count())


@pytest.fixture(scope="session")
def postgres_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """One server for the whole run."""
    with postgres(tmp_path_factory.mktemp("postgres")) as url:
        yield url


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """An empty database of the test's own."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'kept' / 'parley.db'}"
    return new_database(request.getfixturevalue("postgres_url"), next(_names))


@pytest.fixture
def opened(url: str) -> Iterator[Callable[..., Store]]:
    """A function that opens a further store on the test's database, as another process would."""
    stores: list[Store] = []

    def open_one(**options) -> Store:
        stores.append(open_store(url, **options))
        return stores[-1]

    yield open_one
    for store in stores:
        store.close()


@pytest.fixture
def store(opened: Callable[..., Store]) -> Store:
    return opened()
