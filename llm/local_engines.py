"""Local engines: a model on this machine as a child process that speaks chat completions.

    engine = engine_for(get_model("smollm2-135m"))
    engine.start()                        returns at once; see engine.state, .progress, .detail
    endpoint = engine.wait_ready()        Endpoint(base_url, api_key, model_name)
    shutdown()                            ends all; happens by itself at exit

All sessions of a process share one engine for a model. It is started when first asked
for, and again at the next use after it died; it ends when idle, or to make room for
another, but never under a reply: whether one runs, the engine itself is asked. Each
engine listens on loopback only, on a port that the system chooses, and answers only to a
key that the parent made up. None outlives this process (see llm.child).

Everything here may be called from any thread and from any event loop.
This module does not know LangChain, pages or what is asked.
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import psutil

from llm import engine_logs, weights
from llm.catalog import ModelSpec
from llm.child import Child
from llm.endpoint import Endpoint
from llm.engine_kinds import LOCAL_ENGINES, why_it_died
from llm.errors import EngineError, LocalModelError, OutOfMemoryError, WeightsMissingError
from llm.weights import Progress, Weights
from llm.wording import Wording

__all__ = ["BUSY", "LOCAL_ENGINES", "Endpoint", "Engine", "Limits", "Pool", "State",
           "engine_for", "engine_to_ask", "pool", "shutdown"]

State = Literal["absent", "fetching", "converting", "loading", "ready", "failed", "ended"]
BUSY = frozenset({"fetching", "converting", "loading"})
"""The states of an engine on its way: it will leave them by itself."""


@dataclass(frozen=True)
class Limits:
    """What keeps the machine's memory in bounds."""

    idle_seconds: float = 900
    """An engine unused for so long is ended, unless it is kept (`Engine.keep`)."""
    loaded: int = 2
    """So many engines at most, beside those kept: the one unused for longest makes room."""
    look_seconds: float = 2
    """How often an engine is asked how it is."""
    just_asked_seconds: float = 10
    """So long after its address was given out, an engine counts as in use."""


class Engine:
    """One model on one engine, in whatever state: see `state`. Made by `engine_for`."""

    def __init__(self, spec: ModelSpec, pool: Pool):
        self.spec = spec
        self.keep = False
        """Whether it is left running when idle, and not counted: for the default model."""
        self._pool = pool
        self._life: _Life | None = None
        self._port = 0
        self._log_name = f"{spec.engine}-{spec.id}"

    @property
    def state(self) -> State:
        """"absent": weights not on this machine. "ended": not running now."""
        life = self._life
        if life is not None and life.state != "ended":
            return life.state
        return "ended" if weights.is_here(self.spec) else "absent"

    @property
    def progress(self) -> float | None:
        """From 0 to 1 while it fetches or converts; else None, and where not known."""
        return self._life.progress if self._life else None

    @property
    def detail(self) -> str:
        """One plain sentence more than `state`, or ""."""
        return str(self.wording or "")

    @property
    def wording(self) -> Wording | None:
        """`detail`, for other languages."""
        return self._life.detail if self._life else None

    @property
    def error(self) -> LocalModelError | None:
        """Why it is in state "failed", or was not started: `FetchCancelledError`."""
        return self._life.error if self._life else None

    @property
    def pid(self) -> int | None:
        """The child process while there is one."""
        child = self._life.child if self._life else None
        return child.process.pid if child and child.is_running else None

    @property
    def log_file(self) -> Path:
        """What the engine's process printed: never what people wrote."""
        return engine_logs.log_file(self._log_name)

    def start(self, *, hold: threading.Event | None = None) -> None:
        """Start it unless it is running or on its way. Returns at once, raises nothing.

        With a `hold` it is on its way, and does nothing until that is set or somebody asks.
        """
        self._begin(hold)

    def wait_ready(self, timeout: float | None = None) -> Endpoint:
        """Start it if need be, and wait until it answers.

        Raises the `LocalModelError` that kept it from starting, `EngineError` if it was
        ended meanwhile or is not ready within `timeout` seconds.
        """
        life, deadline = self._begin(), _deadline(timeout)
        with self._pool.changed:
            while life.state in BUSY:
                if not self._pool.changed.wait(min(1.0, deadline - time.monotonic())) \
                        and time.monotonic() > deadline:
                    raise self._late()
        return life.result()

    async def ready(self, timeout: float | None = None) -> Endpoint:
        """`wait_ready` for a coroutine, on any event loop."""
        life, deadline = self._begin(), _deadline(timeout)
        while life.state in BUSY:
            if time.monotonic() > deadline:
                raise self._late()
            await asyncio.sleep(0.02)
        return life.result()

    def cancel(self) -> None:
        """Stop fetching. What has come is kept. Whoever waits gets `FetchCancelledError`."""
        if (life := self._life) is not None and life.state in ("fetching", "converting"):
            life.cancelled.set()

    def stop(self) -> None:
        """End it now, replies included, and wait until it is gone."""
        if (life := self._life) is not None:
            life.stop()

    def busy_slots(self) -> int:
        """How many replies the engine is making now; 0 if it is not running.

        Raises `EngineError` if it does not answer.
        """
        life = self._life
        return life.busy_slots() if life is not None and life.state == "ready" else 0

    def _begin(self, hold: threading.Event | None = None) -> _Life:
        with self._pool.changed:
            if self._pool.is_shut:
                raise EngineError("The local engines have been shut down.")
            if self._life is None or not self._life.is_going_on():
                self._life = _Life(self, before=self._life, hold=hold or threading.Event())
                self._life.thread.start()
            if hold is None:
                self._life.hold.set()
            self._life.asked = time.monotonic()
            return self._life

    def _late(self) -> EngineError:
        return EngineError("{label} is not ready yet. Try again in a moment.",
                           label=self.spec.label)


