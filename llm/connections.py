"""How Parley speaks HTTP to a model's server, whichever library asks.

Both ChatOpenAI and ChatHuggingFace are given the clients that are made here, so the
same rules hold for every model:

- 5 s to connect, 60 s of silence at most, then two more tries where another try can
  help. Nothing is sent again once an answer has begun: it would be said, and paid, twice.
- Redirects are errors: a request may hold a key and what people wrote.
- A server that a person named in a shared app is reached at public addresses alone.
- Only the headers that a chat completion needs go out.
- A web page, a line without end and a body without end are refused as they come.
- A connection lives as long as its reply. So there is nothing to close, nothing tied
  to an event loop, and closing a reply tells the server at once.
- What goes over the wire is told to `llm.wire`.

This module does not know models, providers or messages.
"""

from __future__ import annotations

import asyncio
import functools
import re
import ssl
import time
import urllib.request
import zlib
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import httpx2

from llm import wire
from llm.errors import BrokenReplyError, ParleyError, ServiceUnreachableError
from llm.keys import is_loopback
from llm.public_addresses import addresses_of, async_addresses_of
from llm.retries import Patience, pause_after_error, pause_after_status, without_usage
from llm.wording import Wording

PATIENCE = Patience()
MAX_LINE_BYTES = 4_000_000
MAX_RESPONSE_BYTES = 64_000_000
MAX_ERROR_BYTES = 64_000
MAX_PIECE_BYTES = 64_000
"""Of a packed answer so much is unpacked at once: a few bytes may be any number."""

_SENT_HEADERS = frozenset({
    "host", "connection", "content-type", "content-length", "accept", "user-agent",
})
_NO_KEEP_ALIVE = httpx2.Limits(max_connections=None, max_keepalive_connections=0)


def open_client(*, with_key: bool, public_only: bool = False,
                patience: Patience | None = None) -> httpx2.Client:
    """A client for plain calls.

    `with_key`: an authorization header may go out. `public_only`: no connection is made to
    an address that is not on the public internet, and none through a proxy, which could.
    """
    patience = patience or PATIENCE
    return httpx2.Client(transport=_Transport(with_key, public_only, patience), trust_env=False,
                         timeout=timeouts(patience), follow_redirects=False)


def open_async_client(*, with_key: bool, public_only: bool = False,
                      patience: Patience | None = None) -> httpx2.AsyncClient:
    """The same for asynchronous calls, from any event loop."""
    patience = patience or PATIENCE
    transport = _AsyncTransport(with_key, public_only, patience)
    return httpx2.AsyncClient(transport=transport, trust_env=False,
                              timeout=timeouts(patience), follow_redirects=False)


def timeouts(patience: Patience | None = None) -> httpx2.Timeout:
    patience = patience or PATIENCE
    return httpx2.Timeout(patience.silence, connect=patience.connect)


class _Transport(httpx2.BaseTransport):
    def __init__(self, with_key: bool, public_only: bool, patience: Patience):
        self._with_key, self._public_only, self._patience = with_key, public_only, patience
        self._inner: httpx2.HTTPTransport | None = None

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        request = _with_needed_headers(request, self._with_key)
        if self._inner is None:
            self._inner = httpx2.HTTPTransport(
                verify=_tls(), limits=_NO_KEEP_ALIVE,
                proxy=None if self._public_only else _proxy(request.url))
        attempt = 0
        while True:
            watch = _Watch(request)
            try:
                sent = request
                if self._public_only:
                    with _as_connect_error():
                        found = addresses_of(*_place(request.url))
                    sent = _sent_to(found[attempt % len(found)], request)
                response = self._inner.handle_request(sent)
            except BaseException as error:
                watch.end(error)
                pause = pause_after_error(error, attempt, self._patience)
                if pause is None:
                    raise
            else:
                watch.headers(response)
                body = _Body(response.stream, watch)
                if response.is_success:
                    return _with_stream(response, body)
                try:
                    content = bytearray()
                    for chunk in body:
                        content += chunk
                        if len(content) > MAX_ERROR_BYTES:
                            break
                finally:
                    body.close()
                _refuse_redirect(request, response)
                if (uncounted := without_usage(request, response, bytes(content))) is not None:
                    request = uncounted
                    continue
                pause = pause_after_status(response, bytes(content), attempt, self._patience)
                if pause is None:
                    return _with_content(response, bytes(content))
            time.sleep(pause)
            attempt += 1

    def close(self) -> None:
        if self._inner is not None:
            self._inner.close()


