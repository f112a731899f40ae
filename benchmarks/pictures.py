"""From a picture's bytes to the reader's findings: how long, how much memory, and who waits.

Photos of 0.5, 2 and 12 megapixels, each without text and with ten lines of it.
"""

from __future__ import annotations

import asyncio
import itertools
import re
import time
from collections.abc import Iterator
from pathlib import Path

from PIL import Image, ImageDraw

from benchmarks.rows import Options, Row, row, until
from llm import build_chat_chain, create_chat_model, picture_reader, reader_process, start_reply
from llm.catalog import ModelSpec
from llm.images import read_image
from llm.replies import Reply
from tests import pictures
from tests.servers.fixed_rate import fixed_rate

SIZES = {"0.5": (816, 612), "2": (1632, 1224), "12": (4000, 3000)}
"""Megapixels, as cameras make them."""


def photo(size: tuple[int, int], lines: int, seed: int) -> bytes:
    """A JPEG of camera-like noise with so many lines of text."""
    image = pictures.camera_noise(size, seed)
    draw = ImageDraw.Draw(image)
    letters = pictures.font("DejaVuSans.ttf", size[0] // 40)
    for line in range(lines):
        draw.text((size[0] // 40, (line + 0.5) * size[1] / lines),
                  pictures.PANGRAMS[line % 5][:40], fill="white", font=letters)
    return pictures.encoded(image, "JPEG", quality=90)


def rows(options: Options) -> Iterator[Row]:
    """What `python -m benchmarks` shows."""
    reader_process.end_reader()
    small = read_image(pictures.encoded(Image.new("RGB", (64, 64), "teal")))
    picture_reader.read_picture_sync(small)  # Converts the weights, where that is still to do.
    yield row("the reader is warm after", [_seconds_to_start() for _ in options.times], "s",
              at_most=1)
    gaps, streams = [0.0], []
    with fixed_rate("word " * 4_000, rate=50) as server:
        for megapixels, size in list(SIZES.items())[:1 if options.quick else None]:
            for lines in (0, 10):
                name = f"{megapixels} megapixels, {lines or 'no'} lines of text"
                prepared, read = [], []
                for number in options.times:
                    data = photo(size, lines, seed=number)
                    stream = _stream_beside(server.base_url)
                    begun = time.perf_counter()
                    picture = read_image(data)
                    prepared.append(time.perf_counter() - begun)
                    begun = time.perf_counter()
                    gaps.append(asyncio.run(_longest_gap(picture)))
                    read.append(time.perf_counter() - begun)
                    streams.append(_longest_gap_of(stream))
                yield row(f"make safe: {name}", prepared, "s")
                yield row(f"find: {name}", read, "s")
    yield row("longest gap for other tasks of the loop meanwhile", max(gaps), "s", at_most=0.3)
    yield row("longest gap between another stream's pieces meanwhile", max(streams), "s",
              at_most=0.3, note="which come each 0.02 s")
    yield from _memory()
    reader_process.end_reader()


def _stream_beside(base_url: str) -> Reply:
    """A reply of a model elsewhere, under way while a picture is read."""
    spec = ModelSpec(id="beside", label="Beside", provider="huggingface", model="beside",
                     open=True, base_url=base_url)
    chain = build_chat_chain(create_chat_model(spec))
    reply = start_reply(chain, {"system": "", "history": [], "message": [("human", "Go on")]}, spec)
    until(lambda: reply.chunk_times, "it has begun")
    return reply


def _longest_gap_of(reply: Reply) -> float:
    reply.stop()
    times = [seconds for seconds, _length in reply.wait().chunk_times]
    return max(later - sooner for sooner, later in itertools.pairwise(times))


def _seconds_to_start() -> float:
    reader_process.end_reader()
    start = time.perf_counter()
    reader_process.start_reader().result()
    return time.perf_counter() - start


async def _longest_gap(picture) -> float:
    """Reads the picture while another task wakes every 5 ms: the longest it was kept waiting."""
    reading, longest = asyncio.create_task(picture_reader.read_picture(picture)), 0.0
    while not reading.done():
        start = time.perf_counter()
        await asyncio.sleep(0.005)
        longest = max(longest, time.perf_counter() - start - 0.005)
    await reading
    return longest


def _memory() -> Iterator[Row]:
    """Of the reader's process, by Linux's own account."""
    status = Path(f"/proc/{reader_process.reader_pid()}/status")
    text = status.read_text() if status.is_file() else ""
    for what, name in (("at most", "VmHWM"), ("afterwards", "VmRSS")):
        if found := re.search(rf"{name}:\s+(\d+) kB", text):
            yield row(f"the reader's memory, {what}", int(found[1]) / 1024, "MB")
