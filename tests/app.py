"""The real app in a process of its own, and what tests need around it.

`start_app` runs what people run, `streamlit run app.py`, on a free loopback port with
a PARLEY_HOME of its own and none of the caller's keys. Nothing here knows a page.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent

MARK = "PARLEY_TEST_RUN"
"""An environment variable that every process of one test run inherits, and nobody else has."""

KEYS = ("OPENAI_", "GOOGLE_", "GEMINI_", "HF_", "HUGGING", "LANGSMITH_", "LANGCHAIN_", "PARLEY_",
        "STREAMLIT_")
"""Beginnings of variables that would make a test depend on whose machine it runs on."""

KEPT = (MARK, "PARLEY_CHROMIUM")


def is_personal(name: str) -> bool:
    """Whether the environment variable of this name is kept from tests."""
    return name.upper().startswith(KEYS) and name not in KEPT


def clean_environment(**extra: str) -> dict[str, str]:
    """This process's environment less anybody's keys, with `extra` on top."""
    kept = {name: value for name, value in os.environ.items() if not is_personal(name)}
    return kept | extra


def free_port() -> int:
    """A loopback port that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(true: Callable[[], object], what: str, *, seconds: float = 30) -> None:
    """Return once `true()` is; raise AssertionError with `what` if it is not in time."""
    deadline = time.monotonic() + seconds
    while not true():
        if time.monotonic() > deadline:
            raise AssertionError(f"Not within {seconds:g} seconds: {what}")
        time.sleep(0.05)


def find_chromium() -> str | None:
    """The path of a Chromium to drive: PARLEY_CHROMIUM, or one that is installed.

    None if there is neither: Playwright then tries the one that it may have fetched itself.
    """
    if path := os.environ.get("PARLEY_CHROMIUM"):
        return path
    names = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
    return next(filter(None, map(shutil.which, names)), None)


def processes_of_this_run() -> list[psutil.Process]:
    """Every living process that inherited this run's mark, orphans included.

    Less this one, and multiprocessing's tracker, which ends with the process that it serves.
    """
    found = []
    for process in psutil.process_iter():
        try:
            if (process.environ().get(MARK) == os.environ[MARK] and process.pid != os.getpid()
                    and process.status() != psutil.STATUS_ZOMBIE
                    and "resource_tracker" not in " ".join(process.cmdline())):
                found.append(process)
        except (psutil.Error, OSError):
            pass  # gone meanwhile, or somebody else's
    return found


@dataclass(frozen=True)
class RunningApp:
    """One running app: where it listens, where it keeps things, and what it has printed."""

    url: str
    process: subprocess.Popen[bytes]
    home: Path
    log: Path

    @property
    def port(self) -> int:
        return int(self.url.rsplit(":", 1)[1])

    @property
    def printed(self) -> str:
        return self.log.read_text("utf-8", errors="replace")

    def is_up(self) -> bool:
        if self.process.poll() is not None:
            raise AssertionError(f"The app ended with {self.process.returncode}:\n{self.printed}")
        try:
            with urllib.request.urlopen(f"{self.url}/_stcore/health", timeout=1) as answer:
                return answer.status == 200
        except (urllib.error.URLError, OSError):
            return False


def end(process: subprocess.Popen[bytes], *, seconds: float = 15) -> None:
    """End a process by its id: asked first, forced when it has not gone in time."""
    if process.poll() is None:
        process.terminate()
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


@contextmanager
def start_app(home: Path, *, env: Mapping[str, str] | None = None, args: Sequence[str] = (),
              script: Path = ROOT / "app.py", port: int | None = None) -> Iterator[RunningApp]:
    """Run the app until the block ends. `home` becomes its PARLEY_HOME.

    `env` adds to an environment without keys; `args` are further options of `streamlit run`,
    such as `["--server.maxUploadSize=1"]`.

    Raises AssertionError with all that the app printed if it ends or is not up in 60 s.
    """
    port = port or free_port()
    home.mkdir(parents=True, exist_ok=True)
    log = home.with_name(f"{home.name}-{port}.log")
    command = [sys.executable, "-m", "streamlit", "run", str(script), "--server.headless=true",
               "--server.address=127.0.0.1", f"--server.port={port}", *args]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=script.parent, stdin=subprocess.DEVNULL, stdout=output,
            stderr=subprocess.STDOUT,
            env=clean_environment(**{"PARLEY_HOME": str(home), "PYTHONUNBUFFERED": "1",
                                     **(env or {})}))
    app = RunningApp(f"http://127.0.0.1:{port}", process, home, log)
    try:
        wait_until(app.is_up, f"the app answers. It printed:\n{app.printed}", seconds=60)
        yield app
    finally:
        end(process)
