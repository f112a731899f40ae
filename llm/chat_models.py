"""LangChain's two chat models, with what they lack for the servers that Parley speaks to.

`OpenAIChat` is ChatOpenAI: for OpenAI, for Google's compatible address, and for any
other server by its URL. `OpenChat` is ChatHuggingFace: for open models on any server.
Both stream usage, count it once, and take a lone surrogate for the damage that it is.

ChatHuggingFace speaks through `huggingface_hub`'s client, which has no connect timeout
and no retries, follows redirects anywhere, sends the token saved on this machine to any
server, and names the model "dummy". So `OpenChat` is given `ChatCompletions` instead,
which speaks the protocol itself.

This module does not know keys, catalog entries or engines: `llm.providers` does.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import httpx2
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import (
    AIMessageChunk,
    BaseMessage,
    convert_to_openai_data_block,
    is_data_content_block,
)
from langchain_core.outputs import ChatGenerationChunk
from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint
from langchain_openai import ChatOpenAI

from llm.errors import BrokenReplyError


class StreamedError(Exception):
    """A server said within its stream that something went wrong. `body` is what it said."""

    def __init__(self, body: Any):
        super().__init__("the server reported an error in its stream")
        self.body = body


class _CountedOnce:
    """Usage and the finish reason once a reply, at its end.

    Some services send the count so far with every chunk; LangChain would add them up.
    """

    def _stream(self, *args: Any, **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        tail = _Tail()
        for chunk in super()._stream(*args, **kwargs):  # type: ignore[misc]
            if tail.cut_from(chunk):
                yield chunk
        yield from tail.chunk()

    async def _astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        tail = _Tail()
        async for chunk in super()._astream(*args, **kwargs):  # type: ignore[misc]
            if tail.cut_from(chunk):
                yield chunk
        for chunk in tail.chunk():
            yield chunk


class _Tail:
    def __init__(self) -> None:
        self._usage: Any = None
        self._has_finished = False

    def cut_from(self, chunk: ChatGenerationChunk) -> bool:
        """Take the tail off `chunk`; False if nothing is left of it."""
        message = chunk.message
        if isinstance(message, AIMessageChunk) and message.usage_metadata:
            self._usage, message.usage_metadata = message.usage_metadata, None
        if chunk.generation_info and chunk.generation_info.get("finish_reason"):
            if self._has_finished:
                chunk.generation_info = None
            self._has_finished = True
        return bool(message.content or chunk.generation_info or message.additional_kwargs
                    or getattr(message, "tool_call_chunks", None))

    def chunk(self) -> Iterator[ChatGenerationChunk]:
        if self._usage:
            yield ChatGenerationChunk(message=AIMessageChunk("", usage_metadata=self._usage))


class OpenAIChat(_CountedOnce, ChatOpenAI):
    """ChatOpenAI. `renames_max_tokens`: only OpenAI itself wants `max_completion_tokens`."""

    renames_max_tokens: bool = False

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return False  # it holds connections, which its parent would leave out

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict:
        payload = super()._get_request_payload(*args, **kwargs)
        if not self.renames_max_tokens and "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        payload["messages"] = _map_texts(payload["messages"], _without_surrogates)
        return payload


@dataclass(frozen=True)
class Address:
    """Where a chat completion is had: up to and including /v1, and by which name."""

    base_url: str
    model: str
    api_key: str | None = None
    special_tokens: frozenset[str] = frozenset()
    """The model's own, where they are known. See `plain_tokens`."""

    def find(self) -> Address:
        return self

    async def afind(self) -> Address:
        return self


class Place(Protocol):
    """Knows an address at every request, if only after a while: an `Address`, or an engine."""

    def find(self) -> Address: ...
    async def afind(self) -> Address: ...


