"""A process of ours that never outlives us, and what the two of us say to each other.

The parent starts this very file by path, so that a child imports neither the app nor
LangChain, and names one of the modules beside it, which has `main(order, report)`:

    child = Child("llm.llama_server", {"model": "…"}, log=Path("engine.log"))
    child.next_event()      {"event": "ready", "port": 40123}
    child.end()

The order goes down the child's standard input, secrets included, where no list of
processes shows it. The pipe then stays open as long as the parent lives: at its end,
which the kernel brings about however the parent died, the child kills itself and all
that it started. Events come up a pipe of their own, a JSON object a line. What the
child and its libraries print goes to the log.

This module does not know engines, weights or models.
"""

from __future__ import annotations

import importlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import traceback
import types
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

Event = dict[str, Any]
Report = Callable[[Event], None]

_NOT_FOR_CHILDREN = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "GOOGLE_API_KEY", "GEMINI_API_KEY",
                     "PYTHONSTARTUP", "PYTHONINSPECT")
"""Keys that no engine needs, and what would make the child wait for a person."""


class Child:
    """The parent's end: one running child process.

    Start it in a thread that lasts as long as it should: on Linux the child also dies
    with the thread that started it, which catches it where it holds Python's lock.
    """

    def __init__(self, module: str, order: Mapping[str, Any], *, log: Path,
                 environment: Mapping[str, str] | None = None):
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        log.parent.mkdir(parents=True, exist_ok=True)
        kept = {name: value for name, value in os.environ.items() if name not in _NOT_FOR_CHILDREN}
        # A group of its own: Ctrl-C in the terminal reaches the app, which ends its children.
        apart: dict[str, Any] = (
            {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
            if sys.platform == "win32" else {"start_new_session": True})
        with log.open("ab") as log_file:
            self.process = subprocess.Popen(
                [sys.executable, "-P", __file__, module, str(os.getpid())],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log_file,
                env={**kept, **(environment or {})}, **apart)
        threading.Thread(target=self._read, name=f"events of {module}", daemon=True).start()
        try:
            self.process.stdin.write(json.dumps(order).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            pass  # It died already: its exit code and log say why.

    def _read(self) -> None:
        with self.process.stdout:
            for line in self.process.stdout:
                self._events.put(json.loads(line))
        self._events.put(None)

    def next_event(self, timeout: float) -> Event | None:
        """The next event; {} if none came within `timeout` seconds; None once it has ended."""
        try:
            return self._events.get(timeout=timeout)
        except queue.Empty:
            return {}

    @property
    def is_running(self) -> bool:
        return self.process.poll() is None

    def end(self, *, patience: float = 0) -> int:
        """Wait `patience` seconds, then kill it and all that it started. Its exit code.

        Negative: the signal that ended it.
        """
        try:
            code = self.process.wait(patience)
        except subprocess.TimeoutExpired:
            _kill_group(self.process.pid)
            code = self.process.wait()
        try:
            self.process.stdin.close()
        except OSError:
            pass
        return code


def error_in(event: Event) -> Exception:
    """The `LocalModelError` that the child's event "failed" tells of."""
    from llm import errors  # Not above: a child begins without the package.

    return getattr(errors, event["error"])(event["template"], **event["values"])


def _kill_group(group: int) -> None:
    """Kill a child that leads its group, and its own children with it."""
    if sys.platform == "win32":
        subprocess.run(["taskkill", "/F", "/T", "/PID", str(group)], capture_output=True)
        return
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        pass


def die_with_starter() -> None:
    """Have the kernel kill this process once the thread that started it is gone. Linux alone."""
    import ctypes

    set_parent_death_signal = 1  # PR_SET_PDEATHSIG, prctl(2)
    ctypes.CDLL(None, use_errno=True).prctl(set_parent_death_signal, signal.SIGKILL)


def _die_with(parent: int) -> None:
    """Arrange for the end of this process at the end of its parent (Linux: by the kernel)."""
    if sys.platform == "linux":
        die_with_starter()
        # Where memory runs out, the kernel shall end an engine and not the app.
        Path("/proc/self/oom_score_adj").write_text("500")
        if os.getppid() != parent:
            os._exit(1)

    def wait_for_end() -> None:
        # The descriptor itself: Python's own buffer could hold the lock at exit.
        while os.read(0, 4096):
            pass
        if sys.platform != "win32" and os.getpgid(0) == os.getpid():
            _kill_group(os.getpid())
        os._exit(1)

    threading.Thread(target=wait_for_end, name="watch the parent", daemon=True).start()


def _read_order() -> Any:
    """The first line of standard input, and not a byte of what follows."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            os._exit(1)
        line += byte
    return json.loads(line)


def _run(module: str, parent: int) -> None:
    # Events get a descriptor of their own; whatever prints goes to the log.
    events = os.fdopen(os.dup(1), "w", encoding="utf-8", buffering=1)
    os.dup2(2, 1)
    order = _read_order()
    _die_with(parent)
    lock = threading.Lock()

    def report(event: Event) -> None:
        with lock:
            events.write(json.dumps(event) + "\n")

    # `llm` by its folder alone: its modules can be imported here, without what llm/__init__.py
    # imports, which no child needs.
    package = types.ModuleType("llm")
    package.__path__ = [str(Path(__file__).parent)]
    sys.modules["llm"] = package
    from llm.errors import LocalModelError

    code = 1
    try:
        importlib.import_module(module).main(order, report)
        code = 0
    except LocalModelError as error:
        said = error.wording
        report({"event": "failed", "error": type(error).__name__, "template": said.template,
                "values": {name: value if isinstance(value, int | float) else str(value)
                           for name, value in said.values.items()}})
    except BaseException:
        traceback.print_exc()
    finally:
        # At once, whatever threads a library has left running.
        sys.stderr.flush()
        os._exit(code)


if __name__ == "__main__":
    _run(sys.argv[1], int(sys.argv[2]))
