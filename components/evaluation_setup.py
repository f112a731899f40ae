"""What a prompt set is run on: the prompts, the models and settings, the limits, and the start.

Knows prompt sets, plans and estimates, and no model by name.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pandas as pd
import streamlit as st
from pydantic import TypeAdapter, ValidationError

from components import session
from components.evaluation_runs import begin
from components.keys import enter_keys, key_for
from components.language import _, say
from components.picker import option_label
from components.race_numbers import plain, table
from components.safe_markdown import legible
from llm.catalog import ModelSpec
from llm.checks import Check
from llm.errors import ImportRefusedError, UnknownModelError
from llm.evaluation import HOSTED_PARALLEL, LOCAL_PARALLEL, make_plan, unsent_settings
from llm.evaluation_runs import MAX_ROWS
from llm.journal import Plan
from llm.keys import needs_key
from llm.prompt_sets import (
    Form,
    PromptSet,
    form_of,
    list_shipped,
    load_prompt_set,
    parse_prompt_set,
)
from llm.spending import Estimate, estimate
from llm.wording import first_fault

SHOWN_PROMPTS = 200
"""Of a set, before it runs."""

_SOURCES = {"shipped": "Comes with Parley", "file": "A file", "typed": "Typed here"}
_FORMS: dict[Form, str] = {"text": "A prompt on each line", "csv": "CSV with a header",
                           "jsonl": "JSON Lines"}
_CHECKS = {"contains": "contains", "equals": "equals", "regex": "matches the pattern",
           "json_schema": "is JSON that fits the schema"}
_NONE = ""
"""The choice of none. Streamlit draws None as a box in which nothing is chosen yet."""
_CHECK: TypeAdapter[Check] = TypeAdapter(Check)
_ESTIMATE = "evaluation-estimate"


# ── The prompts ───────────────────────────────────────────────────────────────────────


def choose_prompts() -> PromptSet | None:
    """Draw the choice of a prompt set. None until there is one that can be used."""
    st.subheader(_("Prompts"))
    source = st.segmented_control(
        _("Where from"), list(_SOURCES), key="prompts-from", default="shipped", required=True,
        format_func=lambda name: _(_SOURCES[name]), persist_state="session")
    try:
        chosen = {"shipped": _shipped, "file": _from_file, "typed": _typed}[source]()
    except ImportRefusedError as error:
        st.error(plain(say(error)))
        return None
    if chosen is None:
        return None
    for note in chosen.notes:
        st.caption(plain(say(note)))
    first = st.number_input(
        _("Only the first"), 1, len(chosen.prompts), None, key="prompts-first", width=200,
        placeholder=_("all {count}").format(count=len(chosen.prompts)),
        help=_("To try a set out before all of it is run."))
    chosen = replace(chosen, prompts=chosen.prompts[:first])
    if check := _extra_check():
        chosen = replace(chosen, prompts=tuple(
            prompt.model_copy(update={"checks": (*prompt.checks[:19], check)})
            for prompt in chosen.prompts))
    with st.expander(_("See the prompts ({count})").format(count=len(chosen.prompts))):
        st.dataframe(_as_table(chosen), hide_index=True)
    return chosen


def _shipped() -> PromptSet:
    name = st.selectbox(
        _("Prompt set"), list_shipped(), key="prompts-shipped", persist_state="session",
        format_func=lambda name: name.replace("-", " ").capitalize())
    return load_prompt_set(name)


def _from_file() -> PromptSet | None:
    file = st.file_uploader(
        # Of any name, as wherever a file is taken: what is wrong with it we say, and Streamlit
        # would only turn it red.
        _("CSV, JSON Lines, or text with a prompt on each line"), key="prompts-file",
        help=_columns_help())
    template = _template()
    if file is None:
        return None
    return parse_prompt_set(file.getvalue(), name=file.name.rpartition(".")[0][:200] or "prompts",
                            form=form_of(file.name), template=template)


def _typed() -> PromptSet | None:
    form = st.selectbox(_("Written as"), list(_FORMS), key="prompts-form",
                        format_func=lambda name: _(_FORMS[name]), persist_state="session",
                        help=_columns_help())
    # Without a limit of its own, for which it would drop a paste: what is too much is refused.
    text = st.text_area(_("Prompts"), key="prompts-typed", height=160, persist_state="session")
    template = _template() if form != "text" else None
    if not text.strip():
        return None
    return parse_prompt_set(text.encode("utf-8", "replace"), name=_("Typed prompts"), form=form,
                            template=template)


def _columns_help() -> str:
    return _("Columns that mean something: prompt, system, tag, expected (the answer must hold "
             "it), reference (the answer is compared with it by chrF) and checks. Every other "
             "column is a variable: a city's name stands where a prompt says {city}.")


def _template() -> str | None:
    return st.text_input(
        _("The prompt, if no column holds it"), key="prompts-template", persist_state="session",
        placeholder=_("What is the capital of {country}?")).strip() or None


def _extra_check() -> Check | None:
    """A check that every answer gets beside the set's own."""
    with st.container(horizontal=True, vertical_alignment="bottom"):
        kind = st.selectbox(
            _("Check every answer too"), [_NONE, *_CHECKS], key="extra-check", width=280,
            format_func=lambda kind: _("no further check") if kind == _NONE
            else _("that it {does}").format(does=_(_CHECKS[kind])), persist_state="session")
        if kind == _NONE:
            return None
        wanted = st.text_input(_("What"), key="extra-check-text", persist_state="session")
    if not wanted.strip():
        return None
    field = {"regex": "pattern", "json_schema": "schema"}.get(kind, "text")
    try:
        value = json.loads(wanted) if kind == "json_schema" else wanted
        return _CHECK.validate_python({"kind": kind, field: value})
    except ValidationError as error:
        st.error(plain(_("That check cannot be used: {reason}.").format(
            reason=say(first_fault(error)[1]))))
    except (ValueError, RecursionError):
        st.error(_("That is no JSON."))
    return None


