"""A chat completions server that keeps every request byte for byte, and answers as told.

It stands in for any service: what reached it is what went over the wire.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from typing import Any


@dataclass
class Request:
    """One request as it arrived. Header names are in lower case."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> dict[str, Any]:
        return json.loads(self.body)


class Answer(BaseHTTPRequestHandler):
    """What a server sends back. Subclasses override `answer`."""

    protocol_version = "HTTP/1.1"
    server: Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        request = Request(self.command, self.path, headers, body)
        self.server.requests.append(request)
        self.close_connection = True
        try:
            self.answer(request)
        except OSError:
            pass  # the client left, as some tests mean it to

    do_GET = do_POST

    def answer(self, request: Request) -> None:
        if request.json.get("stream"):
            self.stream(["Good", " morning", "."])
        else:
            self.send(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": "Good morning."}}], "usage": USAGE})

    def send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        """A whole answer: JSON, or bytes as they are."""
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def begin_stream(self, content_type: str | None = "text/event-stream",
                     headers: dict[str, str] | None = None) -> None:
        self.send_response(200)
        if content_type is not None:
            self.send_header("content-type", content_type)
        for name, value in (headers or {}).items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("connection", "close")
        self.send_header("x-request-id", "request-7")
        self.end_headers()

    def event(self, data: Any) -> None:
        self.raw(b"data: " + json.dumps(data, ensure_ascii=False).encode() + b"\n\n")

    def raw(self, data: bytes) -> None:
        self.wfile.write(data)
        self.wfile.flush()

    def token(self, text: str, finish_reason: str | None = None) -> None:
        self.event({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                    "choices": [{"index": 0, "finish_reason": finish_reason,
                                 "delta": {"role": "assistant", "content": text}}]})

    def finish_reply(self, reason: str | None = "stop", usage: bool = True) -> None:
        if reason is not None:
            self.token("", reason)
        if usage:
            self.event({"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
                        "choices": [], "usage": USAGE})
        self.raw(b"data: [DONE]\n\n")

    def stream(self, texts: list[str]) -> None:
        """A reply in good order."""
        self.begin_stream()
        for text in texts:
            self.token(text)
        self.finish_reply()

    def log_message(self, *args: Any) -> None:
        pass


USAGE = {"prompt_tokens": 12, "completion_tokens": 3, "total_tokens": 15}


class Server(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, answer: type[Answer]):
        self.requests: list[Request] = []
        self.is_closing = threading.Event()
        super().__init__(("127.0.0.1", 0), answer)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # a client that leaves in mid-answer is no error here


@contextmanager
def running(answer: type[Answer] = Answer, kind: type[Server] = Server) -> Iterator[Server]:
    """A server on a free port of loopback, for as long as the block lasts."""
    server = kind(answer)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.is_closing.set()
        server.shutdown()
        server.server_close()
        thread.join()
