"""Any bytes become a safe, upright, bounded picture, or an error that says what they are."""

import io

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms

from llm.errors import PictureError, PictureTooLargeError, UnreadablePictureError
from llm.image_tokens import IMAGE_TOKEN_RULES, estimate_image_tokens
from llm.images import (
    MAX_BYTES,
    MAX_PICTURES,
    SENT_SIDE,
    Picture,
    image_block,
    read_image,
    read_images,
)
from tests import pictures
from tests.pictures import encoded, halves, opened

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:PIL")


def is_near(colour, wanted, off=12):
    return all(abs(a - b) <= off for a, b in zip(colour, wanted, strict=True))


def assert_is_bare(picture: Picture):
    """What goes out: RGB, within the policy, and nothing in it but its pixels."""
    image = opened(picture.data)
    assert image.mode == "RGB"
    assert image.size == (picture.width, picture.height)
    assert min(image.size) >= 1 and max(image.size) <= SENT_SIDE
    assert image.get_format_mimetype() == picture.mime_type
    assert not image.getexif()
    assert not {"icc_profile", "exif", "xmp", "comment", "dpi"} & image.info.keys()
    # A JPEG ends with its end marker, a PNG with its last chunk.
    assert picture.data.endswith((b"\xff\xd9", b"IEND\xaeB`\x82"))


# ── What is no picture ───────────────────────────────────────────────────────────────


def test_an_empty_file_is_refused_as_empty():
    with pytest.raises(UnreadablePictureError, match="empty"):
        read_image(b"")


@pytest.mark.parametrize("what", pictures.STRANGERS)
def test_a_file_of_another_kind_is_refused_by_what_it_is(what):
    with pytest.raises(UnreadablePictureError, match=f"This is {what}") as caught:
        read_image(pictures.STRANGERS[what])
    assert "PNG, JPEG, WebP, GIF or HEIC" in str(caught.value)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WebP", "HEIC"])
def test_half_a_picture_is_refused_as_damaged(kind):
    noise = pictures.camera_noise((160, 120))
    whole = pictures.heic(noise) if kind == "HEIC" else encoded(noise, kind)
    read_image(whole)
    with pytest.raises(UnreadablePictureError, match=f"This {kind} is damaged"):
        read_image(whole[: len(whole) // 2])


# ── What is too large ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("width", "height", "says"), [
    (20_000, 20_000, "20,000 × 20,000"),
    (10_000, 10_000, "megapixels"),
    (1, 60_000, "60,000"),
    (5_001, 5_000, "megapixels"),
])
def test_a_bomb_is_refused_before_its_pixels_are_unpacked(width, height, says, monkeypatch):
    def unpacked(*args):
        raise AssertionError("its pixels were unpacked")

    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", unpacked)
    bomb = pictures.bomb_png(width, height)
    assert len(bomb) < 60_000
    with pytest.raises(PictureTooLargeError) as caught:
        read_image(bomb)
    assert says in str(caught.value) or "far more than 25 megapixels" in str(caught.value)


def test_a_file_of_more_than_20_megabytes_is_refused_unopened():
    with pytest.raises(PictureTooLargeError, match="20 MB"):
        read_image(pictures.photo() + bytes(MAX_BYTES))


def test_nine_pictures_are_one_too_many():
    assert len(read_images([pictures.photo()] * MAX_PICTURES)) == 8
    with pytest.raises(PictureTooLargeError, match="up to 8 pictures"):
        read_images([pictures.photo()] * 9)


def test_among_several_the_bad_one_is_named():
    with pytest.raises(UnreadablePictureError, match="Picture 2 of 3: This is a PDF document"):
        read_images([pictures.photo(), pictures.STRANGERS["a PDF document"], pictures.photo()])


