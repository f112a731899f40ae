"""Every picture that the tests use, made when it is needed: no picture is kept in the repository.

Drawn text and pages, shapes, camera-like noise, and files that try to do harm.
All functions are deterministic, and return the bytes of a file unless they say otherwise.
"""

from __future__ import annotations

import io
import random
import struct
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFilter, ImageFont

DEJAVU = Path("/usr/share/fonts/truetype/dejavu")
"""Debian's package fonts-dejavu-core."""
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSerif.ttf", "DejaVuSansMono.ttf",
         "built in")
"""Names for `font`: four files, and the one that Pillow carries."""

PANGRAMS = (
    "The quick brown fox jumps over the lazy dog near the river bank.",
    "Pack my box with five dozen liquor jugs, said the old sailor.",
    "How vexingly quick daft zebras jump! Order 48 of 1,250 boxes.",
    "Sphinx of black quartz, judge my vow before 17:45 on Friday.",
    "Bright vixens jump; dozy fowl quack at $39.90 per dozen (net).",
)


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def opened(data: bytes) -> Image.Image:
    """The picture in `data`, its pixels read."""
    image = Image.open(io.BytesIO(data))
    image.load()
    return image


# ── Text ─────────────────────────────────────────────────────────────────────────────


def font(name: str, pixels: int) -> ImageFont.FreeTypeFont:
    if name == "built in":
        return ImageFont.load_default(pixels)
    return ImageFont.truetype(DEJAVU / name, pixels)


def text_page(lines: Sequence[str], *, face: str = "DejaVuSans.ttf", pixels: int = 20,
              ink: str = "black", paper: str = "white", width: int | None = None) -> bytes:
    """Black on white, a line under a line, an empty string being an empty line."""
    letters = font(face, pixels)
    margin, step = pixels, round(pixels * 1.5)
    width = width or max(int(letters.getlength(line)) for line in lines) + 2 * margin
    page = Image.new("RGB", (width, step * len(lines) + 2 * margin), paper)
    draw = ImageDraw.Draw(page)
    for row, line in enumerate(lines):
        draw.text((margin, margin + row * step), line, fill=ink, font=letters)
    return encoded(page)


CODE = ("class Cart:", "    def add(self, item, n=1):", "        for number in range(n):",
        "            self.items.append(item)", "", "    def clear(self):",
        "        self.items = []")

LEFT_COLUMN = ("Our town has opened a new", "library by the harbour. It",
               "holds forty thousand books", "and a quiet reading room",
               "that looks out on the sea.")
RIGHT_COLUMN = ("The market moves to Friday", "from next month on. Stalls",
                "will stand along the quay,", "and the bakery opens early",
                "for those who come by boat.")


def two_columns(*, pixels: int = 20, title: str = "Harbour News") -> bytes:
    """A title across both columns, and under it `LEFT_COLUMN` beside `RIGHT_COLUMN`."""
    page = Image.new("RGB", (840, 340), "white")
    draw = ImageDraw.Draw(page)
    draw.text((280, 20), title, fill="black", font=font("DejaVuSans-Bold.ttf", 34))
    for left, column in ((40, LEFT_COLUMN), (450, RIGHT_COLUMN)):
        for row, line in enumerate(column):
            draw.text((left, 100 + row * round(pixels * 1.6)), line, fill="black",
                      font=font("DejaVuSerif.ttf", pixels))
    return encoded(page)


TABLE = (("Fruit", "Price", "In stock"), ("Apples", "2.40", "120"), ("Pears", "3.10", "45"),
         ("Cherries", "7.95", "12"))


def table_page(rows: Sequence[Sequence[str]] = TABLE, *, pixels: int = 20) -> bytes:
    """A heading, a sentence, and `rows` in columns that stand clearly apart."""
    page = Image.new("RGB", (760, 140 + 44 * len(rows)), "white")
    draw = ImageDraw.Draw(page)
    draw.text((30, 20), "Price list", fill="black", font=font("DejaVuSans-Bold.ttf", 34))
    for row, cells in enumerate(rows):
        for column, cell in enumerate(cells):
            draw.text((30 + column * 240, 110 + row * 44), cell, fill="black",
                      font=font("DejaVuSans.ttf", pixels))
    return encoded(page)


def screenshot(sentence: str = "Your changes have been saved.") -> bytes:
    """A window with a title bar, a sentence and two buttons, 1280 × 800."""
    page = Image.new("RGB", (1280, 800), "#eceff1")
    draw = ImageDraw.Draw(page)
    draw.rectangle((0, 0, 1280, 48), fill="#263238")
    draw.text((20, 12), "Settings", fill="white", font=font("DejaVuSans.ttf", 20))
    draw.rectangle((240, 180, 1040, 560), fill="white", outline="#b0bec5", width=2)
    draw.text((280, 220), sentence, fill="#212121", font=font("DejaVuSans.ttf", 22))
    for left, label, fill in ((280, "Close", "#1565c0"), (480, "Undo", "#78909c")):
        draw.rounded_rectangle((left, 460, left + 160, 510), 8, fill=fill)
        draw.text((left + 48, 472), label, fill="white", font=font("DejaVuSans.ttf", 20))
    return encoded(page)


# ── Pictures without text ────────────────────────────────────────────────────────────