def _as_table(chosen: PromptSet) -> pd.DataFrame:
    return pd.DataFrame([{
        _("No."): prompt.number, _("Kind of task"): legible(prompt.tag),
        _("Prompt"): legible(prompt.prompt[:500]),
        _("Right answers"): legible(" | ".join(prompt.expected)[:500]),
        _("Checks"): ", ".join(check.kind for check in prompt.checks) or "–",
    } for prompt in chosen.prompts[:SHOWN_PROMPTS]])


# ── Models and settings ───────────────────────────────────────────────────────────────


def choose_models(chosen: PromptSet) -> Plan | None:
    """Draw the choice of models, settings, runs and judge. None until a model is chosen."""
    st.subheader(_("Models"))
    specs = {spec.id: spec for spec in session.models() if spec.is_language_model}
    models = st.multiselect(
        _("Models to compare"), list(specs), list(specs)[:1], key="evaluated", max_selections=20,
        format_func=lambda model: option_label(specs[model]), persist_state="session")
    left, middle, right = st.columns(3)
    temperatures = left.multiselect(
        _("Temperatures"), [number / 10 for number in range(21)], [0.0], max_selections=10,
        key="evaluated-temperatures", format_func=lambda number: f"{number:g}",
        persist_state="session",
        help=_("With several, each model answers every prompt with each. None: its own."))
    max_tokens = middle.number_input(
        _("Max tokens"), 1, 128_000, 256, key="evaluated-max-tokens", persist_state="session",
        help=_("An answer is cut off there. It also bounds what an answer can cost."))
    runs = right.number_input(
        _("Runs of each"), 1, 100, 1, key="evaluated-runs", persist_state="session",
        help=_("How often each prompt is asked, to see how steady the answers are."))
    with st.expander(_("More settings")):
        system = st.text_area(
            _("System prompt"), key="evaluated-system", persist_state="session",
            help=_("For prompts that have none of their own."))
        top_p = st.number_input(_("Top p"), 0.05, 1.0, None, 0.05, key="evaluated-top-p",
                                placeholder=_("the model's own"), persist_state="session")
        seed = st.number_input(_("Seed"), 0, 2**31 - 1, None, key="evaluated-seed",
                               placeholder=_("random"), persist_state="session")
    judge = st.selectbox(
        _("Judge"), [_NONE, *specs], key="evaluated-judge", persist_state="session",
        format_func=lambda model: _("none: the checks alone") if model == _NONE
        else option_label(specs[model]),
        help=_("A model that compares the answers two by two. Each pair is put to it in both "
               "orders: where it contradicts itself, that is a tie.")) or None
    if judge in models:
        st.caption(_("A judge that takes part tends to prefer its own answers."))
    if judge and len(models) * max(1, len(temperatures)) < 2:
        st.caption(_("With one model and one temperature there is nothing to judge."))
        judge = None
    with st.sidebar:
        enter_keys(specs[model] for model in dict.fromkeys([*models, *filter(None, [judge])]))
    if not models:
        st.info(_("Choose a model."))
        return None
    shared = {"top_p": top_p, "max_tokens": max_tokens, "seed": seed}
    shared = {name: value for name, value in shared.items() if value is not None}
    settings: list[Mapping[str, Any]] = [
        {"temperature": temperature, **shared} for temperature in sorted(temperatures)]
    return make_plan(chosen, models, runs=int(runs), system=system,
                     settings=settings or [shared], judge=judge, find=find_model)


