"""Local engines as their users meet them: over plain HTTP, with real weights and real faults."""

from __future__ import annotations

import asyncio
import base64
import http.client
import io
import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest
from PIL import Image

from llm import engine_logs, local_engines, weights
from llm.catalog import ModelSpec, get_model
from llm.errors import (
    EngineError,
    FetchCancelledError,
    HubUnreachableError,
    LocalModelError,
    OutOfMemoryError,
    UnsupportedModelError,
    WeightsDamagedError,
    WeightsMissingError,
)
from llm.local_engines import Endpoint, Engine, Limits, Pool
from tests.app import ROOT, clean_environment, free_port, wait_until
from tests.checkpoints import write_strange_gguf, write_text_checkpoint, write_vision_checkpoint
from tests.servers.hub import serve_hub

LLAMA, TRANSFORMERS = "smollm2-135m", "smollm2-135m-transformers"
ENGINES = pytest.mark.parametrize("model_id", [LLAMA, TRANSFORMERS])
CAPITALS = {"France": "Paris", "Germany": "Berlin", "Japan": "Tokyo", "Russia": "Moscow",
            "England": "London", "China": "Beijing", "Greece": "Athens", "Norway": "Oslo"}
"""Those of eight countries that the built-in model knows."""


@pytest.fixture(scope="module")
def shared_pool() -> Iterator[Pool]:
    pool = Pool()
    yield pool
    pool.shutdown()


@pytest.fixture
def new_pool() -> Iterator[Pool]:
    pools: list[Pool] = []

    def make(**limits: float) -> Pool:
        pools.append(Pool(Limits(**limits)))
        return pools[-1]

    yield make
    for pool in pools:
        pool.shutdown()


def local(weights: str | Path, engine: str = "transformers", **more) -> ModelSpec:
    return ModelSpec(id="test", label="The test model", provider="local", model="test/model",
                     open=True, engine=engine, weights=str(weights), **more)


def post(endpoint: Endpoint, path: str, body: dict, *, key: str | None = None,
         **headers: str) -> urllib.request.Request:
    return urllib.request.Request(
        endpoint.base_url.removesuffix("/v1") + path, json.dumps(body).encode(),
        {"content-type": "application/json",
         "authorization": f"Bearer {endpoint.api_key if key is None else key}", **headers})


def chat(endpoint: Endpoint, question: str | list, **settings) -> urllib.request.Request:
    return post(endpoint, "/v1/chat/completions", {
        "model": endpoint.model_name, "temperature": 0, "max_tokens": 30,
        "messages": [{"role": "user", "content": question}]} | settings)


def ask(endpoint: Endpoint, question: str | list, **settings) -> dict:
    with urllib.request.urlopen(chat(endpoint, question, **settings)) as response:
        return json.load(response)


def refusal(request: urllib.request.Request) -> tuple[int, str]:
    """The status and the body of an answer that must be an error."""
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(request)
    with refused.value as response:
        return response.code, response.read().decode()


def answer(endpoint: Endpoint, question: str | list, **settings) -> str:
    return ask(endpoint, question, **settings)["choices"][0]["message"]["content"]


class Stream:
    """A long reply on its way."""

    def __init__(self, endpoint: Endpoint):
        host = endpoint.base_url.removeprefix("http://").removesuffix("/v1")
        self.connection = http.client.HTTPConnection(host, timeout=60)
        body = {"model": endpoint.model_name, "temperature": 0, "max_tokens": 4000,
                "stream": True, "messages": [
                    {"role": "user", "content": "Write a very long story about the sea."}]}
        self.connection.request("POST", "/v1/chat/completions", json.dumps(body),
                                {"content-type": "application/json",
                                 "authorization": f"Bearer {endpoint.api_key}"})
        self.response = self.connection.getresponse()
        while b'"content":"' not in self.response.readline():
            pass

    def read_until_it_breaks(self) -> None:
        """Fails if it ends in good order."""
        with pytest.raises((OSError, http.client.HTTPException)):
            while self.response.readline():
                pass
            raise ConnectionResetError("the stream ended without its last word")
        self.close()

    def close(self) -> None:
        self.response.close()
        self.connection.close()


# ── An engine at work ────────────────────────────────────────────────────────────────

