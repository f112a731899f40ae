"""The log: what happened, when and how often, and never what was said or with which key.

`set_up` writes to PARLEY_HOME/logs/parley.log and, more than that, holds for every log
record made in the process, by whatever library: keys are blotted out of its message,
and of an exception only the classes and the places are kept. What an exception says is
for the person whom it concerns; it can repeat a prompt, and a provider's can repeat a
key.

This module does not know what is logged.
"""

from __future__ import annotations

import functools
import logging
import os
import re
import threading
import traceback
from logging.handlers import RotatingFileHandler
from pathlib import Path

from llm.masking import writings

log = logging.getLogger(__name__)

MAX_BYTES = 2_000_000
KEPT_FILES = 5

OURS = ("components", "llm", "storage", "web")
"""Packages whose information is logged to the file; of others, warnings and errors are.
Streamlit's and uvicorn's own records go to the console alone: Streamlit sees to that."""

_KEY = re.compile(
    r"\b(sk|pk|rk|hf|gsk|xai|r8|ghp|github_pat|api_org|nvapi|lsv2)[-_][A-Za-z0-9_-]{8,}"
    r"|\bAIza[A-Za-z0-9_-]{20,}"
    r"|(?<=Bearer )\S+"
    r"|(?<=[?&]key=)[^&\s]+", re.IGNORECASE)
_writings = functools.lru_cache(maxsize=64)(writings)  # asked for with every record
_KEY_VARIABLE = re.compile(r"(_API_KEY|_TOKEN|_SECRET|PASSWORD)$|^PARLEY_KEY_")


def set_up(folder: Path) -> None:
    """Keep every record of this process decent, and write them to `folder`/parley.log."""
    logging.setLogRecordFactory(decent_record)
    threading.excepthook = _log_thread_failure
    for name in OURS:
        logging.getLogger(name).setLevel(logging.INFO)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        to_file = RotatingFileHandler(folder / "parley.log", maxBytes=MAX_BYTES,
                                      backupCount=KEPT_FILES, encoding="utf-8")
    except OSError as error:
        log.warning("%s cannot be written (%s), so there is no log but this one. Set PARLEY_HOME "
                    "to a folder of your own.", folder, error.strerror)
        return
    to_file.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.getLogger().addHandler(to_file)


def decent_record(*args: object, **kwargs: object) -> logging.LogRecord:
    """A log record without keys, and without what its exception says."""
    record = logging.LogRecord(*args, **kwargs)
    try:
        message = record.getMessage()
    except Exception:
        return record  # Its handlers say what is wrong with it.
    clean = without_keys(message)
    if clean != message:
        record.msg, record.args = clean, None
    if record.exc_info and record.exc_info[1] is not None:
        record.exc_text = where_it_failed(record.exc_info[1])
    return record


def without_keys(text: str) -> str:
    """`text` with whatever looks like a key, or is one of the environment's, blotted out."""
    for name, value in os.environ.items():
        if len(value) >= 8 and _KEY_VARIABLE.search(name):
            for written in _writings(value):
                text = text.replace(written, "[key]")
    return _KEY.sub("[key]", text)


def where_it_failed(error: BaseException) -> str:
    """A traceback of places and classes, without messages, causes first."""
    parts: list[str] = []
    seen: set[int] = set()
    current: BaseException | None = error
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        places = [f'  File "{frame.filename}", line {frame.lineno}, in {frame.name}\n'
                  for frame in traceback.extract_tb(current.__traceback__)]
        kind = type(current)
        parts.append(f"{''.join(places)}{kind.__module__}.{kind.__qualname__}")
        current = current.__cause__ or (
            None if current.__suppress_context__ else current.__context__)
    return "\n\nled to\n\n".join(reversed(parts))


def _log_thread_failure(failure: threading.ExceptHookArgs) -> None:
    if failure.exc_value is not None:
        logging.getLogger(__name__).error(
            "A thread failed: %s", failure.thread and failure.thread.name,
            exc_info=failure.exc_value)
