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
from typing import TYPE_CHECKING, Any

from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.messages.utils import count_tokens_approximately
from PIL import Image
from tokenizers import Tokenizer

from llm.catalog import ModelSpec
from llm.errors import UnsupportedModelError
from llm.image_tokens import estimate_image_tokens
from llm.message_text import plain_tokens, without_surrogates

if TYPE_CHECKING:
    from llm.chat_templates import ChatTemplate


@dataclass(frozen=True)
class TokenCount:
    tokens: int
    measured: bool
    """False: estimated at four characters a token, as English mostly is."""

    def __add__(self, other: TokenCount) -> TokenCount:
        return TokenCount(self.tokens + other.tokens, self.measured and other.measured)


MESSAGE_OVERHEAD = 4
"""Tokens that a chat template puts around one message: its start, role, newline and end. A
guess, for where the template is not at hand."""
LOOK_AGAIN_SECONDS = 10
"""A tokenizer that was not there may have come with the model's weights by then."""
MAX_COUNTS = 50_000

_counts: dict[bytes, int] = {}
_readings: dict[ModelSpec, _Reading] = {}


def count_tokens(spec: ModelSpec, text: str) -> TokenCount:
    """The tokens of a text as it is sent, standing alone, without a chat template's."""
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
        known = _counts[key] = _count(tokenizer, spec, text)
    return TokenCount(known, tokenizer is not None)


def _count(tokenizer: Tokenizer | None, spec: ModelSpec, text: str) -> int:
    text = without_surrogates(text)
    if tokenizer is not None:
        sent = plain_tokens(text, _special_tokens(spec))
        return len(tokenizer.encode(sent, add_special_tokens=False).ids)
    return count_tokens_approximately([HumanMessage(text)], extra_tokens_per_message=0)


@functools.lru_cache(maxsize=32)
def _special_tokens(spec: ModelSpec) -> frozenset[str]:
    added = tokenizer_of(spec).get_added_tokens_decoder().values()
    return frozenset(token.content for token in added if token.special)


def count_message_tokens(spec: ModelSpec, messages: Sequence[BaseMessage]) -> TokenCount:
    """The tokens of messages as sent, with the chat template's share of each.

    What it puts around them all, `count_template_tokens` says.
    """
    tokenizer = tokenizer_of(spec)
    total = TokenCount(_share(spec).message * len(messages), True)
    for message in messages:
        total += _count_by(tokenizer, spec, message.text)
        if isinstance(message.content, list):
            for block in message.content:
                if isinstance(block, dict) and block.get("type") in ("image", "image_url"):
                    total += TokenCount(_count_picture(spec, block), False)
    return total


def count_template_tokens(spec: ModelSpec, *, has_system: bool) -> TokenCount:
    """What a chat template puts into a request beside its messages: the beginning of the reply
    and, where there is no system message, often one of its own. 0 where it is not at hand."""
    share = _share(spec)
    return TokenCount(share.around if has_system else share.without_system, True)


def count_request_tokens(spec: ModelSpec, messages: Sequence[BaseMessage]) -> TokenCount:
    """The tokens of all that a model reads for these messages."""
    has_system = any(message.type == "system" for message in messages)
    return (count_message_tokens(spec, messages)
            + count_template_tokens(spec, has_system=has_system))


@dataclass(frozen=True)
class _Share:
    """A chat template's own tokens: in each message, and around them all."""

    message: int = MESSAGE_OVERHEAD
    around: int = 0
    without_system: int = 0


def _share(spec: ModelSpec) -> _Share:
    reading = _reading(spec)
    return _Share() if reading is None else reading.share


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
    reading = _reading(spec, at_once=at_once)
    return None if reading is None else reading.tokenizer


@dataclass(frozen=True)
class _Reading:
    """How a model reads: found together, for weights may be gone at another look."""

    tokenizer: Tokenizer
    share: _Share


def _reading(spec: ModelSpec, *, at_once: bool = False) -> _Reading | None:
    if spec not in _readings:
        reading = _look_for_reading.__wrapped__(spec, 0) if at_once else \
            _look_for_reading(spec, int(time.monotonic() // LOOK_AGAIN_SECONDS))
        if reading is None:
            return None
        _readings[spec] = reading
    return _readings[spec]


@functools.lru_cache(maxsize=32)
def _look_for_reading(spec: ModelSpec, period: int) -> _Reading | None:
    # Looking means reading the header of the model's weights: too slow for each message.
    from llm.chat_templates import find_template  # which counts with this module
    from llm.weights import tokenizer_file

    if (file := tokenizer_file(spec)) is None:
        return None
    tokenizer = Tokenizer.from_file(str(file))
    return _Reading(tokenizer, _measure_share(tokenizer, find_template(spec)))


def _measure_share(tokenizer: Tokenizer, template: ChatTemplate | None) -> _Share:
    if template is None:
        return _Share()

    def own(*roles: str) -> int:
        filled = template.fill([{"role": role, "content": "word"} for role in roles], when=0)
        return sum(len(tokenizer.encode(text, add_special_tokens=False).ids)
                   for text in filled.split("word"))

    try:
        one, three = own("user"), own("user", "assistant", "user")
    except UnsupportedModelError:  # it takes no such chat
        return _Share()
    message = (three - one) // 2
    try:
        around = own("system", "user") - 2 * message
    except UnsupportedModelError:
        around = one - message
    return _Share(message, max(around, 0), max(one - message, 0))
