"""Run a chain and keep everything that came of it: text, times, tokens, cost, ending.

    reply = start_reply(chain, {"message": "Hello"}, spec)
    for _ in reply.updates():       # as it grows
        print(reply.text)
    reply.ending, reply.tokens_per_second

Chains run on one event loop in a thread of its own, shared by the whole process.
So a reply goes on while a page is drawn again, a hundred replies cost one thread,
and stopping one closes its connection at once, even when nothing is coming.

This module does not know providers, prompts or pages. What a vendor's exception
means, it asks of `llm.vendor_errors`; what tokens cost, of `llm.prices`.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from langchain_core.callbacks import AsyncCallbackHandler
from langchain_core.messages import BaseMessage

from llm import vendor_errors, wire
from llm.catalog import ModelSpec
from llm.errors import CutReplyError, EmptyReplyError, ParleyError
from llm.prices import Cost, cost_of
from llm.tokens import count_request_tokens, count_tokens
from llm.wording import Wording

if TYPE_CHECKING:
    from langchain_core.outputs import LLMResult
    from langchain_core.runnables import Runnable


class Ending(StrEnum):
    """How a reply stands, or how it ended."""

    RUNNING = "running"
    STOP = "stop"
    """The model had said all it wanted to."""
    LENGTH = "length"
    """The limit on tokens, characters or seconds was reached."""
    STOPPED = "stopped"
    """The person stopped it."""
    CONTENT_FILTER = "content_filter"
    """The service withheld the rest."""
    FAILED = "failed"
    """An error: see `Reply.error`."""


_FINISH_REASONS = {
    **dict.fromkeys(("length", "max_tokens", "model_length", "max_length"), Ending.LENGTH),
    **dict.fromkeys(("content_filter", "safety", "recitation", "prohibited_content", "blocklist",
                     "refusal"), Ending.CONTENT_FILTER),
    # A server that gave up and says so.
    **dict.fromkeys(("error", "abort", "cancelled", "insufficient_system_resource"), None),
}
"""What servers say in place of OpenAI's own four words, where it means no ordinary end. For that
there is no end of words: "stop", "eos", "eos_token", "end_turn", "stop_sequence"."""


@dataclass(frozen=True)
class Limits:
    """Where a reply that does not end is ended. A service may ignore max_tokens."""

    seconds: float = 900
    characters: int = 200_000


@dataclass
class Reply:
    """One answer of one model: grows while it runs, stays as it ended."""

    model_id: str
    text: str = ""
    ending: Ending = Ending.RUNNING
    error: str | None = None
    """The sentence to show, when `ending` is FAILED. Never part of `text`."""
    error_type: str | None = None
    """The class of that error in `llm.errors`."""
    wording: Wording | None = field(default=None, repr=False, compare=False)
    """`error` for other languages; it is not stored, so only while this process has the reply."""
    started_at: float = field(default_factory=time.time)
    """Seconds since the epoch."""
    first_token_seconds: float | None = None
    """From the start to the first text, or None if none came."""
    total_seconds: float | None = None
    """From the start to the end, None while running."""
    input_tokens: int | None = None
    output_tokens: int | None = None
    tokens_measured: bool = False
    """True: the service counted. False: estimated here."""
    cost: Cost | None = None
    """None: no price is known."""
    messages: list[BaseMessage] = field(default_factory=list)
    """What was sent, exactly."""
    settings: dict[str, Any] = field(default_factory=dict)
    """Temperature and the like, as asked for."""
    chunk_times: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the start, characters so far) at each piece of text."""
    exchanges: list[wire.Exchange] = field(default_factory=list, repr=False)
    """The HTTP requests and responses behind it."""
    _run: _Run | None = field(default=None, repr=False, compare=False)

    @classmethod
    def failed(cls, model_id: str, error: ParleyError) -> Reply:
        """A reply that never began, for the reason that `error` says."""
        return cls(model_id, ending=Ending.FAILED, error=str(error),
                   error_type=type(error).__name__, wording=error.wording)

    @property
    def is_running(self) -> bool:
        return self.ending is Ending.RUNNING

    @property
    def chain(self) -> Runnable | None:
        """What made it; None for a reply that did not run in this process."""
        return self._run.chain if self._run is not None else None

    @property
    def inputs(self) -> Mapping[str, Any]:
        """What that chain was given; nothing where there is none."""
        return self._run.inputs if self._run is not None else {}

    @property
    def tokens_per_second(self) -> float | None:
        """The rate after the first token, in tokens per second; None if it cannot be told."""
        if not self.output_tokens or self.total_seconds is None or not self.first_token_seconds:
            return None
        streaming = self.total_seconds - self.first_token_seconds
        if self.output_tokens < 2 or streaming <= 0:
            return None
        return (self.output_tokens - 1) / streaming

    def updates(self, every: float = 0.1) -> Iterator[Reply]:
        """Yield this reply at its first text, then each `every` seconds, then at its end.

        It also yields when there is nothing new, so that whoever draws it notices
        that it is no longer wanted.
        """
        run = self._run
        if run is not None:
            while not run.first_text.wait(every) and not run.done.is_set():
                yield self
            if not run.done.is_set():
                yield self
            while not run.done.wait(every):
                yield self
        yield self

    def tell(self, news: threading.Event) -> None:
        """Have `news` set at its first text and at its end; now, if it has come to either."""
        if self._run is not None:
            self._run.told.append(news)
        if self.text or not self.is_running:
            news.set()

    def wait(self, timeout: float | None = None) -> Reply:
        """Block until it has ended, or `timeout` seconds have passed. Returns itself."""
        if self._run is not None:
            self._run.done.wait(timeout)
        return self

    def stop(self) -> None:
        """Stop it: the connection is closed, what came is kept. Does nothing once ended."""
        if self._run is not None:
            self._run.stop()


