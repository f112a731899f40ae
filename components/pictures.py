"""Pictures on the page: chosen, dropped, pasted or photographed, and shown as they are sent.

Knows `llm.images`, and no model by name.
"""

from __future__ import annotations

import hashlib
import html
from collections.abc import Sequence

import streamlit as st

from components.browser import copy_button
from components.figures import human_bytes
from components.findings import show_findings
from components.language import _, say
from components.limits import check_room, count_pictures
from components.text import as_label
from llm.catalog import ModelSpec
from llm.errors import PictureError
from llm.findings import ALT_LIMIT
from llm.image_tokens import estimate_image_tokens
from llm.images import MAX_BYTES, MAX_PICTURES, Picture, read_images
from llm.wording import Wording

_CHOSEN, _SHOT, _PASTED = "pictures", "camera", "pasted_pictures"
"""The session's keys for the files from each way in."""

_LEFT = "chosen-pictures"
"""The session's key for the files that were chosen when the page was last drawn."""

_GONE = "messages-with-pictures"
"""The session's key for how many messages took the pictures at hand with them."""

_NO_LIMIT_OF_STREAMLITS = f"""<style>
[class*="st-key-{_CHOSEN}"] [data-testid="stFileUploaderDropzoneInstructions"] {{display: none}}
</style>"""

_READ = "read_pictures"
"""The session's key for the digests of the files last read, and the pictures in them."""


