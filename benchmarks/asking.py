"""Asks a chat completions server directly, by plain HTTP, and takes the time of each piece.

This is what everything else is held against. It knows the protocol, and no model or engine.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx

from llm.local_engines import Endpoint

Messages = list[dict[str, Any]]


@dataclass
class Timing:
    """One reply, in seconds from the moment of asking."""

    first: float
    total: float
    tokens: int
    prompt_tokens: int
    text: str = field(repr=False)

    @property
    def rate(self) -> float:
        """Tokens a second after the first."""
        return (self.tokens - 1) / (self.total - self.first)


def user(text: str) -> Messages:
    return [{"role": "user", "content": text}]


def ask(endpoint: Endpoint, messages: Messages, max_tokens: int) -> Timing:
    """The likeliest reply. Raises `RuntimeError` if none came, httpx's errors."""
    body = {"model": endpoint.model_name, "messages": messages, "max_tokens": max_tokens,
            "temperature": 0, "stream": True, "stream_options": {"include_usage": True}}
    started = time.perf_counter()
    first, pieces, usage = None, [], {}
    with httpx.stream("POST", f"{endpoint.base_url}/chat/completions", json=body, timeout=600,
                      headers={"authorization": f"Bearer {endpoint.api_key}"}) as response:
        if response.status_code != 200:
            raise RuntimeError(response.read().decode()[:200])
        for line in response.iter_lines():
            if not line.startswith("data: {"):
                continue
            event = json.loads(line[6:])
            usage = event.get("usage") or usage
            text = "".join(choice.get("delta", {}).get("content") or ""
                           for choice in event.get("choices", ()))
            if text:
                first = first or time.perf_counter() - started
                pieces.append(text)
    total = time.perf_counter() - started
    if first is None:
        raise RuntimeError("no reply came")
    return Timing(first, total, usage.get("completion_tokens") or len(pieces),
                  usage.get("prompt_tokens", 0), "".join(pieces))


def ask_at_once(endpoint: Endpoint, questions: Sequence[str], max_tokens: int) -> list[Timing]:
    """Every question at the same moment, each on a connection of its own."""
    with ThreadPoolExecutor(len(questions)) as pool:
        return list(pool.map(lambda question: ask(endpoint, user(question), max_tokens), questions))
