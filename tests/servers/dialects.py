"""A chat completions server that answers well, in the dialect that the model's name says.

Each is how some server or proxy out there speaks: see DIALECTS. All of them say WORDS.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Sequence
from typing import Any

from tests.servers.recording import USAGE, Answer, Request

WORDS = ("नमस्ते", " good", " morning", ".")
TEXT = "".join(WORDS)


class Speaker(Answer):
    def answer(self, request: Request) -> None:
        dialects = DIALECTS if request.json.get("stream") else WHOLES
        (dialects | ERRORS)[request.json["model"]](self, request)


def _chunk(delta: Any = None, finish_reason: str | None = None, **more: Any) -> dict:
    return {"id": "1", "object": "chat.completion.chunk", "model": "m", "choices": [
        {"index": 0, "delta": delta, "finish_reason": finish_reason}], **more}


COUNTED = {"id": "1", "object": "chat.completion.chunk", "choices": [], "usage": USAGE}
BEGINNING = [_chunk({"role": "assistant", "content": None})]
MIDDLE = [_chunk({"content": word}) for word in WORDS]
END = [_chunk({}, "stop"), COUNTED]
WHOLE = {"id": "1", "object": "chat.completion", "model": "m", "usage": USAGE, "choices": [
    {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": TEXT}}]}


def _events(chunks: Sequence[dict], before: bytes = b"data: ", after: bytes = b"\n\n",
            done: bool = True) -> bytes:
    events = [json.dumps(chunk, ensure_ascii=False).encode() for chunk in chunks]
    return b"".join(before + event + after for event in [*events, b"[DONE]"][:None if done else -1])


def _says(content: bytes, content_type: str | None = "text/event-stream", pieces_of: int = 50,
          **headers: str) -> Callable[[Answer, Request], None]:
    def answer_(answer: Answer, request: Request) -> None:
        answer.begin_stream(content_type, headers)
        for start in range(0, len(content), pieces_of):
            answer.raw(content[start:start + pieces_of])
    return answer_


def _in_several_lines(chunks: Sequence[dict], before: str) -> bytes:
    """Each of the chunks over as many lines as a person would write it, `before` each line."""
    events = ["".join(f"{before}{line}\n" for line in json.dumps(chunk, indent=1).splitlines())
              for chunk in chunks]
    return "\n".join([*events, ""]).encode()


def _with(*chunks: dict, **more: Any) -> list[dict]:
    """The chunks with `more` in their choice's delta."""
    return [{**chunk, "choices": [{**choice, "delta": {**(choice["delta"] or {}), **more}}
                                  for choice in chunk["choices"]]} for chunk in chunks]


def _refuses_stream_options(status: int, error: Any) -> Callable[[Answer, Request], None]:
    def answer_(answer: Answer, request: Request) -> None:
        if "stream_options" in request.json:
            answer.send(status, error)
        else:
            _says(_events([*MIDDLE, END[0]]))(answer, request)
    return answer_


