"""ChatOpenAI for OpenAI, for Google's compatible address, and for any other server by its URL.

A module of its own, because the openai library takes most of a second to import: whoever
asks only open models never waits for it. This module does not know keys or the catalog.
"""

from __future__ import annotations

from typing import Any

# The openai library looks into httpx wherever that is loaded, half loaded too: another
# thread that imports it meanwhile would fail the first reply. Whole before any begins.
import httpx  # noqa: F401
from langchain_openai import ChatOpenAI

from llm.chat_models import CountedOnce
from llm.message_text import map_texts, without_surrogates


class OpenAIChat(CountedOnce, ChatOpenAI):
    """ChatOpenAI. `renames_max_tokens`: only OpenAI itself wants `max_completion_tokens`."""

    renames_max_tokens: bool = False

    @classmethod
    def is_lc_serializable(cls) -> bool:
        return False  # it holds connections, which its parent would leave out

    def _get_request_payload(self, *args: Any, **kwargs: Any) -> dict:
        payload = super()._get_request_payload(*args, **kwargs)
        if not self.renames_max_tokens and "max_completion_tokens" in payload:
            payload["max_tokens"] = payload.pop("max_completion_tokens")
        payload["messages"] = map_texts(payload["messages"], without_surrogates)
        return payload
