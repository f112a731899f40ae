"""One path for every picture: bytes in, a safe, upright, bounded RGB picture out.

    picture = read_image(uploaded_bytes)      # or UnreadablePictureError, PictureTooLargeError
    message = HumanMessage([image_block(picture), {"type": "text", "text": "What is this?"}])

What a file is, its bytes say; its name is never looked at. A picture is measured
before its pixels are unpacked, and what comes out is encoded afresh, so that no
camera data, no position and nothing hidden behind the picture goes any further.

This module knows bytes and nothing else: no path, no URL, no model. What a
picture costs a model in tokens is in `llm.image_tokens`.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
import struct
import threading
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from PIL import Image, ImageChops, ImageCms

from llm.errors import ParleyError, PictureTooLargeError, UnreadablePictureError
from llm.picture_files import gif_frames, kind_of, refuse_endless
from llm.wording import Wording

MAX_BYTES = 20 * 1024 * 1024
"""A 25 megapixel photo has 5 to 15 MB; more is more often a mistake than a picture."""
MAX_PIXELS = 25_000_000
"""Unpacked, the costliest kind (animated WebP) takes 16 bytes a pixel: 400 MB."""
MAX_SIDE = 16_384
"""The longest side a WebP can have; a longer strip shrinks to nothing legible anyway."""
MAX_PICTURES = 8
"""In one message."""
SENT_SIDE = 2_048
"""Vision models shrink what is larger themselves: more would only cost time and bytes."""
JPEG_QUALITY = 90

_MAX_PROFILE_BYTES = 4 * 1024 * 1024

_PLUGINS = {"PNG": "PNG", "JPEG": "JPEG", "WebP": "WEBP", "GIF": "GIF", "HEIC": "HEIF"}
"""The name of a kind -> the one Pillow plugin that may open it."""

# A declared size that Pillow itself calls a bomb is refused, never only warned about;
# what it says about damaged camera data is nobody's business here.
warnings.simplefilter("error", Image.DecompressionBombWarning)
warnings.filterwarnings("ignore", category=UserWarning, module=r"PIL\.")

# Decoding holds up to 400 MB: one at a time, however many people send pictures at once.
_decoding = threading.Lock()


@dataclass(frozen=True)
class Picture:
    """A picture as it is shown and sent: RGB, upright, sides of at most `SENT_SIDE` pixels."""

    data: bytes
    """A whole PNG or JPEG file, without EXIF, colour profile or comments."""
    mime_type: str
    """"image/png" or "image/jpeg"."""
    width: int
    height: int
    original_width: int
    """In pixels, as stored in the file: before it was turned upright."""
    original_height: int
    original_bytes: int
    original_format: str
    """"PNG", "JPEG", "WebP", "GIF" or "HEIC"."""
    changes: tuple[str, ...]
    """What was done to it, in plain English words and in order: ("turned upright", …)."""
    sha256: str
    """Of `data`, in hexadecimal digits."""

    @property
    def data_url(self) -> str:
        return f"data:{self.mime_type};base64,{base64.b64encode(self.data).decode('ascii')}"


def image_block(picture: Picture) -> dict[str, Any]:
    """The picture as a LangChain content block.

    It is an `image_url` block with a data URL, the one form that every chat model
    in use here passes on: langchain-huggingface hands LangChain's newer `image`
    blocks to the server as they are, and servers drop what they do not know.
    """
    return {"type": "image_url", "image_url": {"url": picture.data_url}}


def read_images(files: Sequence[bytes]) -> list[Picture]:
    """All of them, or an error: `PictureTooLargeError` also for more than `MAX_PICTURES`."""
    if len(files) > MAX_PICTURES:
        raise PictureTooLargeError(
            "A message takes up to {most} pictures, and these are {count}. "
            "Send them in several messages.",
            most=MAX_PICTURES, count=len(files),
        )
    if len(files) == 1:
        return [read_image(files[0])]
    pictures = []
    for number, data in enumerate(files, start=1):
        try:
            pictures.append(read_image(data))
        except (UnreadablePictureError, PictureTooLargeError) as error:
            raise type(error)("Picture {number} of {count}: {reason}", number=number,
                              count=len(files), reason=error) from error
    return pictures


def read_image(data: bytes) -> Picture:
    """A picture that is safe to show and to send.

    Raises `UnreadablePictureError`, which says what the bytes are instead or that
    they are damaged, and `PictureTooLargeError`. A picture that this function
    wrote comes out as the very same bytes.
    """
    if len(data) > MAX_BYTES:
        raise PictureTooLargeError(
            "This file has {size:.1f} MB; a picture may have up to "
            "{most} MB. Save it smaller, or as JPEG, and send that.",
            size=len(data) / 1024 / 1024, most=MAX_BYTES // 1024 // 1024,
        )
    kind = kind_of(data)
    try:
        with _decoding:
            return _read(data, kind)
    except ParleyError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise PictureTooLargeError(
            "This {kind} says it has far more than {most} megapixels. "
            "Save it smaller and send that.",
            kind=kind, most=MAX_PIXELS // 1_000_000,
        ) from error
    except Exception as error:
        # Decoders raise whatever the damage leads them to: SyntaxError, struct.error,
        # KeyError, OSError, EOFError … all of it means the same to the sender.
        raise UnreadablePictureError(
            "This {kind} is damaged: it cannot be read to its end. Save or export it again "
            "and send the new file.",
            kind=kind,
        ) from error


# ── From bytes to pixels ─────────────────────────────────────────────────────────────


def _read(data: bytes, kind: str) -> Picture:
    refuse_endless(data, kind)
    if kind == "HEIC":
        _register_heif()
    with Image.open(io.BytesIO(data), formats=[_PLUGINS[kind]]) as image:
        _refuse_too_large(image.width, image.height)
        original_size = image.size
        if kind == "JPEG" and _is_own_jpeg(data, image):
            image.load()
            return _picture(data, image.size, data, image.size, kind, ())
        changes: list[Wording] = []
        if (frames := _frames(image, data, kind)) != 1:
            changes.append(_frames_note(frames, kind))
        target = _fitted(image.size)
        # Lets the JPEG decoder leave out what the scaling would throw away.
        image.draft(image.mode, target)
        image.load()
        orientation, notes = _camera_data(image)
        pixels, more = _to_plain_mode(image, data, kind)
        changes += more
        if target != original_size:
            pixels = pixels.resize(target, Image.Resampling.LANCZOS, reducing_gap=1.2)
            changes.append(Wording("scaled down from {width} × {height}",
                                   width=original_size[0], height=original_size[1]))
        profile = image.info.get("icc_profile")
    if (turn := _TURNS.get(orientation)) is not None:
        pixels = pixels.transpose(turn)
        changes.append(Wording("turned upright"))
    pixels, more = _to_rgb(pixels, profile)
    changes += more + notes
    return _picture(_encode(pixels), pixels.size, data, original_size, kind,
                    tuple(map(str, changes)))


def _picture(encoded: bytes, size: tuple[int, int], data: bytes, original_size: tuple[int, int],
             kind: str, changes: tuple[str, ...]) -> Picture:
    return Picture(
        data=encoded,
        mime_type="image/png" if encoded.startswith(b"\x89PNG") else "image/jpeg",
        width=size[0], height=size[1],
        original_width=original_size[0], original_height=original_size[1],
        original_bytes=len(data), original_format=kind,
        changes=changes, sha256=hashlib.sha256(encoded).hexdigest(),
    )


def _refuse_too_large(width: int, height: int) -> None:
    if max(width, height) > MAX_SIDE:
        raise PictureTooLargeError(
            "This picture has {width:,} × {height:,} pixels; a side may have up to "
            "{most:,}. Crop it or save it smaller, and send that.",
            width=width, height=height, most=MAX_SIDE,
        )
    if width * height > MAX_PIXELS:
        raise PictureTooLargeError(
            "This picture has {width:,} × {height:,} pixels, {megapixels:.1f} "
            "megapixels; up to {most} are taken. "
            "Save it smaller and send that.",
            width=width, height=height, megapixels=width * height / 1e6,
            most=MAX_PIXELS // 1_000_000,
        )


def _register_heif() -> None:
    # Imported late: most pictures are not HEIC. Registering again changes nothing.
    # Thumbnails, depth maps and the like are never decoded: only the picture itself.
    from pillow_heif import register_heif_opener

    register_heif_opener(thumbnails=False, depth_images=False, aux_images=False, decode_threads=2)


def _fitted(size: tuple[int, int]) -> tuple[int, int]:
    longest = max(size)
    if longest <= SENT_SIDE:
        return size
    return (max(1, round(size[0] * SENT_SIDE / longest)),
            max(1, round(size[1] * SENT_SIDE / longest)))


def _frames(image: Image.Image, data: bytes, kind: str) -> int | None:
    """How many pictures the file holds; None for more than are worth counting."""
    if kind == "GIF":
        return gif_frames(data)
    return getattr(image, "n_frames", 1)


def _frames_note(frames: int | None, kind: str) -> Wording:
    if kind in ("JPEG", "HEIC"):
        return Wording("the main one of {frames} pictures in the file", frames=frames)
    return Wording("first of {frames:,} frames", frames=frames) if frames \
        else Wording("first frame of an animation")


_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF orientation -> what makes it upright (Exif 2.32, tag 0x0112)."""
_ORIENTATION, _GPS = 0x0112, 0x8825