def test_a_jpeg_of_a_thousand_passes_is_refused():
    read_image(pictures.jpeg_of_scans(1))
    with pytest.raises(UnreadablePictureError, match="too many passes"):
        read_image(pictures.jpeg_of_scans(1000))


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_file_of_countless_empty_pieces_is_refused(kind):
    read_image(pictures.many_pieces(kind, megabytes=0.001))
    with pytest.raises(UnreadablePictureError, match="too many pieces"):
        read_image(pictures.many_pieces(kind))


# ── What is turned into something plain ──────────────────────────────────────────────


def test_a_single_pixel_stays_one():
    picture = read_image(encoded(Image.new("RGB", (1, 1), RED)))
    assert (picture.width, picture.height) == (1, 1)
    assert opened(picture.data).getpixel((0, 0)) == RED


def test_a_strip_keeps_at_least_one_pixel_of_its_thin_side():
    picture = read_image(encoded(Image.new("RGB", (1, 16_384))))
    assert (picture.width, picture.height) == (1, 2048)


@pytest.mark.parametrize("size", [(5000, 3000), (3000, 5000), (2049, 10)])
def test_a_large_picture_is_scaled_to_2048_pixels_and_says_so(size):
    data = pictures.encoded(halves(size), "JPEG")
    picture = read_image(data)
    assert max(picture.width, picture.height) == 2048
    assert picture.width / picture.height == pytest.approx(size[0] / size[1], rel=0.02)
    assert f"scaled down from {size[0]} × {size[1]}" in picture.changes
    assert (picture.original_width, picture.original_height) == size
    assert picture.original_bytes == len(data)
    assert is_near(opened(picture.data).getpixel((0, 0)), RED)


@pytest.mark.parametrize("size", [(64, 48), (4000, 3000)])
def test_a_cmyk_jpeg_keeps_its_colours(size):
    picture = read_image(encoded(halves(size).convert("CMYK"), "JPEG"))
    assert "converted from CMYK" in picture.changes
    image = opened(picture.data)
    assert is_near(image.getpixel((5, 2)), RED)
    assert is_near(image.getpixel((5, image.height - 2)), BLUE)


@pytest.mark.parametrize(("stored", "seen"), [(0, 0), (32_768, 128), (65_535, 255), (257, 1)])
def test_sixteen_bit_grey_is_rescaled_over_its_whole_range(stored, seen):
    grey = Image.frombytes("I;16", (80, 80), stored.to_bytes(2, "little") * 6400)
    picture = read_image(encoded(grey))
    assert opened(picture.data).getpixel((9, 9)) == (seen,) * 3
    assert "rescaled to 8 bits a colour" in picture.changes


def test_a_palette_with_transparency_is_filled_with_white():
    image = halves().quantize(4)
    clear = image.getpixel((0, 0))
    picture = read_image(encoded(image, "PNG", transparency=clear))
    assert "transparency filled with white" in picture.changes
    assert opened(picture.data).getpixel((5, 2)) == WHITE
    assert is_near(opened(picture.data).getpixel((5, 45)), BLUE)


def test_grey_with_alpha_is_filled_with_white():
    picture = read_image(encoded(Image.new("LA", (70, 70), (0, 128))))
    assert is_near(opened(picture.data).getpixel((9, 9)), (127,) * 3, off=2)


@pytest.mark.parametrize("size", [(70, 70), (3000, 40)])
def test_what_is_fully_transparent_becomes_white_whatever_its_colour(size):
    picture = read_image(encoded(Image.new("RGBA", size, (255, 0, 0, 0))))
    assert ImageChops.invert(opened(picture.data)).getbbox() is None
    assert "transparency filled with white" in picture.changes


def test_an_alpha_channel_that_hides_nothing_is_not_mentioned():
    assert read_image(encoded(halves().convert("RGBA"))).changes == ()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP"])
