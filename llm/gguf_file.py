"""The head of a GGUF file, read with nothing but the standard library.

Enough to say whether a file is whole and how much memory its context takes. The gguf
package does far more, and takes seconds and numpy for it.
Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md

This module does not know engines or models.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from llm.errors import UnsupportedModelError, WeightsDamagedError

_MAGIC = b"GGUF"
_SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?",
            10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9

_BLOCKS = {
    0: (1, 4), 1: (1, 2), 2: (32, 18), 3: (32, 20), 6: (32, 22), 7: (32, 24), 8: (32, 34),
    9: (32, 36), 10: (256, 84), 11: (256, 110), 12: (256, 144), 13: (256, 176), 14: (256, 210),
    15: (256, 292), 24: (1, 1), 25: (1, 2), 26: (1, 4), 27: (1, 8), 28: (1, 8), 30: (1, 2),
}
"""By ggml's tensor type: values a block, bytes a block. Types that are not here (there are
new ones every year) are left to the engine to check."""


@dataclass(frozen=True)
class Header:
    metadata: dict[str, Any]
    """Numbers, truth values and strings; arrays are left out."""
    data_end: int
    """The length in bytes that the file must have at least, as far as known."""

    @property
    def architecture(self) -> str:
        return str(self.metadata.get("general.architecture", ""))

    def context_bytes(self) -> int:
        """Memory that one token of context takes: keys and values of every layer, 16 bits each.

        0 where the file does not say enough (each layer its own, or no attention at all).
        """
        def number(name: str) -> int:
            value = self.metadata.get(f"{self.architecture}.{name}")
            return value if isinstance(value, int) else 0

        heads = number("attention.head_count")
        width = number("embedding_length") // heads if heads else 0
        key, value = (number(f"attention.{part}_length") or width for part in ("key", "value"))
        kv_heads = number("attention.head_count_kv") or heads
        return number("block_count") * kv_heads * (key + value) * 2


class _Cursor:
    def __init__(self, data: mmap.mmap):
        self.data, self.at = data, 0

    def scalar(self, kind: str) -> Any:
        (value,) = struct.unpack_from(kind, self.data, self.at)
        self.at += struct.calcsize(kind)
        return value

    def string(self) -> bytes:
        size = self.scalar("<Q")
        start, self.at = self.at, self.at + size
        if self.at > len(self.data):
            raise struct.error("a string beyond the end")
        return self.data[start:self.at]

    def value(self, kind: int) -> Any:
        """The value, or None for an array."""
        if kind == _STRING:
            return self.string().decode(errors="replace")
        if kind != _ARRAY:
            return self.scalar(_SCALARS[kind])
        of, count = self.scalar("<I"), self.scalar("<Q")
        if of in _SCALARS:
            self.at += struct.calcsize(_SCALARS[of]) * count
        else:
            data, at, size_of = self.data, self.at, struct.Struct("<Q").unpack_from
            for _ in range(count):
                if of == _STRING:
                    at += 8 + size_of(data, at)[0]
                else:
                    self.at = at
                    self.value(of)
                    at = self.at
            self.at = at
        return None


def read_header(path: Path) -> Header:
    """The head of a GGUF file, once it is sure that the file has all its tensors.

    Raises `WeightsDamagedError` for one that is cut short or no GGUF file, and
    `UnsupportedModelError` for a version of the format that is not known.
    """
    damaged = WeightsDamagedError(
        "The weights in {file} are damaged or only half downloaded. "
        "Delete that file and fetch it again.",
        file=path.name,
    )
    with path.open("rb") as file:
        if file.read(4) != _MAGIC:
            raise damaged
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            cursor = _Cursor(data)
            cursor.at = 4
            try:
                version = cursor.scalar("<I")
                if version not in (2, 3):
                    raise UnsupportedModelError(
                        "{file} is in version {version} of the GGUF format, which is not "
                        "supported. Look for a file made with a current llama.cpp.",
                        file=path.name, version=version,
                    )
                header = _read(cursor)
            except (struct.error, KeyError, RecursionError) as error:
                raise damaged from error
            if header.data_end > len(data):
                raise damaged
    return header


def read_tokens(path: Path, ids: Collection[int]) -> dict[int, str]:
    """The vocabulary's entries of these ids, those that there are. Raises as `read_header`."""
    read_header(path)
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        cursor = _Cursor(data)
        cursor.at = 16
        for _ in range(cursor.scalar("<Q")):
            name, kind = cursor.string(), cursor.scalar("<I")
            if name != b"tokenizer.ggml.tokens":
                cursor.value(kind)
                continue
            _of, count = cursor.scalar("<I"), cursor.scalar("<Q")
            entries = (cursor.string().decode(errors="replace") for _ in range(count))
            return {number: entry for number, entry in enumerate(entries) if number in ids}
    return {}


def _read(cursor: _Cursor) -> Header:
    tensors, entries = cursor.scalar("<Q"), cursor.scalar("<Q")
    metadata: dict[str, Any] = {}
    for _ in range(entries):
        name = cursor.string().decode(errors="replace")
        value = cursor.value(cursor.scalar("<I"))
        if value is not None:
            metadata[name] = value
    ends = [0]
    for _ in range(tensors):
        cursor.string()
        elements = 1
        for _ in range(cursor.scalar("<I")):
            elements *= cursor.scalar("<Q")
        kind, offset = cursor.scalar("<I"), cursor.scalar("<Q")
        values, size = _BLOCKS.get(kind, (1, 0))
        ends.append(offset + elements // values * size)
    alignment = metadata.get("general.alignment", 32)
    start = -(-cursor.at // alignment) * alignment
    return Header(metadata, start + max(ends))
