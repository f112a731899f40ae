"""Ten thousand damaged pictures: none may crash the process, take over 2 s of work, or over 500 MB.

    python -m tests.fuzz.images --count 10000

Each is one of some twenty sound pictures of every kind with bits flipped, an end cut off,
pieces moved, lengths and sizes rewritten, or the halves of two put together. They are read
in a child process, so that a crash is a finding as well. Linux: the memory's peak is the
kernel's own figure, started afresh for each picture.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import re
import struct
import sys
import time
import warnings
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image

from llm.errors import PictureError
from llm.images import SENT_SIDE, read_image
from tests import pictures, reports
from tests.pictures import encoded, png_chunk

MOST_SECONDS, MOST_MEGABYTES = 2.0, 500


# ── The sound ones ───────────────────────────────────────────────────────────────────


def seeds() -> list[tuple[str, bytes]]:
    photo = pictures.camera_noise((320, 240))
    clear = photo.copy()
    clear.putalpha(photo.convert("L"))
    grey = photo.convert("L")
    deep = Image.new("I;16", (64, 48), 300)
    return [
        ("png", encoded(photo)),
        ("png alpha", encoded(clear)),
        ("png grey alpha", encoded(Image.merge("LA", (grey, grey)))),
        ("png palette", encoded(photo.quantize(64), transparency=3)),
        ("png one bit", encoded(grey.convert("1"))),
        ("png 16 bit", encoded(deep)),
        ("png animation", pictures.animation(4, "PNG")),
        ("png with position", pictures.with_position(photo, orientation=6, kind="PNG")),
        ("png screenshot", pictures.screenshot()),
        ("jpeg", encoded(photo, "JPEG")),
        ("jpeg progressive", encoded(photo, "JPEG", progressive=True)),
        ("jpeg grey", encoded(grey, "JPEG")),
        ("jpeg cmyk", encoded(photo.convert("CMYK"), "JPEG")),
        ("jpeg with position", pictures.with_position(photo, orientation=6)),
        ("jpeg large", encoded(pictures.halves((5000, 5000)), "JPEG", progressive=True)),
        ("gif", encoded(photo.quantize(32), "GIF")),
        ("gif animation", pictures.animation(20)),
        ("webp", encoded(photo, "WebP")),
        ("webp lossless", encoded(clear, "WebP", lossless=True)),
        ("webp animation", pictures.animation(5, "WebP")),
        ("heic", pictures.heic(photo)),
        ("heic alpha", pictures.heic(clear)),
    ]


# ── What is done to them ─────────────────────────────────────────────────────────────

Random = random.Random
EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x100, 0x1388, 0x7FFF, 0x8000, 0xFFFF, 0x10000,
            0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def flip_bits(data: bytearray, draws: Random) -> None:
    for _ in range(draws.choice((1, 2, 8, 64))):
        data[draws.randrange(len(data))] ^= 1 << draws.randrange(8)


def flip_bits_near_the_start(data: bytearray, draws: Random) -> None:
    for _ in range(draws.randint(1, 6)):
        data[draws.randrange(min(len(data), 200))] = draws.randrange(256)


def cut_the_end(data: bytearray, draws: Random) -> None:
    del data[draws.randrange(1, len(data)) :]


def cut_a_piece(data: bytearray, draws: Random) -> None:
    start = draws.randrange(len(data))
    del data[start : start + draws.choice((1, 2, 4, 50, 1000))]


def repeat_a_piece(data: bytearray, draws: Random) -> None:
    start = draws.randrange(len(data))
    piece = data[start : start + draws.choice((4, 12, 100, 1000))]
    data[start:start] = piece * draws.choice((1, 2, 50, 400))


def write_an_extreme(data: bytearray, draws: Random) -> None:
    for _ in range(draws.randint(1, 3)):
        size = draws.choice((2, 4))
        number = draws.choice(EXTREMES) % 2 ** (8 * size)
        start = draws.randrange(min(len(data), draws.choice((100, 1000, 10**9))))
        data[start : start + size] = number.to_bytes(size, draws.choice(("big", "little")))


def append_another(data: bytearray, draws: Random) -> None:
    other = draws.choice(ALL_SEEDS)[1]
    data[draws.randrange(len(data)) :] = other[draws.randrange(len(other)) :]


def shuffle_pieces(data: bytearray, draws: Random) -> None:
    """Chunks of a PNG, segments of a JPEG, boxes of a WebP or HEIC in another order."""
    marks = [found.start() for found in re.finditer(
        rb"(?s)....(?=IHDR|PLTE|tRNS|IDAT|IEND|acTL|fcTL|fdAT|eXIf)|\xff[\xc0-\xc4\xda-\xef]"
        rb"|VP8[ LX]|ANI[MF]|ALPH|EXIF|....(?=ftyp|meta|mdat|iprp|ipco|ipma|iloc|iinf)"
        rb"|\x21\xf9|\x2c", bytes(data))][:200]
    if len(marks) < 3:
        return flip_bits(data, draws)
    pieces = [data[start:end] for start, end in zip(marks, [*marks[1:], len(data)], strict=True)]
    first, second = draws.sample(range(len(pieces)), 2)
    match draws.randrange(3):
        case 0:
            pieces[first], pieces[second] = pieces[second], pieces[first]
        case 1:
            del pieces[first]
        case 2:
            pieces.insert(first, pieces[second])
    data[marks[0] :] = b"".join(pieces)


def claim_another_size(data: bytearray, draws: Random) -> None:
    """The very fields that say how many pixels there are, up to what the policy takes."""
    width, height = draws.choice(((5000, 5000), (16_384, 1500), (1, 16_384), (3000, 8000), (0, 9),
                                  (65_535, 65_535), (16_384, 16_384), (7, 3)))
    if data.startswith(b"\x89PNG"):
        data[16:24] = struct.pack(">II", width, height)
    elif data.startswith(b"GIF"):
        data[6:10] = struct.pack("<HH", width, height)
    elif data.startswith(b"RIFF"):
        if data[12:16] == b"VP8X":
            data[24:30] = (width - 1 & 0xFFFFFF).to_bytes(3, "little") \
                + (height - 1 & 0xFFFFFF).to_bytes(3, "little")
        else:
            data[26:30] = struct.pack("<HH", width & 0x3FFF, height & 0x3FFF)
    elif data.startswith(b"\xff\xd8"):
        if found := re.search(rb"\xff[\xc0-\xc2]\x00", bytes(data)):
            data[found.start() + 5 : found.start() + 9] = struct.pack(">HH", height, width)
    elif (start := data.find(b"ispe")) > 0:
        data[start + 8 : start + 16] = struct.pack(">II", width, height)


def mend_checksums(data: bytearray) -> None:
    """So that a PNG's damage gets past the check of its checksums."""
    if not data.startswith(b"\x89PNG"):
        return
    position, whole = 8, bytearray(data[:8])
    while position + 12 <= len(data):
        length = int.from_bytes(data[position : position + 4], "big")
        body = bytes(data[position + 8 : position + 8 + length])
        whole += png_chunk(bytes(data[position + 4 : position + 8]), body)
        position += 12 + length
    data[:] = whole