def test_a_photo_on_its_side_is_turned_upright_and_its_position_is_gone(kind):
    # Orientation 6: the camera was turned, what is up lies on the left.
    lying = halves((64, 48)).transpose(Image.Transpose.ROTATE_90)
    data = pictures.with_position(lying, orientation=6, kind=kind)
    assert b"SECRETCAMERA" in data
    picture = read_image(data)
    assert "turned upright" in picture.changes
    assert "camera data and position removed" in picture.changes
    assert (picture.width, picture.height) == (64, 48)
    assert (picture.original_width, picture.original_height) == (48, 64)
    image = opened(picture.data)
    assert is_near(image.getpixel((32, 8)), RED, 20)
    assert is_near(image.getpixel((32, 40)), BLUE, 20)
    assert b"SECRETCAMERA" not in picture.data
    assert_is_bare(picture)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_comes_out_as_pillow_itself_would_turn_it(orientation):
    from PIL import ImageOps

    image = halves((64, 48))
    image.paste((0, 255, 0), (0, 0, 20, 10))
    data = pictures.with_position(image, orientation=orientation, kind="PNG")
    wanted = ImageOps.exif_transpose(opened(data)).convert("RGB")
    assert ImageChops.difference(opened(read_image(data).data), wanted).getbbox() is None


@pytest.mark.parametrize(("kind", "frames"), [("GIF", 200), ("WebP", 5), ("PNG", 4)])
def test_of_an_animation_the_first_frame_is_kept_and_said(kind, frames):
    picture = read_image(pictures.animation(frames, kind))
    assert f"first of {frames} frames" in picture.changes
    assert is_near(opened(picture.data).getpixel((5, 5)), RED)


def test_a_still_gif_is_not_called_an_animation():
    assert read_image(pictures.animation(1)).changes == ()


def test_a_heic_photo_is_taken_without_its_position():
    picture = read_image(pictures.heic(
        halves((640, 480)), exif=Image.open(io.BytesIO(
            pictures.with_position(halves()))).info["exif"]))
    assert picture.original_format == "HEIC"
    assert is_near(opened(picture.data).getpixel((100, 100)), RED)
    assert_is_bare(picture)


@pytest.mark.parametrize("tail", [pictures.zip_file(), b"<html><script>alert(1)</script></html>"])
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WebP"])
def test_what_hides_behind_a_picture_is_gone(kind, tail):
    picture = read_image(encoded(halves(), kind) + tail)
    assert tail[:20] not in picture.data
    assert_is_bare(picture)


def test_colours_of_another_profile_are_brought_to_srgb():
    swapped = ImageCms.createProfile("LAB")
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    # An sRGB profile changes nothing; one that cannot be used is no reason to refuse.
    assert read_image(encoded(halves(), "PNG", icc_profile=profile)).changes == ()
    for broken in (ImageCms.ImageCmsProfile(swapped).tobytes(), b"no profile"):
        picture = read_image(encoded(halves(), "PNG", icc_profile=broken))
        assert opened(picture.data).getpixel((5, 2)) == RED
        assert_is_bare(picture)


def test_damaged_camera_data_is_no_reason_to_refuse_a_sound_picture():
    data = pictures.with_position(halves())
    at = data.index(b"Exif\0\0") + 6
    picture = read_image(data[:at] + b"\xff" * 12 + data[at + 12 :])
    assert is_near(opened(picture.data).getpixel((5, 5)), RED, 20)


def test_a_photo_becomes_jpeg_and_a_screenshot_stays_exact_as_png():
    assert read_image(pictures.photo()).mime_type == "image/jpeg"
    assert read_image(encoded(pictures.camera_noise())).mime_type == "image/jpeg"
    shot = pictures.screenshot()
    picture = read_image(shot)
    assert picture.mime_type == "image/png"
    assert ImageChops.difference(opened(picture.data), opened(shot)).getbbox() is None


# ── For any bytes ────────────────────────────────────────────────────────────────────

