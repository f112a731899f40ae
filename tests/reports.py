"""What the long tests leave behind for docs/reliability.md: one JSON file each.

They lie in test-results/reliability, which is no part of the repository. Knows no test.
"""

from __future__ import annotations

import datetime
import json
import os
import platform
import tempfile
import uuid
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import psutil

from tests.app import MARK, ROOT, processes_of_this_run

FOLDER = ROOT / "test-results" / "reliability"
NAMED = ("streamlit", "langchain-core", "pillow", "hypothesis")


class Outcome(Protocol):
    """What a long test came to."""

    wrong: list[str]
    """What must not be, as sentences. Empty: all is well."""

    def report(self) -> dict[str, Any]: ...


def tell(name: str, run: Callable[[Path], Outcome], path: Path | None = None) -> int:
    """Run a long test as a command, in a folder of its own; keep and print what came of it.

    The exit status: 0 if all held, and no process is left.
    """
    os.environ.setdefault(MARK, uuid.uuid4().hex)
    with tempfile.TemporaryDirectory() as folder:
        outcome = run(Path(folder))
    if left := processes_of_this_run():
        outcome.wrong.append(f"{len(left)} processes are left")
    write(name, outcome.report(), path)
    print(json.dumps(outcome.report(), indent=2))
    return 1 if outcome.wrong else 0


def write(name: str, figures: dict[str, Any], path: Path | None = None) -> None:
    """Keep `figures`, with the day, the machine and the versions that they were had with."""
    path = path or FOLDER / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"date": datetime.date.today().isoformat(), "on": machine(),
                                **figures}, indent=2) + "\n", "utf-8")


def read(name: str, folder: Path = FOLDER) -> dict[str, Any] | None:
    """What was kept under that name, None if nothing was."""
    try:
        return json.loads((folder / f"{name}.json").read_text("utf-8"))
    except FileNotFoundError:
        return None


def machine() -> str:
    """The versions of what matters here, and the size of the machine."""
    packages = ", ".join(f"{package} {version(package)}" for package in NAMED)
    memory = psutil.virtual_memory().total / 1e9
    return (f"Python {platform.python_version()}, {packages}; {platform.system()}, "
            f"{os.cpu_count()} cores, {memory:.0f} GB")
