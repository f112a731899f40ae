"""What a chat completions server streams, whatever its dialect: one plain event for each piece.

    async for event in aread_events(response):
        event["choices"][0]["delta"]["content"]

Servers mean the same and write it in many ways: with other line ends, an event over several
lines, lines of bare JSON, or the whole answer in one piece where a stream was asked for. What
they say of its kind (`content-type`) is often wrong, so only what came is looked at. Bounds on
it are `llm.connections`'. This module does not know LangChain, models or addresses.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx2

from llm.errors import BrokenReplyError
from llm.failed_request import message_within
from llm.message_text import without_surrogates

MAX_TOKENS = 1_000_000_000
"""Of one prompt or reply: more is no count."""

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


class StreamedError(Exception):
    """A server said within its stream that something went wrong. `body` is what it said."""

    def __init__(self, body: Any):
        super().__init__("the server reported an error in its stream")
        self.body = body


def read_events(response: httpx2.Response) -> Iterator[dict]:
    """The events of an answer that is under way, each as `tidy` leaves it.

    Raises `StreamedError`, `BrokenReplyError`, ValueError for what is no JSON, and httpx2's.
    """
    reader = EventReader()
    for data in response.iter_bytes():
        yield from map(_checked, reader.feed(data))
        if reader.are_done:
            return
    yield from map(_checked, reader.end())


async def aread_events(response: httpx2.Response) -> AsyncIterator[dict]:
    """The same, asynchronous."""
    reader = EventReader()
    count = 0
    async for data in response.aiter_bytes():
        for event in reader.feed(data):
            count += 1
            if count % 50 == 0:
                # Where many are there already, nothing here waits: so all other replies would.
                await asyncio.sleep(0)
            yield _checked(event)
        if reader.are_done:
            return
    for event in reader.end():
        yield _checked(event)


class EventReader:
    """Cuts an answer's bytes into the JSON values in it: server-sent events, or JSON alone.

    By bytes and line ends alone: a decoder that splits text at every Unicode line break
    tears JSON strings apart, and one that replaces bad bytes hides that they were bad.
    """

    def __init__(self) -> None:
        self.are_done = False
        self._has_begun = False
        self._rest = bytearray()
        """The line that is not whole yet."""
        self._name = b""
        """The event's."""
        self._event: list[bytes] = []
        """Its data so far, where that takes several lines."""
        self._document: list[bytes] = []
        """The same for JSON that is in no event."""

    def feed(self, data: bytes) -> Iterator[Any]:
        is_within_line = not (self._rest.endswith(b"\r") or b"\r" in data or b"\n" in data)
        self._rest += data
        if is_within_line:
            return  # a long one may come in any number of pieces: each is looked at once
        lines = bytes(self._rest).splitlines(keepends=True)
        # Of a line that ends in \r the \n may be still to come.
        self._rest = bytearray(lines.pop() if lines and not lines[-1].endswith(b"\n") else b"")
        for line in lines:
            yield from self._line(line.strip())
            if self.are_done:
                return

    def end(self) -> Iterator[Any]:
        yield from self._line(bytes(self._rest).strip())
        yield from _joined(self._event)
        yield from _joined(self._document)

    def _line(self, line: bytes) -> Iterator[Any]:
        if not self._has_begun:
            line, self._has_begun = line.removeprefix(_BYTE_ORDER_MARK).lstrip(), True
        if line.startswith(b"data:"):
            data = line[5:].lstrip()
            if self._name == b"error":
                raise StreamedError(_error_within(data))
            yield from self._take(data, self._event)
        elif not line:
            self._name = b""
            yield from _joined(self._event)
        elif line.startswith(b"event:"):
            self._name = line[6:].lstrip()
        elif line.startswith(b"error:"):  # llama.cpp's, once
            raise StreamedError(_error_within(line[6:]))
        elif self._document or line.startswith((b"{", b"[")):
            yield from self._take(line, self._document)

    def _take(self, text: bytes, lines: list[bytes]) -> Iterator[Any]:
        """The value of a line, or nothing where it takes the next lines too."""
        if text.startswith(b"[DONE]"):
            self.are_done = True
        elif lines:
            lines.append(text)
        elif text:
            try:
                value = _parsed(text)
            except ValueError:
                lines.append(text)
            else:
                yield value


def _joined(lines: list[bytes]) -> Iterator[Any]:
    if lines:
        text = b"\n".join(lines)
        lines.clear()
        yield _parsed(text)


