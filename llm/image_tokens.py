"""What a picture costs a model in tokens, by the formulas that the vendors publish.

A rule is chosen by its name, which is data beside a model (or a user's choice):
nothing here looks at a model's name. Every figure is an estimate: the reply's
own count, where the service gives one, is the truth.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class HasSize(Protocol):
    """Anything with a width and a height in pixels: a `Picture`, say."""

    @property
    def width(self) -> int: ...
    @property
    def height(self) -> int: ...


@dataclass(frozen=True)
class ImageTokenRule:
    """How one family counts. `count` maps (width, height) in pixels to tokens."""

    label: str
    source: str
    """Where the formula is published."""
    count: Callable[[int, int], int]


def estimate_image_tokens(picture: HasSize, rule: str) -> int:
    """Tokens for one picture by the rule of this name, a key of `IMAGE_TOKEN_RULES`."""
    return IMAGE_TOKEN_RULES[rule].count(picture.width, picture.height)


def _openai_tiles(base: int, tile: int) -> Callable[[int, int], int]:
    # Fitted into 2,048 × 2,048, then the shorter side down to 768; tiles of 512.
    def count(width: int, height: int) -> int:
        scale = min(1, 2048 / max(width, height))
        scale = min(scale, 768 / min(width, height))
        return base + tile * _tiles(width * scale, 512) * _tiles(height * scale, 512)
    return count


def _openai_patches(limit: int, multiplier: float) -> Callable[[int, int], int]:
    # Patches of 32; a picture of more than `limit` is shrunk until it fits.
    def count(width: int, height: int) -> int:
        patches = _tiles(width, 32) * _tiles(height, 32)
        if patches > limit:
            scale = math.sqrt(32 * 32 * limit / (width * height))
            columns, rows = width * scale / 32, height * scale / 32
            scale *= min(math.floor(columns) / columns if columns >= 1 else 1,
                         math.floor(rows) / rows if rows >= 1 else 1)
            patches = min(limit, _tiles(width * scale, 32) * _tiles(height * scale, 32))
        return math.ceil(patches * multiplier)
    return count


def _gemini(width: int, height: int) -> int:
    # Up to 384 × 384 one tile; else tiles of a crop unit between 256 and 768.
    if max(width, height) <= 384:
        return 258
    unit = min(768, max(256, math.floor(min(width, height) / 1.5)))
    return 258 * _tiles(width, unit) * _tiles(height, unit)


def _idefics3(longest: int, tile: int, each: int) -> Callable[[int, int], int]:
    # The longer side is brought to `longest`, up or down; both sides are filled up to
    # tiles, and the whole picture is added as one more. Each tile has two marks of its
    # own, each row a line break, the whole picture three.
    def count(width: int, height: int) -> int:
        scale = longest / max(width, height)
        columns, rows = _tiles(width * scale, tile), _tiles(height * scale, tile)
        if columns * rows == 1:
            return each + 3
        return columns * rows * (each + 2) + rows + each + 3
    return count


def _qwen(patch: int, least: int, most: int) -> Callable[[int, int], int]:
    def count(width: int, height: int) -> int:
        tokens = max(1, round(width / patch)) * max(1, round(height / patch))
        return min(most, max(least, tokens))
    return count


def _tiles(length: float, tile: int) -> int:
    # The rounding keeps 768.0000001 pixels from costing a tile more.
    return max(1, math.ceil(round(length, 6) / tile))


_OPENAI = "https://platform.openai.com/docs/guides/images-vision#calculating-costs"

IMAGE_TOKEN_RULES: dict[str, ImageTokenRule] = {
    "openai-tiles": ImageTokenRule(
        "OpenAI, tiles (GPT-4o, GPT-4.1)", _OPENAI, _openai_tiles(85, 170)),
    "openai-tiles-5": ImageTokenRule(
        "OpenAI, tiles (GPT-5)", _OPENAI, _openai_tiles(70, 140)),
    "openai-patches": ImageTokenRule(
        "OpenAI, patches (mini models)", _OPENAI, _openai_patches(1536, 1.62)),
    "openai-patches-nano": ImageTokenRule(
        "OpenAI, patches (nano models)", _OPENAI, _openai_patches(1536, 2.46)),
    "gemini": ImageTokenRule(
        "Gemini", "https://ai.google.dev/gemini-api/docs/image-understanding", _gemini),
    "idefics3": ImageTokenRule(
        "SmolVLM and Idefics3", "transformers/models/idefics3/processing_idefics3.py",
        _idefics3(longest=2048, tile=512, each=64)),
    "qwen-vl": ImageTokenRule(
        "Qwen-VL", "transformers/models/qwen2_vl/image_processing_qwen2_vl.py",
        _qwen(28, 4, 16_384)),
    "gemma3": ImageTokenRule(
        "Gemma 3", "transformers/models/gemma3/processing_gemma3.py", lambda width, height: 256),
    "none": ImageTokenRule("No tokens: not a language model", "", lambda width, height: 0),
}
