"""What the app's chain adds to its engine, what both keep in memory, how soon Stop frees it.

The same engine is asked by plain HTTP and, in turn, as a page asks it: a chat model made,
settings bound, the prompt filled, the reply run by `start_reply`.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from benchmarks.asking import ask, user
from benchmarks.rows import Options, Row, in_turn, new_question, ratio, row, until
from llm import build_chat_chain, create_chat_model, get_model, start_reply
from llm.catalog import ModelSpec, list_models
from llm.local_engines import engine_for
from llm.providers import bind_settings
from llm.replies import Reply


def start(spec: ModelSpec, question: str, max_tokens: int) -> Reply:
    """A reply as the chat's page starts it."""
    settings = {"system": "", "temperature": 0, "max_tokens": max_tokens}
    chain = build_chat_chain(bind_settings(create_chat_model(spec), spec, settings))
    return start_reply(chain, {"system": "", "history": [], "message": [("human", question)]},
                       spec, settings=settings)


def measure(options: Options, model_id: str | None = None) -> Iterable[Row]:
    """First token, rate and total of a 200-token reply, both ways; Stop."""
    spec = get_model(model_id) if model_id else list_models()[0]
    engine = engine_for(spec)
    endpoint = engine.wait_ready()
    tokens = options.sized(200, 20)
    direct: list[tuple[float, float, float]] = []
    chained: list[tuple[float, float, float]] = []

    def by_http(_repeat: int) -> None:
        timing = ask(endpoint, user(new_question()), tokens)
        direct.append((timing.first, timing.rate, timing.total))

    def by_chain(_repeat: int) -> None:
        started = time.perf_counter()
        reply = start(spec, new_question(), tokens).wait()
        total = time.perf_counter() - started
        if reply.error is not None:
            raise RuntimeError(reply.error)
        waited = total - (reply.total_seconds or total)
        chained.append((reply.first_token_seconds + waited, reply.tokens_per_second, total))

    by_http(0), by_chain(0)  # the first of each imports, connects and fills caches
    direct.clear(), chained.clear()
    in_turn(options, by_http, by_chain)

    firsts, rates, totals = zip(*direct, strict=True)
    chain_firsts, chain_rates, chain_totals = zip(*chained, strict=True)
    yield row("engine alone: first token", firsts, "s")
    yield row("through the chain: first token", chain_firsts, "s")
    yield row("engine alone: rate", rates, "tokens/s")
    yield row("through the chain: rate", chain_rates, "tokens/s")
    yield row(f"engine alone: {tokens} tokens", totals, "s")
    yield row(f"through the chain: {tokens} tokens", chain_totals, "s")
    yield ratio(f"{tokens} tokens, through the chain / engine alone", chain_totals, totals,
                at_most=1.05)
    stops = []
    for _ in options.times:
        reply = start(spec, new_question(), 4_000)
        until(lambda reply=reply: reply.chunk_times, "the first token came")
        time.sleep(0.3)
        asked = time.perf_counter()
        reply.stop()
        stops.append(until(lambda: engine.busy_slots() == 0, "the slot is free") - asked)
    yield row("from Stop to the engine's slot being free", stops, "s", at_most=1)
