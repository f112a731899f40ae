"""Who is at the other end: the person who signed in, else whom the browser's cookie names.

Everything that is kept, and every limit, is per owner. Knows no storage and no page.
"""

from __future__ import annotations

import hashlib

import streamlit as st

from components.language import _
from web.owner import COOKIE
from web.owner_names import new_owner, owner_of

_WITHOUT_COOKIE = "owner_without_cookie"


def let_in() -> None:
    """Go on if the page may be seen; else draw the way to sign in, and stop.

    Where the operator set up a provider (section [auth] of .streamlit/secrets.toml, see
    `st.login`), everybody signs in. Where not, everybody is let in.
    """
    if "is_logged_in" not in st.user:
        return
    if st.user.is_logged_in:
        with st.sidebar:
            st.text(str(st.user.get("name") or st.user.get("email") or _("Signed in"))[:100])
            st.button(_("Sign out"), icon=":material/logout:", on_click=st.logout)
        return
    st.title("Parley")
    st.text(_("This Parley is for people who sign in."))
    st.button(_("Sign in"), icon=":material/login:", type="primary", on_click=st.login)
    st.stop()


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