def _camera_data(image: Image.Image) -> tuple[int, list[Wording]]:
    """The EXIF orientation (1 if none), and what to say about what is left behind."""
    try:
        exif = image.getexif()
        tags = set(exif)
        orientation = exif.get(_ORIENTATION, 1)
    except Exception:
        return 1, []  # Damaged camera data is no reason to refuse a sound picture.
    if _GPS in tags:
        return orientation, [Wording("camera data and position removed")]
    return orientation, [Wording("camera data removed")] if tags - {_ORIENTATION} else []


def _to_plain_mode(image: Image.Image, data: bytes,
                   kind: str) -> tuple[Image.Image, list[Wording]]:
    """The same pixels as L, RGB or CMYK of 8 bits: modes that can be scaled well."""
    is_deep = (kind == "PNG" and data[24] == 16) or image.info.get("bit_depth", 8) > 8
    changes = [Wording("rescaled to 8 bits a colour")] if is_deep else []
    if is_deep:
        image.info.pop("transparency", None)  # A 16-bit colour: it means nothing now.
    if image.mode.startswith("I;16"):
        return image.point(lambda value: value * (1 / 257) + 0.5).convert("L"), changes
    if image.has_transparency_data:
        return _on_white(image, changes), changes
    return (image if image.mode in ("L", "RGB", "CMYK") else image.convert("RGB")), changes