class _Life:
    """An engine from start to end, in a thread of its own that starts and watches the child."""

    def __init__(self, engine: Engine, before: _Life | None, hold: threading.Event):
        self.engine, self.spec, self.pool = engine, engine.spec, engine._pool
        self.kind = LOCAL_ENGINES[self.spec.engine]
        self.state: State = "loading"
        self.detail: Wording | None = None
        self.progress: float | None = None
        self.error: LocalModelError | None = None
        self.endpoint: Endpoint | None = None
        self.child: Child | None = None
        self.exit_code: int | None = None
        self.cancelled = threading.Event()
        self.stopping = threading.Event()
        self.asked = time.monotonic()
        """When its address was last given out, or a reply last seen running."""
        self.hold = hold
        self._before = before
        self.thread = threading.Thread(target=self._run, name=f"engine {self.spec.id}",
                                       daemon=True)

    def is_going_on(self) -> bool:
        if self.stopping.is_set() or self.state in ("absent", "failed", "ended"):
            return False
        # A killed process closes its port before it counts as gone, and a reply that was cut
        # off may be asked for again in between.
        return self.state != "ready" or self.child.is_running and not self.endpoint.is_closed()

    def result(self) -> Endpoint:
        if self.error is not None:
            raise self.error
        if self.endpoint is None or self.stopping.is_set():
            raise self._ended()
        return self.endpoint

    def stop(self) -> None:
        self.stopping.set()
        self.cancelled.set()
        self.hold.set()
        if self.child is not None:
            self.child.end()
        if self.thread.is_alive() and self.thread is not threading.current_thread():
            self.thread.join()

    def _set(self, state: State, detail: Wording | None = None,
             progress: float | None = None) -> None:
        with self.pool.changed:
            self.state, self.detail, self.progress = state, detail, progress
            self.pool.changed.notify_all()

    def _run(self) -> None:
        try:
            self.hold.wait()
            if self._before is not None:
                self._before.stop()  # Its process may not be quite gone.
                self._before = None
            found = self._get_weights()
            self._wait_for_room()
            self._load(found)
            self._watch()
        except LocalModelError as error:
            self.error = error
        if self.child is not None:
            self.child.end()
        if self.error is None or self.stopping.is_set() or self.cancelled.is_set():
            self._set("ended", self.detail)
        else:
            self._set("failed", self.error.wording)

    def _get_weights(self) -> Weights:
        try:
            return weights.find(self.spec)
        except WeightsMissingError:
            self._set("converting" if self.spec.weights == "builtin" else "fetching")

        def show(progress: Progress) -> None:
            self._set("converting" if progress.stage == "converting" else "fetching",
                      Wording("{done:,.0f} of {total:,.0f} MB",
                              done=progress.done / 1e6, total=progress.total / 1e6),
                      progress.share)

        found = weights.fetch(self.spec, show, self.cancelled)
        self._set("loading")
        return found

    def _wait_for_room(self) -> None:
        while not self.pool.make_room(self.engine):
            self._set("loading", Wording("Waiting until another local model is free."))
            if self.stopping.wait(0.2):
                raise self._ended()

    def _load(self, found: Weights) -> None:
        self._set("loading")
        order = self.kind.order(self.spec, found)
        needed, free = order.pop("memory"), psutil.virtual_memory().available
        if needed > free:
            raise OutOfMemoryError(
                "{label} needs {needed:.1f} GB of memory and this machine has "
                "{free:.1f} GB free. Close other programs, or choose a smaller model.",
                label=self.spec.label, needed=needed / 1e9, free=free / 1e9,
            )
        key, name = secrets.token_urlsafe(32), self.kind.model_name(self.spec, found)
        order |= {"name": name, "api_key": key}
        log = engine_logs.new_log(self.engine._log_name)
        # The port it had before, so that addresses given out hold; any, if that is taken.
        for port in {self.engine._port: None, 0: None}:
            with self.pool.changed:
                if self.stopping.is_set():
                    raise self._ended()
                self.child = Child(self.kind.module, order | {"port": port}, log=log,
                                   environment=self.kind.environment)
            while (event := self.child.next_event(timeout=5)) == {}:
                pass
            if event is not None:
                break
            self.exit_code = self.child.end(patience=5)
        if event is None or event["event"] != "ready":
            raise self._why_it_died(found)
        self.engine._port = event["port"]
        self.endpoint = Endpoint(f"http://127.0.0.1:{event['port']}/v1", key, name)
        self._set("ready")

    def _watch(self) -> None:
        """Until the process ends, however it does, or there is no more use for it."""
        limits, unwell = self.pool.limits, 0
        while self.child.next_event(timeout=limits.look_seconds) is not None:
            engine_logs.shorten(self.engine.log_file)
            try:
                busy = self.busy_slots()
                unwell = 0
            except EngineError:
                unwell += 1
                if unwell * limits.look_seconds >= 30:
                    self.detail = Wording(
                        "It no longer answered. The next message starts it again.")
                    return
                continue
            if busy:
                self.asked = time.monotonic()
            elif not self.engine.keep and time.monotonic() - self.asked > limits.idle_seconds:
                self.detail = Wording("Not used for a while. The next message starts it again.")
                self.stopping.set()
                return
        if not self.stopping.is_set():
            self.detail = Wording("It stopped unexpectedly. The next message starts it again.")

    def is_in_use(self) -> bool:
        try:
            just_asked = time.monotonic() - self.asked < self.pool.limits.just_asked_seconds
            return just_asked or self.busy_slots() > 0
        except EngineError:
            return False

    def busy_slots(self) -> int:
        slots = self.endpoint.get_json("/slots")
        return sum(slot["is_processing"] for slot in slots)

    def _ended(self) -> EngineError:
        return EngineError("{label} was ended before it was ready. Ask again.",
                           label=self.spec.label)

    def _why_it_died(self, found: Weights) -> LocalModelError:
        if self.stopping.is_set():
            return self._ended()
        said = engine_logs.last_words(self.engine.log_file)
        return why_it_died(said, self.exit_code, self.spec, found) or EngineError(
            "{label} did not start. Try again; {log} says more.",
            label=self.spec.label, log=self.engine.log_file,
        )


