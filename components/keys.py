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
    # Another field for each key: the browser would keep a forgotten one in the same.
    keys, number = session.typed_keys(), st.session_state.setdefault(f"key-number-{variable}", 0)
    field = f"key-{variable}-{number}"
    if variable in keys:
        # The field is not drawn again: it would bring the key back to the browser.
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption(_("{variable} was typed, for this tab alone.").format(variable=variable))
            st.button(_("Forget it"), key=f"forget-{variable}", type="tertiary",
                      on_click=keys.pop, args=(variable, None))
        return
    st.text_input(
        variable, type="password", key=field, autocomplete="off",
        on_change=_take, args=(variable, field),
        help=_("Kept in this browser tab's session only, and sent to nobody but the service."),
    )
    if needs_key(spec):
        st.caption(_("Get a key at {page}, or set {variable} before starting Parley.")
                   .format(page=SERVICES[spec.provider].keys_page, variable=variable))


def _take(variable: str, field: str) -> None:
    typed = st.session_state[field].strip()
    if typed:
        session.typed_keys()[variable] = typed
        st.session_state[f"key-number-{variable}"] += 1


def enter_keys(specs: Iterable[ModelSpec]) -> None:
    """The same for several models, each key asked for once."""
    by_variable = {key_variable(spec): spec for spec in specs}
    for spec in by_variable.values():
        enter_key(spec)