@pytest.mark.model
@ENGINES
def test_starts_when_first_asked_for_and_answers(shared_pool: Pool, model_id: str) -> None:
    engine = shared_pool.engine_for(get_model(model_id))
    assert engine.state in ("absent", "ended") and engine.pid is None
    seen = []
    engine.start()
    while (state := engine.state) in local_engines.BUSY:
        seen.append(state)
        time.sleep(0.01)
    endpoint = engine.wait_ready()
    assert engine.state == "ready" and seen[-1] == "loading"
    assert "Paris" in answer(endpoint, "What is the capital of France?")
    assert engine is shared_pool.engine_for(get_model(model_id))


@pytest.mark.model
@ENGINES
def test_listens_on_loopback_only_and_to_its_key(shared_pool: Pool, model_id: str) -> None:
    engine = shared_pool.engine_for(get_model(model_id))
    endpoint = engine.wait_ready()
    process = psutil.Process(engine.pid)
    listening = [each.laddr.ip for each in process.net_connections()
                 if each.status == psutil.CONN_LISTEN]
    assert listening == ["127.0.0.1"]
    assert endpoint.api_key not in " ".join(process.cmdline())
    assert endpoint.api_key not in " ".join(process.environ().values())
    for path in ("/v1/chat/completions", "/v1/models", "/slots", "/reset"):
        assert refusal(post(endpoint, path, {}, key="guess"))[0] == 401


@pytest.mark.model
@ENGINES
def test_no_web_page_may_read_it(shared_pool: Pool, model_id: str) -> None:
    endpoint = shared_pool.engine_for(get_model(model_id)).wait_ready()
    health = urllib.request.Request(endpoint.base_url.removesuffix("/v1") + "/health",
                                    headers={"origin": "http://evil.example"})
    with urllib.request.urlopen(health) as response:
        assert response.headers.get("access-control-allow-origin", "") == ""
    page = urllib.request.Request(endpoint.base_url.removesuffix("/v1") + "/",
                                  headers={"authorization": f"Bearer {endpoint.api_key}"})
    assert refusal(page)[0] == 404


@pytest.mark.model
@ENGINES
def test_eight_at_once_each_get_their_own_answer(shared_pool: Pool, model_id: str) -> None:
    endpoint = shared_pool.engine_for(get_model(model_id)).wait_ready()
    with ThreadPoolExecutor(8) as people:
        answers = people.map(
            lambda country: answer(endpoint, f"What is the capital of {country}?"), CAPITALS)
    for (country, capital), said in zip(CAPITALS.items(), answers, strict=True):
        assert capital in said, f"{country}: {said}"


@pytest.mark.model
@ENGINES
def test_closing_a_stream_frees_its_slot(shared_pool: Pool, model_id: str) -> None:
    engine = shared_pool.engine_for(get_model(model_id))
    stream = Stream(engine.wait_ready())
    assert engine.busy_slots() == 1
    stream.close()
    wait_until(lambda: engine.busy_slots() == 0, "the slot is free", seconds=5)


@pytest.mark.model
@ENGINES
def test_prompt_beyond_the_window_is_an_error(
        shared_pool: Pool, model_id: str) -> None:
    spec = get_model(model_id)
    endpoint = shared_pool.engine_for(spec).wait_ready()
    status, said = refusal(chat(endpoint, "word " * (spec.context_window + 10)))
    assert status == 400 and "context" in said


@pytest.mark.model
def test_window_of_the_catalog_is_true_for_each_slot(shared_pool: Pool) -> None:
    engine = shared_pool.engine_for(get_model(LLAMA))
    slots = engine.wait_ready().get_json("/slots")
    assert {slot["n_ctx"] for slot in slots} == {get_model(LLAMA).context_window}


def in_huge_pages(pid: int) -> int:
    """So many bytes of a process are where Linux may use huge pages, if the machine has any."""
    return 1024 * sum(
        int(kilobytes) for kilobytes, flags in re.findall(
            r"^Size: +(\d+) kB$.*?^VmFlags: ([^\n]*)", Path(f"/proc/{pid}/smaps").read_text(),
            re.MULTILINE | re.DOTALL)
        if "hg" in flags.split())


@pytest.mark.model
@pytest.mark.skipif(sys.platform != "linux", reason="Linux alone has to be asked for them")
def test_the_weights_are_read_into_huge_pages(shared_pool: Pool) -> None:
    engine = shared_pool.engine_for(get_model(LLAMA))
    engine.wait_ready()
    assert in_huge_pages(engine.pid) > weights.find(engine.spec).bytes