def find_model(model_id: str) -> ModelSpec:
    """The entry of an id, the person's own models included. Raises `UnknownModelError`."""
    for spec in session.models():
        if spec.id == model_id:
            return spec
    raise UnknownModelError("There is no model called {name} here any more. Add it on the page "
                            "Models, and go on then.", name=model_id[:80])


# ── What it may cost, and the start ───────────────────────────────────────────────────


def offer_start(plan: Plan) -> None:
    """Draw what the plan may come to, the limits, and the button that begins it."""
    st.subheader(_("Before it starts"))
    if plan.row_count > MAX_ROWS or plan.pair_count > MAX_ROWS:
        st.error(_("That is more than {most} calls. Take fewer prompts, models, temperatures or "
                   "runs, or use the command line: python -m llm.evaluate.").format(
            most=f"{MAX_ROWS:,}"))
        return
    found = _estimate(plan)
    _show_estimate(found)
    for note in unsent_settings(plan, find_model):
        st.caption(plain(say(note)))
    options = choose_limits()
    missing = [model.label for model in found.models if _lacks_key(find_model(model.model_id))]
    if missing:
        st.info(plain(_("{models}: enter the key in the sidebar first.").format(
            models=", ".join(dict.fromkeys(missing)))))
    st.button(_("Start {count} calls").format(count=f"{found.calls:,}"), type="primary",
              icon=":material/play_arrow:", key="evaluation-start", disabled=bool(missing),
              on_click=begin, args=(plan, find_model), kwargs=options)


def choose_limits(spent: float = 0.0) -> dict[str, Any]:
    """Draw the limits on calls at once and on spending: options of `Evaluation`."""
    with st.container(horizontal=True):
        parallel = st.number_input(
            _("Calls at once for each model"), 1, 32, None, key="evaluation-parallel", width=280,
            placeholder=_("{local} on this machine, {hosted} hosted").format(
                local=LOCAL_PARALLEL, hosted=HOSTED_PARALLEL))
        most = st.number_input(
            _("Spend at most, in US dollars"), 0.0, 10_000.0, max(1.0, 2 * round(spent, 2)), 0.5,
            key="evaluation-max-usd", width=280,
            help=_("Of everything together. No call is begun that could pass it. It covers "
                   "models whose price is known."))
    return {"parallel": {None: int(parallel)} if parallel else {}, "max_usd": most}


def _lacks_key(spec: ModelSpec) -> bool:
    return needs_key(spec) and not key_for(spec)


def _estimate(plan: Plan) -> Estimate:
    """Counting tokens takes a while for a large set: once for each plan."""
    sign = plan.model_dump_json(by_alias=True, exclude={"id", "created_at"})
    known = st.session_state.get(_ESTIMATE)
    if known is None or known[0] != sign:
        known = st.session_state[_ESTIMATE] = (sign, estimate(plan, find=find_model))
    return known[1]


def _show_estimate(found: Estimate) -> None:
    rows = {}
    for model in found.models:
        name = _("{label} (judge)").format(label=model.label) if model.is_judge else model.label
        cost = _("no price is known") if model.usd is None else f"${model.usd:.4f}"
        if model.usd == 0 and not model.source:
            cost = _("free, on this machine")
        rows[name] = [f"{model.calls:,}", f"≈ {model.input_tokens:,}", f"{model.output_tokens:,}",
                      cost, model.source or "–"]
    st.table(table(rows, [_("Calls"), _("Tokens in"), _("Tokens out, at most"),
                          _("Cost, at most"), _("Price list")]))
    if found.unpriced:
        st.warning(plain(_("The limit on spending does not cover {models}: no price is known."
                           ).format(models=", ".join(found.unpriced))))
