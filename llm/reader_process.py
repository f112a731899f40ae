"""The picture reader's process: started when needed, kept warm, started again if it died.

    found = await ask(picture_bytes)

One process for all, which reads one picture after the other. Each request is a
connection of its own, so that requests of any event loop and thread are never mixed.
This module does not know what is found: see `llm.picture_worker` and `llm.findings`.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import threading
from concurrent.futures import Future
from typing import Any

from llm import errors, paths
from llm.child import Child, error_in
from llm.picture_worker import STARTED, request_head

START_SECONDS = 60
"""Once weights are there it takes one; a machine under load may take many times that."""
QUEUE_SECONDS = 300
READ_SECONDS = 90
"""For one picture, from the moment its turn has come. One that computes for 30 s is ended
sooner, by its own process; this is for a machine that lets it wait for its turn."""
IDLE_SECONDS = 600
"""After so long without a picture the process ends itself, and gives back its memory."""


class _Process:
    """One run of the worker, from its start to its end."""

    def __init__(self) -> None:
        self.port: Future[int] = Future()
        self.secret = secrets.token_hex(16)
        self.has_ended = False
        self._child: Child | None = None
        # The child lasts as long as the thread that starts it (see `llm.child`), and the
        # threads of those who ask come and go.
        threading.Thread(target=self._keep, name="picture reader", daemon=True).start()

    def _keep(self) -> None:
        order = {"weights": str(paths.weights()), "secret": self.secret,
                 "idle_seconds": IDLE_SECONDS}
        try:
            self._child = Child("llm.picture_worker", order,
                                log=paths.logs() / "picture-reader.log")
            event = self._child.next_event(START_SECONDS)
            if event and event["event"] == "ready":
                self.port.set_result(event["port"])
                self._child.process.wait()
            else:
                self._child.end()
                raise _why(event)
        except BaseException as error:
            if not self.port.done():
                self.port.set_exception(
                    error if isinstance(error, errors.ParleyError) else _did_not_start())
        finally:
            self.has_ended = True
            if self._child is not None:
                self._child.end()

    def kill(self) -> None:
        self.has_ended = True
        if self._child is not None:
            self._child.end()


def _why(event: dict[str, Any] | None) -> Exception:
    if event and event["event"] == "failed":
        return error_in(event)
    return _did_not_start()


def _did_not_start() -> errors.EngineError:
    return errors.EngineError(
        "The picture reader did not start. Try again; the reason is in {log}.",
        log=paths.logs() / "picture-reader.log",
    )


_current: _Process | None = None
_lock = threading.Lock()


def _process() -> _Process:
    global _current
    with _lock:
        if _current is None or _current.has_ended:
            _current = _Process()
        return _current


def start_reader() -> Future[int]:
    """Start the process if it does not run. Done when it is warm: its port on loopback."""
    return _process().port


def end_reader() -> None:
    """End the process if it runs. The next picture starts it again."""
    with _lock:
        if _current is not None:
            _current.kill()


def reader_pid() -> int | None:
    """The process's id while it runs."""
    child = _current._child if _current is not None and not _current.has_ended else None
    return child.process.pid if child is not None and child.is_running else None


class _NotBegunError(Exception):
    """The process ended before it had looked at the picture: another may."""


async def ask(data: bytes) -> dict[str, Any]:
    """What the worker finds on a picture; see `llm.picture_eyes.Eyes.look`.

    Raises `EngineError` where the process did not start, died or took too long, and
    `WeightsMissingError` or `WeightsDamagedError` for its weights.
    """
    for _ in range(2):
        process = _process()
        port = await asyncio.shield(asyncio.wrap_future(process.port))
        try:
            return await _ask(port, process, data)
        except _NotBegunError:
            process.kill()
    raise _did_not_start()


async def _ask(port: int, process: _Process, data: bytes) -> dict[str, Any]:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError as error:
        raise _NotBegunError from error
    try:
        await _wait_for_turn(reader, writer, request_head(process.secret, len(data)) + data)
        async with asyncio.timeout(READ_SECONDS):
            return json.loads(await reader.read())
    except TimeoutError as error:
        process.kill()
        raise errors.EngineError(
            "The picture reader had no answer after {seconds} s and was stopped. "
            "Try again, or try a smaller picture.",
            seconds=READ_SECONDS,
        ) from error
    except (OSError, ValueError) as error:
        raise errors.EngineError(
            "The picture reader stopped while it read this picture. Try again."
        ) from error
    finally:
        writer.close()


async def _wait_for_turn(reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                         request: bytes) -> None:
    try:
        async with asyncio.timeout(QUEUE_SECONDS):
            writer.write(request)
            await writer.drain()
            await reader.readexactly(len(STARTED))
    except TimeoutError as error:
        raise errors.EngineError(
            "Too many pictures are waiting to be read. Try again in some minutes."
        ) from error
    except (OSError, asyncio.IncompleteReadError) as error:
        raise _NotBegunError from error
