"""Choosing a model and its settings: the one picker of every page.

It knows what a catalog entry says, and no model by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import streamlit as st
from pydantic import ValidationError

from components import session, sharing
from components.engines import engine_status
from components.keys import enter_key
from components.language import _, say
from components.model_card import show_model_card
from components.text import as_label
from llm.catalog import ModelSpec
from llm.wording import first_fault


def pick_model(key: str = "model", *, label: str | None = None, default: str | None = None,
               choices: Sequence[ModelSpec] | None = None) -> ModelSpec:
    """Draw the picker, its card, key entry and state in the sidebar. Returns the choice.

    `key` names the choice: pages that give the same key share it. `default` is the
    id to begin with, the first model otherwise.
    """
    specs = {spec.id: spec for spec in (choices or session.models())}
    ids = list(specs)
    with st.sidebar:
        chosen = st.selectbox(
            label or _("Model"), ids, key=key, persist_state="session",
            index=ids.index(default) if default in specs else 0,
            format_func=lambda model_id: option_label(specs[model_id]),
        )
        spec = specs[chosen]
        engine_status(spec)
        enter_key(spec)
        # What is folded away is drawn when it is opened, as everywhere: else each run of
        # the page takes its time, in the app and in the browser.
        card = st.expander(_("About this model"), key=f"about-{key}", on_change="rerun")
        if card.open:
            with card:
                show_model_card(spec)
    return spec


def option_label(spec: ModelSpec) -> str:
    """A model's line in a list: its name, open or closed, here or elsewhere."""
    kind = _("open") if spec.open else _("closed")
    place = _("this machine") if spec.runs_locally else _("hosted")
    return f"{spec.label} · {kind} · {place}"


def pick_settings(spec: ModelSpec, *, system: str | None = None,
                  system_key: str = "system") -> dict[str, Any]:
    """Draw the settings in the sidebar. Returns those that are set, by LangChain's names.

    `system`, where given, adds an editable instruction that begins so; pages that give the
    same `system_key` share it.
    """
    return _draw_settings(spec.id, spec.default_temperature, set(spec.unsupported_settings), system,
                          system_key)


def pick_shared_settings(specs: Sequence[ModelSpec], *, system: str) -> dict[str, Any]:
    """The same for several models that all get the same; one that none of them takes is off."""
    unsupported = set.intersection(*(set(spec.unsupported_settings) for spec in specs))
    temperature = min(spec.default_temperature for spec in specs)
    return _draw_settings("shared", temperature, unsupported, system)


def _draw_settings(key: str, temperature: float, unsupported: set[str], system: str | None,
                   system_key: str = "system") -> dict[str, Any]:
    # Where a widget keeps each, and what it begins with: they count without being drawn, too.
    begins = {"temperature": temperature, "top_p": 0.9, "max_tokens": 512, "seed": None}
    keys = {name: f"{name}-{key}" for name in begins}
    if system is not None:
        begins["system"], keys["system"] = system, system_key
    for name, value in begins.items():
        st.session_state.setdefault(keys[name], value)

    def options(name: str) -> dict[str, Any]:
        return {"key": keys[name], "persist_state": "session", "disabled": name in unsupported}

    drawer = st.sidebar.expander(_("Settings"), key="settings", on_change="rerun")
    if drawer.open:
        with drawer:
            if system is not None:
                st.text_area(
                    _("System prompt"), height=120, placeholder=_("None: the model's own"),
                    help=_("What the model is told before the conversation."), **options("system"))
            st.slider(
                _("Temperature"), 0.0, 2.0, step=0.05, **options("temperature"),
                help=_("0: the likeliest word each time. Higher: more varied, and more often "
                       "wrong."))
            st.slider(
                _("Top p"), 0.05, 1.0, step=0.05, **options("top_p"),
                help=_("Choose only among the likeliest words that make up this share."))
            st.number_input(
                _("Max tokens"), 1, 128_000, **options("max_tokens"),
                help=_("The reply is cut off there. A token is about three quarters of a word."))
            st.number_input(
                _("Seed"), 0, 2**31 - 1, None, placeholder=_("random"), **options("seed"),
                help=_("The same seed and settings give the same reply, if the service keeps to "
                       "it."))
            if unsupported:
                st.caption(_("This model takes no {settings}: they are not sent.").format(
                    settings=", ".join(sorted(unsupported))))
    settings = {name: st.session_state[keys[name]] for name in begins}
    if settings["seed"] is None:
        del settings["seed"]
    return settings


_OWN_KINDS = {
    "openai": "A server that speaks OpenAI's protocol, by URL",
    "huggingface": "A Hugging Face server (vLLM, TGI, Ollama, llama.cpp), by URL",
    "providers": "A model on Hugging Face Inference Providers, by name",
    "llama.cpp": "A GGUF file, by Hub id or path",
    "transformers": "A Hugging Face checkpoint, by Hub id or path",
}
_BY_URL = ("openai", "huggingface")
_LOCAL = ("llama.cpp", "transformers")


def _own_kinds() -> list[str]:
    """The kinds that people may add here, as the operator has it."""
    return [kind for kind in _OWN_KINDS
            if (kind not in _BY_URL or sharing.may_add_servers())
            and (kind not in _LOCAL or sharing.may_add_local_models())]


def add_own_model() -> None:
    """Draw the form that adds a model of the person's own to this session."""
    if sharing.is_shared():
        st.caption(_("This Parley is shared, so not everything can be added here. Its operator "
                     "can add any model to the catalog."))
    kind = st.selectbox(_("What is it?"), _own_kinds(), key="own-kind",
                        format_func=lambda name: _(_OWN_KINDS[name]))
    by_url, local = kind in _BY_URL, kind in _LOCAL
    with st.form("own-model", border=False):
        url = st.text_input(_("Address, up to and including /v1"),
                            placeholder="http://127.0.0.1:8000/v1") if by_url else None
        name = st.text_input(_("Hub id or path") if local else _("The model's name there"))
        file = st.text_input(_("The GGUF file in it"), help=_("Not needed for a path to a file.")) \
            if kind == "llama.cpp" else None
        vision = st.checkbox(_("It can see pictures"))
        if st.form_submit_button(_("Add")):
            _add(kind, name.strip(), (url or "").strip() or None, (file or "").strip() or None,
                 vision)


def _add(kind: str, name: str, url: str | None, file: str | None, vision: bool) -> None:
    if kind not in _own_kinds():
        # No page offers it: Streamlit passes on any word that comes over the WebSocket.
        return
    # The same model added twice is one entry; a digest keeps the id within the catalog's form.
    digest = hashlib.sha256(f"{kind} {name} {url} {file}".encode()).hexdigest()[:12]
    local = {"engine": kind, "weights": name, "file": file} if kind in _LOCAL else {}
    provider = "local" if local else "huggingface" if kind == "providers" else kind
    try:
        spec = ModelSpec(id=f"own-{digest}", label=name or "?", provider=provider, model=name,
                         open=kind != "openai", base_url=url, vision=vision,
                         public_only=sharing.is_shared(), **local)
    except ValidationError as error:
        st.error(_("That cannot be used: {reason}.").format(
            reason=as_label(say(first_fault(error)[1]))))
        return
    session.own_models()[spec.id] = spec
    st.success(_("{name} is now in the list of models.").format(
        name=as_label(spec.label)))