def take_pictures() -> list[Picture]:
    """Draw the ways in, and return the pictures that came, safe to send. Says what is wrong.

    What is pasted into the message's box comes through `hold`.
    """
    # Of any name and size: what a file is, its bytes say, and what is wrong with it we say
    # ourselves, in the reader's language. Streamlit's own limit is above ours, and not shown.
    st.html(_NO_LIMIT_OF_STREAMLITS)
    if _key(_CHOSEN) not in st.session_state:
        # The page was left, and with it went what was chosen on it.
        st.session_state[_PASTED] = [*st.session_state.get(_PASTED, []),
                                     *st.session_state.pop(_LEFT, [])]
    st.file_uploader(
        _("Pictures: choose or drop up to {count} here, each of up to {most} MB, or paste them "
          "into the message's box").format(count=MAX_PICTURES, most=MAX_BYTES // 1024 // 1024),
        accept_multiple_files=True, key=_key(_CHOSEN))
    if st.toggle(_("Use the camera"), key="use-camera"):
        st.camera_input(_("Take a photo"), key=_key(_SHOT))
    if st.session_state.get(_PASTED):
        st.button(_("Remove the pasted or kept pictures"), icon=":material/delete:",
                  type="tertiary", on_click=st.session_state.__setitem__, args=(_PASTED, []))
    st.session_state[_LEFT] = _chosen_files()
    try:
        return hold()
    except PictureError as error:
        st.error(as_label(say(error)), icon=":material/broken_image:")
        return []


def hold(files: Sequence[bytes] = ()) -> list[Picture]:
    """Add pasted files to those at hand, and return all of these, each picture once.

    Raises a `PictureError`, and then none of them is added.
    """
    pasted = [*st.session_state.get(_PASTED, []), *files]
    pictures = accept([*_chosen_files(), *pasted])
    st.session_state[_PASTED] = pasted
    return pictures


def let_go() -> None:
    """Have no pictures at hand any more: they went with a message. For callbacks."""
    st.session_state[_PASTED] = st.session_state[_LEFT] = []
    st.session_state[_GONE] = st.session_state.get(_GONE, 0) + 1


def _key(way: str) -> str:
    # Of another key the widget is another one: nothing else takes files out of it.
    return f"{way}{st.session_state.get(_GONE, '')}"


def _chosen_files() -> list[bytes]:
    shot = st.session_state.get(_key(_SHOT))
    return [file.getvalue()
            for file in (*st.session_state.get(_key(_CHOSEN), []), *([shot] if shot else []))]


def accept(files: Sequence[bytes]) -> list[Picture]:
    """The pictures in those files, each once, safe to send.

    They are counted against the person's limits. Raises a `PictureError`.
    """
    digests = tuple(hashlib.sha256(data).hexdigest() for data in files)
    # Each run of the page finds the same files again; unpacking them is what takes long.
    known, pictures = st.session_state.get(_READ, ((), []))
    if digests != known:
        count_pictures(digests)
        pictures = read_images(files)
        st.session_state[_READ] = digests, pictures
    check_room(pictures)
    return list({picture.sha256: picture for picture in pictures}.values())


def preview(pictures: Sequence[Picture], spec: ModelSpec) -> None:
    """Draw pictures that are about to be sent, and what each costs the model."""
    with st.container(horizontal=True):
        for number, picture in enumerate(pictures, start=1):
            with st.container(width=240):
                # A screenshot of a whole page must not push the buttons out of sight.
                draw_picture(picture, width=min(220, 440 * picture.width // picture.height) or 1)
                st.caption(_("Picture {number}: {tokens}").format(
                    number=number, tokens=_cost(picture, spec)))


def _cost(picture: Picture, spec: ModelSpec) -> str:
    if spec.image_tokens is None:
        return _("what it costs this model in tokens is not published")
    tokens = estimate_image_tokens(picture, spec.image_tokens)
    return _("about {count} tokens for this model").format(count=f"{tokens:,}") if tokens \
        else _("no tokens: the reader is no language model")


def show_picture(picture: Picture, *, key: str) -> None:
    """Draw the very picture that is sent, what was changed on the way, and what is found on it.

    `key` tells the pictures on a page apart.
    """
    draw_picture(picture)
    st.caption(_("Sent as {width} × {height}, {size}; it came as {before_width} × {before_height}, "
                 "{before_size}.").format(
        width=picture.width, height=picture.height, size=human_bytes(len(picture.data)),
        before_width=picture.original_width, before_height=picture.original_height,
        before_size=human_bytes(picture.original_bytes))
        + (" " + _("Changed: {changes}.").format(changes=", ".join(map(say, picture.changes)))
           if picture.changes else ""))
    show_findings(picture, key=key)


def draw_picture(picture: Picture, *, width: int | None = None) -> None:
    """Draw a picture: its very bytes, or smaller ones if it is wider than `width`."""
    width = width or picture.width
    # Streamlit makes the smaller ones, and fails where no row of pixels would be left.
    has_rows = picture.height * width >= picture.width
    st.image(picture.data if has_rows else picture.data_url, width=width, alt=_name_of(picture))


def _name_of(picture: Picture) -> str:
    """What a screen reader says of it: what is on it, the answers tell."""
    return _("Picture of {width} × {height} pixels").format(
        width=picture.width, height=picture.height)


def blindness(spec: ModelSpec, choices: Sequence[ModelSpec]) -> Wording:
    """The sentence that a model cannot see, and which of the choices can."""
    return Wording("{name} cannot see pictures. These can: {names}.", name=spec.label,
                   names=", ".join(other.label for other in choices if other.vision))


def read_instead(spec: ModelSpec, choices: Sequence[ModelSpec]) -> bool:
    """Whether the picture reader's findings go to the model in a picture's stead.

    For a model that cannot see, which is said before anything is sent.
    """
    if spec.vision:
        return False
    st.warning(as_label(say(blindness(spec, choices))), icon=":material/visibility_off:")
    return st.toggle(
        _("Let the picture reader look, and {name} answer from what it found").format(
            name=spec.label), value=True, key="read-instead", persist_state="session",
        help=_("The findings take the picture's place in the prompt: see them under “What ran”."))


def copy_alt_text_button(alt: str, *, key: str) -> None:
    """Draw the button that copies an alt text as HTML, and say how long it is."""
    sentence = " ".join(alt.split())
    copy_button(f'<img src="" alt="{html.escape(sentence)}">', key=f"html-{key}",
                label=_("Copy as HTML"))
    st.caption(_("{count} characters; screen readers say up to {most} in one go.").format(
        count=len(sentence), most=ALT_LIMIT))