def _on_white(image: Image.Image, changes: list[Wording]) -> Image.Image:
    # Before it is scaled, and in place: scaling with transparency would take two more copies.
    pixels = image if image.mode == "RGBA" else image.convert("RGBA")
    alpha = pixels.getchannel("A")
    if alpha.getextrema()[0] < 255:
        pixels.paste((255, 255, 255, 255), mask=ImageChops.invert(alpha))
        changes.append(Wording("transparency filled with white"))
    return pixels.convert("RGB")


def _to_rgb(pixels: Image.Image, profile: Any) -> tuple[Image.Image, list[Wording]]:
    changes = [Wording("converted from CMYK")] if pixels.mode == "CMYK" else []
    if isinstance(profile, bytes) and len(profile) <= _MAX_PROFILE_BYTES and pixels.mode != "L":
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            name = (ImageCms.getProfileDescription(source) or "").strip("\x00 \n")
            if "srgb" not in name.lower():
                converted = ImageCms.profileToProfile(
                    pixels, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
                return converted, changes or [Wording("colours converted to sRGB")]
        except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
            pass  # A profile that cannot be used: the plain conversion is what is left.
    return pixels.convert("RGB"), changes


# ── From pixels to bytes ─────────────────────────────────────────────────────────────


def _encode(pixels: Image.Image) -> bytes:
    """JPEG for photos; PNG for screenshots and flat drawings, where it is smaller and exact."""
    bare = Image.new("RGB", pixels.size)
    bare.paste(pixels)  # Takes the pixels and leaves comments and profiles behind.
    jpeg = _jpeg(bare)
    if _is_flat(bare):
        try:
            bare.save(png := _Within(len(jpeg)), "PNG")
            return png.getvalue()
        except _Within.FullError:
            pass
    return jpeg


class _Within(io.BytesIO):
    """A file that takes so many bytes: a PNG that loses is given up early, not after a second."""

    class FullError(Exception):
        pass

    def __init__(self, limit: int):
        super().__init__()
        self.limit = limit

    def write(self, data: Any) -> int:
        if self.tell() + len(data) > self.limit:
            raise self.FullError
        return super().write(data)


def _jpeg(pixels: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pixels.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return buffer.getvalue()


def _is_flat(pixels: Image.Image) -> bool:
    """Whether most pixels equal their right neighbour: hardly ever so in a photo."""
    width, height = pixels.size
    if width * height < 4096:
        return True
    grey = pixels.convert("L")
    steps = ImageChops.difference(grey.crop((1, 0, width, height)),
                                  grey.crop((0, 0, width - 1, height)))
    return steps.histogram()[0] > 0.5 * (width - 1) * height


def _is_own_jpeg(data: bytes, image: Image.Image) -> bool:
    """Whether `_jpeg` wrote these bytes: a second encoding would only lose some more.

    A PNG needs no such look: encoding it again gives the same bytes.
    """
    if image.mode != "RGB" or max(image.size) > SENT_SIDE:
        return False
    # Everything before the pixels depends on the size alone, and the size is in 4 bytes.
    header = bytearray(_JPEG_HEADER)
    header[_SIZE_AT : _SIZE_AT + 4] = struct.pack(">HH", image.height, image.width)
    return data.startswith(header) and bool(_JPEG_BODY.fullmatch(data, len(header)))


_JPEG_HEADER = (lambda jpeg: jpeg[: jpeg.index(b"\xff\xda") + 14])(_jpeg(Image.new("RGB", (8, 8))))
_SIZE_AT = _JPEG_HEADER.index(b"\xff\xc0") + 5
_JPEG_BODY = re.compile(rb"(?:[^\xff]|\xff\x00)*+\xff\xd9")
