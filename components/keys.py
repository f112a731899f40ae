"""API keys: from the environment, from Streamlit's secrets, or typed, in that order.

A typed key stays in the session and is never written, logged or shown again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from components import session
from components.language import _
from llm.catalog import ModelSpec
from llm.keys import SERVICES, key_variable, needs_key


def key_for(spec: ModelSpec) -> str | None:
    """The key to call this model with, or None where there is none or none is needed."""
    variable = key_variable(spec)
    if variable is None:
        return None
    return os.environ.get(variable) or _secret(variable) or session.typed_keys().get(variable)


def _secret(variable: str) -> str | None:
    try:
        return st.secrets.get(variable)
    except StreamlitSecretNotFoundError:
        return None


def enter_key(spec: ModelSpec) -> None:
    """Say where this model's key comes from, and take one where it is missing."""
    variable = key_variable(spec)
    if variable is None:
        return
    if os.environ.get(variable) or _secret(variable):
        st.caption(_("The key comes from {variable}.").format(variable=variable))
        return
    keys = session.typed_keys()
    typed = st.text_input(
        variable, value=keys.get(variable, ""), type="password", key=f"key-{variable}",
        autocomplete="off", persist_state="session",
        help=_("Kept in this browser tab's session only, and sent to nobody but the service."),
    )
    if typed.strip():
        keys[variable] = typed.strip()
    else:
        keys.pop(variable, None)
        if needs_key(spec):
            st.caption(_("Get a key at {page}, or set {variable} before starting Parley.")
                       .format(page=SERVICES[spec.provider].keys_page, variable=variable))


def enter_keys(specs: Iterable[ModelSpec]) -> None:
    """The same for several models, each key asked for once."""
    by_variable = {key_variable(spec): spec for spec in specs}
    for spec in by_variable.values():
        enter_key(spec)