MUTATIONS: tuple[Callable[[bytearray, Random], None], ...] = (
    flip_bits, flip_bits_near_the_start, cut_the_end, cut_a_piece, repeat_a_piece,
    write_an_extreme, append_another, shuffle_pieces, claim_another_size,
)

ALL_SEEDS = seeds()


def mutated(number: int) -> tuple[str, bytes]:
    """The damaged picture of this number, always the same one, and how it came about."""
    draws = Random(number)
    name, data = draws.choice(ALL_SEEDS)
    changed = bytearray(data)
    steps = draws.choices(MUTATIONS, k=draws.choice((1, 1, 2, 3)))
    for step in steps:
        if len(changed) > 1:
            step(changed, draws)
    if draws.random() < 0.7:
        mend_checksums(changed)
    return f"{name}: {', '.join(step.__name__ for step in steps)}", bytes(changed)


# ── Reading them ─────────────────────────────────────────────────────────────────────


@dataclass
class Report:
    """What came of a run. `faults` are sentences, and none is what is wanted."""

    outcomes: Counter[str] = field(default_factory=Counter)
    slowest: tuple[float, int, str] = (0, 0, "")
    """Seconds, the picture's number, how it was made."""
    largest: tuple[float, int, str] = (0, 0, "")
    """Megabytes above what the process held before."""
    faults: list[str] = field(default_factory=list)

    def take(self, number: int, how: str, outcome: str, seconds: float, megabytes: float) -> None:
        self.outcomes[outcome] += 1
        self.slowest = max(self.slowest, (seconds, number, how))
        self.largest = max(self.largest, (megabytes, number, how))
        if seconds > MOST_SECONDS:
            self.faults.append(f"{number} ({how}) took {seconds:.1f} s")
        if megabytes > MOST_MEGABYTES:
            self.faults.append(f"{number} ({how}) took {megabytes:.0f} MB")
        if outcome.startswith("FAULT"):
            self.faults.append(f"{number} ({how}): {outcome}")


