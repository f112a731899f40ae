"""A chat completions server that stops in mid-reply until it is told to go on.

Questions that begin with "Wait" get half their answer, and the other half once `gate` is
open; all others are answered at once. So a test does something in mid-reply for certain,
on however slow a machine.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers.fixed_rate import text_of
from tests.servers.recording import Answer, Request, Server, running


class GatedServer(Server):
    def __init__(self, answer: type[Answer]):
        super().__init__(answer)
        self.gate = threading.Event()
        self.waiting = 0
        """Replies that have come to the gate so far."""

    def questions(self) -> list[str]:
        """The last message of each request, in the order of their coming."""
        return [text_of(request.json["messages"][-1]) for request in self.requests]

    def conversations(self) -> list[list[str]]:
        """All messages of each request but the system's."""
        return [[text_of(message) for message in request.json["messages"]
                 if message["role"] != "system"] for request in self.requests]


class Gated(Answer):
    server: GatedServer

    def answer(self, request: Request) -> None:
        question = text_of(request.json["messages"][-1])
        self.begin_stream()
        self.token(f"Begun with {question}")
        if question.startswith("Wait"):
            self.server.waiting += 1
            while not (self.server.gate.wait(0.05) or self.server.is_closing.is_set()):
                self.raw(b": still here\n\n")  # fails once the client has left
        self.token(", ended.")
        self.finish_reply()


@contextmanager
def gated() -> Iterator[GatedServer]:
    """The server for as long as the block lasts, its gate closed."""
    with running(Gated, GatedServer) as server:
        yield server


def as_default_model(base_url: str, folder: Path) -> Path:
    """A catalog file with which the first model of all is the one at `base_url`."""
    catalog = folder / "models.toml"
    catalog.write_text(
        '[[model]]\nid = "smollm2-135m"\nlabel = "Gated"\nprovider = "openai"\nmodel = "gated"\n'
        f'base_url = "{base_url}"\nopen = true\nvision = true\n', "utf-8")
    return catalog
