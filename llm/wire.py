"""What really went over the wire: each request and its response, as the HTTP layer had them.

    with record() as exchanges:
        chain.invoke(inputs)
    print(exchanges[0].as_curl())

A recording belongs to the task or thread that asked for it (a context variable), so
replies that run at once do not mix. When nobody asked, nothing is kept.

Keys never enter an `Exchange`: the authorization header is masked, and so is a key
that the server echoes in its answer. This module does not know HTTP clients
(`llm.connections` calls it), vendors or models.
"""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from llm.masking import MASK, writings

MAX_BODY_BYTES = 1_000_000
"""Of each body this much is kept: more is a picture, or a reply out of hand."""
MAX_CHUNKS = 50_000
CLOSED_HERE = "closed from here before its end"

_SECRET_HEADERS = frozenset({
    "authorization", "proxy-authorization", "api-key", "x-api-key", "x-goog-api-key", "cookie",
})
_SECRET_PARAMETERS = re.compile(r"([?&](?:key|api[-_]?key|token|access_token)=)[^&#]+", re.I)
_LOGIN = re.compile(r"(?<=://)[^/?#@]*(?=@)")
_TELLING_HEADERS = frozenset({
    "content-type", "date", "server", "request-id", "x-request-id", "retry-after", "retry-after-ms",
    "openai-processing-ms", "openai-version", "x-inference-provider", "x-compute-time",
})
_TELLING_PREFIXES = ("x-ratelimit", "ratelimit")
_DATA_URL = re.compile(r"(data:[\w.+-]+/[\w.+-]+;base64,)([A-Za-z0-9+/=]{120,})")


@dataclass
class Exchange:
    """One request and what came back. A retry is an exchange of its own."""

    method: str
    url: str
    request_headers: dict[str, str]
    """As sent, keys masked."""
    request_body: bytes
    """As sent. Over MAX_BODY_BYTES its pictures are shortened, then the rest is cut."""
    request_bytes: int
    """The length of the body that was sent."""
    started_at: float
    """Seconds since the epoch."""
    status: int | None = None
    """None: no response came."""
    response_headers: dict[str, str] = field(default_factory=dict)
    """The telling ones: content type, request id, rate limits, the server's own timing."""
    headers_seconds: float | None = None
    """From the request to the response's headers."""
    chunks: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the request, bytes) of each piece of the response as it arrived."""
    response_body: bytes = b""
    """As received, up to MAX_BODY_BYTES."""
    response_bytes: int = 0
    """The length of all that was received."""
    error: str | None = None
    """What broke it: the name of an exception, a sentence of Parley's, or CLOSED_HERE."""

    def request_json(self) -> Any:
        """The request's JSON with its pictures shortened; its text, if it is not JSON."""
        text = self.request_body.decode("utf-8", "replace")
        try:
            return _shorten_within(json.loads(text))
        except ValueError:
            return shorten_pictures(text)

    def as_curl(self, key_variable: str = "API_KEY") -> str:
        """A command that sends the same. The key is read from the variable of that name."""
        parts = [f"curl -N -X {self.method} {shlex.quote(self.url)}"]
        for name, value in self.request_headers.items():
            if name == "authorization":
                parts.append(f'-H "authorization: Bearer ${key_variable}"')
            elif name in ("content-type", "accept"):
                parts.append(f"-H {shlex.quote(f'{name}: {value}')}")
        text = shorten_pictures(self.request_body.decode("utf-8", "replace"))
        parts.append(f"--data-raw {shlex.quote(text)}")
        return " \\\n  ".join(parts)

    def as_dict(self) -> dict[str, Any]:
        """All of it as plain JSON values, for an export."""
        return {
            "method": self.method,
            "url": self.url,
            "request_headers": self.request_headers,
            "request": self.request_json(),
            "request_bytes": self.request_bytes,
            "started_at": self.started_at,
            "status": self.status,
            "response_headers": self.response_headers,
            "headers_seconds": self.headers_seconds,
            "chunks": [list(chunk) for chunk in self.chunks],
            "response": self.response_body.decode("utf-8", "replace"),
            "response_bytes": self.response_bytes,
            "error": self.error,
        }


@dataclass
class _Recording:
    exchanges: list[Exchange] = field(default_factory=list)
    recorders: list[Recorder] = field(default_factory=list)


_recording: ContextVar[_Recording | None] = ContextVar("recording", default=None)


