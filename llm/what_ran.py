"""What there is to see of a reply's run: messages, request, response, timings, chain.

All of it is read from the run itself (`Reply.exchanges` are what went over HTTP), and
nothing is made up where something was not kept. `everything` is all of it as one JSON
value. This module does not know pages; programs are `llm.code`'s, prompts
`llm.chat_templates`'.
"""

from __future__ import annotations

import itertools
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage

from llm.catalog import ModelSpec
from llm.chat_events import EventReader, StreamedError
from llm.chat_templates import find_template
from llm.code import program_of
from llm.errors import ParleyError
from llm.memory import was_said
from llm.replies import Reply
from llm.transcript import Turn
from llm.wire import Exchange, shorten_pictures

if TYPE_CHECKING:
    from langchain_core.runnables import Runnable

# ── Messages ─────────────────────────────────────────────────────────────────────────


def left_out(before: Sequence[Turn], messages: Sequence[BaseMessage]) -> list[Turn]:
    """The turns of `before` (what was said before the question) that are not in `messages`.

    `messages` are those that were sent, the question last.
    """
    said = [turn for turn in before if was_said(turn)]
    sent = [(message.type, message.text) for message in messages[:-1] if message.type != "system"]
    missing = []
    # From the end: what memory keeps, it keeps in order, and mostly of the latest.
    for turn in reversed(said):
        if sent and sent[-1] == (turn.role, turn.text):
            sent.pop()
        else:
            missing.append(turn)
    return missing[::-1]


def message_dicts(messages: Sequence[BaseMessage]) -> list[dict[str, Any]]:
    """Messages as plain values, pictures as their kind and length."""
    return [{"role": message.type, "content": _content(message)} for message in messages]


def _content(message: BaseMessage) -> Any:
    if isinstance(message.content, str):
        return message.content
    return [block if isinstance(block, str) or block.get("type") == "text"
            else {"type": "picture", "characters": len(json.dumps(block))}
            for block in message.content]


# ── The prompt as the model reads it ─────────────────────────────────────────────────


def prompt_of(reply: Reply, spec: ModelSpec) -> str | None:
    """The filled chat template of what the last request said; None without a template here.

    Raises `UnsupportedModelError` if the template does not take the messages.
    """
    template = find_template(spec)
    request = reply.exchanges[-1].request_json() if reply.exchanges else None
    messages = request.get("messages") if isinstance(request, dict) else None
    if template is None or not isinstance(messages, list):
        return None
    return template.fill(messages, when=reply.started_at)


# ── Request and response ─────────────────────────────────────────────────────────────


def request_head(exchange: Exchange) -> str:
    """Method, address and headers as they were sent, keys masked."""
    headers = "".join(f"\n{name}: {value}" for name, value in exchange.request_headers.items())
    return f"{exchange.method} {exchange.url}{headers}"


def request_body(exchange: Exchange) -> str:
    """The body as it was sent, but for its pictures, which are shortened."""
    return shorten_pictures(exchange.request_body.decode("utf-8", "replace"))


def response_head(exchange: Exchange) -> str:
    """The status, and the headers that tell something."""
    headers = "".join(f"\n{name}: {value}" for name, value in exchange.response_headers.items())
    return f"{exchange.status}{headers}"


@dataclass(frozen=True)
class Outcome:
    """What a response says of itself."""

    finish_reason: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    """Token counts as the service gave them."""
    timings: dict[str, Any] = field(default_factory=dict)
    """llama.cpp's own measurements."""


def read_outcome(exchange: Exchange) -> Outcome:
    """Read a response, streamed or whole, broken or not."""
    finish_reason, usage, timings = None, {}, {}
    for event in _events(exchange.response_body):
        choices = event.get("choices")
        for choice in choices if isinstance(choices, list) else []:
            if isinstance(choice, dict) and isinstance(choice.get("finish_reason"), str):
                finish_reason = choice["finish_reason"]
        usage = event["usage"] if isinstance(event.get("usage"), dict) else usage
        timings = event["timings"] if isinstance(event.get("timings"), dict) else timings
    return Outcome(finish_reason, usage, timings)


def _events(body: bytes) -> Iterator[dict[str, Any]]:
    reader = EventReader()
    try:
        for event in itertools.chain(reader.feed(body), reader.end()):
            if isinstance(event, dict):
                yield event
    except (ValueError, RecursionError, StreamedError):
        return  # the reply ended there too, or no more of it was kept


@dataclass(frozen=True)
class ChunkTimes:
    """When the pieces of a response came, in seconds since the request."""

    count: int
    first: float
    last: float
    median_gap: float
    """Between two pieces; 0 where there is but one."""
    longest_gap: float


def chunk_times(exchange: Exchange) -> ChunkTimes | None:
    """The figures of a response's pieces; None if none came."""
    times = [at for at, _size in exchange.chunks]
    if not times:
        return None
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)] or [0.0]
    return ChunkTimes(len(times), times[0], times[-1], statistics.median(gaps), max(gaps))


# ── The chain ────────────────────────────────────────────────────────────────────────


def mermaid(chain: Runnable) -> str:
    """The chain's graph as Mermaid text, as LangChain draws it."""
    return chain.get_graph().draw_mermaid()


def steps(chain: Runnable) -> list[list[str]]:
    """The names of the graph's nodes, in the order in which they run; side by side if at once."""
    graph = chain.get_graph()
    waits_for = {name: {edge.source for edge in graph.edges if edge.target == name}
                 for name in graph.nodes}
    rows: list[list[str]] = []
    done: set[str] = set()
    while len(done) < len(waits_for):
        ready = [name for name in waits_for if name not in done and waits_for[name] <= done]
        # A graph that goes round has no first: its nodes as they come.
        row = ready or [name for name in waits_for if name not in done]
        rows.append([graph.nodes[name].name for name in row])
        done |= set(row)
    return rows


# ── All of it ────────────────────────────────────────────────────────────────────────


def everything(reply: Reply, spec: ModelSpec | None, before: Sequence[Turn] = ()
               ) -> dict[str, Any]:
    """All that is known of a reply's run as plain JSON values. None: it was not kept."""
    try:
        prompt = prompt_of(reply, spec) if spec is not None else None
    except ParleyError as error:
        prompt = str(error)
    return {
        "model": spec.model_dump(exclude_none=True) if spec is not None else {"id": reply.model_id},
        "reply": {
            "text": reply.text, "ending": reply.ending.value, "error": reply.error,
            "started_at": reply.started_at, "first_token_seconds": reply.first_token_seconds,
            "total_seconds": reply.total_seconds, "input_tokens": reply.input_tokens,
            "output_tokens": reply.output_tokens, "tokens_measured": reply.tokens_measured,
            "settings": reply.settings,
        },
        "messages": message_dicts(reply.messages),
        "left_out": [{"role": turn.role, "content": turn.text}
                     for turn in left_out(before, reply.messages)],
        "prompt": prompt,
        "exchanges": [{**exchange.as_dict(), "outcome": asdict(read_outcome(exchange))}
                      for exchange in reply.exchanges] or None,
        "code": program_of(reply, spec).text if reply.messages else None,
        "chain": mermaid(reply.chain) if reply.chain is not None else None,
    }