@pytest.mark.model
@ENGINES
def test_temperature_is_each_request_s_own(shared_pool: Pool, model_id: str) -> None:
    endpoint = shared_pool.engine_for(get_model(model_id)).wait_ready()
    question = "Name something that you like, and say why."
    wild = {answer(endpoint, question, temperature=1.5) for _ in range(3)}
    calm = {answer(endpoint, question, temperature=0) for _ in range(3)}
    assert len(wild) > 1 and len(calm) == 1


@pytest.mark.model
@ENGINES
def test_log_holds_nothing_that_people_wrote(shared_pool: Pool, model_id: str) -> None:
    engine = shared_pool.engine_for(get_model(model_id))
    endpoint = engine.wait_ready()
    answer(endpoint, "My password is swordfish. Repeat it.")
    refusal(chat(endpoint, "swordfish", messages="swordfish", temperature="swordfish"))
    log = engine.log_file.read_text()
    assert "swordfish" not in log and endpoint.api_key not in log


@pytest.mark.model
def test_log_stays_bounded(new_pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_logs, "MAX_BYTES", 1000)
    engine = new_pool(look_seconds=0.1).engine_for(get_model(LLAMA))
    engine.wait_ready()
    with engine.log_file.open("a") as log:
        log.write("x" * 5000)
    wait_until(lambda: engine.log_file.stat().st_size < 1000, "the log is short again")


@pytest.mark.model
def test_engines_agree_on_the_same_weights(shared_pool: Pool) -> None:
    endpoints = [shared_pool.engine_for(get_model(name)).wait_ready()
                 for name in (LLAMA, TRANSFORMERS)]
    for country in CAPITALS:
        question = f"What is the capital of {country}?"
        # Rounding differs between them: by the eighth token an answer may go another way.
        one, other = (answer(endpoint, question, max_tokens=6) for endpoint in endpoints)
        assert one == other, question


@pytest.mark.model
def test_tokenizer_file_counts_as_the_engine_does(shared_pool: Pool) -> None:
    from tokenizers import Tokenizer

    spec = get_model(LLAMA)
    endpoint = shared_pool.engine_for(spec).wait_ready()
    tokenizer = Tokenizer.from_file(str(weights.tokenizer_file(spec)))
    for text in (
        "Hello, world! It's 2024-12-31, isn't it? We'LL see.", "  two  spaces\tand\ttabs\n\n\nx",
        "naïve café — “quotes” … 1234567890 ½ ²³ ٣٤٥", "日本語のテキスト、中文文本 한국어 텍스트",
        "🙂👩‍👩‍👧‍👦🏴‍☠️ emoji", "def f(x):\n    return x**2  # 100%\n",
        "<|im_start|>user\nhi<|im_end|>",
        "e\u0301 \u200b \u00a0 \ufeff \x00 \x7f", "a" * 500, "", " ", "\r\n", "مرحبا بالعالم",
        "Ελληνικά русский עברית हिन्दी ไทย", "http://example.org/?q=a+b&c=%20#x", "A1B2C3 x1.5e-3",
    ):
        with urllib.request.urlopen(post(endpoint, "/tokenize", {
                "content": text, "add_special": False, "parse_special": True})) as response:
            theirs = json.load(response)["tokens"]
        assert tokenizer.encode(text, add_special_tokens=False).ids == theirs, repr(text)


@pytest.mark.model
def test_model_that_sees_gets_the_picture(new_pool, tmp_path: Path) -> None:
    folder = write_vision_checkpoint(tmp_path / "idefics3")
    endpoint = new_pool().engine_for(local(folder, vision=True)).wait_ready()
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "red").save(file, "PNG")
    url = f"data:image/png;base64,{base64.b64encode(file.getvalue()).decode()}"
    picture = {"type": "image_url", "image_url": {"url": url}}
    text = {"type": "text", "text": "What is this?"}
    counts = [ask(endpoint, [*pictures, text], max_tokens=3)["usage"]["prompt_tokens"]
              for pictures in ([], [picture], [picture, picture])]
    assert counts[0] < counts[1] < counts[2]


# ── Shared, restarted, ended ─────────────────────────────────────────────────────────

