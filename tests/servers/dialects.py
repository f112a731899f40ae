"""A chat completions server that answers well, in the dialect that the model's name says.

Each is how some server or proxy out there speaks: see DIALECTS. All of them say WORDS.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from tests.servers.recording import USAGE, Answer, Request

WORDS = ("नमस्ते", " good", " morning", ".")
TEXT = "".join(WORDS)


class Speaker(Answer):
    def answer(self, request: Request) -> None:
        DIALECTS[request.json["model"]](self, request)


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


def _says(content: bytes, content_type: str = "text/event-stream", pieces_of: int = 50
          ) -> Callable[[Answer, Request], None]:
    def answer_(answer: Answer, request: Request) -> None:
        answer.begin_stream(content_type)
        for start in range(0, len(content), pieces_of):
            answer.raw(content[start:start + pieces_of])
    return answer_


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
}
"""Those that tell how many tokens there were."""

DIALECTS = COUNTING | {
    "no-number": _says(_events([{"choices": [{"delta": {"content": word}}]} for word in WORDS]
                               + [{"choices": [{"delta": {}, "finish_reason": "stop"}]}])),
    "half-a-count": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": 12, "completion_tokens": None}}])),
    "count-in-words": _says(_events([*MIDDLE, END[0], {**COUNTED, "usage": {
        "prompt_tokens": "12", "completion_tokens": "3"}}])),
    "no-stream-options": _refuses_stream_options(400, {"error": {
        "message": "Unrecognized request argument supplied: stream_options",
        "type": "invalid_request_error", "param": None, "code": None}}),
    "no-extra-inputs": _refuses_stream_options(422, {"detail": [{
        "type": "extra_forbidden", "loc": ["body", "stream_options"],
        "msg": "Extra inputs are not permitted"}]}),
}
"""By the name of the model asked for."""