class _AsyncTransport(httpx2.AsyncBaseTransport):
    def __init__(self, with_key: bool, public_only: bool, patience: Patience):
        self._with_key, self._public_only, self._patience = with_key, public_only, patience
        self._inner: httpx2.AsyncHTTPTransport | None = None

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        request = _with_needed_headers(request, self._with_key)
        if self._inner is None:
            self._inner = httpx2.AsyncHTTPTransport(
                verify=_tls(), limits=_NO_KEEP_ALIVE,
                proxy=None if self._public_only else _proxy(request.url))
        attempt = 0
        while True:
            watch = _Watch(request)
            try:
                sent = request
                if self._public_only:
                    with _as_connect_error():
                        found = await async_addresses_of(*_place(request.url))
                    sent = _sent_to(found[attempt % len(found)], request)
                response = await self._inner.handle_async_request(sent)
            except BaseException as error:
                watch.end(error)
                pause = pause_after_error(error, attempt, self._patience)
                if pause is None:
                    raise
            else:
                watch.headers(response)
                body = _AsyncBody(response.stream, watch)
                if response.is_success:
                    return _with_stream(response, body)
                try:
                    content = bytearray()
                    async for chunk in body:
                        content += chunk
                        if len(content) > MAX_ERROR_BYTES:
                            break
                finally:
                    await body.aclose()
                _refuse_redirect(request, response)
                if (uncounted := without_usage(request, response, bytes(content))) is not None:
                    request = uncounted
                    continue
                pause = pause_after_status(response, bytes(content), attempt, self._patience)
                if pause is None:
                    return _with_content(response, bytes(content))
            await asyncio.sleep(pause)
            attempt += 1

    async def aclose(self) -> None:
        if self._inner is not None:
            await self._inner.aclose()


class _Watch:
    """Looks at a response as it comes: tells the recording, refuses what is no reply."""

    def __init__(self, request: httpx2.Request):
        self._host = request.url.host
        self._recorder = wire.begin(request.method, str(request.url), request.headers.multi_items(),
                                    request.read())
        self._line = self._total = 0
        self._is_success = False
        self._unpacker: zlib._Decompress | None = None
        self._is_sealed = False

    def headers(self, response: httpx2.Response) -> None:
        self._is_success = response.is_success
        # Some say what is no packing there: nothing, "none", "utf-8".
        packed = re.findall(r"gzip|deflate|br\b|zstd|compress|dc[bz]",
                            response.headers.get("content-encoding", "").lower())
        if packed in (["gzip"], ["deflate"]):
            self._unpacker = zlib.decompressobj(zlib.MAX_WBITS | 32)
        self._is_sealed = self._unpacker is None and bool(packed)
        if self._recorder is not None:
            self._recorder.response(response.status_code, response.headers)

    def take(self, chunk: bytes) -> Iterator[bytes]:
        """What came, unpacked if it was packed nevertheless, in pieces within bounds."""
        if self._is_sealed and self._is_success:
            raise self._unreadable()
        for piece in (chunk,) if self._unpacker is None else self._unpacked(chunk, self._unpacker):
            self._look_at(piece)
            yield piece

    def _unpacked(self, chunk: bytes, unpacker: zlib._Decompress) -> Iterator[bytes]:
        try:
            while piece := unpacker.decompress(chunk, MAX_PIECE_BYTES):
                yield piece
                chunk = unpacker.unconsumed_tail
        except zlib.error as error:
            raise self._unreadable() from error

    def _unreadable(self) -> BrokenReplyError:
        return BrokenReplyError(
            "{host} packed its answer in a way that cannot be read. "
            "Ask again; if it stays so, have compression turned off there.",
            host=self._host,
        )

    def _look_at(self, chunk: bytes) -> None:
        if self._recorder is not None:
            self._recorder.chunk(chunk)
        if self._is_success and not self._total and chunk.lstrip()[:1] == b"<":
            raise BrokenReplyError(
                "{host} answered with a web page, not with a model's reply. "
                "Check the base URL: it usually ends in /v1.",
                host=self._host,
            )
        self._total += len(chunk)
        newline = chunk.rfind(b"\n")
        self._line = self._line + len(chunk) if newline < 0 else len(chunk) - newline - 1
        if self._line > MAX_LINE_BYTES or self._total > MAX_RESPONSE_BYTES:
            raise BrokenReplyError(
                "{host} sent more data than any reply needs, so it was cut off. "
                "Check that this address is a model's server.",
                host=self._host,
            )

    def end(self, error: BaseException | None = None) -> None:
        recorder, self._recorder = self._recorder, None
        if recorder is None:
            return
        if isinstance(error, GeneratorExit | asyncio.CancelledError):
            recorder.closed()
        elif isinstance(error, ParleyError):
            recorder.end(str(error))
        else:
            recorder.end(None if error is None else type(error).__name__)