ALL = [*BEGINNING, *MIDDLE, *END]
COUNTING: dict[str, Callable[[Answer, Request], None]] = {
    "as-documented": _says(_events(ALL)),
    "byte-by-byte": _says(_events(ALL), pieces_of=1),
    "windows-lines": _says(_events(ALL, after=b"\r\n\r\n")),
    "no-space": _says(_events(ALL, before=b"data:")),
    "names-and-numbers": _says(_events(ALL, before=b"event: message\nid: 7\ndata: ")),
    "signs-of-life": _says(_events(ALL, before=b": still here\n\ndata: ")),
    "no-last-word": _says(_events(ALL, done=False)),
    "byte-order-mark": _says(b"\xef\xbb\xbf" + _events(ALL)),
    "count-without-choices": _says(_events([*MIDDLE, END[0], {"usage": USAGE}])),
    "count-with-null": _says(_events([*MIDDLE, END[0], {**COUNTED, "choices": None}])),
    "end-without-delta": _says(_events([*MIDDLE, {"choices": [
        {"index": 0, "finish_reason": "stop"}]}, COUNTED])),
    "end-with-null": _says(_events([*MIDDLE, _chunk(None, "stop"), COUNTED])),
    "another-word-for-stop": _says(_events([*MIDDLE, _chunk({}, "eos"), COUNTED])),
    "loud-stop": _says(_events([*MIDDLE, _chunk({}, "STOP"), COUNTED])),
    "thinks-first": _says(_events([_chunk({"reasoning_content": "hm"}), *MIDDLE, *END])),
    "nulls-everywhere": _says(_events([{**chunk, "error": None, "usage": chunk.get("usage")}
                                       for chunk in ALL])),
    "text-in-parts": _says(_events([*(_chunk({"content": [{"type": "text", "text": word}]})
                                      for word in WORDS), *END])),
    "whole-in-one-event": _says(_events([WHOLE])),
    "whole": _says(json.dumps(WHOLE).encode(), "application/json; charset=utf-8"),
    "stream-under-a-wrong-name": _says(_events(ALL), "application/json"),
    # Whole where a stream is promised: gateways that buffer, servers that cannot stream.
    "whole-as-a-stream": _says(json.dumps(WHOLE).encode()),
    "whole-in-many-lines": _says(json.dumps(WHOLE, indent=2).encode()),
    "whole-as-plain-text": _says(b"\n\n" + json.dumps(WHOLE).encode() + b"\n", "text/plain"),
    "whole-unnamed": _says(b"\xef\xbb\xbf" + json.dumps(WHOLE).encode(), None),
    "lines-of-json": _says(_events(ALL, before=b"", after=b"\n"), "application/x-ndjson"),
    "stream-unnamed": _says(_events(ALL), None),
    "stream-of-a-charset": _says(_events(ALL), "text/event-stream; charset=utf-8"),
    "byte-order-mark-byte-by-byte": _says(b"\xef\xbb\xbf" + _events(ALL[1:]), pieces_of=1),
    "old-mac-lines": _says(_events(ALL, after=b"\r\r")),
    "windows-lines-byte-by-byte": _says(_events(ALL, after=b"\r\n\r\n"), pieces_of=1),
    "no-empty-lines": _says(_events(ALL, after=b"\n")),
    "no-last-line-end": _says(_events(ALL, done=False).rstrip()),
    "event-in-many-lines": _says(_in_several_lines(ALL, "data: ")),
    "event-in-many-windows-lines": _says(
        _in_several_lines(ALL, "data: ").replace(b"\n", b"\r\n"), pieces_of=1),
    "gzip": _says(gzip.compress(_events(ALL)), content_encoding="gzip"),
    "deflate": _says(zlib.compress(_events(ALL)), content_encoding="deflate"),
    "gzip-whole": _says(gzip.compress(json.dumps(WHOLE).encode()), "application/json",
                        content_encoding="gzip"),
    # OpenRouter, Azure, vLLM, SGLang, DeepSeek, Mistral, Groq, Moonshot, Perplexity.
    "processing": _says(_events(ALL, before=b": OPENROUTER PROCESSING\n\ndata: ")),
    "filter-results-first": _says(_events([
        {"id": "", "object": "", "created": 0, "model": "", "choices": [], "prompt_filter_results":
         [{"prompt_index": 0, "content_filter_results": {}}]}, *ALL[:-1],
        {"choices": [{"index": 0, "finish_reason": None, "content_filter_offsets": {},
                      "content_filter_results": {}}]}, COUNTED])),
    "every-field-null": _says(_events([*_with(
        *BEGINNING, *MIDDLE, END[0], role=None, tool_calls=None, function_call=None, refusal=None,
        reasoning_content=None, audio=None), COUNTED])),
    "empty-lists": _says(_events([*_with(*BEGINNING, *MIDDLE, tool_calls=[]), *END])),
    "role-in-every-piece": _says(_events([*_with(*BEGINNING, *MIDDLE, END[0], role="assistant"),
                                          COUNTED])),
    "another-role": _says(_events([*_with(*BEGINNING, *MIDDLE, role="model"), *END])),
    "empty-reason": _says(_events([{**chunk, "choices": [{**chunk["choices"][0],
                                                          "finish_reason": ""}]}
                                   for chunk in MIDDLE] + END)),
    "end-with-the-last-word": _says(_events([*MIDDLE[:-1], _chunk(
        {"content": WORDS[-1]}, "stop", usage=USAGE)])),
    "counted-so-far": _says(_events([
        *({**chunk, "usage": {"prompt_tokens": 12, "completion_tokens": number,
                              "total_tokens": 12 + number}} for number, chunk in enumerate(MIDDLE)),
        *END])),
    "thinks-in-parts": _says(_events([
        _chunk({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}]}),
        *MIDDLE, *END])),
    "thinks-with-null": _says(_events([
        *_with(_chunk({"content": None}), reasoning="hm", reasoning_details=[]), *MIDDLE, *END])),
    "counts-apart": _says(_events([*MIDDLE, {**END[0], "x_groq": {"id": "1", "usage": USAGE}}])),
    "counts-in-the-choice": _says(_events([*MIDDLE, {"choices": [
        {"index": 0, "delta": {}, "finish_reason": "stop", "usage": USAGE}]}])),
    "all-so-far-beside-it": _says(_events([
        {"choices": [{"index": 0, "finish_reason": None, "delta": {"content": word}, "message":
                      {"role": "assistant", "content": "".join(WORDS[:number + 1])}}]}
        for number, word in enumerate(WORDS)] + [
        {"choices": [{"index": 0, "finish_reason": "stop", "delta": {}, "message":
                      {"role": "assistant", "content": TEXT}}], "usage": USAGE}])),
    "says-it-packs-and-does-not": _says(_events(ALL), content_encoding="utf-8"),
    "packs-with-nothing": _says(_events(ALL), content_encoding=""),
    "header-of-any-letters": _says(_events(ALL), x_city="São Paulo"),
    "calls-what-is-no-tool": _says(_events([*_with(*MIDDLE, tool_calls=[None], function_call="x"),
                                            *END])),
    "refuses-apart": _says(_events([*(_chunk({"content": None, "refusal": word})
                                      for word in WORDS), *END])),
    "talks-after-the-end": _says(_events(ALL) + b"data: nothing of this is read\n\n"),
}
"""Those that tell how many tokens there were."""