def start_reply(
    chain: Runnable,
    inputs: Mapping[str, Any],
    spec: ModelSpec,
    *,
    settings: Mapping[str, Any] | None = None,
    on_end: Callable[[Reply], Awaitable[None] | None] | None = None,
    limits: Limits = Limits(),
) -> Reply:
    """Start `chain` on `inputs` and return its reply, which grows from now on.

    `chain` must end in text. `on_end` is called once, in the thread of the event
    loop, when the reply has ended in whatever way; it must be quick. What may take
    its time it returns as an awaitable, such as `asyncio.to_thread(save, …)`: that
    is waited for before `wait` and `updates` come to their end.
    """
    reply = Reply(spec.id, settings=dict(settings or {}))
    reply._run = _Run(reply, chain, inputs, spec, on_end, limits)
    asyncio.run_coroutine_threadsafe(reply._run.run(), event_loop())
    return reply


class _Run:
    """The running side of a reply. All of it but `stop` happens on the event loop."""

    def __init__(self, reply: Reply, chain: Runnable, inputs: Mapping[str, Any], spec: ModelSpec,
                 on_end: Callable[[Reply], Awaitable[None] | None] | None, limits: Limits):
        self.reply, self.chain, self.inputs, self.spec = reply, chain, inputs, spec
        self.on_end, self.limits = on_end, limits
        self.first_text = threading.Event()
        self.done = threading.Event()
        self.told = [self.first_text]
        """At the first text and at the end: see `Reply.tell`."""
        self._task: asyncio.Task[None] | None = None
        self._stop_asked = False

    def stop(self) -> None:
        self._stop_asked = True
        event_loop().call_soon_threadsafe(self._cancel)

    def _cancel(self) -> None:
        # A task cancelled before its first step never runs, and would never be done;
        # `run` looks at _stop_asked instead.
        if self._task is not None and not self.done.is_set():
            self._task.cancel()

    async def run(self) -> None:
        reply, started = self.reply, time.perf_counter()
        self._task = asyncio.current_task()
        listener = _Listener(reply)
        reply.started_at = time.time()
        try:
            if self._stop_asked:
                raise asyncio.CancelledError
            with wire.record() as reply.exchanges:
                async with asyncio.timeout(self.limits.seconds) as clock:
                    reply.ending = await self._stream(listener, started)
        except asyncio.CancelledError:
            reply.ending = Ending.STOPPED
        except TimeoutError as error:
            # The library's own time-outs look the same as ours, but mean silence.
            if clock.expired() and reply.text:
                reply.ending = Ending.LENGTH
            else:
                self._fail(error)
        except Exception as error:
            self._fail(error)
        finally:
            reply.total_seconds = time.perf_counter() - started
            self._count(listener)
            self._task = None
            self._tell()
            if self.on_end is not None:
                try:
                    unfinished = self.on_end(reply)
                    if unfinished is not None:
                        await unfinished
                finally:
                    self.done.set()
            self.done.set()

    async def _stream(self, listener: _Listener, started: float) -> Ending:
        reply = self.reply
        stream = self.chain.astream(self.inputs, {"callbacks": [listener]})
        try:
            async for piece in stream:
                if not piece:
                    continue
                now = time.perf_counter() - started
                reply.text += piece
                reply.chunk_times.append((now, len(reply.text)))
                if reply.first_token_seconds is None:
                    reply.first_token_seconds = now
                    self._tell()
                if len(reply.text) > self.limits.characters:
                    return Ending.LENGTH
        finally:
            await stream.aclose()
        said = (listener.finish_reason or "").lower()
        ending = _FINISH_REASONS.get(said, Ending.STOP) if said else None
        if ending is None:
            raise CutReplyError(
                "The connection ended before the reply did. What came is kept; ask again."
            )
        if ending is Ending.STOP and not reply.text.strip():
            raise EmptyReplyError(
                "The model answered without a word. Ask again, or put the question differently."
            )
        return ending

    def _tell(self) -> None:
        for news in self.told:
            news.set()

    def _fail(self, error: Exception) -> None:
        self.reply.ending = Ending.FAILED  # first: whatever goes wrong now, it has ended
        told = vendor_errors.translate(error, self.spec)
        self.reply.error, self.reply.error_type = str(told), type(told).__name__
        self.reply.wording = told.wording

    def _count(self, listener: _Listener) -> None:
        reply = self.reply
        if listener.usage:
            reply.input_tokens = listener.usage["input_tokens"]
            reply.output_tokens = listener.usage["output_tokens"]
            reply.tokens_measured = True
        elif reply.messages and reply.text and self.spec.is_language_model:
            # A stopped or broken stream never came to its usage.
            reply.input_tokens = count_request_tokens(self.spec, reply.messages).tokens
            reply.output_tokens = count_tokens(self.spec, reply.text).tokens
        reply.cost = cost_of(self.spec, reply.input_tokens, reply.output_tokens)


class _Listener(AsyncCallbackHandler):
    """Takes down what a chain that ends in text no longer tells: messages, usage, finish."""

    def __init__(self, reply: Reply):
        self.reply = reply
        self.usage: Mapping[str, int] | None = None
        self.finish_reason: str | None = None

    async def on_chat_model_start(self, serialized: Any, messages: list[list[BaseMessage]],
                                  **kwargs: Any) -> None:
        self.reply.messages = messages[0]

    async def on_llm_end(self, response: LLMResult, **kwargs: Any) -> None:
        generation = response.generations[0][0]
        message = getattr(generation, "message", None)
        self.usage = getattr(message, "usage_metadata", None)
        self.finish_reason = (
            getattr(message, "response_metadata", {}).get("finish_reason")
            or (generation.generation_info or {}).get("finish_reason")
        )


_loop: asyncio.AbstractEventLoop | None = None
_loop_lock = threading.Lock()


def event_loop() -> asyncio.AbstractEventLoop:
    """The loop on which every reply of this process runs, started when first asked for."""
    global _loop
    with _loop_lock:
        if _loop is None:
            _loop = asyncio.new_event_loop()
            threading.Thread(target=_loop.run_forever, name="replies", daemon=True).start()
        return _loop
