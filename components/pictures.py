"""Pictures on the page: chosen, dropped, pasted or photographed, and shown as they are sent.

Knows `llm.images`, and no model by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import streamlit as st

from components.figures import human_bytes
from components.language import _
from components.limits import check_room, count_pictures
from llm.catalog import ModelSpec
from llm.errors import PictureError
from llm.images import MAX_PICTURES, Picture, read_images

EXTENSIONS = ("png", "jpg", "jpeg", "webp", "gif", "heic", "heif")

_READ = "read_pictures"
"""The session's key for the digests of the files last read, and the pictures in them."""


def take_pictures() -> list[Picture]:
    """Draw the ways in, and return the pictures that came, safe to send. Says what is wrong."""
    files = st.file_uploader(
        _("Pictures: choose, drop or paste up to {count}").format(count=MAX_PICTURES),
        type=EXTENSIONS, accept_multiple_files=True, key="pictures")
    shot = None
    if st.toggle(_("Use the camera"), key="use-camera"):
        shot = st.camera_input(_("Take a photo"), key="camera")
    data = [file.getvalue() for file in (*files, *([shot] if shot else []))]
    try:
        return accept(data)
    except PictureError as error:
        st.error(str(error), icon=":material/broken_image:")
        return []


def accept(files: Sequence[bytes]) -> list[Picture]:
    """The pictures in those files, safe to send, and counted against the person's limits.

    Raises a `PictureError`.
    """
    digests = tuple(hashlib.sha256(data).hexdigest() for data in files)
    # Each run of the page finds the same files again; unpacking them is what takes long.
    known, pictures = st.session_state.get(_READ, ((), []))
    if digests != known:
        count_pictures(digests)
        pictures = read_images(files)
        st.session_state[_READ] = digests, pictures
    check_room(pictures)
    return list(pictures)


def show_picture(picture: Picture) -> None:
    """Draw the very picture that is sent, and what was changed on the way."""
    st.image(picture.data)
    st.caption(_("Sent as {width} × {height}, {size}; it came as {before_width} × {before_height}, "
                 "{before_size}.").format(
        width=picture.width, height=picture.height, size=human_bytes(len(picture.data)),
        before_width=picture.original_width, before_height=picture.original_height,
        before_size=human_bytes(picture.original_bytes))
        + (" " + _("Changed: {changes}.").format(changes=", ".join(picture.changes))
           if picture.changes else ""))


def blindness(spec: ModelSpec, choices: Sequence[ModelSpec]) -> str:
    """The sentence that a model cannot see, and which of the choices can."""
    return _("{name} cannot see pictures. These can: {names}.").format(
        name=spec.label, names=", ".join(other.label for other in choices if other.vision))


def refuse_blind_models(spec: ModelSpec, choices: Sequence[ModelSpec]) -> bool:
    """Say before sending that a model cannot see, and which can. True where it cannot."""
    if spec.vision:
        return False
    st.warning(blindness(spec, choices), icon=":material/visibility_off:")
    return True