SIDES = st.integers(1, 40) | st.integers(2040, 2060)
MODES = {
    "PNG": ("1", "L", "LA", "P", "RGB", "RGBA", "I;16"),
    "JPEG": ("L", "RGB", "CMYK"),
    "GIF": ("L", "P", "RGB", "RGBA"),
    "WebP": ("RGB", "RGBA"),
}


@st.composite
def sound_pictures(draw) -> bytes:
    kind = draw(st.sampled_from(sorted(MODES)))
    mode = draw(st.sampled_from(MODES[kind]))
    image = pictures.camera_noise((draw(SIDES), draw(st.integers(1, 40))),
                                  draw(st.integers(0, 9)))
    if mode == "I;16":
        image = image.convert("L").convert("I").point(lambda value: value * 257).convert("I;16")
    elif mode == "RGBA":
        image.putalpha(image.convert("L"))
    exif = Image.Exif()
    exif[0x0112] = draw(st.integers(0, 9))
    options = {} if kind == "GIF" else {"exif": exif.tobytes()}
    return encoded(image if mode in ("I;16", "RGBA") else image.convert(mode), kind, **options)


def check(data: bytes):
    try:
        picture = read_image(data)
    except PictureError as error:
        assert str(error).endswith(".")
        return
    assert_is_bare(picture)
    again = read_image(picture.data)
    assert again.data == picture.data
    assert again.changes == ()


@given(sound_pictures())
@settings(deadline=None, max_examples=60, suppress_health_check=list(HealthCheck))
def test_a_sound_picture_comes_out_bare_and_a_second_pass_changes_nothing(data):
    read_image(data)
    check(data)


@given(st.binary(max_size=300))
@example(b"\xff\xd8\xff")
@example(b"GIF89a")
@example(b"\x89PNG\r\n\x1a\n")
@example(b"RIFF\0\0\0\0WEBPVP8 ")
@example(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic")
def test_any_bytes_are_a_picture_or_a_picture_error(data):
    check(data)


@given(sound_pictures(), st.data())
@settings(deadline=None, max_examples=120, suppress_health_check=list(HealthCheck))
def test_a_damaged_picture_is_a_picture_or_a_picture_error(whole, data):
    damaged = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(damaged[: data.draw(st.integers(1, len(damaged)))]))


# ── What is sent, and what it costs ──────────────────────────────────────────────────


def test_a_picture_goes_to_a_model_as_a_data_url_of_its_own_bytes():
    import base64

    picture = read_image(pictures.photo())
    block = image_block(picture)
    head, _, body = block["image_url"]["url"].partition(",")
    assert block["type"] == "image_url"
    assert head == "data:image/jpeg;base64"
    assert base64.b64decode(body) == picture.data


@pytest.mark.parametrize(("rule", "size", "tokens"), [
    # The worked examples of OpenAI's and Google's own pages.
    ("openai-tiles", (1024, 1024), 765),
    ("openai-tiles", (2048, 4096), 1105),
    ("openai-patches", (1024, 1024), 1659),
    ("openai-patches", (1800, 2400), 2353),
    ("gemini", (384, 384), 258),
    ("gemini", (960, 540), 6 * 258),
    # What Idefics3Processor itself counts: 3 rows of 4 tiles and the whole.
    ("idefics3", (640, 480), 862),
    ("none", (640, 480), 0),
])
def test_tokens_are_estimated_by_the_vendors_own_formulas(rule, size, tokens):
    width, height = size
    picture = Picture(b"", "image/png", width, height, width, height, 0, "PNG", (), "")
    assert estimate_image_tokens(picture, rule) == tokens


@given(st.sampled_from(sorted(IMAGE_TOKEN_RULES)), st.integers(1, 2048), st.integers(1, 2048))
def test_every_rule_takes_every_size(rule, width, height):
    picture = Picture(b"", "image/png", width, height, width, height, 0, "PNG", (), "")
    assert 0 <= estimate_image_tokens(picture, rule) < 20_000
