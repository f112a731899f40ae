"""A chat completions server that misbehaves as the model's name says: see FAULTS."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

from tests.servers.recording import Answer, Request


class Hostile(Answer):
    def answer(self, request: Request) -> None:
        FAULTS[request.json["model"]](self, request)


def _status(status: int, message: str = "no", code: str | None = None, **headers: str
            ) -> Callable[[Answer, Request], None]:
    error = {"message": message, "type": "error", "code": code, "param": None}
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda answer, request: answer.send(status, {"error": error}, fields)


def _echo_key(answer: Answer, request: Request) -> None:
    key = request.headers.get("authorization", "")
    answer.send(401, {"error": {"message": f"Incorrect API key provided: {key}", "code": "x"}})


def _echo_key_in_request(answer: Answer, request: Request) -> None:
    sent = request.headers.get("authorization", "")
    answer.send(400, {"error": {"message": f"Roles must alternate; sent with {sent}"}})


def _parameter(answer: Answer, request: Request) -> None:
    answer.send(400, {"error": {"message": "Unsupported value: 'temperature' does not support 0.2",
                                "param": "temperature", "code": "unsupported_value"}})


def _once(status: int, **headers: str) -> Callable[[Answer, Request], None]:
    """Fails at first, then answers."""
    def answer_(answer: Answer, request: Request) -> None:
        if len(answer.server.requests) == 1:
            _status(status, **headers)(answer, request)
        else:
            answer.stream(["Good", " morning", "."])
    return answer_


def _drop_once(answer: Answer, request: Request) -> None:
    if len(answer.server.requests) == 1:
        _reset_connection(answer)
    else:
        answer.stream(["Good", " morning", "."])


def _reset_connection(answer: Answer) -> None:
    # Lingering for zero seconds makes close() send a reset rather than an end.
    answer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    answer.connection.close()


def _hang(answer: Answer, request: Request) -> None:
    answer.server.is_closing.wait()


def _after_one_token(then: Callable[[Answer], None]) -> Callable[[Answer, Request], None]:
    def answer_(answer: Answer, request: Request) -> None:
        answer.begin_stream()
        answer.token("Good")
        then(answer)
    return answer_


def _forever(answer: Answer) -> None:
    while not answer.server.is_closing.is_set():
        answer.token(" more")


def _one_endless_line(answer: Answer) -> None:
    answer.raw(b"data: ")
    while not answer.server.is_closing.is_set():
        answer.raw(b"x" * 65_536)


def _ends_with(reason: str | None) -> Callable[[Answer, Request], None]:
    return _after_one_token(lambda answer: answer.finish_reply(reason))


def _no_choices(answer: Answer, request: Request) -> None:
    answer.begin_stream()
    answer.event({"id": "1", "choices": []})
    answer.raw(b"data: [DONE]\n\n")


def _page(answer: Answer, request: Request) -> None:
    answer.send(200, b"<!doctype html><h1>Welcome to nginx</h1>", {"content-type": "text/html"})


def _redirect(answer: Answer, request: Request) -> None:
    # The body names the place, as the tests set it.
    answer.send(307, {}, {"location": request.json["user"]})


def _quota(answer: Answer, request: Request) -> None:
    _status(429, "You exceeded your current quota, please check your plan and billing details.",
            "insufficient_quota")(answer, request)


def _google_haste(answer: Answer, request: Request) -> None:
    answer.send(429, [{"error": {
        "code": 429, "status": "RESOURCE_EXHAUSTED",
        "message": "You exceeded your current quota, please check your plan and billing details.",
        "details": [{"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34s"}],
    }}])


FAULTS: dict[str, Callable[[Answer, Request], None]] = {
    "fine": lambda answer, request: answer.stream(["Good", " morning", "."]),
    "401": _echo_key,
    "401-echo-in-stream": _after_one_token(lambda answer: answer.event(
        {"error": {"message": "bad key sk-canary-0123456789abcdef", "code": 401}})),
    "402": _status(402, "You have exceeded your monthly included credits"),
    "403": _status(403, "Project does not have access"),
    "404": _status(404, "The model `404` does not exist", "model_not_found"),
    "400-context-openai": _status(400, "This model's maximum context length is 8 tokens.",
                                  "context_length_exceeded"),
    "400-context-llama.cpp": lambda answer, request: answer.send(400, {"error": {
        "code": 400, "message": "the request exceeds the available context size, try increasing it",
        "type": "exceed_context_size_error", "n_prompt_tokens": 9000, "n_ctx": 8192}}),
    "422-context-tgi": lambda answer, request: answer.send(422, {
        "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096",
        "error_type": "validation"}),
    "400-parameter": _parameter,
    "400-google-key": lambda answer, request: answer.send(400, [{"error": {
        "code": 400, "message": "API key not valid. Please pass a valid API key.",
        "status": "INVALID_ARGUMENT"}}]),
    "400": _status(400, "Conversation roles must alternate ![x](http://evil.example/?q=1) <b>"),
    "400-echo": _echo_key_in_request,
    "400-no-charset": lambda answer, request: answer.send(
        400, b"Roles must alternate", {"content-type": "text/plain; charset=zlib"}),
    "413": _status(413, "Request Entity Too Large"),
    "422": _status(422, "messages: field required"),
    "429-soon": _once(429, retry_after="0.05"),
    "429-long": _status(429, "Rate limit reached", "rate_limit_exceeded", retry_after="300"),
    "429-for-ever": _status(429, "Rate limit reached", retry_after="9" * 400),
    "429-google": _google_haste,
    "429-quota": _quota,
    "500": _status(500, "Internal error"),
    "500-once": _once(500),
    "502": lambda answer, request: answer.send(
        502, b"<html>Bad Gateway</html>", {"content-type": "text/html"}),
    "503": _status(503, "Loading model"),
    "529": _status(529, "Overloaded"),
    "drop-once": _drop_once,
    "hang": _hang,
    "stall": _after_one_token(lambda answer: answer.server.is_closing.wait()),
    "reset": _after_one_token(_reset_connection),
    "cut": _after_one_token(lambda answer: None),
    "no-finish-reason": _ends_with(None),
    "no-choices": _no_choices,
    "no-words": lambda answer, request: answer.stream([]),
    "content-filter": _ends_with("content_filter"),
    "length": _ends_with("length"),
    "malformed": _after_one_token(lambda answer: answer.raw(b'data: {"choices": [{"del\n\n')),
    "bad-utf-8": _after_one_token(lambda answer: answer.raw(
        b'data: {"choices": [{"index": 0, "delta": {"content": "\xff\xfe"}}]}\n\n')),
    "not-an-object": _after_one_token(lambda answer: answer.event([1, 2])),
    "odd-shape": _after_one_token(lambda answer: answer.event(
        {"choices": [{"delta": {"content": {"a": 1}}}]})),
    "page": _page,
    "error-event": _after_one_token(lambda answer: answer.event(
        {"error": {"message": "The server had an error", "type": "server_error", "code": None}})),
    "error-event-tgi": _after_one_token(lambda answer: answer.event(
        {"error": "Model is overloaded", "error_type": "overloaded"})),
    "redirect": _redirect,
    "endless": _after_one_token(_forever),
    "endless-line": _after_one_token(_one_endless_line),
}
"""By the name of the model asked for: what the server does then."""
