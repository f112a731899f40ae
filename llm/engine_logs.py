"""What the local engines' processes print, kept within bounds. Never what people wrote.

This module does not know engines, or what any of them says.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from llm import paths

MAX_BYTES = 1_000_000
KEPT = 20
"""Logs that stay: each run of the app leaves one for each engine."""


def new_log(name: str) -> Path:
    """An empty place for the log of this process's engine `name`; the oldest ones go."""
    log = log_file(name)
    older = sorted(log.parent.glob("*.log"), key=lambda log: log.stat().st_mtime)
    for old in {log, *older[:-KEPT]}:
        old.unlink(missing_ok=True)
    return log


def log_file(name: str) -> Path:
    safe = re.sub(r"[^A-Za-z0-9.-]+", "-", name)
    return paths.logs() / "engines" / f"{safe}-{os.getpid()}.log"


def shorten(log: Path) -> None:
    """Empty a log that has grown too long. It is written in append mode, so it goes on."""
    if log.exists() and log.stat().st_size > MAX_BYTES:
        os.truncate(log, 0)


def last_words(log: Path) -> str:
    """Its last 20,000 bytes."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - 20_000))
        return file.read().decode(errors="replace")
