"""How many tokens a second a model's server makes, and so how many people one of them carries.

Any OpenAI-compatible server is asked with 1, 8, 32 and 64 questions at once; what it made is
kept in docs/model_servers.json, by the name that says on what it runs. The engines of the
machine that docs/performance.json is of are taken from there. Knows no app.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.asking import ask, ask_at_once, user
from benchmarks.report import PAGE, Results
from benchmarks.rows import new_question
from llm.endpoint import Endpoint

FILE = PAGE.with_name("model_servers.json")
AT_ONCE = (1, 8, 32, 64)
REPEATS, TOKENS = 3, 200
"""For each number of questions; of each reply, at most."""

ENGINES = ("built-in", "llama.cpp Q4_1", "transformers serve")
"""Those of the benchmarks that can serve several: the others answer one after another."""


@dataclass(frozen=True)
class ModelServer:
    """What one server made."""

    name: str
    """On what, with what and of which model: "H100, vLLM, SmolLM3-3B"."""
    together: dict[int, float]
    """Questions at once -> tokens a second, those of all of them together."""
    date: str = ""

    def carries(self, rate: float) -> int:
        """How many replies at once get `rate` tokens a second each.

        Between two numbers that were asked at once, tokens are on a line. Nothing is said beyond
        the most that were asked: the server may do better.
        """
        spare = [(at_once, tokens - at_once * rate)
                 for at_once, tokens in sorted(self.together.items())]
        enough = [number for number, (_, left) in enumerate(spare) if left >= 0]
        if not enough:
            return 0
        at_once, left = spare[enough[-1]]
        for more, lacking in spare[enough[-1] + 1:][:1]:
            at_once += (more - at_once) * left / (left - lacking)
        return int(at_once)


def measure(name: str, endpoint: Endpoint, *, at_once: Sequence[int] = AT_ONCE,
            repeats: int = REPEATS, tokens: int = TOKENS) -> ModelServer:
    """Ask the server. The median of the repeats counts. Raises `RuntimeError`, httpx's errors."""
    ask(endpoint, user(new_question()), 8)  # what a server does once, at its first question
    return ModelServer(name, {number: statistics.median(
        _rate(endpoint, number, tokens) for _ in range(repeats)) for number in at_once},
        datetime.now(UTC).date().isoformat())


def _rate(endpoint: Endpoint, at_once: int, tokens: int) -> float:
    begun = time.perf_counter()
    replies = ask_at_once(endpoint, [new_question() for _ in range(at_once)], tokens)
    return sum(reply.tokens for reply in replies) / (time.perf_counter() - begun)


def keep(server: ModelServer, file: Path = FILE) -> None:
    """Write it into the file, in place of one of that name."""
    servers = {known.name: known for known in read(file)} | {server.name: server}
    file.write_text(json.dumps([asdict(each) for each in servers.values()], ensure_ascii=False,
                               indent=1) + "\n", "utf-8")


def read(file: Path = FILE) -> list[ModelServer]:
    """Those in the file; none if there is no file."""
    if not file.exists():
        return []
    return [ModelServer(each["name"], {int(number): tokens for number, tokens
                                       in each["together"].items()}, each["date"])
            for each in json.loads(file.read_text("utf-8"))]


def engines(machine: dict[str, Any], results: Results) -> list[ModelServer]:
    """The engines that `python -m benchmarks` has measured, with one and with eight at once."""
    found = {each.name: each.median for each in results.get("engines", ())}
    on = f"{machine['cores']} cores of {machine['processor']}"
    return [ModelServer(f"{name}, {on}", {1: one, 8: eight}, machine["date"])
            for name in ENGINES
            if (one := found.get(f"{name}: rate"))
            and (eight := found.get(f"{name}: eight at once, together"))]