@pytest.mark.model
def test_many_that_ask_at_once_share_one_process(new_pool) -> None:
    engine = new_pool().engine_for(get_model(LLAMA))
    others = set(psutil.Process().children())
    with ThreadPoolExecutor(8) as people:
        endpoints = set(people.map(lambda _: engine.wait_ready(), range(8)))

    async def in_a_coroutine() -> Endpoint:
        return await engine.ready()

    assert endpoints == {asyncio.run(in_a_coroutine())}
    assert len(set(psutil.Process().children()) - others) == 1


@pytest.mark.model
@ENGINES
def test_killed_in_mid_reply_it_starts_again_at_the_next_use(new_pool, model_id: str) -> None:
    engine = new_pool().engine_for(get_model(model_id))
    before = engine.wait_ready()
    stream, pid = Stream(before), engine.pid
    os.kill(pid, signal.SIGKILL)
    stream.read_until_it_breaks()
    wait_until(lambda: engine.state == "ended", "the end is noticed")
    assert "starts it again" in engine.detail
    after = engine.wait_ready()
    assert engine.pid != pid and after.base_url == before.base_url
    assert "Paris" in answer(after, "What is the capital of France?")


@pytest.mark.model
def test_port_that_was_taken_meanwhile_is_left_to_its_taker(new_pool) -> None:
    engine = new_pool().engine_for(get_model(LLAMA))
    before = engine.wait_ready()
    engine.stop()
    with socket.socket() as taker:
        taker.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taker.bind(("127.0.0.1", int(before.base_url.rsplit(":", 1)[1].removesuffix("/v1"))))
        taker.listen()
        after = engine.wait_ready()
        assert after.base_url != before.base_url
        assert "Paris" in answer(after, "What is the capital of France?")


@pytest.mark.model
def test_idle_engine_ends_and_one_that_replies_or_is_kept_does_not(new_pool) -> None:
    pool = new_pool(idle_seconds=0.3, look_seconds=0.1, just_asked_seconds=0)
    engine = pool.engine_for(get_model(LLAMA))
    stream = Stream(engine.wait_ready())
    pid = engine.pid
    # Ten looks, each longer after it was asked than an idle engine is left.
    time.sleep(1)
    assert engine.state == "ready" and engine.busy_slots() == 1
    stream.close()
    wait_until(lambda: engine.state == "ended", "it is ended")
    assert not psutil.pid_exists(pid) and "Not used" in engine.detail
    engine.keep = True
    engine.wait_ready()
    time.sleep(1)
    assert engine.state == "ready"


@pytest.mark.model
def test_the_one_unused_for_longest_makes_room_but_never_under_a_reply(new_pool) -> None:
    pool = new_pool(loaded=1, look_seconds=0.1, just_asked_seconds=0)
    spec = get_model(LLAMA)
    first, second, third = (
        pool.engine_for(spec.model_copy(update={"id": f"m{window}", "context_window": window}))
        for window in (8192, 4096, 2048))
    first.wait_ready()
    second.wait_ready()
    assert (first.state, second.state) == ("ended", "ready")
    stream = Stream(second.wait_ready())
    third.start()
    wait_until(lambda: "Waiting" in third.detail, "it waits")
    assert second.state == "ready"
    stream.close()
    third.wait_ready()
    assert (second.state, third.state) == ("ended", "ready")


@pytest.mark.model
def test_held_back_it_is_on_its_way_and_begins_when_it_may_or_when_somebody_asks(new_pool) -> None:
    spec, hold = get_model(LLAMA), threading.Event()
    engine, asked, stopped = (new_pool().engine_for(spec) for _ in range(3))
    engine.start(hold=hold)
    asked.start(hold=threading.Event())
    stopped.start(hold=threading.Event())
    time.sleep(0.5)
    for each in (engine, asked, stopped):
        assert (each.state, each.pid) == ("loading", None)

    stopped.stop()
    assert stopped.state not in local_engines.BUSY
    assert answer(asked.wait_ready(60), "What is the capital of France?")
    assert engine.pid is None
    hold.set()
    wait_until(lambda: engine.state == "ready", "the engine is ready", seconds=60)


@pytest.mark.model
def test_stopping_one_that_is_still_loading_ends_it(new_pool) -> None:
    engine = new_pool().engine_for(get_model(TRANSFORMERS))
    engine.start()
    wait_until(lambda: engine.pid is not None, "its process has begun")
    pid = engine.pid
    engine.stop()
    assert not psutil.pid_exists(pid)
    assert engine.state == "ended"


# ── Never left behind ────────────────────────────────────────────────────────────────