def camera_noise(size: tuple[int, int] = (640, 480), seed: int = 0) -> Image.Image:
    """What a camera might make of nothing: soft blobs of colour under sensor noise."""
    draws = random.Random(seed)
    blobs = Image.frombytes("RGB", (8, 6), draws.randbytes(8 * 6 * 3))
    soft = blobs.resize(size, Image.Resampling.BICUBIC)
    tile = Image.frombytes("RGB", (256, 256), draws.randbytes(256 * 256 * 3))
    grain = Image.new("RGB", size)
    for left in range(0, size[0], 256):
        for top in range(0, size[1], 256):
            grain.paste(tile, (left, top))
    return Image.blend(soft, grain.filter(ImageFilter.GaussianBlur(0.6)), 0.12)


def photo(size: tuple[int, int] = (640, 480), seed: int = 0, **options: Any) -> bytes:
    """`camera_noise` as a JPEG."""
    return encoded(camera_noise(size, seed), "JPEG", **options)


def shapes() -> bytes:
    """A red circle, a blue square and a green triangle on white."""
    page = Image.new("RGB", (600, 400), "white")
    draw = ImageDraw.Draw(page)
    draw.ellipse((40, 100, 200, 260), fill="red")
    draw.rectangle((230, 100, 390, 260), fill="blue")
    draw.polygon(((420, 260), (580, 260), (500, 100)), fill="green")
    return encoded(page)


def halves(size: tuple[int, int] = (64, 48)) -> Image.Image:
    """Red above, blue below: tells up from down."""
    image = Image.new("RGB", size, "red")
    image.paste((0, 0, 255), (0, size[1] // 2, *size))
    return image


def with_position(image: Image.Image, *, orientation: int = 1, kind: str = "JPEG") -> bytes:
    """With EXIF: a camera's name, an orientation, and a position in Paris."""
    exif = Image.Exif()
    exif[0x010F] = "SECRETCAMERA"
    exif[0x0112] = orientation
    exif.get_ifd(0x8825).update({1: "N", 2: (48.0, 51.0, 24.0), 3: "E", 4: (2.0, 21.0, 8.0)})
    return encoded(image, kind, exif=exif.tobytes())


def heic(image: Image.Image, **options: Any) -> bytes:
    from pillow_heif import from_pillow

    buffer = io.BytesIO()
    from_pillow(image).save(buffer, **options)
    return buffer.getvalue()


def animation(frames: int, kind: str = "GIF", size: tuple[int, int] = (40, 30)) -> bytes:
    """The first frame is red; those after it are other colours."""
    images = [Image.new("RGB", size, (255, 0, 0))]
    images += [Image.new("RGB", size, (0, 40 * (number % 5), 90 + 40 * (number % 4)))
               for number in range(frames - 1)]
    return encoded(images[0], kind, save_all=True, append_images=images[1:], duration=40)


# ── Files that are no pictures, and files that try to do harm ────────────────────────


def zip_file() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("hello.txt", "hello")
    return buffer.getvalue()


STRANGERS = {
    "a PDF document": b"%PDF-1.7\n1 0 obj <</Type /Catalog>> endobj\ntrailer <<>>\n%%EOF",
    "a ZIP archive": zip_file(),
    "an SVG drawing": b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"></svg>',
    "a PostScript or EPS drawing": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\nshowpage",
    "a Windows program": b"MZ\x90\x00\x03\x00\x00\x00" + bytes(120) + b"PE\x00\x00",
    "a text file": "Dear Ada,\nthank you for the picture. Näher bald!\n".encode(),
    "a web page": b"<!DOCTYPE html><html><body>hello</body></html>",
    "a TIFF picture": b"II*\x00\x08\x00\x00\x00" + bytes(40),
    "a BMP picture": b"BM" + bytes(60),
    "an AVIF picture": b"\x00\x00\x00\x20ftypavif\x00\x00\x00\x00avifmif1miaf" + bytes(40),
    "a video or sound file": b"\x00\x00\x00\x18ftypisom\x00\x00\x02\x00isomiso2" + bytes(40),
    "a file of some other kind": bytes(range(1, 200)),
}
"""What the refusal must call it -> the bytes."""


def png_chunk(kind: bytes, body: bytes = b"") -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def bomb_png(width: int, height: int) -> bytes:
    """A whole and valid PNG of zeros, one bit a pixel: megabytes from kilobytes."""
    packer = zlib.compressobj(9)
    row = bytes(1 + (width + 7) // 8)
    packed = b"".join(packer.compress(row) for _ in range(height)) + packer.flush()
    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", packed)
            + png_chunk(b"IEND"))


def jpeg_of_scans(scans: int, size: tuple[int, int] = (64, 48)) -> bytes:
    """A progressive JPEG that draws its last pass over and over again."""
    whole = encoded(halves(size), "JPEG", progressive=True)
    last = whole.rindex(b"\xff\xda")
    return whole[:last] + whole[last:-2] * scans + b"\xff\xd9"


def many_pieces(kind: str, megabytes: float = 2) -> bytes:
    """A sound picture with so many empty pieces before its pixels that a walk takes seconds."""
    count = int(megabytes * 1_000_000)
    whole = encoded(halves(), kind)
    if kind == "PNG":
        return whole[:33] + png_chunk(b"teSt") * (count // 12) + whole[33:]
    if kind == "JPEG":
        return whole[:2] + b"\xff\xfe\x00\x02" * (count // 4) + whole[2:]
    colours = 13 + 3 * 2 ** ((whole[10] & 7) + 1)
    return whole[:colours] + b"!\xfe" + b"\x01a" * (count // 2) + b"\x00" + whole[colours:]
