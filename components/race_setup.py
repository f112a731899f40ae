"""Who races: presets, two to four models, each with a temperature of its own if wanted.

A race can be opened by its address, which holds the models, the settings, the prompt and
whether it is blind. Knows what a catalog entry says, and no model by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import streamlit as st

from components import session
from components.engines import engine_status
from components.keys import enter_keys, key_for
from components.language import _
from components.model_card import show_model_card
from components.picker import option_label
from components.race_numbers import SETTING_NAMES, plain
from components.text import show_text
from llm.catalog import ModelSpec
from llm.keys import needs_key
from llm.prompts import CHAT_SYSTEM
from llm.race import LETTERS, Contender, Race

MAX_LINK_PROMPT = 2_000
"""Characters of a prompt that go into the address. Servers on the way cut longer ones."""

SETTINGS = {"temperature": (float, 0, 2), "top_p": (float, 0.05, 1),
            "max_tokens": (int, 1, 128_000), "seed": (int, 0, 2**31 - 1)}
"""The settings that an address may hold: their type and bounds."""

_LAST_LINK = "race-link"


# ── Presets ───────────────────────────────────────────────────────────────────────────


def closed_against_open(specs: Sequence[ModelSpec]) -> list[Contender]:
    """A closed model, one with a key if there is one, and the first open one."""
    closed = [spec for spec in specs if not spec.open]
    usable = [spec for spec in closed if not needs_key(spec) or key_for(spec)]
    opened = [spec for spec in specs if spec.open]
    return [Contender(spec) for spec in (*(usable or closed)[:1], *opened[:1])]


def two_engines(specs: Sequence[ModelSpec]) -> list[Contender]:
    """The same weights, here from the start, on each engine that runs them."""
    by_engine = {spec.engine: spec for spec in reversed(specs) if spec.weights == "builtin"}
    return [Contender(spec) for spec in list(by_engine.values())[::-1][:2]]


def two_temperatures(specs: Sequence[ModelSpec]) -> list[Contender]:
    """The first model twice, careful and wild."""
    return [Contender(specs[0], 0.0), Contender(specs[0], 1.0)]


PRESETS: dict[str, Callable[[Sequence[ModelSpec]], list[Contender]]] = {
    "Closed against open": closed_against_open,
    "One model, two engines": two_engines,
    "One model, two temperatures": two_temperatures,
}


# ── The picker ────────────────────────────────────────────────────────────────────────


def pick_contenders() -> tuple[list[Contender], bool]:
    """Draw the choice of models. Returns them, and whether the race is blind."""
    specs = {spec.id: spec for spec in session.models()}
    _begin_with(specs)
    with st.expander(_("Who races"), icon=":material/groups:",
                     expanded=not session.has_raced()):
        with st.container(horizontal=True, vertical_alignment="center"):
            for name, preset in PRESETS.items():
                chosen = preset(list(specs.values()))
                if len(chosen) > 1:
                    st.button(_(name), key=f"preset-{name}", on_click=_choose, args=(chosen,))
        sides = st.segmented_control(_("How many"), [2, 3, 4], key="sides", required=True,
                                     persist_state="session")
        contenders = []
        for letter, column in zip(LETTERS, st.columns(sides), strict=False):
            with column:
                contenders.append(_pick_one(letter, specs))
        blind = st.toggle(
            _("Blind"), key="blind", persist_state="session",
            help=_("Two of these, drawn at random and in random order. Names and figures are "
                   "hidden until you have voted."))
    different = {contender.spec.id: contender.spec for contender in contenders}.values()
    with st.sidebar:
        enter_keys(different)
        for spec in different:
            with st.expander(spec.label):
                show_model_card(spec)
                engine_status(spec)
    return contenders, blind


def _pick_one(letter: str, specs: Mapping[str, ModelSpec]) -> Contender:
    chosen = st.selectbox(
        _("Model {letter}").format(letter=letter), list(specs), key=f"side-{letter}",
        format_func=lambda model_id: option_label(specs[model_id]), persist_state="session")
    spec = specs[chosen]
    temperature = st.number_input(
        _("Its own temperature"), 0.0, 2.0, None, 0.1, key=f"own-temperature-{letter}",
        placeholder=_("as in Settings"), persist_state="session",
        disabled=not spec.supports("temperature"))
    return Contender(spec, temperature if spec.supports("temperature") else None)


def _begin_with(specs: Mapping[str, ModelSpec]) -> None:
    """See to it that each widget has a value that can be chosen."""
    everyone = list(specs.values())
    for letter, contender in zip(LETTERS, _cycle(two_engines(everyone) or [Contender(everyone[0])]),
                                 strict=False):
        if st.session_state.get(f"side-{letter}") not in specs:
            st.session_state[f"side-{letter}"] = contender.spec.id
    st.session_state.setdefault("sides", 2)


def _cycle(contenders: list[Contender]) -> list[Contender]:
    return (contenders * len(LETTERS))[:len(LETTERS)]


def _choose(contenders: Sequence[Contender]) -> None:
    """Put these into the widgets."""
    st.session_state["sides"] = max(2, len(contenders))
    for letter, contender in zip(LETTERS, contenders, strict=False):
        st.session_state[f"side-{letter}"] = contender.spec.id
        st.session_state[f"own-temperature-{letter}"] = contender.temperature


# ── The address ───────────────────────────────────────────────────────────────────────


def take_link() -> None:
    """Set the page up as its address says, if somebody came by one. Draw before the widgets.

    What cannot be used is left out, and said. Nothing is sent to any model: a prompt is
    only offered, since sending it may cost money.
    """
    told = st.container()
    link = {name: st.query_params.get_all(name) for name in st.query_params}
    if not link or link == st.session_state.get(_LAST_LINK):
        return
    slips = [*_take_models(link.get("model", [])), *_take_settings(link)]
    if "system" in link:
        st.session_state["system"] = link["system"][0][:MAX_LINK_PROMPT]
        slips.append(_("The link brings a system prompt of its own: it stands in Settings."))
    st.session_state["blind"] = link.get("blind", [""])[0].casefold() in ("1", "true", "yes")
    st.session_state["linked-prompt"] = link.get("prompt", [""])[0][:MAX_LINK_PROMPT]
    if any(len(value) > MAX_LINK_PROMPT for name in ("system", "prompt")
           for value in link.get(name, [])[:1]):
        slips.append(_("A text in the link is longer than {most} characters: what comes after "
                       "them is left out.").format(most=f"{MAX_LINK_PROMPT:,}"))
    if slips:
        told.warning(plain(" ".join(slips)))
    st.session_state[_LAST_LINK] = link


def _take_models(written: Sequence[str]) -> Iterator[str]:
    """Choose the models that a link names. Yields what is to be said."""
    specs = {spec.id: spec for spec in session.models()}
    asked = [_contender(one, specs) for one in written[:len(LETTERS)]]
    contenders = [contender for contender in asked if contender is not None]
    if contenders:
        _choose(contenders)
    if None in asked:
        yield _("The link names a model that there is not here. Choose another.")
    elif len(asked) == 1:
        yield _("The link names one model, and a race has two or more. Choose another.")
    if len(written) > len(LETTERS):
        yield _("The link names more than {most} models: the first {most} race.").format(
            most=len(LETTERS))


def _take_settings(link: Mapping[str, Sequence[str]]) -> Iterator[str]:
    """Set the settings that a link holds. Yields what is to be said."""
    for name, (kind, low, high) in SETTINGS.items():
        if name not in link:
            continue
        try:
            value = kind(link[name][0])
        except ValueError:
            value = math.nan
        if low <= value <= high:
            st.session_state[f"{name}-shared"] = value
        else:
            yield _("The link's {name} is not a number from {low} to {high}, and is left out."
                    ).format(name=_(SETTING_NAMES[name]), low=low, high=f"{high:,}")


def _contender(written: str, specs: Mapping[str, ModelSpec]) -> Contender | None:
    """A contender as an address names it: the model's id, or id@temperature."""
    model_id, _at, own = written.partition("@")
    try:
        temperature = float(own) if own else None
    except ValueError:
        return None
    if model_id not in specs or (temperature is not None and not 0 <= temperature <= 2):
        return None
    return Contender(specs[model_id], temperature)


