"""A model that repeats what it was asked, an owner to be, and a look at what is kept."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from components import kept, kept_races
from llm.picture_reader import end_reader
from storage import Store, open_store
from tests.servers.fixed_rate import FixedRateServer, fixed_rate

ADA = "browser:ada"


@pytest.fixture
def echo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FixedRateServer]:
    """The first model of all: it says "You said" and what it was asked."""
    with fixed_rate(lambda model, question: f"You said {question}") as running:
        catalog = tmp_path / "echo.toml"
        catalog.write_text('[[model]]\nid = "smollm2-135m"\nlabel = "Echo"\nprovider = "openai"\n'
                           f'model = "echo"\nbase_url = "{running.base_url}"\nopen = false\n'
                           "vision = true\n")
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield running


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Whose browser it is from now on: Ada's, until another is named."""
    def be(name: str) -> None:
        for module in (kept, kept_races):
            monkeypatch.setattr(module, "current_owner", lambda: name)

    be(ADA)
    return be


@pytest.fixture
def store(echo: FixedRateServer, owner: Callable[[str], None]) -> Iterator[Store]:
    """What the app keeps, looked at from beside it."""
    opened = open_store()
    yield opened
    opened.close()


@pytest.fixture
def eyes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FixedRateServer]:
    """A model that sees, and says the same of everything; and one that takes no instruction."""
    with fixed_rate(lambda model, question: "A red square.") as running:
        catalog = tmp_path / "eyes.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name}"\nprovider = "openai"\nmodel = "{name}"\n'
            f'base_url = "{running.base_url}"\nopen = false\nvision = true\n{more}\n'
            for name, more in (("eyes", ""), ("obstinate", 'unsupported_settings = ["system"]'))))
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield running


@pytest.fixture
def reader() -> Iterator[None]:
    """The picture reader, whose process ends with the test."""
    yield
    end_reader()