@contextmanager
def record() -> Iterator[list[Exchange]]:
    """Collect every exchange of the code within, and of the tasks and threads it starts."""
    recording = _Recording()
    token = _recording.set(recording)
    try:
        yield recording.exchanges
    finally:
        _recording.reset(token)
        # A stream that was left in its middle may be closed a moment later.
        for recorder in recording.recorders:
            recorder.closed()


def begin(method: str, url: str, headers: Sequence[tuple[str, str]],
          body: bytes) -> Recorder | None:
    """Start the record of a request that is about to be sent. None: nobody asked for one."""
    recording = _recording.get()
    if recording is None:
        return None
    secrets = [value.removeprefix("Bearer ") for name, value in headers
               if name.lower() in _SECRET_HEADERS]
    exchange = Exchange(
        method, without_secrets(url),
        {name.lower(): _mask_header(name, value) for name, value in headers},
        _bounded(body), len(body), time.time(),
    )
    recording.exchanges.append(exchange)
    recording.recorders.append(Recorder(exchange, secrets))
    return recording.recorders[-1]


class Recorder:
    """Takes down one exchange as it happens."""

    def __init__(self, exchange: Exchange, secrets: Sequence[str]):
        self._exchange = exchange
        self._secrets = [written.encode() for secret in secrets for written in writings(secret)]
        self._started = time.perf_counter()
        self._body = bytearray()
        self._tail = b""
        self._has_ended = False

    def response(self, status: int, headers: Mapping[str, str]) -> None:
        """The response's status and headers have come."""
        exchange = self._exchange
        exchange.status = status
        exchange.headers_seconds = self._elapsed()
        exchange.response_headers = {
            name.lower(): self._masked(value.encode()).decode() for name, value in headers.items()
            if name.lower() in _TELLING_HEADERS or name.lower().startswith(_TELLING_PREFIXES)
        }

    def chunk(self, data: bytes) -> None:
        """A piece of the response's body has come."""
        exchange = self._exchange
        exchange.response_bytes += len(data)
        if len(exchange.chunks) < MAX_CHUNKS:
            exchange.chunks.append((self._elapsed(), len(data)))
        self._tail = (self._tail + data)[-20:]
        # A little over the limit, so that a key across the edge is still seen whole.
        room = MAX_BODY_BYTES + max(map(len, self._secrets), default=0) - len(self._body)
        self._body += data[:max(room, 0)]

    def closed(self) -> None:
        """This side has closed the response: after the last event nobody waits for more."""
        self.end(None if b"[DONE]" in self._tail else CLOSED_HERE)

    def end(self, error: str | None = None) -> None:
        """The response has ended, in good order or by `error`."""
        if self._has_ended:
            return
        self._has_ended = True
        exchange = self._exchange
        exchange.response_body = self._masked(bytes(self._body))[:MAX_BODY_BYTES]
        if error is not None:
            exchange.error = self._masked(error.encode()).decode()

    def _elapsed(self) -> float:
        return time.perf_counter() - self._started

    def _masked(self, data: bytes) -> bytes:
        for secret in self._secrets:
            data = data.replace(secret, MASK.encode())
        return data


def shorten_pictures(text: str) -> str:
    """`text` with the base64 of each data URL cut to its beginning and its length."""
    return _DATA_URL.sub(lambda match: f"{match[1]}{match[2][:40]}…({len(match[2])} characters)",
                         text)


def _shorten_within(value: Any) -> Any:
    if isinstance(value, str):
        return shorten_pictures(value)
    if isinstance(value, list):
        return [_shorten_within(item) for item in value]
    if isinstance(value, dict):
        return {key: _shorten_within(item) for key, item in value.items()}
    return value


def _bounded(body: bytes) -> bytes:
    if len(body) <= MAX_BODY_BYTES:
        return body
    return shorten_pictures(body.decode("utf-8", "replace")).encode()[:MAX_BODY_BYTES]


def _mask_header(name: str, value: str) -> str:
    if name.lower() not in _SECRET_HEADERS:
        return value
    return f"Bearer {MASK}" if value.startswith("Bearer ") else MASK


def without_secrets(url: str) -> str:
    """An address with its password, and any key among its parameters, masked."""
    return _SECRET_PARAMETERS.sub(rf"\1{MASK}", _LOGIN.sub(MASK, url))