def _parsed(text: bytes) -> Any:
    return json.loads(text.decode("utf-8"))


def _error_within(text: bytes) -> Any:
    try:
        told = _parsed(text)
    except ValueError:
        told = text.decode("utf-8", "replace")
    return (told.get("error") or told) if isinstance(told, dict) else {"message": told}


def _checked(event: Any) -> dict:
    """An event in the one shape that chat models read; else its error, raised."""
    _raise_error_in(event)
    if not isinstance(event, dict):
        raise BrokenReplyError("The server sent a piece that is no part of a reply. Ask again.")
    return tidy(event)


def check_whole(reply: Any) -> dict:
    """A reply that was not streamed, with the errors and the texts of the pieces of one that is."""
    _raise_error_in(reply)
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not all(
            isinstance(choice, dict) and isinstance(choice.get("message"), dict)
            for choice in choices):
        raise BrokenReplyError("The server's answer holds no reply. Ask again.")
    for choice in choices:
        choice["message"] = _message(choice["message"])
        choice["finish_reason"] = _reason(choice)
    reply["usage"] = _usage(reply, choices)
    return reply


def _raise_error_in(said: Any) -> None:
    if isinstance(said, list) and len(said) == 1:  # Google's
        said = said[0]
    if not isinstance(said, dict):
        return
    if error := said.get("error"):
        # Text Generation Inference puts the kind of error beside its text.
        raise StreamedError(error if isinstance(error, dict) else
                            {"message": error, "type": said.get("error_type")})
    if not said.get("choices") and message_within(said):
        raise StreamedError(said)  # as vLLM once did, and web frameworks do


def tidy(event: dict) -> dict:
    """An event with a piece of text and, if it has any, counts of tokens.

    Some servers have no delta in the last one, or the whole message in the only one, or text in
    parts; some count in words, or half, or not at all and say 0. Raises `BrokenReplyError` for a
    piece that is no text.
    """
    found = event.get("choices")
    choices = [choice for choice in found if isinstance(choice, dict)] \
        if isinstance(found, list) else []
    for choice in choices:
        # Where there are both, the message is all that was said so far.
        delta = choice["delta"] if isinstance(choice.get("delta"), dict) else choice.get("message")
        choice["delta"] = _message(delta if isinstance(delta, dict) else {})
        choice["finish_reason"] = _reason(choice)
    return {**event, "choices": choices, "usage": _usage(event, choices)}


def _usage(event: dict, choices: list[dict]) -> dict | None:
    # Groq has had it apart, Moonshot has it in the choice.
    for place in (event, event.get("x_groq"), *choices):
        usage = place.get("usage") if isinstance(place, dict) else None
        counts = [usage.get(name) for name in ("prompt_tokens", "completion_tokens")] \
            if isinstance(usage, dict) else []
        # Nothing is answered that is no token long, nor longer than any window: such a server
        # does not count.
        if (counts and all(isinstance(count, int) and 0 <= count <= MAX_TOKENS for count in counts)
                and counts[0]):
            details = {name: parts for name, parts in usage.items() if isinstance(parts, dict)
                       and all(isinstance(count, int | None) for count in parts.values())}
            return {**details, "prompt_tokens": int(counts[0]), "completion_tokens": int(counts[1]),
                    "total_tokens": sum(counts)}
    return None


def _message(said: dict) -> dict:
    """A message, or a piece of one, without calls of tools that are none."""
    calls, call = said.pop("tool_calls", None), said.pop("function_call", None)
    if isinstance(calls, list) and all(isinstance(each, dict) and isinstance(
            each.get("function"), dict) for each in calls):
        said["tool_calls"] = calls
    if isinstance(call, dict):
        said["function_call"] = call
    # Where a model of OpenAI's refuses, it says so in a place of its own.
    content = said.get("content")
    text = _text(said.get("refusal") if content is None else content)
    return {**said, "role": "assistant", "content": text}


def _reason(choice: dict) -> str | None:
    """Why the reply ended. What is no word is a way to say that it did."""
    reason = choice.get("finish_reason")
    return reason if isinstance(reason, str | None) else "stop"


def _text(content: Any) -> str | None:
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)
                 and part.get("type") in ("text", None)]
        content = "".join(part for part in parts if isinstance(part, str))
    if not isinstance(content, str | None):
        raise BrokenReplyError("The server sent a piece that is not text. Ask again.")
    return without_surrogates(content) if content else content
