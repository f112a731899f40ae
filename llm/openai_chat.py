"""ChatOpenAI for OpenAI, for Google's compatible address, and for any other server by its URL.

A module of its own, because the openai library takes most of a second to import: whoever
asks only open models never waits for it. This module does not know keys or the catalog.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import Any, Self

# The openai library looks into httpx wherever that is loaded, half loaded too: another
# thread that imports it meanwhile would fail the first reply. Whole before any begins.
import httpx  # noqa: F401
import httpx2
from langchain_core.outputs import ChatResult
from langchain_openai import ChatOpenAI
from openai import AsyncOpenAI, AsyncStream, BaseModel, OpenAI, Stream
from pydantic import model_validator

from llm.chat_events import aread_events, check_whole, read_events
from llm.chat_models import CountedOnce
from llm.message_text import map_texts, without_surrogates


class OpenAIChat(CountedOnce, ChatOpenAI):
    """ChatOpenAI. `renames_max_tokens`: only OpenAI itself wants `max_completion_tokens`."""

    renames_max_tokens: bool = False

    @model_validator(mode="after")
    def _leave_chunks_plain(self) -> Self:
        self.client = PlainChunks(self.root_client)
        self.async_client = AsyncPlainChunks(self.root_async_client)
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

    def _create_chat_result(self, response: Any, *args: Any, **kwargs: Any) -> ChatResult:
        """Of a reply that was not streamed."""
        is_typed = isinstance(response, BaseModel)
        whole = check_whole(response.model_dump(warnings=False) if is_typed else response)
        if is_typed:  # It holds more than JSON does: what structured output was made of it.
            for choice, plain in zip(response.choices, whole["choices"], strict=True):
                choice.message.role = plain["message"]["role"]
                choice.message.content = plain["message"]["content"]
                choice.finish_reason = plain["finish_reason"]
        return super()._create_chat_result(response, *args, **kwargs)


class PlainChunks:
    """`client.chat.completions`, whose streamed chunks stay JSON objects, in one plain shape.

    The library makes a typed object of each, of which ChatOpenAI makes a JSON object again: a
    third of all that the app computes while many replies stream.
    """

    def __init__(self, client: OpenAI):
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    def create(self, **payload: Any) -> Any:
        if not _is_plain(payload):
            return self._client.chat.completions.create(**payload)
        return _streamed(self._client.post(**_post(payload), stream_cls=Stream[object]).response)


class AsyncPlainChunks:
    """The same, asynchronous."""

    def __init__(self, client: AsyncOpenAI):
        self._client = client

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client.chat.completions, name)

    async def create(self, **payload: Any) -> Any:
        if not _is_plain(payload):
            return await self._client.chat.completions.create(**payload)
        stream = await self._client.post(**_post(payload), stream_cls=AsyncStream[object])
        return _astreamed(stream.response)


def _is_plain(payload: dict[str, Any]) -> bool:
    apart = {"extra_headers", "extra_query", "extra_body", "timeout"} & payload.keys()
    return bool(payload.get("stream")) and not apart


def _post(payload: dict[str, Any]) -> dict[str, Any]:
    return {"path": "/chat/completions", "body": payload, "cast_to": object, "stream": True}


@contextmanager
def _streamed(response: httpx2.Response) -> Iterator[Iterator[dict]]:
    try:
        yield read_events(response)
    finally:
        response.close()


@asynccontextmanager
async def _astreamed(response: httpx2.Response) -> AsyncIterator[AsyncIterator[dict]]:
    try:
        yield aread_events(response)
    finally:
        await response.aclose()