def keep(report: Report, name: str = "images") -> None:
    """For docs/reliability.md."""
    reports.write(name, {
        "count": report.outcomes.total(), "faults": len(report.faults),
        "outcomes": dict(report.outcomes.most_common()), "slowest_seconds": report.slowest[0],
        "largest_megabytes": report.largest[0]})


def fuzz(count: int, first: int = 0) -> Report:
    """Reads the pictures `first` to `first + count - 1`."""
    report, number = Report(), first
    context = multiprocessing.get_context("spawn")
    while number < first + count:
        results, child_end = context.Pipe(duplex=False)
        child = context.Process(target=_read_all, args=(number, first + count, child_end))
        child.start()
        child_end.close()
        try:
            while True:
                number, *result = results.recv()
                if result:
                    report.take(number, *result)
                    number += 1
        except EOFError:
            child.join()
        if child.exitcode:
            report.take(number, mutated(number)[0], f"FAULT: exit code {child.exitcode}", 0, 0)
            number += 1
    return report


def _read_all(first: int, end: int, results) -> None:
    warnings.simplefilter("ignore", UserWarning)
    for number in range(first, end):
        how, data = mutated(number)
        results.send((number,))
        before = _memory("VmRSS")
        Path("/proc/self/clear_refs").write_text("5")  # The peak is what there is now: proc(5).
        start = time.process_time()  # not the clock: the machine may have other things to do
        outcome = _outcome(data)
        seconds = time.process_time() - start
        results.send((number, how, outcome, seconds, _memory("VmHWM") - before))


def _outcome(data: bytes) -> str:
    try:
        picture = read_image(data)
    except PictureError as error:
        return type(error).__name__
    except Exception as error:
        return f"FAULT: {error!r:.200}"
    if max(picture.width, picture.height) > SENT_SIDE:
        return "FAULT: came out too large"
    return "taken"


def _memory(name: str) -> float:
    """Megabytes, as the kernel counts them for this process."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) / 1024


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first picture")
    parser.add_argument("--save", type=int, metavar="NUMBER", help="write this picture to a file")
    options = parser.parse_args()
    if options.save is not None:
        how, data = mutated(options.save)
        Path(f"fuzzed-{options.save}.bin").write_bytes(data)
        print(f"fuzzed-{options.save}.bin: {how}")
        return 0
    start = time.perf_counter()
    report = fuzz(options.count, options.first)
    keep(report)
    for outcome, number in report.outcomes.most_common():
        print(f"{number:>7,}  {outcome}")
    for what, unit, (figure, number, how) in (("slowest", "s", report.slowest),
                                              ("largest", "MB", report.largest)):
        print(f"{what}: {figure:.2f} {unit}, picture {number} ({how})")
    print(f"{options.count:,} pictures in {time.perf_counter() - start:.0f} s, "
          f"{len(report.faults)} faults")
    for fault in report.faults:
        print(fault)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