DIALECTS = COUNTING | {
    "no-number": _says(_events([{"choices": [{"delta": {"content": word}}]} for word in WORDS]
                               + [{"choices": [{"delta": {}, "finish_reason": "stop"}]}])),
    "half-a-count": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": 12, "completion_tokens": None}}])),
    "count-in-words": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": "12", "completion_tokens": "3"}}])),
    "counts-below-nothing": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": -1, "completion_tokens": -1, "total_tokens": -2}}])),
    "counts-beyond-measure": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": 10**400, "completion_tokens": 10**400, "total_tokens": 1}}])),
    "counts-nothing": _says(_events([{**chunk, "usage": {
        "prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}} for chunk in ALL])),
    "no-stream-options": _refuses_stream_options(400, {"error": {
        "message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error", "param": None, "code": None}}),
    "no-extra-inputs": _refuses_stream_options(422, {"detail": [{
        "type": "extra_forbidden", "loc": ["body", "stream_options"],
        "msg": "Extra inputs are not permitted"}]}),
}
"""By the name of the model asked for."""


def _whole(**more: Any) -> dict:
    return {"choices": [{"message": {"content": TEXT, **more}}]}


WHOLES: dict[str, Callable[[Answer, Request], None]] = {
    "as-documented": _says(json.dumps(WHOLE).encode(), "application/json"),
    "as-plain-text": _says(json.dumps(WHOLE).encode(), "text/plain"),
    "least": _says(json.dumps(_whole()).encode(), "application/json"),
    "another-role": _says(json.dumps(_whole(role="model")).encode(), "application/json"),
    "in-parts": _says(json.dumps(_whole(content=[{"type": "text", "text": word} for word in WORDS]
                                        )).encode(), "application/json"),
}
"""Ways to say TEXT where no stream is asked for."""

WHAT_IS_WRONG = "The graphics card fell over"
_WRONG = {"message": WHAT_IS_WRONG, "type": "gpu", "param": None, "code": None}
ERRORS: dict[str, Callable[[Answer, Request], None]] = {
    "document": _says(json.dumps({"error": _WRONG}).encode(), "application/json"),
    "document-as-a-stream": _says(json.dumps({"error": _WRONG}, indent=2).encode()),
    "text": _says(json.dumps({"error": WHAT_IS_WRONG}).encode(), "application/json"),
    "detail": _says(json.dumps({"detail": WHAT_IS_WRONG}).encode(), "application/json"),
    "several": _says(json.dumps({"success": False, "errors": [_WRONG]}).encode()),
    "in-a-list": _says(json.dumps([{"error": _WRONG}]).encode(), "application/json"),
    "mid-stream": _says(_events([*MIDDLE, {"error": _WRONG}])),
    "mid-stream-text": _says(_events([*MIDDLE, {"error": WHAT_IS_WRONG, "error_type": "gpu"}])),
    "mid-stream-object": _says(_events([*MIDDLE, {"object": "error", **_WRONG, "code": 400}])),
    "mid-stream-with-choices": _says(_events([*MIDDLE, {**_chunk({"content": ""}, "error"),
                                                        "error": _WRONG}])),
    "mid-stream-named": _says(_events(MIDDLE, done=False)
                              + _events([_WRONG], before=b"event: error\ndata: ")),
    "mid-stream-in-words": _says(_events(MIDDLE, done=False)
                                 + b"event: error\ndata: " + WHAT_IS_WRONG.encode() + b"\n\n"),
    "mid-stream-line": _says(_events(MIDDLE, done=False) + b"error: "
                             + json.dumps(_WRONG).encode() + b"\n\n"),
    "page": lambda answer, request: answer.send(
        400, f"<html><head><title>{WHAT_IS_WRONG}</title></head><body><h1>Oh</h1></body>".encode(),
        {"content-type": "text/html"}),
    "packed": lambda answer, request: answer.send(
        400, gzip.compress(json.dumps({"error": _WRONG}).encode()), {"content-encoding": "gzip"}),
}
"""Ways to say WHAT_IS_WRONG; those in mid-stream after TEXT."""