APP = """
import sys, time
from llm.catalog import get_model
from llm.local_engines import engine_for
engine = engine_for(get_model(sys.argv[1]))
engine.start()
if sys.argv[2] == "ready":
    engine.wait_ready()
while engine.pid is None:
    time.sleep(0.01)
try:
    # Said in here: whoever reads it may interrupt at once.
    print(engine.pid, flush=True)
    if sys.argv[3] != "end":
        time.sleep(600)
except KeyboardInterrupt:
    if sys.argv[3] != "catch":
        raise
    time.sleep(1)
    print(engine.pid, flush=True)
"""


def start_app(model_id: str, when: str, then: str) -> tuple[subprocess.Popen, int]:
    app = subprocess.Popen([sys.executable, "-c", APP, model_id, when, then], cwd=ROOT,
                           env=clean_environment(PARLEY_HOME=os.environ["PARLEY_HOME"]),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                           start_new_session=True)
    return app, int(app.stdout.readline())


@pytest.mark.model
@ENGINES
@pytest.mark.parametrize("when", ["loading", "ready"])
def test_app_killed_with_9_leaves_no_engine(shared_pool: Pool, model_id: str, when: str) -> None:
    weights.fetch(get_model(model_id))
    app, engine = start_app(model_id, when, "stay")
    assert psutil.pid_exists(engine)
    app.kill()
    app.communicate()
    wait_until(lambda: not psutil.pid_exists(engine), "the engine is gone", seconds=5)


@pytest.mark.model
def test_interrupt_from_the_terminal_ends_both_without_a_word_from_the_engine() -> None:
    app, engine = start_app(LLAMA, "ready", "stay")
    os.killpg(app.pid, signal.SIGINT)
    _, said = app.communicate(timeout=30)
    assert said.strip().endswith("KeyboardInterrupt") and said.count("Traceback") == 1
    wait_until(lambda: not psutil.pid_exists(engine), "the engine is gone", seconds=5)


@pytest.mark.model
def test_interrupt_at_a_python_prompt_leaves_the_engine_running() -> None:
    app, engine = start_app(LLAMA, "ready", "catch")
    os.killpg(app.pid, signal.SIGINT)
    after, _ = app.communicate(timeout=30)
    assert int(after) == engine
    assert not psutil.pid_exists(engine)


@pytest.mark.model
def test_program_that_ends_ends_its_engine() -> None:
    app, engine = start_app(LLAMA, "ready", "end")
    _, said = app.communicate(timeout=30)
    assert app.returncode == 0 and said == ""
    assert not psutil.pid_exists(engine)


def test_importing_starts_nothing() -> None:
    code = ("import llm.local_engines as e, threading, psutil;"
            "print(threading.active_count(), len(psutil.Process().children()), e._pool)")
    assert subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True
                                   ).split() == ["1", "0", "None"]


# ── Faults ───────────────────────────────────────────────────────────────────────────

def failure(engine: Engine) -> LocalModelError:
    with pytest.raises(LocalModelError) as raised:
        engine.wait_ready()
    assert engine.state in ("failed", "absent", "ended")
    if engine.state == "failed":
        assert engine.detail == str(raised.value) and engine.error is raised.value
    return raised.value


def test_damaged_weights_are_said_and_whole_ones_then_work_in_their_place(
        new_pool, tmp_path: Path) -> None:
    file = write_strange_gguf(tmp_path / "model.gguf")
    whole = file.read_bytes()
    file.write_bytes(whole[:200])
    engine = new_pool().engine_for(local(file, "llama.cpp"))
    assert isinstance(failure(engine), WeightsDamagedError)
    file.write_bytes(whole)
    assert isinstance(failure(engine), UnsupportedModelError)


