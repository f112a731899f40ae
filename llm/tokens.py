"""How many tokens a text is: by the model's own tokenizer where it is at hand, else estimated.

It never fetches anything, and says of each count whether it was measured.
"""

from __future__ import annotations

import base64
import functools
import hashlib
import io
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from PIL import Image
from tokenizers import Tokenizer

from llm.catalog import ModelSpec
from llm.image_tokens import estimate_image_tokens


@dataclass(frozen=True)
class TokenCount:
    tokens: int
    measured: bool
    """False: estimated at four characters a token, as English mostly is."""

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.tokens + other.tokens, self.measured and other.measured)


MESSAGE_OVERHEAD = 4
"""Tokens that a chat template puts around one message: its start, role, newline and end."""
LOOK_AGAIN_SECONDS = 10
"""A tokenizer that was not there may have come with the model's weights by then."""
MAX_COUNTS = 50_000

_counts: dict[bytes, int] = {}
_tokenizers: dict[ModelSpec, Tokenizer] = {}


def count_tokens(spec: ModelSpec, text: str) -> TokenCount:
    """The tokens of a text standing alone, without a chat template's."""
    return _count_by(tokenizer_of(spec), spec, text)


def _count_by(tokenizer: Tokenizer | None, spec: ModelSpec, text: str) -> TokenCount:
    # A page counts the same conversation each time it is drawn. The texts themselves are
    # not held on to: they are people's.
    name = f"{spec.id} {spec.model}" if tokenizer is not None else ""
    key = hashlib.blake2b(f"{name}\n{text}".encode("utf-8", "surrogatepass"),
                          digest_size=16).digest()
    if (known := _counts.get(key)) is None:
        if len(_counts) >= MAX_COUNTS:
            _counts.clear()
        known = _counts[key] = _count(tokenizer, text)
    return TokenCount(known, tokenizer is not None)


def _count(tokenizer: Tokenizer | None, text: str) -> int:
    if tokenizer is not None:
        return len(tokenizer.encode(text, add_special_tokens=False).ids)
    return count_tokens_approximately([HumanMessage(text)], extra_tokens_per_message=0)


def count_message_tokens(spec: ModelSpec, messages: Sequence[BaseMessage]) -> TokenCount:
    """The tokens of messages as sent, an estimate of the chat template's share included."""
    tokenizer = tokenizer_of(spec)
    total = TokenCount(MESSAGE_OVERHEAD * len(messages), True)
    for message in messages:
        total += _count_by(tokenizer, spec, message.text)
        if isinstance(message.content, list):
            for block in message.content:
                if isinstance(block, dict) and block.get("type") in ("image", "image_url"):
                    total += TokenCount(_count_picture(spec, block), False)
    return total


def _count_picture(spec: ModelSpec, block: dict[str, Any]) -> int:
    """By the rule that the model's maker publishes, where the catalog names it."""
    head, _comma, data = block.get("image_url", {}).get("url", "").partition("base64,")
    if spec.image_tokens is None or not head.startswith("data:"):
        return count_tokens_approximately([HumanMessage([block])], extra_tokens_per_message=0)
    with Image.open(io.BytesIO(base64.b64decode(data)), formats=["PNG", "JPEG"]) as image:
        return estimate_image_tokens(image, spec.image_tokens)


def tokenizer_of(spec: ModelSpec, *, at_once: bool = False) -> Tokenizer | None:
    """The model's own tokenizer, or None where it is not on this machine as a file.

    `at_once`: one that has only just come is found too, and the look takes its time.
    """
    if spec not in _tokenizers:
        tokenizer = _look_for_tokenizer.__wrapped__(spec, 0) if at_once else \
            _look_for_tokenizer(spec, int(time.monotonic() // LOOK_AGAIN_SECONDS))
        if tokenizer is None:
            return None
        _tokenizers[spec] = tokenizer
    return _tokenizers[spec]


@functools.lru_cache(maxsize=32)
def _look_for_tokenizer(spec: ModelSpec, period: int) -> Tokenizer | None:
    # Looking means reading the header of the model's weights: too slow for each message.
    from llm.weights import tokenizer_file

    file = tokenizer_file(spec)
    return None if file is None else Tokenizer.from_file(str(file))