class _Body(httpx2.SyncByteStream):
    def __init__(self, stream: httpx2.SyncByteStream, watch: _Watch):
        self._stream, self._watch = stream, watch

    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._stream:
                yield from self._watch.take(chunk)
        except BaseException as error:
            self._watch.end(error)
            raise
        self._watch.end()

    def close(self) -> None:
        self._stream.close()
        self._watch.end(GeneratorExit())


class _AsyncBody(httpx2.AsyncByteStream):
    def __init__(self, stream: httpx2.AsyncByteStream, watch: _Watch):
        self._stream, self._watch = stream, watch

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._stream:
                for piece in self._watch.take(chunk):
                    yield piece
        except BaseException as error:
            self._watch.end(error)
            raise
        self._watch.end()

    async def aclose(self) -> None:
        await self._stream.aclose()
        self._watch.end(GeneratorExit())


def _with_needed_headers(request: httpx2.Request, with_key: bool) -> httpx2.Request:
    # The libraries add an account's organization, their own and the machine's versions,
    # and whatever a variable like OPENAI_CUSTOM_HEADERS holds, to any host. A copy, because
    # openai looks into the request's headers again once the answer is there.
    headers = {name: value for name, value in request.headers.items()
               if name in _SENT_HEADERS or (with_key and name == "authorization")}
    # One that comes packed nevertheless is unpacked here: see _Watch.
    headers["accept-encoding"] = "identity"
    return httpx2.Request(request.method, request.url, headers=headers, content=request.read(),
                          extensions=request.extensions)


@contextmanager
def _as_connect_error() -> Iterator[None]:
    """A name that does not resolve fails as it does in the library's own connecting."""
    try:
        yield
    except OSError as error:
        raise httpx2.ConnectError(str(error)) from error


def _place(url: httpx2.URL) -> tuple[str, int]:
    return url.raw_host.decode("ascii"), url.port or (443 if url.scheme == "https" else 80)


def _sent_to(address: str, request: httpx2.Request) -> httpx2.Request:
    """The request with its host's address written out, so that no name is looked up again.

    The Host header and the certificate's name stay those of the host.
    """
    return httpx2.Request(request.method, request.url.copy_with(host=address),
                          headers=request.headers, content=request.read(),
                          extensions={**request.extensions, "sni_hostname": _place(request.url)[0]})


def _refuse_redirect(request: httpx2.Request, response: httpx2.Response) -> None:
    if not 300 <= response.status_code < 400:
        return
    place: str | Wording = Wording("another address")
    try:
        target = urlsplit(urljoin(str(request.url), response.headers["location"]))
        place = (target.hostname or "")[:100] or place
    except (KeyError, ValueError):  # none is named, or none that can be
        pass
    if place == request.url.host:  # which alone would say nothing
        where = re.sub(r"[^\w.:/-]", "", target.netloc.rpartition("@")[2] + target.path)[:100]
        place = Wording("{where} by {scheme}", where=where, scheme=target.scheme)
    raise ServiceUnreachableError(
        "{host} wants the request sent to {target} "
        "instead; nothing was sent there. Check the base URL.",
        host=request.url.host, target=place,
    )


def _with_stream(response: httpx2.Response, body: _Body | _AsyncBody) -> httpx2.Response:
    # As bytes: as text they could not be given on, where one is no ASCII.
    headers = [(name, value) for name, value in response.headers.raw if name.lower() not in (
        b"content-encoding", b"content-length")]  # of what is unpacked by now
    return httpx2.Response(response.status_code, headers=headers, stream=body,
                           extensions=response.extensions)


def _with_content(response: httpx2.Response, content: bytes) -> httpx2.Response:
    # Read here, within bounds, so that whoever raises on the status can look into it; and as
    # text of one kind, for the kinds that a server can name are no text all of them.
    headers = [(name, value) for name, value in response.headers.raw if name.lower().startswith(
        (b"retry-after", b"x-ratelimit", b"ratelimit", b"x-request-id"))]
    kind = response.headers.get("content-type", "text/plain")
    said = re.search(r"charset=[\"']?(utf-?16|utf-?32|iso-8859-1|windows-1252|shift_jis|gb18030)",
                     kind, re.IGNORECASE)
    text = content.decode(said[1] if said else "utf-8", "replace")
    is_json = "json" in kind.lower()
    headers.append((b"content-type",
                    b"application/json" if is_json else b"text/plain; charset=utf-8"))
    return httpx2.Response(response.status_code, headers=headers, content=text.encode())


@functools.cache
def _tls() -> ssl.SSLContext:
    return httpx2.create_ssl_context()


def _proxy(url: httpx2.URL) -> str | None:
    if is_loopback(url.host) or urllib.request.proxy_bypass(url.host):
        return None
    proxies = urllib.request.getproxies()
    return proxies.get(url.scheme) or proxies.get("all")
