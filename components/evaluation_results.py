"""What an evaluation came to, on the page: figures with their intervals, plots, every row.

Knows results, and not how they were run. Nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from components.language import _, say
from components.owner import current_owner
from components.race_numbers import COLOURS, plain, share, table
from components.safe_markdown import legible
from components.text import show_text
from llm import evaluation_runs
from llm.report import render
from llm.results import Median, Results, Summary
from llm.standings import Estimate, Verdict

SHOWN_ROWS = 5_000
"""At once. All are in the files to take away."""
SHOWN_CHARACTERS = 300
"""Of a text in a cell: a row that is chosen shows the whole."""

_RESULTS = "evaluation-results"
_VERDICTS = {Verdict.ABOVE: "better than the other", Verdict.BELOW: "worse than the other",
             Verdict.NOTHING_YET: "nothing can be said yet"}
_ENDINGS = {"stop": "finished", "length": "cut off at the length limit", "failed": "failed",
            "content_filter": "withheld by the service", "stopped": "stopped"}


def results_of(run_id: str) -> Results:
    """The results so far, worked out once for each state of the journal."""
    owner = current_owner()
    sign = (run_id, evaluation_runs.journal_bytes(owner, run_id))
    known = st.session_state.get(_RESULTS)
    if known is None or known[0] != sign:
        known = st.session_state[_RESULTS] = (sign, evaluation_runs.results(owner, run_id))
    return known[1]


def show_results(results: Results) -> None:
    """Draw everything there is to see, or that nothing has run yet."""
    if not results.rows:
        st.info(_("Nothing has run yet."))
        return
    st.subheader(_("Results"))
    if len(results.rows) < results.planned:
        st.caption(_("{done} of {planned} rows have run.").format(
            done=f"{len(results.rows):,}", planned=f"{results.planned:,}"))
    _show_summaries(results.summaries)
    _show_plots(results)
    _show_tags(results)
    _show_judge(results)
    _show_rows(results)
    _offer_files(results)


# ── Figures ───────────────────────────────────────────────────────────────────────────


def _show_summaries(summaries: Sequence[Summary]) -> None:
    rows = {}
    for summary in summaries:
        rows[summary.name] = [
            str(summary.rows), str(summary.failed), _share(summary.quality),
            _median(summary.total_seconds), _median(summary.first_token_seconds),
            _median(summary.tokens_per_second, "{:,.0f}"), _median(summary.usd, "${:.2g}"),
            "–" if summary.usd_in_all is None else f"${summary.usd_in_all:.4f}",
            "–" if summary.steadiness is None else f"{summary.steadiness:.0%}"]
    st.table(table(rows, [
        _("Rows"), _("Failed"), _("Quality"), _("Seconds"), _("First token, s"), _("Tokens/s"),
        _("Cost a row"), _("Cost in all"), _("Steadiness")]))
    st.caption(_("Quality: the mean score of the checks over prompts, with Wilson's interval. "
                 "The rest: medians over prompts, with bootstrap intervals (95%). Steadiness: how "
                 "alike the runs of one prompt are. Failed rows are in no figure but their own."))


def _share(estimate: Estimate | None) -> str:
    return "–" if estimate is None else share(estimate)


def _median(measure: Median | None, form: str = "{:,.2f}") -> str:
    if measure is None:
        return "–"
    written = form.format(measure.value)
    if measure.low is None or measure.low == measure.value == measure.high:
        return written
    return f"{written} ({form.format(measure.low)}–{form.format(measure.high)})"


def _show_tags(results: Results) -> None:
    by_tag = {tag: found for tag, found in results.quality_by_tag().items() if found}
    if len(by_tag) < 2:
        return
    with st.expander(_("Quality by kind of task")):
        summaries = results.summaries
        st.table(table(
            {tag or _("without a word for it"):
             [_share(found.get(summary.contender)) for summary in summaries]
             for tag, found in by_tag.items()}, [summary.name for summary in summaries]))


def _show_judge(results: Results) -> None:
    found = results.judge_standings
    if found is None:
        return
    st.subheader(_("What the judge says"))
    rows = {}
    for pair in found.pairs:
        record = pair.record
        rows[_("{left} against {right}").format(left=pair.left, right=pair.right)] = [
            str(record.wins), str(record.ties), str(record.losses), _share(record.rate),
            _(_VERDICTS[record.rate.verdict])]
    st.table(table(rows, [_("Won"), _("Tied"), _("Lost"), _("Win rate (95%)"), _("So")]))
    label = results.plan.labels.get(results.plan.judge or "", results.plan.judge or "")
    agreed = [judged.agreed for judged in results.contents.judged.values()]
    st.caption(plain(_("{judge} was asked about each pair in both orders, and came to the same "
                       "in {share} of them. Where not, it is a tie.").format(
        judge=label, share=f"{sum(agreed) / len(agreed):.0%}")))


# ── Plots ─────────────────────────────────────────────────────────────────────────────


def _show_plots(results: Results) -> None:
    summaries = results.summaries
    with st.expander(_("Plots"), expanded=True):
        costs = [(_("Seconds a reply (median)"), lambda summary: summary.total_seconds)]
        if any(summary.usd and summary.usd.value for summary in summaries):
            costs.append((_("US dollars a row (median)"), lambda summary: summary.usd))
        _show_intervals(_("Quality"), summaries, lambda summary: summary.quality, most=1)
        for title, measure in costs:
            _show_intervals(title, summaries, measure)
        for title, measure in costs:
            _show_pareto(results, title, measure)


def _show_intervals(title: str, summaries: Iterable[Summary],
                    measure: Callable[[Summary], Estimate | Median | None], *,
                    most: int | None = None) -> None:
    """A point with its interval for each. `most`: what the axis ends at, else at the largest."""
    points = [{"name": legible(summary.name), "value": found.value,
               "low": found.value if found.low is None else found.low,
               "high": found.value if found.high is None else found.high}
              for summary in summaries if (found := measure(summary)) is not None]
    if not points:
        return
    base = alt.Chart(pd.DataFrame(points)).encode(
        y=alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=260)))
    scale = alt.Scale(domain=[0, most]) if most else alt.Scale(zero=True)
    x = alt.X("value:Q", title=title, scale=scale)
    chart = base.mark_rule().encode(x=alt.X("low:Q", title=title), x2="high:Q") + \
        base.mark_point(filled=True, size=80).encode(x=x)
    said = "; ".join(f"{point['name']}: {point['value']:.3g} ({point['low']:.3g} – "
                     f"{point['high']:.3g})" for point in points)
    st.altair_chart(chart, height=80 + 34 * len(points),
                    alt=_("{title}, with 95% intervals. {points}.").format(title=title,
                                                                          points=said))


def _show_pareto(results: Results, title: str,
                 cost: Callable[[Summary], Median | None]) -> None:
    """Quality over a cost, with the line of those that no other beats in both."""
    points = []
    for summary in results.summaries:
        spent = cost(summary)
        if summary.quality is None or spent is None:
            continue
        points.append({
            "name": legible(summary.name), "quality": summary.quality.value,
            "quality low": summary.quality.low, "quality high": summary.quality.high,
            "cost": spent.value, "low": spent.value if spent.low is None else spent.low,
            "high": spent.value if spent.high is None else spent.high})
    if len(points) < 2:
        return
    front = [{"cost": cost(summary).value, "quality": summary.quality.value}
             for summary in results.pareto(cost)]
    base = alt.Chart(pd.DataFrame(points))
    y = alt.Y("quality:Q", title=_("Quality"), scale=alt.Scale(domain=[0, 1]),
              axis=alt.Axis(format="%"))
    chart = (
        alt.Chart(pd.DataFrame(front)).mark_line(strokeDash=[4, 3], color="gray").encode(
            x="cost:Q", y=y)
        + base.mark_rule().encode(x="cost:Q", y="quality low:Q", y2="quality high:Q")
        + base.mark_rule().encode(x="low:Q", x2="high:Q", y=y)
        + base.mark_point(filled=True, size=90, opacity=1).encode(
            x=alt.X("cost:Q", title=title), y=y,
            shape=alt.Shape("name:N", title=None,
                            legend=alt.Legend(orient="top", columns=1, labelLimit=600)),
            color=alt.Color("name:N", title=None, scale=alt.Scale(range=COLOURS))))
    names = ", ".join(legible(summary.name) for summary in results.pareto(cost))
    st.altair_chart(chart, height=320, alt=_("Quality and {cost}. Beaten by no other in both: "
                                             "{names}.").format(cost=title, names=names))
    said = _("On the dashed line, beaten by no other in both: {names}.") if len(front) > 1 \
        else _("Beaten by no other in both: {names}.")
    st.caption(plain(said.format(names=names)))


# ── Rows ──────────────────────────────────────────────────────────────────────────────


@st.fragment
def _show_rows(results: Results) -> None:
    st.subheader(_("Rows"))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        words = st.text_input(_("Search"), key="rows-search", width=320,
                              placeholder=_("words in a prompt or an answer"))
        only = st.pills(
            _("Only"), ["differing", "not passed", "failed"], key="rows-only",
            format_func={"differing": _("where models differ"), "not passed": _("not passed"),
                         "failed": _("failed")}.__getitem__)
    shown = list(_filtered(results, words.strip().casefold(), only))
    st.caption(_("{shown} of {count} rows. Choose one to read all answers to its prompt; a click "
                 "on a column's name sorts.").format(shown=f"{len(shown):,}",
                                                     count=f"{len(results.rows):,}"))
    if not shown:
        return
    shown = shown[:SHOWN_ROWS]
    cells = pd.DataFrame([_cells(row) for row in shown])
    # What is the same everywhere would only take the answers' room, and Streamlit writes "None"
    # where there is no number.
    hidden = [name for name, plainly in ((_("Kind of task"), ""), (_("Run"), 1), (_("Checks"), "–"))
              if (cells[name] == plainly).all()]
    hidden += [name for name in cells if cells[name].isna().all()]
    chosen = st.dataframe(
        cells.drop(columns=hidden), hide_index=True, height=420,
        on_select="rerun", selection_mode="single-row", key=f"rows-{words}-{only}",
        alt=_("Every row: the prompt, the model, its answer, and what the checks found."))
    for place in chosen["selection"]["rows"]:
        _show_answers(results, shown[place]["prompt_number"])


def _filtered(results: Results, words: str, only: str | None) -> Iterable[dict]:
    differing = results.differing() if only == "differing" else set()
    for row in results.table():
        if only == "differing" and row["prompt_number"] not in differing:
            continue
        if only == "not passed" and row["passed"] is not False:
            continue
        if only == "failed" and row["ending"] != "failed":
            continue
        text = "\n".join(str(row[name]) for name in ("prompt", "answer", "tag", "contender",
                                                     "expected"))
        if words in text.casefold():
            yield row


def _cells(row: dict) -> dict:
    return {
        _("No."): row["prompt_number"], _("Kind of task"): _cell(row["tag"]),
        _("Prompt"): _cell(row["prompt"]), _("Model"): _cell(row["contender"]),
        _("Run"): row["run"],
        _("Checks"): {True: _("passed"), False: _("not passed"), None: "–"}[row["passed"]],
        _("Answer"): _cell(row["answer"] or row["error"] or ""),
        _("Score"): row["score"], _("Seconds"): row["total_seconds"],
        _("Tokens out"): row["output_tokens"], _("Cost, US$"): row["usd"],
        _("Ending"): _(_ENDINGS.get(row["ending"], row["ending"])),
    }


def _cell(text: str) -> str:
    cut = text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"
    return legible(cut).replace("\n", " ")


def _show_answers(results: Results, number: int) -> None:
    """A prompt, and every answer to it."""
    prompt = results.plan.prompts[number - 1]
    with st.container(border=True):
        st.markdown(f"**{_('Prompt {number}').format(number=number)}**")
        show_text(prompt.prompt, by_person=True)
        if prompt.expected:
            st.caption(plain(_("Right: {answers}").format(answers=" | ".join(prompt.expected))))
        for row in results.rows:
            if row.prompt != number:
                continue
            st.divider()
            found = [finding.detail for finding in row.findings if finding.detail]
            passed = {True: _("passed"), False: _("not passed"), None: ""}[row.passed]
            said = [results.plan.name_of(row.contender), _("run {n}").format(n=row.run), passed]
            st.caption(plain(" · ".join(filter(None, [*said, *found]))))
            if row.error:
                st.error(plain(say(row.error)))
            if row.answer:
                show_text(row.answer)


def _offer_files(results: Results) -> None:
    with st.container(horizontal=True):
        for label, name, kind, make in (
            (_("Report (HTML)"), "report.html", "text/html", lambda: render(results)),
            (_("CSV"), "results.csv", "text/csv", lambda: "\ufeff" + results.to_csv()),
            (_("JSON Lines"), "results.jsonl", "application/jsonl", results.to_jsonl),
        ):
            # Made when asked for: thousands of rows take a while.
            st.download_button(label, make, name, kind, on_click="ignore", key=f"take-{name}",
                               icon=":material/download:")
