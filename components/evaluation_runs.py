"""The evaluations of a person: which to look at, how far it is, pause, cancel, go on, delete.

One runs in the background, whoever looks. Knows progress, and neither what is asked nor
what came of it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import streamlit as st

from components.browser import announce
from components.figures import human_seconds
from components.kept import keeps_nothing
from components.keys import key_for
from components.language import _, say
from components.owner import current_owner
from components.race_numbers import plain
from llm import evaluation_runs
from llm.catalog import ModelSpec
from llm.errors import ParleyError, StorageError
from llm.evaluation_runs import Kept
from llm.journal import Plan
from llm.lanes import LaneProgress, Progress, State
from llm.providers import create_chat_model

_CHOSEN, _TOLD, _FILE = "evaluation", "evaluation-told", "evaluation-file"

_NEW = ""
"""The choice of none. Streamlit draws None as a box in which nothing is chosen yet."""

_STATES = {
    State.READY: "about to start", State.RUNNING: "running", State.PAUSED: "paused",
    State.FINISHED: "finished", State.CANCELLED: "cancelled", State.INCOMPLETE: "not finished",
    State.FAILED: "stopped by an error",
}

Find = Callable[[str], ModelSpec]


# ── Which one ─────────────────────────────────────────────────────────────────────────


def pick_run() -> str | None:
    """Draw the choice of an evaluation. Returns its id; None for a new one.

    The page's address names the one that is looked at, so that a reload shows it again.
    """
    kept = {one.id: one for one in evaluation_runs.kept(current_owner())}
    if _CHOSEN not in st.session_state and st.query_params.get("run") in kept:
        st.session_state[_CHOSEN] = st.query_params["run"]
    if st.session_state.get(_CHOSEN) not in kept:
        st.session_state[_CHOSEN] = _NEW
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = st.selectbox(
            _("Evaluation"), [_NEW, *kept], key=_CHOSEN, persist_state="session",
            on_change=st.session_state.pop, args=(_TOLD, None),
            format_func=lambda run: _("A new one") if run == _NEW else _name(kept[run]))
        with st.popover(_("Open results"), icon=":material/file_open:"):
            st.file_uploader(
                _("results.jsonl or journal.jsonl of an evaluation"), key=_FILE,
                on_change=_take_in,
                help=_("The command line writes them into the folder that --out names. What is "
                       "left to run can be run here."))
    # Until something else is done: a run that is cut short would have told nobody.
    if told := st.session_state.get(_TOLD):
        st.error(plain(told))
    if chosen == _NEW:
        st.query_params.pop("run", None)
        return None
    st.query_params["run"] = chosen
    return chosen


def _name(kept: Kept) -> str:
    began = time.strftime("%d %b %Y, %H:%M UTC", time.gmtime(kept.created_at))
    return f"{kept.set_name} · {', '.join(kept.labels)} · {began}"


def _take_in() -> None:
    file = st.session_state[_FILE]
    if file is None:
        st.session_state[_TOLD] = None
    else:
        _try_to_keep(lambda: _choose(evaluation_runs.take_in(current_owner(), file.getvalue())))


def begin(plan: Plan, find: Find, **options: Any) -> None:
    """Begin the plan, and look at it. A callback."""
    _try_to_keep(lambda: _choose(evaluation_runs.begin(
        current_owner(), plan, create=_with_keys(plan, find), find=find, **options)))


def _choose(run_id: str) -> None:
    st.session_state[_CHOSEN] = run_id


def _try_to_keep(act: Callable[[], None]) -> None:
    # What it asks and is answered is written down as it runs: so it can go on another time.
    if keeps_nothing():
        st.session_state[_TOLD] = _("An evaluation is kept as it runs, and nothing is to be kept "
                                    "now. To have one, switch “Keep nothing” off, in a chat's "
                                    "sidebar under “What is kept”.")
    else:
        _try(act)


def _try(act: Callable[[], None]) -> None:
    st.session_state[_TOLD] = None
    try:
        act()
    except ParleyError as error:
        st.session_state[_TOLD] = say(error)


def _with_keys(plan: Plan, find: Find) -> Callable[[ModelSpec], Any]:
    """Makes the plan's chat models with this person's keys, in whatever thread."""
    ids = {*plan.models, *([plan.judge] if plan.judge else [])}
    keys = {model: key_for(find(model)) for model in ids}
    return lambda spec: create_chat_model(spec, api_key=keys[spec.id])


# ── One that is kept ──────────────────────────────────────────────────────────────────


def show_progress(run_id: str) -> bool:
    """Draw how far it is, and while it runs what can be done to it. Whether it runs."""
    if evaluation_runs.running(current_owner(), run_id) is not None:
        _follow(run_id)
        return True
    progress = evaluation_runs.progress(current_owner(), run_id)
    _draw(progress)
    announce(_("The evaluation is {state}.").format(state=_(_STATES[progress.state])),
             key=f"state-{run_id}")
    return False


@st.fragment(run_every=1.0)
def _follow(run_id: str) -> None:
    try:
        evaluation = evaluation_runs.running(current_owner(), run_id)
    except StorageError:
        evaluation = None  # deleted in another tab
    if evaluation is None:
        st.rerun()
    progress = evaluation.progress()
    _draw(progress)
    with st.container(horizontal=True):
        if progress.state is State.PAUSED:
            st.button(_("Go on"), icon=":material/play_arrow:", key="evaluation-resume",
                      on_click=evaluation.resume)
        else:
            st.button(_("Pause"), icon=":material/pause:", key="evaluation-pause",
                      on_click=evaluation.pause)
        st.button(_("Cancel"), icon=":material/stop_circle:", key="evaluation-cancel",
                  on_click=_cancel, args=(run_id,))


def _cancel(run_id: str) -> None:
    with suppress(StorageError):  # deleted in another tab
        evaluation = evaluation_runs.running(current_owner(), run_id)
        if evaluation is not None:
            evaluation.cancel()
            evaluation.wait(5)


def _draw(progress: Progress) -> None:
    for lane in progress.lanes:
        st.progress(lane.done / lane.total if lane.total else 1.0, text=plain(_line(lane)))
        if lane.halted:
            st.warning(plain(f"{lane.label}: {say(lane.halted)}"))
    if progress.error:
        st.error(plain(say(progress.error)))
    said = [_("{done} of {total} {state}").format(
        done=f"{progress.done:,}", total=f"{progress.total:,}", state=_(_STATES[progress.state]))]
    if progress.failed:
        said.append(_("{count} failed").format(count=f"{progress.failed:,}"))
    if progress.usd:
        spent = _("${usd} spent").format(usd=f"{progress.usd:.4f}")
        if progress.max_usd is not None:
            spent = _("${usd} of ${most} spent").format(usd=f"{progress.usd:.4f}",
                                                        most=f"{progress.max_usd:.2f}")
        said.append(spent)
    if progress.seconds_left and progress.state is State.RUNNING:
        said.append(_("about {time} left").format(time=human_seconds(progress.seconds_left)))
    st.caption(plain(" · ".join(said)))


def _line(lane: LaneProgress) -> str:
    name = _("{label} (judge)").format(label=lane.label) if lane.is_judge else lane.label
    line = _("{name}: {done} of {total}").format(name=name, done=f"{lane.done:,}",
                                                 total=f"{lane.total:,}")
    if lane.running:
        line += _(", {count} under way").format(count=lane.running)
    if lane.failed:
        line += _(", {count} failed").format(count=f"{lane.failed:,}")
    return line


def offer_going_on(run_id: str, plan: Plan, find: Find,
                   choose_limits: Callable[[float], dict[str, Any]]) -> None:
    """Draw what can be done to an evaluation that does not run."""
    progress = evaluation_runs.progress(current_owner(), run_id)
    is_whole = progress.state is State.FINISHED
    options: dict[str, Any] = {}
    if not is_whole or progress.failed:
        options = choose_limits(progress.usd)
    with st.container(horizontal=True):
        if not is_whole:
            st.button(_("Run what is left"), type="primary", icon=":material/play_arrow:",
                      key="evaluation-go-on", on_click=_go_on, args=(run_id, plan, find),
                      kwargs=options)
        if progress.failed:
            st.button(_("Run failed rows again"), icon=":material/refresh:",
                      key="evaluation-retry", on_click=_go_on, args=(run_id, plan, find),
                      kwargs={**options, "retry_failed": True})
        with st.popover(_("Delete"), icon=":material/delete:"):
            st.markdown(_("The evaluation and its results are removed for good."))
            st.button(_("Delete it"), key="evaluation-delete", on_click=_delete, args=(run_id,))


def _go_on(run_id: str, plan: Plan, find: Find, **options: Any) -> None:
    _try_to_keep(lambda: evaluation_runs.go_on(
        current_owner(), run_id, create=_with_keys(plan, find), find=find, **options))


def _delete(run_id: str) -> None:
    st.session_state[_TOLD] = None
    with suppress(StorageError):  # deleted by a first click, or in another tab
        evaluation_runs.delete(current_owner(), run_id)