class OpenChat(_CountedOnce, ChatHuggingFace):
    """ChatHuggingFace on any chat completions server. No text in it can forge a turn."""

    @classmethod
    def at(cls, place: Place, model_id: str, http: httpx2.Client,
           async_http: httpx2.AsyncClient) -> OpenChat:
        """The model at a place. `model_id` is its name to people; the place knows the server's."""
        endpoint = HuggingFaceEndpoint(repo_id=model_id, task="conversational", temperature=None,
                                       top_p=None, typical_p=None)
        endpoint.client = ChatCompletions(place, http)
        endpoint.async_client = AsyncChatCompletions(place, async_http)
        return cls(llm=endpoint, stream_usage=True)

    def _inherit_llm_properties(self) -> None:
        # Its defaults for another kind of request: 512 tokens, repetition penalty.
        pass

    @property
    def _default_params(self) -> dict[str, Any]:
        # The parent leaves out those that it calls its own.
        own = ("top_p", "seed", "presence_penalty", "frequency_penalty", "logprobs", "top_logprobs")
        params = {**super()._default_params, **{name: getattr(self, name) for name in own}}
        del params["model"]  # the place's name for it, unless one is bound
        return params

    def _create_message_dicts(
        self, messages: list[BaseMessage], stop: list[str] | None
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        dicts, params = super()._create_message_dicts(messages, stop)
        for message in dicts:
            if isinstance(message["content"], list):
                message["content"] = _content_parts(message["content"])
        return dicts, params

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = "huggingface"
        params["ls_model_name"] = kwargs.get("model") or self.model_id or ""
        return params


class ChatCompletions:
    """What ChatHuggingFace asks of its client: one call, to a URL that ends in /chat/completions.

    Raises httpx2's errors, `StreamedError`, and `ParleyError` where an answer makes no sense.
    """

    def __init__(self, place: Place, http: httpx2.Client):
        self._place, self._http = place, http

    def chat_completion(self, messages: list[dict], *, stream: bool = False,
                        **params: Any) -> dict | Iterator[dict]:
        request = _request(self._http, self._place.find(), messages, stream, params)
        if stream:
            return self._events(request)
        response = self._http.send(request)
        response.raise_for_status()
        return _whole(response.content)

    def _events(self, request: httpx2.Request) -> Iterator[dict]:
        response = self._http.send(request, stream=True)
        try:
            response.raise_for_status()
            events = _Events()
            for data in response.iter_bytes():
                yield from events.feed(data)
                if events.are_done:
                    return
            yield from events.feed(b"\n")
        finally:
            response.close()


class AsyncChatCompletions:
    """The same, asynchronous."""

    def __init__(self, place: Place, http: httpx2.AsyncClient):
        self._place, self._http = place, http

    async def chat_completion(self, messages: list[dict], *, stream: bool = False,
                              **params: Any) -> dict | AsyncIterator[dict]:
        request = _request(self._http, await self._place.afind(), messages, stream, params)
        if stream:
            return self._events(request)
        response = await self._http.send(request)
        response.raise_for_status()
        return _whole(response.content)

    async def _events(self, request: httpx2.Request) -> AsyncIterator[dict]:
        response = await self._http.send(request, stream=True)
        try:
            response.raise_for_status()
            events = _Events()
            async for data in response.aiter_bytes():
                for event in events.feed(data):
                    yield event
                if events.are_done:
                    return
            for event in events.feed(b"\n"):
                yield event
        finally:
            await response.aclose()


class _Events:
    """Cuts a stream of bytes into its server-sent events.

    By bytes and newlines alone: a decoder that splits text at every Unicode line break
    tears JSON strings apart, and one that replaces bad bytes hides that they were bad.
    """

    def __init__(self) -> None:
        self._rest = b""
        self.are_done = False

    def feed(self, data: bytes) -> Iterator[dict]:
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            text = line[5:].strip()
            if text == b"[DONE]":
                self.are_done = True
                return
            if text:
                yield _checked(json.loads(text.decode("utf-8")))


def _request(http: httpx2.Client | httpx2.AsyncClient, address: Address, messages: list[dict],
             stream: bool, params: dict[str, Any]) -> httpx2.Request:
    extra = params.pop("extra_body", None) or {}
    messages = _map_texts(messages, lambda text: plain_tokens(
        _without_surrogates(text), address.special_tokens))
    body = {"model": address.model, "messages": messages, "stream": stream, **params, **extra}
    headers = {"accept": "text/event-stream" if stream else "application/json"}
    if address.api_key:
        headers["authorization"] = f"Bearer {address.api_key}"
    return http.build_request(
        "POST", f"{address.base_url}/chat/completions", headers=headers,
        json={name: value for name, value in body.items() if value is not None})


def _whole(content: bytes) -> dict:
    """A reply that was not streamed."""
    reply = json.loads(content.decode("utf-8"))
    if isinstance(reply, dict) and reply.get("error"):
        raise StreamedError(reply["error"])
    choices = reply.get("choices") if isinstance(reply, dict) else None
    if not isinstance(choices, list) or not choices or not all(
            isinstance(choice, dict) and isinstance(choice.get("message"), dict)
            for choice in choices):
        raise BrokenReplyError("The server's answer holds no reply. Ask again.")
    for choice in choices:
        choice["message"]["role"] = "assistant"
    return reply


def _checked(event: Any) -> dict:
    """An event in the one shape that ChatHuggingFace reads."""
    if not isinstance(event, dict):
        raise BrokenReplyError("The server sent a piece that is no part of a reply. Ask again.")
    if error := event.get("error"):
        # Text Generation Inference puts the kind of error beside its text.
        raise StreamedError(error if isinstance(error, dict) else
                            {"message": error, "type": event.get("error_type")})
    choices = [choice for choice in event.get("choices") or [] if isinstance(choice, dict)]
    for choice in choices:
        delta = choice.get("delta")
        delta = choice["delta"] = delta if isinstance(delta, dict) else {}
        delta["role"] = "assistant"
        if not isinstance(delta.get("content"), str | None):
            raise BrokenReplyError("The server sent a piece that is not text. Ask again.")
    usage = event.get("usage")
    return {**event, "choices": choices, "usage": usage if isinstance(usage, dict) else None}


def _content_parts(blocks: Sequence[str | dict]) -> list[dict] | str:
    """LangChain's content blocks as chat completions has them; a string if all is text.

    Servers drop a block that they do not know without a word, the standard `image` first.
    """
    parts = [{"type": "text", "text": block} if isinstance(block, str)
             else convert_to_openai_data_block(block) if is_data_content_block(block)
             else block for block in blocks]
    if all(part.get("type") == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return [{"type": "text", "text": part["text"]} if part.get("type") == "text" else part
            for part in parts]


def _map_texts(messages: list[dict], change: Callable[[str], str]) -> list[dict]:
    """The messages with every text in them changed; pictures are left alone."""
    return [{**message, "content": _map_content(message.get("content"), change)}
            for message in messages]


def _map_content(content: Any, change: Callable[[str], str]) -> Any:
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [{**part, "text": change(part["text"])}
                if isinstance(part, dict) and isinstance(part.get("text"), str) else part
                for part in content]
    return content


def _without_surrogates(text: str) -> str:
    """Half a UTF-16 pair cannot be sent as UTF-8; � says that something was there."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


ZERO_WIDTH_SPACE = "\u200b"

_LOOKS_SPECIAL = re.compile(
    r"<(?=\|[^<>|\s]{1,60}\|>"          # <|im_start|>, <|eot_id|>, <|channel|>
    r"|｜[^<>]{1,60}｜>"                 # <｜User｜>
    r"|/?(?:s|bos|eos|pad|unk|mask|image|video|audio|img|eod|sep|cls)>"
    r"|(?:start|end|begin|eo)_?(?:of_)?[a-z_]{1,30}>"  # <start_of_turn>, <end_of_utterance>
    r"|/?<?SYS>>"
    r"|[a-z-]+_(?:\d+_col_\d+|token_around_image)>|global-img>"
    r"|(?:un)?used_?\d+>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|IMG"
    r"|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|THINK|gMASK|CLS|SEP|PAD|UNK|MASK|BOS|EOS)\])")


def plain_tokens(text: str, special_tokens: frozenset[str] = frozenset()) -> str:
    """`text` in which nothing reads as one of a model's own special tokens.

    A chat template is text, and many servers turn any `<|im_end|>` in it into the
    token that ends a turn, whoever wrote it. A zero-width space after the first
    character makes it plain text for the tokenizer and leaves it as it was to the eye.
    Known special tokens are broken exactly; beyond them, whatever looks like one.
    """
    text = _LOOKS_SPECIAL.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, text)
    for token in special_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, token[0] + ZERO_WIDTH_SPACE + token[1:])
    return text
