"""What a picture's file is, and how it is built, from its bytes alone.

Nothing here unpacks a pixel: these are the looks taken at a file before a decoder
may touch it. Everything walks over the bytes once, and gives up on a file that
was built to keep it walking.
"""

from __future__ import annotations

import re

from llm.errors import UnreadablePictureError
from llm.wording import Wording

TAKEN = Wording("PNG, JPEG, WebP, GIF or HEIC")

MAX_PIECES = 100_000
"""Chunks, segments or blocks. The largest honest file has some 80,000, of 255 bytes each.
Pillow walks over most of them in Python: 20 MB of empty ones take it 7 seconds."""
MAX_SCANS = 50
"""A progressive JPEG has about ten. Each one makes the decoder pass over the whole
picture, and a few bytes make a scan: 20 MB of them would keep it busy for an hour."""

_HEIC_BRANDS = (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1")

_STRANGERS = (
    (b"%PDF-", "a PDF document"),
    (b"PK\x03\x04", "a ZIP archive or an Office document"),
    (b"PK\x05\x06", "an empty ZIP archive"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a Linux program"),
    (b"%!PS", "a PostScript or EPS drawing"),
    (b"\xc5\xd0\xd3\xc6", "an EPS drawing"),
    (b"BM", "a BMP picture"),
    (b"II*\x00", "a TIFF picture"),
    (b"MM\x00*", "a TIFF picture"),
    (b"8BPS", "a Photoshop picture"),
    (b"\x00\x00\x01\x00", "an icon file"),
    (b"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"),
    (b"\xff\x0a", "a JPEG XL picture"),
    (b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf", "a 7z archive"),
    (b"Rar!", "a RAR archive"),
    (b"OggS", "a sound or video file"),
    (b"ID3", "a sound file"),
    (b"RIFF", "a sound or video file"),
    (b"SQLite format 3\x00", "a database"),
)


def kind_of(data: bytes) -> str:
    """Which of the kinds that are taken, by the first bytes; else UnreadablePictureError."""
    if not data:
        raise UnreadablePictureError("This file is empty: it has 0 bytes. Choose another.")
    if data.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if data.startswith(b"\xff\xd8\xff"):
        return "JPEG"
    if data.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WebP"
    brands = data[8:12] + data[16:40] if data[4:8] == b"ftyp" else b""
    if b"avif" in brands or b"avis" in brands:
        raise _not_taken(Wording("an AVIF picture"))
    if data[8:12] in _HEIC_BRANDS and brands:
        return "HEIC"
    raise _not_taken(_stranger(data, is_media=bool(brands)))


def _not_taken(what: Wording) -> UnreadablePictureError:
    if "picture" in what.template or "drawing" in what.template:
        return UnreadablePictureError(
            "This is {what}, and that kind is not taken. Save it as {taken} and send that.",
            what=what, taken=TAKEN,
        )
    return UnreadablePictureError("This is {what}, not a picture. Choose a {taken} file.",
                                  what=what, taken=TAKEN)


def _stranger(data: bytes, *, is_media: bool) -> Wording:
    for magic, what in _STRANGERS:
        if data.startswith(magic):
            return Wording(what)
    if is_media:
        return Wording("a video or sound file")
    head = data[:1024].decode("utf-8", errors="ignore").lstrip("\ufeff \t\r\n").lower()
    if "<svg" in head:
        return Wording("an SVG drawing")
    if head.startswith(("<!doctype html", "<html")):
        return Wording("a web page")
    printable = sum(char.isprintable() or char in "\t\r\n" for char in head)
    if head and printable == len(head) and len(head) > 0.9 * min(len(data), 1024):
        return Wording("a text file")
    return Wording("a file of some other kind")


def refuse_endless(data: bytes, kind: str) -> None:
    """Raises UnreadablePictureError for a file made of so many pieces that it stalls a decoder."""
    if kind == "JPEG":
        _walk_jpeg(data)
    elif kind == "PNG":
        _walk_png(data)
    elif kind == "GIF":
        gif_frames(data)


def _endless(kind: str, what: Wording) -> UnreadablePictureError:
    return UnreadablePictureError(
        "This {kind} is made of too many {what}: no camera or program writes such a file. "
        "Save or export it again and send the new file.",
        kind=kind, what=what,
    )


def _walk_jpeg(data: bytes) -> None:
    position, pieces, scans = 2, 0, 0
    while position + 4 <= len(data) and (marker := data[position + 1]) != 0xD9:
        if marker == 0xDA and (scans := scans + 1) > MAX_SCANS:
            raise _endless(kind="JPEG", what=Wording("passes"))
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        # To the next marker: past a scan's data, or past what does not belong there.
        found = _JPEG_MARKER.search(data, end)
        position = found.start() if found else len(data)
        pieces += 1 if scans else 1 + position - end
        if pieces > MAX_PIECES:
            raise _endless(kind="JPEG", what=Wording("pieces"))


_JPEG_MARKER = re.compile(rb"\xff[^\x00\x01\xff\xd0-\xd7]")


def _walk_png(data: bytes) -> None:
    position = 8
    for _ in range(MAX_PIECES):
        if position >= len(data):
            return
        position += 12 + int.from_bytes(data[position : position + 4], "big")
    raise _endless(kind="PNG", what=Wording("pieces"))


def gif_frames(data: bytes) -> int | None:
    """The number of frames of a GIF, at least 1; None for more than are worth counting."""
    def past_table(position: int, flags: int) -> int:
        return position + (3 << ((flags & 7) + 1) if flags & 0x80 else 0)

    position, frames, pieces = past_table(13, int.from_bytes(data[10:11])), 0, 0
    while pieces < MAX_PIECES:
        match data[position : position + 1]:
            case b"!":
                position += 2
            case b"," if position + 10 < len(data):
                frames += 1
                position = past_table(position + 10, data[position + 9]) + 1
            case _:
                return max(frames, 1)
        while position < len(data) and (length := data[position]) and pieces < MAX_PIECES:
            position += 1 + length
            pieces += 1
        position += 1
        pieces += 1
    if frames == 0:
        raise _endless(kind="GIF", what=Wording("pieces"))
    return None
