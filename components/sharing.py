"""Whether other people use this Parley too, and what is then allowed: the operator's settings.

    PARLEY_SHARED               1: it is shared; 0: it is not; else as it looks, see `is_shared`
    PARLEY_ALLOW_OWN_SERVERS    1: people may add model servers by address, public ones only
    PARLEY_MESSAGES_A_MINUTE    replies that one person may ask for; 0: any number
    PARLEY_PICTURES_A_MINUTE    pictures that one person may put in; 0: any number
    PARLEY_PICTURES_HELD        pictures that one tab's conversations may hold at a time

Knows no model and no page.
"""

from __future__ import annotations

import logging
import os

import streamlit as st

from web.origins import is_loopback_name

log = logging.getLogger(__name__)

MESSAGES_A_MINUTE = 20
PICTURES_A_MINUTE = 40
"""Where the app is shared and the operator says nothing else."""
PICTURES_HELD = 64
"""In any case: they stay in memory. Eight messages of eight pictures each."""


def is_shared() -> bool:
    """Whether people other than who started it can reach it.

    As the operator says; else if it listens on more than this machine, has a name of its
    own behind a proxy (PARLEY_HOSTS), or has people sign in.
    """
    said = os.environ.get("PARLEY_SHARED", "").strip().lower()
    if said:  # who writes it in another way than asked for is not to have the doors open
        return said not in ("0", "false", "no", "off")
    # Without an address, Streamlit listens on all that the machine has.
    address = st.config.get_option("server.address")
    return (not address or not is_loopback_name(address)
            or bool(os.environ.get("PARLEY_HOSTS", "").strip())
            or "is_logged_in" in st.user)


def may_add_servers() -> bool:
    """Whether people may add a model by its server's address."""
    return not is_shared() or os.environ.get("PARLEY_ALLOW_OWN_SERVERS", "").strip() == "1"


def may_add_local_models() -> bool:
    """Whether people may add a model by a Hub id or a path.

    Not where it is shared: a path looks into the operator's disk and a Hub id fills it.
    """
    return not is_shared()


def messages_a_minute() -> int:
    """Replies that one person may ask for in a minute; 0: any number."""
    return _number("PARLEY_MESSAGES_A_MINUTE", MESSAGES_A_MINUTE if is_shared() else 0)


def pictures_a_minute() -> int:
    """Pictures that one person may put in, in a minute; 0: any number."""
    return _number("PARLEY_PICTURES_A_MINUTE", PICTURES_A_MINUTE if is_shared() else 0)


def pictures_held() -> int:
    """Different pictures that the conversations of one tab may hold at a time."""
    return _number("PARLEY_PICTURES_HELD", PICTURES_HELD)


def _number(name: str, otherwise: int) -> int:
    said = os.environ.get(name, "").strip()
    if not said:
        return otherwise
    if not said.isdecimal() or len(said) > 9:
        log.warning("%s is not a whole number; it counts as %d", name, otherwise)
        return otherwise
    return int(said)
