"""How much one person may ask for, so that one cannot take everything from the others.

Counted in this process, per owner (see `components.owner`), in a window that moves with
the clock. Knows no page and no model.
"""

from __future__ import annotations

import functools
import math
import time
from collections.abc import Iterable

import streamlit as st
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from components import session, sharing
from components.owner import current_owner
from llm.errors import PictureError, PictureTooLargeError, RateLimitError
from llm.images import Picture

_COUNTED = "counted_pictures"


@functools.cache
def _limiter() -> MovingWindowRateLimiter:
    return MovingWindowRateLimiter(MemoryStorage())


def count_message() -> None:
    """Count a reply that is about to be asked for.

    Raises `RateLimitError` with the wait, once the person has asked for too many.
    """
    wait = _wait("message", sharing.messages_a_minute())
    if wait:
        raise RateLimitError(
            "You have asked for {count} replies within a minute, the most that this Parley "
            "gives to one person. The next can come in {seconds} seconds: try again then.",
            count=sharing.messages_a_minute(), seconds=wait, retry_after=wait)


def count_pictures(digests: Iterable[str]) -> None:
    """Count files that were put in, by what tells them apart, each once in a tab.

    Raises `PictureError` with the wait, once the person has put in too many.
    """
    counted = st.session_state.setdefault(_COUNTED, set())
    for digest in digests:
        if digest in counted:
            continue
        wait = _wait("picture", sharing.pictures_a_minute())
        if wait:
            raise PictureError(
                "You have put in {count} pictures within a minute, the most that this Parley "
                "takes from one person. The next can come in {seconds} seconds.",
                count=sharing.pictures_a_minute(), seconds=wait)
        counted.add(digest)


def check_room(pictures: Iterable[Picture]) -> None:
    """Raise `PictureTooLargeError` where the tab's conversations cannot hold these as well."""
    held, most = session.held_pictures(), sharing.pictures_held()
    new = {picture.sha256 for picture in pictures} - held
    if new and len(held) + len(new) > most:
        raise PictureTooLargeError(
            "The conversations in this tab hold {held} pictures, and {most} is the most. "
            "Begin a new conversation, or send fewer.", held=len(held), most=most)


def _wait(kind: str, most: int) -> int:
    """Seconds until the person may go on; 0, and it is counted, where that is now."""
    if not most:
        return 0
    limit, owner = RateLimitItemPerMinute(most), current_owner()
    if _limiter().hit(limit, kind, owner):
        return 0
    free_at = _limiter().get_window_stats(limit, kind, owner).reset_time
    return max(1, math.ceil(free_at - time.time()))
