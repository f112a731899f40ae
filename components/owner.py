"""Who is at the other end: the person who signed in, else whom the browser's cookie names.

Everything that is kept, and every limit, is per owner. Knows no storage and no page.
"""

from __future__ import annotations

import hashlib

import streamlit as st

from storage.owners import new_owner, owner_of
from web.owner import COOKIE

_WITHOUT_COOKIE = "owner_without_cookie"


def current_owner() -> str:
    """The owner's name: "person:…" after `st.login`, else "browser:…".

    A browser that sends no cookie of ours, or a forged one, owns what it makes in this
    session; its next page load gives it a cookie.
    """
    if st.user.get("is_logged_in", False):
        # A subject is unique within its issuer alone (OpenID Connect Core, section 2).
        identity = f"{st.user['iss']}\n{st.user['sub']}"
        return f"person:{hashlib.sha256(identity.encode()).hexdigest()[:32]}"
    owner = owner_of(st.context.cookies.get(COOKIE))
    if owner is not None:
        return owner
    if _WITHOUT_COOKIE not in st.session_state:
        st.session_state[_WITHOUT_COOKIE] = new_owner()
    return st.session_state[_WITHOUT_COOKIE]
