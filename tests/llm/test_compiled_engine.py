"""llama.cpp compiled for this processor: made by the command, and in all ways the wheel's equal."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from llm import build_engine, compiled_engine
from llm.catalog import get_model
from llm.local_engines import Engine, Pool
from llm.weights import find
from tests.app import ROOT, clean_environment, wait_until
from tests.llm.test_local_engines import (
    CAPITALS,
    LLAMA,
    Stream,
    answer,
    chat,
    in_huge_pages,
    post,
    refusal,
)

MINUTES = 20
"""For the compiler, on a machine that is busy with other things."""


@pytest.fixture
def pool() -> Iterator[Pool]:
    made = Pool()
    yield made
    made.shutdown()


def put_server(text: str) -> Path:
    """A program in the compiled server's place."""
    server = compiled_engine.folder() / compiled_engine.SERVER
    server.parent.mkdir(parents=True)
    server.write_text(text)
    server.chmod(server.stat().st_mode | stat.S_IXUSR)
    return server


@pytest.fixture
def source_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_engine, "version", lambda package: "1.0")


def test_where_it_was_not_made_there_is_none() -> None:
    assert compiled_engine.find() is None


def test_what_was_compiled_of_another_source_or_processor_is_not_used(
        source_installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    server = put_server("")
    assert compiled_engine.find() == server
    monkeypatch.setattr(compiled_engine, "_processor", lambda: "another")
    assert compiled_engine.find() is None
    monkeypatch.undo()
    monkeypatch.setattr(compiled_engine, "version", lambda package: "1.1")
    assert compiled_engine.find() is None


def test_it_is_offered_where_it_helps_and_said_where_it_is_used(
        source_installed: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiled_engine, "instructions", lambda: ["sse2", "avx2"])
    assert compiled_engine.said() is None
    monkeypatch.setattr(compiled_engine, "instructions", lambda: ["avx2", "avx512_bf16"])
    assert "build-engine" in str(compiled_engine.said())
    put_server("")
    assert str(compiled_engine.said()) == "Runs on llama.cpp compiled for this processor."


@pytest.mark.model
def test_what_it_cannot_load_the_wheel_does(
        pool: Pool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "llama-server"
    broken.write_text("#!/bin/sh\necho 'unknown model architecture' >&2\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr(compiled_engine, "find", lambda: broken)
    endpoint = pool.engine_for(get_model(LLAMA)).wait_ready()
    assert "Paris" in answer(endpoint, "What is the capital of France?")


def test_without_a_compiler_one_is_told_how_to_get_one(
        source_installed: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CXX", raising=False)
    with pytest.raises(SystemExit, match="install g\\+\\+"):
        build_engine.build()
    assert compiled_engine.find() is None


@pytest.fixture(scope="module")
def compiled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the README's command makes, in a PARLEY_HOME of its own: minutes."""
    home = tmp_path_factory.mktemp("compiled")
    command = [sys.executable, ROOT / "parley.py", "build-engine"]
    for said in ("Parley uses it from its next start on", "is compiled for this processor already"):
        done = subprocess.run(command, env=clean_environment(PARLEY_HOME=str(home)), text=True,
                              capture_output=True, stdin=subprocess.DEVNULL, timeout=60 * MINUTES)
        assert done.returncode == 0 and said in done.stdout, done.stdout + done.stderr
    [server] = home.glob(f"engines/*/{compiled_engine.SERVER}")
    assert not list(home.glob("engines/*.unfinished"))
    return server


@pytest.fixture
def engine(compiled: Path, pool: Pool, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(compiled_engine, "find", lambda: compiled)
    engine = pool.engine_for(get_model(LLAMA))
    engine.wait_ready()
    return engine


def program_of(engine: Engine) -> psutil.Process:
    """The compiled program itself, which the engine's process starts."""
    [program] = psutil.Process(engine.pid).children()
    return program


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.timeout(60 * MINUTES * 2)
def test_compiled_it_answers_eight_at_once_within_the_same_windows(
        compiled: Path, engine: Engine) -> None:
    program = program_of(engine)
    assert program.exe() == str(compiled)
    assert in_huge_pages(program.pid) > find(engine.spec).bytes
    endpoint = engine.wait_ready()
    with ThreadPoolExecutor(8) as people:
        answers = people.map(
            lambda country: answer(endpoint, f"What is the capital of {country}?"), CAPITALS)
    for (country, capital), said in zip(CAPITALS.items(), answers, strict=True):
        assert capital in said, f"{country}: {said}"
    window = get_model(LLAMA).context_window
    assert {slot["n_ctx"] for slot in endpoint.get_json("/slots")} == {window}
    status, said = refusal(chat(endpoint, "word " * (window + 10)))
    assert status == 400 and "context" in said


@pytest.mark.slow
@pytest.mark.model
def test_compiled_it_is_as_closed_to_others(engine: Engine) -> None:
    endpoint, program = engine.wait_ready(), program_of(engine)
    assert {each.laddr.ip for each in program.net_connections()
            if each.status == psutil.CONN_LISTEN} == {"127.0.0.1"}
    assert endpoint.api_key not in " ".join([*program.cmdline(), *program.environ().values()])
    for path in ("/v1/chat/completions", "/slots", "/reset"):
        assert refusal(post(endpoint, path, {}, key="guess"))[0] == 401
    assert refusal(post(endpoint, "/", {}))[0] == 404
    answer(endpoint, "My password is swordfish. Repeat it.")
    log = engine.log_file.read_text()
    assert "swordfish" not in log and endpoint.api_key not in log


@pytest.mark.slow
@pytest.mark.model
def test_compiled_it_stops_and_ends_and_starts_as_the_wheel_does(engine: Engine) -> None:
    stream = Stream(engine.wait_ready())
    assert engine.busy_slots() == 1
    stream.close()
    wait_until(lambda: engine.busy_slots() == 0, "the slot is free", seconds=5)

    stream, program = Stream(engine.wait_ready()), program_of(engine)
    os.kill(engine.pid, signal.SIGKILL)
    wait_until(lambda: not program.is_running(), "the program is gone with its parent")
    stream.read_until_it_breaks()

    wait_until(lambda: engine.state == "ended", "the end is noticed")
    engine.wait_ready()
    program_of(engine).kill()
    wait_until(lambda: engine.state == "ended", "the end is noticed")
    assert "Paris" in answer(engine.wait_ready(), "What is the capital of France?")
    last = program_of(engine)
    engine.stop()
    wait_until(lambda: not last.is_running(), "the program is gone")

