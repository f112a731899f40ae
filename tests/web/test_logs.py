"""The log tells what happened, and neither keys nor what anybody wrote."""

from __future__ import annotations

import base64
import html
import io
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote_plus

import pytest

from web import logs

KEYS = {
    "sk-proj-abcdefghijklmnop1234567890": None,
    "hf_abcdefghijklmnopqrstuvwxyz123456": None,
    "AIzaSyA1234567890abcdefghijklmnopqrstuv": None,
    "an-unusual-key-of-my-own": "PARLEY_KEY_MINE",
    "another!strange$key": "OPENAI_API_KEY",
}


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Path]:
    factory, hook = logging.getLogRecordFactory(), threading.excepthook
    names = (None, *logs.OURS)
    before = {name: (list(logging.getLogger(name).handlers), logging.getLogger(name).level)
              for name in names}
    logs.set_up(tmp_path / "logs")
    yield tmp_path / "logs" / "parley.log"
    logging.setLogRecordFactory(factory)
    threading.excepthook = hook
    for name, (handlers, level) in before.items():
        logger = logging.getLogger(name)
        for handler in [handler for handler in logger.handlers if handler not in handlers]:
            logger.removeHandler(handler)
            handler.close()
        logger.setLevel(level)


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("logger", ["llm.replies", "httpx", "streamlit.runtime", "uvicorn.error"])
def test_keys_are_blotted_out_whoever_logs_them_wherever(
        key: str, logger: str, log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if variable := KEYS[key]:
        monkeypatch.setenv(variable, key)
    console = io.StringIO()
    handler = logging.StreamHandler(console)
    logging.getLogger(logger).addHandler(handler)
    try:
        logging.getLogger(logger).error("Refused: %s", key)
    finally:
        logging.getLogger(logger).removeHandler(handler)
    assert console.getvalue() == "Refused: [key]\n"
    assert key not in log.read_text("utf-8")


@pytest.mark.parametrize("write", [
    quote_plus, json.dumps, html.escape, lambda key: base64.b64encode(f":{key}".encode()).decode()])
def test_a_key_is_blotted_out_however_it_is_written(
        write: Callable[[str], str], log: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = 'another!"strange"&key/'
    monkeypatch.setenv("OPENAI_API_KEY", key)
    logging.getLogger("llm").warning("Refused: %s", write(key))
    said = log.read_text("utf-8")
    assert "[key]" in said and "strange" not in said
    assert write(key)[8:16] not in said


@pytest.mark.parametrize("said", ["Authorization: Bearer %s", "GET /v1/models?key=%s&alt=sse"])
def test_a_typed_key_of_no_known_kind_is_told_by_where_it_stands(said: str, log: Path) -> None:
    logging.getLogger("llm").warning(said, "unknown-kind-of-key")
    assert "unknown-kind-of-key" not in log.read_text("utf-8")


def test_a_traceback_keeps_its_places_and_loses_its_words(log: Path) -> None:
    def ask() -> None:
        try:
            raise ValueError("cannot parse 'my secret diary'")
        except ValueError as error:
            raise RuntimeError("failed on 'my secret diary'") from error

    try:
        ask()
    except RuntimeError:
        logging.getLogger("web.app").exception("A page failed")
    written = log.read_text("utf-8")
    assert "diary" not in written
    assert "builtins.ValueError" in written
    assert "builtins.RuntimeError" in written
    assert "in ask" in written
    assert "test_logs.py" in written


def test_a_thread_that_fails_is_logged_without_its_words(log: Path) -> None:
    def fail() -> None:
        raise ValueError("my secret diary")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    assert "A thread failed: worker" in log.read_text("utf-8")
    assert "diary" not in log.read_text("utf-8")


def test_our_own_information_is_kept_and_others_is_not(log: Path) -> None:
    logging.getLogger("llm.replies").info("model smollm2-135m ended: stop, 120 tokens, 1.2 s")
    logging.getLogger("httpx").info("HTTP Request: POST https://service.example/v1")
    assert "smollm2-135m" in log.read_text("utf-8")
    assert "service.example" not in log.read_text("utf-8")


def test_the_log_does_not_grow_without_end(log: Path) -> None:
    for _ in range(60):
        logging.getLogger("llm").info("x" * 50_000)
    assert log.stat().st_size <= logs.MAX_BYTES
    assert log.with_name("parley.log.1").exists()