def keep_link(contenders: Sequence[Contender], settings: Mapping[str, Any], race: Race) -> None:
    """Put the race into the page's address, to be copied from there."""
    link = {"model": [contender.spec.id + ("" if contender.temperature is None
                                           else f"@{contender.temperature:g}")
                      for contender in contenders]}
    link.update((name, [f"{settings[name]:g}" if name != "seed" else str(settings[name])])
                for name in SETTINGS if settings.get(name) is not None)
    if settings["system"] != CHAT_SYSTEM and len(settings["system"]) <= MAX_LINK_PROMPT:
        link["system"] = [settings["system"]]
    if race.blind:
        link["blind"] = ["1"]
    first = next(iter(race.panes[0].chat), None)
    prompt = first.content if first else st.session_state.get("linked-prompt", "")
    if prompt and len(prompt) <= MAX_LINK_PROMPT:
        link["prompt"] = [prompt]
    if link != st.session_state.get(_LAST_LINK) or not st.query_params:
        st.session_state[_LAST_LINK] = link
        st.query_params.from_dict(link)


def offer_linked_prompt(race: Race) -> None:
    """Draw the prompt that came with the address, and the button that sends it."""
    # Emptied at once when the race has begun.
    place = st.empty()
    prompt = st.session_state.get("linked-prompt")
    if prompt and race.panes[0].chat.last is None:
        with place.container():
            show_text(prompt, by_person=True)
            st.button(_("Start this race"), type="primary", icon=":material/flag:",
                      on_click=_ask_first, args=(race, prompt))


def _ask_first(race: Race, prompt: str) -> None:
    if race.panes[0].chat.last is None:  # and not asked by a first click already
        race.ask(prompt)
