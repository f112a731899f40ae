"""A chat completions server that answers from a script, at a fixed rate, and counts.

It stands for a hosted model whose time is known: `first` seconds before the first token,
then `rate` tokens a second, however many ask at once.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.servers.recording import Answer, Request, Server, running

Script = Callable[[str, str], str]


class FixedRateServer(Server):
    script: Script
    rate: float
    first: float

    def __init__(self, answer: type[Answer]):
        super().__init__(answer)
        self.asked: Counter[tuple[str, str]] = Counter()
        """How often each (model, last message) was asked for."""
        self.busiest: Counter[str] = Counter()
        """The most answers under way at once, by model."""
        self.under_way: Counter[str] = Counter()
        """Answers that have begun and not ended, by model."""
        self._lock = threading.Lock()

    def begin(self, model: str, question: str) -> None:
        with self._lock:
            self.asked[model, question] += 1
            self.under_way[model] += 1
            self.busiest[model] = max(self.busiest[model], self.under_way[model])

    def end(self, model: str) -> None:
        with self._lock:
            self.under_way[model] -= 1


class FixedRate(Answer):
    server: FixedRateServer

    def answer(self, request: Request) -> None:
        model, messages = request.json["model"], request.json["messages"]
        question = text_of(messages[-1])
        self.server.begin(model, question)
        try:
            self._say(self.server.script(model, question).split(" "), messages)
        finally:
            self.server.end(model)

    def _say(self, tokens: list[str], messages: list[dict]) -> None:
        due = time.perf_counter() + self.server.first
        self.begin_stream()
        for number, token in enumerate(tokens):
            # By the clock from the start, so that small delays do not add up.
            time.sleep(max(0.0, due + number / self.server.rate - time.perf_counter()))
            self.token(token if number == 0 else " " + token)
        prompt = sum(len(text_of(message).split()) for message in messages)
        self.token("", "stop")
        self.event({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [], "usage": {
                        "prompt_tokens": prompt, "completion_tokens": len(tokens),
                        "total_tokens": prompt + len(tokens)}})
        self.raw(b"data: [DONE]\n\n")


def text_of(message: dict) -> str:
    """What a message says, less its pictures."""
    content = message["content"]
    if isinstance(content, str):
        return content
    return " ".join(part["text"] for part in content if part["type"] == "text")


@contextmanager
def fixed_rate(script: Script | str, *, rate: float = 1e6, first: float = 0.0
               ) -> Iterator[FixedRateServer]:
    """The server for as long as the block lasts.

    `script` is the answer, or gives it for a model's name and the last message; words
    between spaces are its tokens. `rate` is in tokens a second, `first` in seconds.
    """
    with running(FixedRate, FixedRateServer) as server:
        server.script = (lambda model, question: script) if isinstance(script, str) else script
        server.rate, server.first = rate, first
        yield server
