"""From a picture's bytes to the reader's findings: how long, how much memory, and who waits.

    python -m benchmarks.pictures

Photos of 0.5, 2 and 12 megapixels, each without text and with ten lines of it. `measure`
is what `python -m benchmarks` calls. Each row is a median; the gap is the longest.
"""

from __future__ import annotations

import asyncio
import re
import statistics
import time
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from llm import picture_reader, reader_process
from llm.images import read_image
from tests import pictures

SIZES = {"0.5": (816, 612), "2": (1632, 1224), "12": (4000, 3000)}
"""Megapixels, as cameras make them."""


def photo(size: tuple[int, int], lines: int, seed: int) -> bytes:
    """A JPEG of camera-like noise with so many lines of text."""
    image = pictures.camera_noise(size, seed)
    draw = ImageDraw.Draw(image)
    letters = pictures.font("DejaVuSans.ttf", size[0] // 40)
    for row in range(lines):
        draw.text((size[0] // 40, (row + 0.5) * size[1] / lines),
                  pictures.PANGRAMS[row % 5][:40], fill="white", font=letters)
    return pictures.encoded(image, "JPEG", quality=90)


def measure(*, repeats: int = 5) -> list[dict[str, Any]]:
    """Each as {"name", "value", "unit"}."""
    reader_process.end_reader()
    small = read_image(pictures.encoded(Image.new("RGB", (64, 64), "teal")))
    picture_reader.read_picture_sync(small)  # Converts the weights, where that is still to do.
    rows = [_row("start the picture reader", statistics.median(
        _seconds_to_start() for _ in range(repeats)), "s")]
    gap = 0.0
    for megapixels, size in SIZES.items():
        for lines in (0, 10):
            name = f"{megapixels} megapixels, {lines or 'no'} lines of text"
            prepared, read = [], []
            for number in range(repeats):
                data = photo(size, lines, seed=number)
                start = time.perf_counter()
                picture = read_image(data)
                prepared.append(time.perf_counter() - start)
                start = time.perf_counter()
                gap = max(gap, asyncio.run(_longest_gap(picture)))
                read.append(time.perf_counter() - start)
            rows += [_row(f"make safe: {name}", statistics.median(prepared), "s"),
                     _row(f"find: {name}", statistics.median(read), "s")]
    rows.append(_row("longest gap for other tasks of the loop meanwhile", gap, "s"))
    rows += _memory()
    reader_process.end_reader()
    return rows


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


def _memory() -> list[dict[str, Any]]:
    """Of the reader's process, by Linux's own account."""
    status = Path(f"/proc/{reader_process.reader_pid()}/status")
    if not status.is_file():
        return []
    text = status.read_text()
    return [_row(f"reader's memory, {what}",
                 int(re.search(rf"{name}:\s+(\d+) kB", text)[1]) / 1024, "MB")
            for what, name in (("at most", "VmHWM"), ("afterwards", "VmRSS"))]


def _row(name: str, value: float, unit: str) -> dict[str, Any]:
    return {"name": name, "value": round(value, 3), "unit": unit}


if __name__ == "__main__":
    for row in measure():
        print(f"{row['value']:>10.3f} {row['unit']:<3} {row['name']}")
