"""Two answers word by word, and how steady each model is when it is asked again.

Differences are told apart by brackets, letters and lines, never by colour alone. Knows
texts and replies; how a question is answered, the page says.
"""

from __future__ import annotations

import html
from collections.abc import Callable

import streamlit as st

from components.language import _
from components.race_numbers import heading, table
from components.safe_markdown import legible
from llm.differences import compare, steadiness
from llm.errors import ParleyError
from llm.race import Pane, Race
from llm.replies import Ending, Reply
from llm.transcript import Turn

MAX_SHOWN = 20_000
"""Characters of each answer that are compared on the page."""

Answer = Callable[[Pane, Turn], Reply]


def show_differences(race: Race) -> None:
    """Draw the word-level difference of two of the answers to the latest question."""
    panes = {pane.letter: pane for pane in race.comparable if pane.reply.text}
    if len(panes) < 2:
        return
    st.subheader(_("Differences"))
    first, second = list(panes)[:2]
    if len(panes) > 2:
        with st.container(horizontal=True):
            first = st.selectbox(_("Compare"), list(panes), key="compare-first", width=160)
            others = [letter for letter in panes if letter != first]
            second = st.selectbox(_("with"), others, key="compare-second", width=160)
    left, right = panes[first].reply.text[:MAX_SHOWN], panes[second].reply.text[:MAX_SHOWN]
    found = compare(left, right)
    st.markdown(_("{similarity} alike · {a}: {a_words} words, {a_characters} characters · "
                  "{b}: {b_words} words, {b_characters} characters").format(
        similarity=f"{found.similarity:.0%}", a=first, b=second,
        a_words=f"{found.left_words:,}", a_characters=f"{found.left_characters:,}",
        b_words=f"{found.right_words:,}", b_characters=f"{found.right_characters:,}"))
    if left == right:
        st.success(_("The two answers are the same to the letter."))
        return
    with st.expander(_("Word by word"), expanded=len(left) + len(right) < 4_000):
        st.caption(_("[{a}: struck through] is in {a} only, [{b}: underlined] in {b} only.").format(
            a=first, b=second))
        parts = []
        for segment in found.segments:
            if segment.same:
                parts.append(html.escape(legible(segment.left)))
                continue
            parts += [_marked(tag, letter, text) for tag, letter, text in (
                ("del", first, segment.left), ("ins", second, segment.right)) if text.strip()]
        st.html("<div style='white-space: pre-wrap; overflow-wrap: anywhere'>"
                f"{''.join(parts)}</div>")


def _marked(tag: str, letter: str, text: str) -> str:
    words = text.rstrip()
    return (f"<{tag}>[<b>{letter}:</b> {html.escape(legible(words))}]</{tag}>"
            f"{text[len(words):]}")


# ── Steadiness ────────────────────────────────────────────────────────────────────────


def show_steadiness(race: Race, answer: Answer) -> None:
    """Draw the offer to ask each model the last question again and again, and what came of it."""
    # Told when it is opened, or a run of the page at that moment would shut it again.
    with st.expander(_("How steady is each? Ask again and see"), icon=":material/repeat:",
                     expanded=bool(race.runs), key="steadiness-open", on_change="rerun"):
        with st.container(horizontal=True, vertical_alignment="bottom"):
            count = st.number_input(_("Runs of each"), 2, 10, 3, key="steadiness-runs", width=160)
            st.button(_("Run {count} calls").format(count=count * len(race.comparable)),
                      key="steadiness-start", icon=":material/play_arrow:",
                      on_click=race.begin_runs, args=(count,))
            stop = st.empty()
        st.caption(_("Nothing of this enters a history. At temperature 0, or with a seed that "
                     "the service keeps to, all runs are the same."))
        if not race.runs:
            return
        if not race.runs_are_over:
            stop.button(_("Stop the runs"), key="steadiness-stop", icon=":material/stop_circle:",
                        on_click=race.stop_runs)
            _run_all(race, answer)
            stop.empty()
        _show_runs(race)


def _running_again(race: Race) -> list[Pane]:
    return [pane for pane in race.panes if pane.letter in race.runs]


def _run_all(race: Race, answer: Answer) -> None:
    """Ask until every pane has had its runs: each model one at a time, the models at once."""
    bar = st.empty()
    while not race.runs_are_over:
        for pane in _running_again(race):
            runs = race.runs[pane.letter]
            if len(runs) < race.runs_wanted and not (runs and runs[-1].is_running):
                try:
                    runs.append(answer(pane, pane.chat.last_question))
                except ParleyError as error:
                    runs.append(Reply.failed(pane.spec.id, error))
        done = sum(not run.is_running for runs in race.runs.values() for run in runs)
        wanted = race.runs_wanted * len(race.runs)
        bar.progress(done / wanted, text=_("{done} of {wanted} calls").format(
            done=done, wanted=wanted))
        running = [run for runs in race.runs.values() for run in runs if run.is_running]
        if running:
            running[0].wait(0.2)
    bar.empty()


def _show_runs(race: Race) -> None:
    rows: dict[str, list[str]] = {}
    shown = [pane for pane in _running_again(race) if race.runs[pane.letter]]
    for pane in shown:
        runs = race.runs[pane.letter]
        ended = [run.text for run in runs if run.ending in (Ending.STOP, Ending.LENGTH)]
        found = steadiness(ended)
        alike = found.mean_similarity
        for name, figure in (
            (_("Runs that ended well"), f"{found.runs} / {len(runs)}"),
            (_("Different answers"), str(found.distinct)),
            (_("The most frequent came"), _("{count} times").format(count=found.most_common)),
            (_("Alike, on average of all pairs"), "–" if alike is None else f"{alike:.0%}"),
        ):
            rows.setdefault(name, []).append(figure)
    if rows:
        st.table(table(rows, [heading(pane) for pane in shown]))
