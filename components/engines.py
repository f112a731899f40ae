"""A local model on its way: what it is doing until it is ready, and a button to fetch it.

Knows the states of llm.local_engines, and no engine by name.
"""

from __future__ import annotations

import time

import streamlit as st

from components.figures import human_bytes
from components.language import _, say
from components.text import as_label
from llm.catalog import ModelSpec
from llm.errors import ParleyError
from llm.local_engines import BUSY, Engine, engine_for, engine_to_ask
from llm.weights import is_here, size_of

_LABELS = {
    "absent": "Not started",
    "fetching": "Fetching the weights",
    "converting": "Preparing the weights",
    "loading": "Loading into memory",
    "ready": "Ready",
    "failed": "Failed",
    "ended": "Asleep until asked",
}


def wait_for_engine(spec: ModelSpec) -> None:
    """Start the model's engine and show what it does until it is ready.

    Raises the `LocalModelError` that kept it from starting; gigabytes are fetched from a card
    of the Models page, never by asking a question.
    """
    if spec.engine is None:
        return
    engine = engine_to_ask(spec)
    if engine.state == "ready":
        return
    engine.start()
    place = st.empty()
    while engine.state in BUSY:
        place.progress(engine.progress or 0.0, text=f"{spec.label}: {describe(engine)}")
        time.sleep(0.1)
    place.empty()
    # Asking again would start again what somebody has just cancelled.
    if engine.error is not None:
        raise engine.error


def describe(engine: Engine) -> str:
    """One line on what an engine is doing."""
    label = _(_LABELS[engine.state])
    return f"{label}: {say(engine.wording)}" if engine.wording else f"{label} …"


def engine_status(spec: ModelSpec) -> None:
    """Show the state of a local model, and where its weights must be fetched first, offer that."""
    if spec.engine is not None:
        _follow(spec)


@st.fragment(run_every=1.0)
def _follow(spec: ModelSpec) -> None:
    engine = engine_for(spec)
    if engine.state == "ready":
        st.badge(_("Ready"), icon=":material/check:", color="green")
    elif engine.state in BUSY:
        st.progress(engine.progress or 0.0, text=describe(engine))
        if engine.state == "fetching":
            st.button(_("Cancel the download"), key=f"cancel-{spec.id}", on_click=engine.cancel)
    elif engine.state == "failed":
        st.error(as_label(say(engine.wording or "")))
        st.button(_("Try again"), key=f"restart-{spec.id}", on_click=engine.start)
    elif is_here(spec):
        st.badge(_(_LABELS[engine.state]), icon=":material/bedtime:", color="gray")
    else:
        _offer_download(spec, engine)


def _offer_download(spec: ModelSpec, engine: Engine) -> None:
    """The button that fetches the weights. How large they are, the Hub is asked on request."""
    sizes = st.session_state.setdefault("download_sizes", {})
    size = spec.download_bytes or sizes.get(spec.id)
    label = _("Fetch the weights")
    with st.container(horizontal=True):
        st.button(f"{label} ({human_bytes(size)})" if size else label, key=f"fetch-{spec.id}",
                  icon=":material/download:", on_click=engine.start)
        if not size:
            st.button(_("How large are they?"), key=f"size-{spec.id}", type="tertiary",
                      on_click=_ask_size, args=(spec, sizes))


def _ask_size(spec: ModelSpec, sizes: dict[str, int]) -> None:
    try:
        sizes[spec.id] = size_of(spec)
    except ParleyError as error:
        st.toast(say(error), icon=":material/error:")
