"""How many tokens a text is: by the model's own tokenizer where it is at hand, else estimated.

It never fetches anything, and says of each count whether it was measured.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from tokenizers import Tokenizer

from llm.catalog import ModelSpec


@dataclass(frozen=True)
class TokenCount:
    tokens: int
    measured: bool
    """False: estimated at four characters a token, as English mostly is."""

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.tokens + other.tokens, self.measured and other.measured)


MESSAGE_OVERHEAD = 4
"""Tokens that a chat template puts around one message: its start, role, newline and end."""


def count_tokens(spec: ModelSpec, text: str) -> TokenCount:
    """The tokens of a text standing alone, without a chat template's."""
    from llm.weights import tokenizer_file

    tokenizer = _tokenizer(tokenizer_file(spec))
    if tokenizer is not None:
        return TokenCount(len(tokenizer.encode(text, add_special_tokens=False).ids), True)
    return TokenCount(count_tokens_approximately([HumanMessage(text)], extra_tokens_per_message=0),
                      False)


def count_message_tokens(spec: ModelSpec, messages: Sequence[BaseMessage]) -> TokenCount:
    """The tokens of messages as sent, an estimate of the chat template's share included."""
    total = TokenCount(0, True)
    for message in messages:
        pictures = [block for block in message.content if isinstance(block, dict)
                    and block.get("type") in ("image", "image_url")] \
            if isinstance(message.content, list) else []
        total += count_tokens(spec, message.text)
        total += TokenCount(MESSAGE_OVERHEAD, True)
        if pictures:
            total += TokenCount(count_tokens_approximately([HumanMessage(pictures)]), False)
    return total


@functools.lru_cache(maxsize=8)
def _tokenizer(path: Path | None) -> Tokenizer | None:
    return None if path is None else Tokenizer.from_file(str(path))