def test_an_engine_left_out_at_set_up_is_said_with_the_command_that_adds_it(
        new_pool, tmp_path: Path, monkeypatch) -> None:
    # Stands before the real one, and is what Python says where there is none.
    (tmp_path / "torch.py").write_text(
        "raise ModuleNotFoundError(\"No module named 'torch'\", name='torch')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    folder = write_text_checkpoint(tmp_path / "folder")
    error = failure(new_pool().engine_for(local(folder)))
    assert isinstance(error, UnsupportedModelError), error
    assert "python3 parley.py setup" in str(error)


def test_weights_that_only_the_engine_finds_wanting(new_pool, tmp_path: Path) -> None:
    """Whole files whose tensors are not those of the architecture that they name."""
    file = write_strange_gguf(tmp_path / "model.gguf")
    file.write_bytes(file.read_bytes().replace(b"martian", b"gptneox"))
    error = failure(new_pool().engine_for(local(file, "llama.cpp")))
    assert isinstance(error, WeightsDamagedError), error


def test_unknown_architectures(new_pool, tmp_path: Path) -> None:
    pool = new_pool()
    file = write_strange_gguf(tmp_path / "model.gguf")
    folder = write_text_checkpoint(tmp_path / "folder", model_type="martian")
    for spec in (local(file, "llama.cpp"), local(folder)):
        error = failure(pool.engine_for(spec))
        assert isinstance(error, UnsupportedModelError), error
        assert "does not know the kind of model that The test model is" in str(error)


def test_checkpoint_that_brings_code_is_not_run(new_pool, tmp_path: Path) -> None:
    folder = write_text_checkpoint(tmp_path / "folder", model_type="sly")
    config = json.loads((folder / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "sly.SlyConfig", "AutoModelForCausalLM": "sly.Sly"}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "sly.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    assert isinstance(failure(new_pool().engine_for(local(folder))), UnsupportedModelError)
    assert not (tmp_path / "ran").exists()


def test_nothing_at_the_path_and_hub_out_of_reach(
        new_pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pool = new_pool()
    engine = pool.engine_for(local(tmp_path / "nothing"))
    assert engine.state == "absent"
    assert isinstance(failure(engine), WeightsMissingError)
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    assert isinstance(failure(pool.engine_for(local("someone/model"))), HubUnreachableError)


def test_model_larger_than_the_free_memory_is_not_tried(
        new_pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_text_checkpoint(tmp_path / "folder")
    memory = psutil.virtual_memory()._replace(available=10_000_000)
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory)
    engine = new_pool().engine_for(local(folder))
    error = failure(engine)
    assert isinstance(error, OutOfMemoryError) and "0.0 GB free" in str(error)
    assert not engine.log_file.exists()


@pytest.mark.model
@ENGINES
@pytest.mark.parametrize("how", ["ulimit -v 1800000; exec", "kill -9 $$; exec"],
                         ids=["refused by the system", "killed by the system"])
def test_memory_that_runs_out_while_loading(
        new_pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model_id: str, how: str
) -> None:
    spec = get_model(model_id)
    weights.fetch(spec)
    python = tmp_path / "python"
    python.write_text(f'#!/bin/sh\n{how} {sys.executable} "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    error = failure(new_pool().engine_for(spec))
    assert isinstance(error, OutOfMemoryError), error


def test_fetch_from_a_hub_that_is_cancelled_and_then_goes_on(
        new_pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write_strange_gguf(tmp_path / "model.gguf")
    with serve_hub({"someone/model": {"model.gguf": file.read_bytes() + bytes(2_000_000)}}) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        hub.bytes_a_second = 1_000_000
        engine = new_pool().engine_for(local("someone/model", "llama.cpp"))
        assert engine.state == "absent"
        engine.start()
        wait_until(lambda: engine.progress, "something has come")
        assert engine.state == "fetching" and " of 2 MB" in engine.detail
        waiting = ThreadPoolExecutor().submit(engine.wait_ready)
        engine.cancel()
        assert isinstance(waiting.exception(), FetchCancelledError)
        assert engine.state == "absent"
        hub.bytes_a_second = None
        assert isinstance(failure(engine), UnsupportedModelError)
        assert hub.ranges[-1][1] is not None


@pytest.mark.model
def test_checkpoint_from_a_hub_runs_without_it(
        new_pool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = write_text_checkpoint(tmp_path / "folder", shards=2)
    with serve_hub({"someone/model": {path.name: path.read_bytes() for path in folder.iterdir()}
                    }) as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        engine = new_pool().engine_for(local("someone/model"))
        assert engine.spec.weights == "someone/model"
        weights.fetch(engine.spec)
    assert ask(engine.wait_ready(), "Hello", max_tokens=5)["usage"]["completion_tokens"] <= 5


def test_model_that_runs_elsewhere_has_no_engine(new_pool) -> None:
    spec = ModelSpec(id="far", label="Far", provider="openai", model="gpt", open=False)
    with pytest.raises(EngineError, match="does not run on this machine"):
        new_pool().engine_for(spec)
