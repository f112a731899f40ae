"""The picture reader's own process: one picture at a time in, what was found out.

Started by `llm.reader_process` through `llm.child`, which also ends it. It listens on
loopback; a request is the secret of this process, a length and a picture's bytes, and
the answer a byte when its turn has come, then JSON. Whoever waits stands in the
kernel's queue of connections. After some idle minutes it ends itself.

This process holds the models and the libraries that run them (onnxruntime, OpenCV);
the app never does. It only ever gets pictures that `llm.images` has passed.
"""

from __future__ import annotations

import hmac
import io
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from llm.picture_eyes import Eyes

STARTED = b"+"
"""Sent when a request's turn has come."""
SECRET_LENGTH = 32
HEAD_LENGTH = SECRET_LENGTH + 8

NICENESS = 5
"""Three shares of a processor's time for everything else, where there is not enough."""
MOST_CPU_SECONDS = 30
"""For one picture; the longest at hand took four. Beyond it the kernel ends the process."""


def request_head(secret: str, length: int) -> bytes:
    """What goes before a picture of so many bytes."""
    return secret.encode() + length.to_bytes(8, "big")


def main(order: dict[str, Any], report) -> None:
    """`order`: weights (the folder for converted weights), secret, idle_seconds."""
    from llm.picture_eyes import Eyes

    eyes = Eyes(Path(order["weights"]))
    _give_way()
    with socket.create_server(("127.0.0.1", 0), backlog=128) as server:
        server.settimeout(order["idle_seconds"])
        report({"event": "ready", "port": server.getsockname()[1]})
        while True:
            try:
                connection, _ = server.accept()
            except TimeoutError:
                return
            with connection:
                try:
                    _serve(connection, eyes, order["secret"].encode())
                except OSError:
                    pass  # Whoever asked has gone, or never meant to ask.


def _give_way() -> None:
    """Let everything else on this machine run first."""
    if sys.platform == "win32":
        return
    os.nice(NICENESS)
    try:
        # Where Linux schedules by session, niceness counts within a session only.
        Path("/proc/self/autogroup").write_text(str(NICENESS))
    except OSError:
        pass


def _serve(connection: socket.socket, eyes: Eyes, secret: bytes) -> None:
    from PIL import Image

    connection.settimeout(10)
    head = _receive(connection, HEAD_LENGTH)
    if not hmac.compare_digest(head[:SECRET_LENGTH], secret):
        return
    data = _receive(connection, int.from_bytes(head[SECRET_LENGTH:], "big"))
    connection.sendall(STARTED)
    _limit_computing(MOST_CPU_SECONDS)
    with Image.open(io.BytesIO(data), formats=["PNG", "JPEG"]) as image:
        found = eyes.look(image.convert("RGB"))
    _limit_computing(0)
    connection.sendall(json.dumps(found).encode())


def _limit_computing(seconds: float) -> None:
    """End this process after so much processor time; 0: never."""
    if sys.platform != "win32":
        signal.setitimer(signal.ITIMER_PROF, seconds)


def _receive(connection: socket.socket, length: int) -> bytes:
    data = bytearray()
    while len(data) < length:
        piece = connection.recv(min(length - len(data), 1 << 20))
        if not piece:
            raise ConnectionResetError("the request ended early")
        data += piece
    return bytes(data)