class Pool:
    """The engines of one process."""

    def __init__(self, limits: Limits | None = None):
        self.limits = limits or Limits()
        self.changed = threading.Condition(threading.RLock())
        """Guards everything below and every engine's state; told of each change."""
        self.is_shut = False
        self._engines: dict[tuple[Any, ...], Engine] = {}
        self._pid = os.getpid()
        atexit.register(self.shutdown)

    def engine_for(self, spec: ModelSpec) -> Engine:
        """The engine of this model: the same one for all that ask in this process."""
        if spec.engine is None:
            raise EngineError("{label} does not run on this machine.", label=spec.label)
        key = (spec.engine, spec.weights, spec.file, spec.mmproj, spec.context_window)
        with self.changed:
            if key not in self._engines:
                self._engines[key] = Engine(spec, self)
            return self._engines[key]

    def engines(self) -> list[Engine]:
        with self.changed:
            return list(self._engines.values())

    def make_room(self, engine: Engine) -> bool:
        """End the engine unused for longest if there is one too many. Whether there is room."""
        if engine.keep:
            return True
        lives = [other._life for other in self.engines()
                 if other is not engine and not other.keep and other.pid is not None]
        if len(lives) < self.limits.loaded:
            return True
        for life in sorted(lives, key=lambda life: life.asked):
            if life.state == "ready" and not life.is_in_use():
                life.stop()
                return True
        return False

    def shutdown(self) -> None:
        """End all engines and wait until they are gone. They can be started again."""
        if os.getpid() != self._pid:
            return  # A fork of the process: the engines are not its own.
        lives = [engine._life for engine in self.engines() if engine._life]
        for life in lives:
            life.stopping.set()
        for life in lives:
            life.stop()


_pool_lock = threading.Lock()
_pool: Pool | None = None


def pool() -> Pool:
    """The pool of this process, made at the first call."""
    global _pool
    with _pool_lock:
        if _pool is None or _pool._pid != os.getpid():
            _pool = Pool()
        return _pool


def engine_for(spec: ModelSpec) -> Engine:
    """The engine that runs this model in this process. Starts nothing."""
    return pool().engine_for(spec)


def engine_to_ask(spec: ModelSpec) -> Engine:
    """The same, for whoever has a question. Raises `WeightsMissingError`.

    A question fetches no gigabytes: that is asked for by itself, with its size said.
    """
    engine = engine_for(spec)
    if engine.state == "absent" and spec.weights != "builtin":
        raise WeightsMissingError(
            "The weights of {label} are not on this machine yet. Fetch them first.",
            label=spec.label)
    return engine


def shutdown() -> None:
    """End all engines of this process. Does nothing if there are none."""
    if _pool is not None:
        _pool.shutdown()


def _deadline(timeout: float | None) -> float:
    return time.monotonic() + (timeout if timeout is not None else 1e9)
