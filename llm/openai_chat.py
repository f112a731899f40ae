"""ChatOpenAI for OpenAI, for Google's compatible address, and for any other server by its URL.

A module of its own, because the openai library takes most of a second to import: whoever
asks only open models never waits for it. This module does not know keys or the catalog.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Self

# The openai library looks into httpx wherever that is loaded, half loaded too: another
# thread that imports it meanwhile would fail the first reply. Whole before any begins.
import httpx  # noqa: F401
import httpx2
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, AsyncStream
from pydantic import model_validator

from llm.chat_models import CountedOnce, is_whole, tidy, whole_events
from llm.message_text import map_texts, without_surrogates


class OpenAIChat(CountedOnce, ChatOpenAI):
    """ChatOpenAI. `renames_max_tokens`: only OpenAI itself wants `max_completion_tokens`."""

    renames_max_tokens: bool = False

    @model_validator(mode="after")
    def _leave_chunks_plain(self) -> Self:
        self.async_client = PlainChunks(self.root_async_client)
        return self

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return False  # it holds connections, which its parent would leave out

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict:
        payload = super()._get_request_payload(*args, **kwargs)
        if not self.renames_max_tokens and "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        payload["messages"] = map_texts(payload["messages"], without_surrogates)
        return payload

    def _convert_chunk_to_generation_chunk(self, chunk: dict, *args: Any, **kwargs: Any) -> Any:
        return super()._convert_chunk_to_generation_chunk(tidy(chunk), *args, **kwargs)


class PlainChunks:
    """`client.chat.completions`, whose streamed chunks stay the JSON objects that they came as.

    The library makes a typed object of each, of which ChatOpenAI makes a JSON object again: a
    third of all that the app computes while many replies stream.
    """

    def __init__(self, client: AsyncOpenAI):
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **payload: Any) -> Any:
        apart = {"extra_headers", "extra_query", "extra_body", "timeout"} & payload.keys()
        if apart or not payload.get("stream"):
            return await self._client.chat.completions.create(**payload)
        stream = await self._client.post("/chat/completions", body=payload, cast_to=object,
                                         stream=True, stream_cls=AsyncStream[object])
        return Whole(stream.response) if is_whole(stream.response) else stream


class Whole:
    """An answer in one piece, from a server that cannot stream, as a stream."""

    def __init__(self, response: httpx2.Response):
        self._response = response

    async def __aenter__(self) -> AsyncIterator[dict]:
        return self._read()

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()

    async def _read(self) -> AsyncIterator[dict]:
        for event in whole_events(await self._response.aread()):
            yield event
