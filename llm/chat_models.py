"""ChatHuggingFace for open models on any chat completions server, with what it lacks.

It speaks through `huggingface_hub`'s client, which has no connect timeout and no
retries, follows redirects anywhere, sends the token saved on this machine to any server,
and names the model "dummy". So `OpenChat` is given `ChatCompletions` instead, which
speaks the protocol itself. Text goes out such that it cannot forge a turn, pictures such
that a server knows them; usage is streamed.

This module does not know keys, catalog entries or engines: `llm.providers` does.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

import httpx2
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint

from llm.chat_events import aread_events, check_whole, read_events
from llm.errors import CannotSeeError
from llm.message_text import content_parts, has_picture, map_texts, plain_tokens, without_surrogates

QUICKLY_READ = 1_000
"""Characters that the engine on this machine reads in a fifth of a second or so."""


class CountedOnce:
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


@dataclass(frozen=True)
class Address:
    """Where a chat completion is had: up to and including /v1, and by which name."""

    base_url: str
    model: str
    api_key: str | None = None
    special_tokens: frozenset[str] = frozenset()
    """The model's own, where they are known. See `plain_tokens`."""
    to_repeat: Mapping[str, Any] = field(default_factory=dict)
    """What a request says besides that is to get the same reply each time."""
    sees: bool = True
    """False: pictures are refused here, because the server would drop them without a word."""

    def find(self) -> Address:
        return self

    async def afind(self) -> Address:
        return self


class Place(Protocol):
    """Knows an address at every request, if only after a while: an `Address`, or an engine."""

    def find(self) -> Address: ...
    async def afind(self) -> Address: ...


class OpenChat(CountedOnce, ChatHuggingFace):
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
                message["content"] = content_parts(message["content"])
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
        return check_whole(json.loads(response.content.decode("utf-8")))

    def _events(self, request: httpx2.Request) -> Iterator[dict]:
        response = self._http.send(request, stream=True)
        try:
            response.raise_for_status()
            yield from read_events(response)
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
        return check_whole(json.loads(response.content.decode("utf-8")))

    async def _events(self, request: httpx2.Request) -> AsyncIterator[dict]:
        response = await self._http.send(request, stream=True)
        try:
            response.raise_for_status()
            async for event in aread_events(response):
                yield event
        finally:
            await response.aclose()


def _request(http: httpx2.Client | httpx2.AsyncClient, address: Address, messages: list[dict],
             stream: bool, params: dict[str, Any]) -> httpx2.Request:
    if not address.sees and has_picture(messages):
        raise CannotSeeError(
            "This model takes no pictures. Take the picture out, or choose a model that sees."
        )
    extra = params.pop("extra_body", None) or {}
    if _is_to_repeat(params, messages):
        extra = {**address.to_repeat, **extra}
    messages = map_texts(messages, lambda text: plain_tokens(
        without_surrogates(text), address.special_tokens))
    body = {"model": address.model, "messages": messages, "stream": stream, **params, **extra}
    headers = {"accept": "text/event-stream" if stream else "application/json"}
    if address.api_key:
        headers["authorization"] = f"Bearer {address.api_key}"
    return http.build_request(
        "POST", f"{address.base_url}/chat/completions", headers=headers,
        json={name: value for name, value in body.items() if value is not None})


def _is_to_repeat(params: dict[str, Any], messages: list[dict]) -> bool:
    """Whether the reply is to be the same each time: with a seed and, where that costs next to
    nothing, at temperature 0. In a chat it would cost what the engine has read of it so far."""
    return params.get("seed") is not None or (
        params.get("temperature") == 0
        and all(message["role"] != "assistant" for message in messages)
        and sum(len(str(message.get("content"))) for message in messages) <= QUICKLY_READ)
