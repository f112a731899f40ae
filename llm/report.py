"""An evaluation as one HTML file that needs nothing else: no server, no network, no fonts.

What models write is hostile: every text is escaped, and the page's own policy lets no
script run but the one that is written here, and nothing be fetched from anywhere.

    Path("report.html").write_text(render(results), encoding="utf-8")

This module does not know how figures are computed (`llm.results`).
"""

from __future__ import annotations

import base64
import hashlib
import math
import re
import time
from collections.abc import Callable, Iterable, Sequence
from html import escape

from llm.journal import Row
from llm.results import Median, Results, Summary
from llm.standings import Estimate, Verdict

SHOWN_CHARACTERS = 4_000
"""Of an answer. All of it is in results.jsonl."""

_WIDTH, _HEIGHT, _MARGIN = 460, 300, 48

_COLOURS = ("#1f6feb", "#bf3989", "#1a7f37", "#9a6700", "#8250df", "#cf222e", "#0e7490", "#57606a")


def render(results: Results) -> str:
    """The whole page."""
    plan, done = results.plan, len(results.rows)
    began = time.strftime("%d %B %Y, %H:%M UTC", time.gmtime(plan.created_at))
    facts = [f"{len(plan.prompts)} prompts", f"{len(plan.contenders())} contenders",
             f"{plan.runs} {'run' if plan.runs == 1 else 'runs'} each", f"begun {began}"]
    if done < results.planned:
        facts.append(f"{done} of {results.planned} rows have run")
    return _PAGE.format(
        title=_text(f"Evaluation: {plan.set_name}"), facts=_text(" · ".join(facts)),
        policy=_policy(), style=_STYLE, script=_SCRIPT,
        summary=_summary_table(results), plots=_plots(results), tags=_tag_table(results),
        judge=_judge_table(results), rows=_row_table(results))


def _policy() -> str:
    digest = base64.b64encode(hashlib.sha256(_SCRIPT.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"


def _text(text: object) -> str:
    # NUL and other controls are no HTML, and a carriage return would be read as a new line.
    plain = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "\ufffd", str(text).replace("\r\n", "\n"))
    return escape(plain, quote=True)


# ── Figures ───────────────────────────────────────────────────────────────────────────


def _number(value: float | None, digits: int = 2) -> str:
    if value is None:
        return "–"
    return f"{value:,.{digits}f}"


def _usd(value: float | None) -> str:
    return "–" if value is None else "0" if value == 0 else f"${value:.3g}"


def _share(estimate: Estimate | None) -> tuple[float | None, str]:
    if estimate is None:
        return None, "–"
    return estimate.value, (f"{estimate.value:.0%} <small>{estimate.low:.0%} to "
                            f"{estimate.high:.0%}</small>")


def _median(measure: Median | None, shown: Callable[[float | None], str] = _number
            ) -> tuple[float | None, str]:
    if measure is None:
        return None, "–"
    interval = "" if measure.low is None or measure.low == measure.value == measure.high else (
        f" <small>{_text(shown(measure.low))} to {_text(shown(measure.high))}</small>")
    return measure.value, _text(shown(measure.value)) + interval


Cell = tuple[object, str]
"""What a cell sorts by (None last), and its HTML."""


def _table(caption: str, header: Sequence[str], rows: Iterable[tuple[str, Sequence[Cell]]],
           table_id: str) -> str:
    """`rows`: attributes of the row, and its cells."""
    heads = "".join(f'<th scope="col"><button type="button">{_text(name)}</button></th>'
                    for name in header)
    body = "".join(
        f"<tr{attributes}>" + "".join(
            f'<td data-by="{"" if by is None else _text(by)}">{html}</td>' for by, html in cells)
        + "</tr>" for attributes, cells in rows)
    return (f'<div class="wide"><table id="{table_id}"><caption>{_text(caption)}</caption>'
            f"<thead><tr>{heads}</tr></thead><tbody>{body}</tbody></table></div>")


def _summary_table(results: Results) -> str:
    def cells(summary: Summary) -> list[Cell]:
        return [
            (summary.name, _text(summary.name)), (summary.rows, str(summary.rows)),
            (summary.failed, str(summary.failed)), _share(summary.quality),
            _median(summary.total_seconds), _median(summary.first_token_seconds),
            _median(summary.tokens_per_second, lambda rate: _number(rate, 0)),
            _median(summary.usd, _usd), (summary.usd_in_all, _text(_usd(summary.usd_in_all))),
            (summary.steadiness, _number(summary.steadiness)),
        ]
    return _table(
        "Quality is the mean score over prompts with its Wilson interval; the rest are medians "
        "over prompts with bootstrap intervals (95%). Failed rows are in no figure but their own.",
        ["Contender", "Rows", "Failed", "Quality", "Seconds", "First token, s", "Tokens/s",
         "US$ a row", "US$ in all", "Steadiness"],
        [("", cells(summary)) for summary in results.summaries], "summary")


def _tag_table(results: Results) -> str:
    by_tag = {tag: found for tag, found in results.quality_by_tag().items() if found}
    if len(by_tag) < 2:
        return ""
    summaries = results.summaries
    rows = [("", [(tag, _text(tag or "no tag")),
                  *(_share(found.get(summary.contender)) for summary in summaries)])
            for tag, found in by_tag.items()]
    return "<h2>Quality by tag</h2>" + _table(
        "Mean scores with Wilson intervals (95%).",
        ["Tag", *(summary.name for summary in summaries)], rows, "tags")


def _judge_table(results: Results) -> str:
    found = results.judge_standings
    if found is None:
        return ""
    verdicts = {Verdict.ABOVE: "better than the other", Verdict.BELOW: "worse than the other",
                Verdict.NOTHING_YET: "nothing can be said yet"}
    rows: list[tuple[str, Sequence[Cell]]] = []
    for pair in found.pairs:
        record, rate = pair.record, pair.record.rate
        said = verdicts[rate.verdict]
        rows.append(("", [(pair.left, _text(pair.left)), (pair.right, _text(pair.right)),
                          (record.wins, str(record.wins)), (record.ties, str(record.ties)),
                          (record.losses, str(record.losses)), _share(rate), (said, said)]))
    label = results.plan.labels.get(results.plan.judge or "", results.plan.judge or "")
    return "<h2>What the judge says</h2>" + _table(
        f"{label} compared the answers two by two, in both orders. Where it contradicted itself "
        "the pair is a tie. Ties count half in the win rate, with its Wilson interval (95%).",
        ["Contender", "against", "Won", "Tied", "Lost", "Win rate", "Verdict"], rows, "judge")


def _row_table(results: Results) -> str:
    differing = results.differing()

    def cells(row: Row) -> list[Cell]:
        prompt = results.plan.prompts[row.prompt - 1]
        passed = {True: "passed", False: "not passed", None: "–"}[row.passed]
        details = " ".join(finding.detail for finding in row.findings if finding.detail)
        name = results.plan.name_of(row.contender)
        note = f'<p class="note">{_text(row.error or details)}</p>' if row.error or details else ""
        return [
            (row.prompt, str(row.prompt)), (prompt.tag, _text(prompt.tag)),
            (prompt.prompt[:200], _pre(prompt.prompt)),
            (name, _text(name)), (row.run, str(row.run)),
            (row.answer[:200], _pre(row.answer) + note),
            (passed, passed), (row.score, _number(row.score)), (row.ending, _text(row.ending)),
            (row.total_seconds, _number(row.total_seconds)),
            (row.output_tokens, str(row.output_tokens if row.output_tokens is not None else "–")),
            (row.usd, _text(_usd(row.usd))),
        ]
    return _table(
        "One row for each prompt, contender and run.",
        ["No.", "Tag", "Prompt", "Contender", "Run", "Answer", "Checks", "Score", "Ending",
         "Seconds", "Tokens", "US$"],
        [(" data-differs" if row.prompt in differing else "", cells(row)) for row in results.rows],
        "rows")


def _pre(text: str) -> str:
    more = len(text) - SHOWN_CHARACTERS
    if more > 0:
        text = f"{text[:SHOWN_CHARACTERS]}… ({more:,} more characters)"
    return f'<pre dir="auto">{_text(text)}</pre>'


# ── Plots ─────────────────────────────────────────────────────────────────────────────


def _plots(results: Results) -> str:
    plots = _plot(results, "Quality and latency", "seconds a reply (median)",
                  lambda summary: summary.total_seconds)
    if any(summary.usd and summary.usd.value for summary in results.summaries):
        plots += _plot(results, "Quality and cost", "US dollars a row (median)",
                       lambda summary: summary.usd)
    if not plots:
        return ""
    names = "".join(f"<li>{_text(summary.name)}</li>" for summary in results.summaries)
    return f"{plots}<p>The numbers stand for:</p><ol>{names}</ol>"


def _plot(results: Results, title: str, axis: str, cost: Callable[[Summary], Median | None]) -> str:
    """Quality over a cost, both with their intervals, and the Pareto front as a line."""
    points = [(number, summary, summary.quality, measure)
              for number, summary in enumerate(results.summaries)
              if summary.quality and (measure := cost(summary))]
    if not points:
        return ""
    ticks = _ticks(max(measure.high or measure.value for *_, measure in points))

    def x(value: float) -> str:
        return f"{_MARGIN + value / ticks[-1] * (_WIDTH - 2 * _MARGIN):.1f}"

    def y(value: float) -> str:
        return f"{_HEIGHT - _MARGIN - value * (_HEIGHT - 2 * _MARGIN):.1f}"

    def label(at_x: object, at_y: object, text: str, anchor: str = "middle") -> str:
        return f'<text x="{at_x}" y="{at_y}" text-anchor="{anchor}">{_text(text)}</text>'

    def line(x1: str, x2: str, y1: str, y2: str, kind: str = "") -> str:
        return f'<line class="{kind}" x1="{x1}" x2="{x2}" y1="{y1}" y2="{y2}"/>'

    parts = [label(_WIDTH / 2, _HEIGHT - 8, axis)]
    parts += [label(x(tick), _HEIGHT - _MARGIN + 16, f"{tick:g}") for tick in ticks]
    for step in (0, 0.25, 0.5, 0.75, 1):
        parts += [line(x(0), x(ticks[-1]), y(step), y(step), "grid"),
                  label(_MARGIN - 6, y(step), f"{step:.0%}", "end")]
    front = results.pareto(cost)
    way = " ".join(f"{x(measure.value)},{y(summary.quality.value)}" for summary in front
                   if summary.quality and (measure := cost(summary)))
    parts.append(f'<polyline class="front" points="{way}"/>')
    for number, summary, quality, measure in points:
        at_x, at_y = x(measure.value), y(quality.value)
        low, high = measure.low or measure.value, measure.high or measure.value
        colour = _COLOURS[number % len(_COLOURS)]
        parts.append(
            f'<g stroke="{colour}" fill="{colour}"><title>{_text(summary.name)}</title>'
            + line(at_x, at_x, y(quality.low), y(quality.high)) + line(x(low), x(high), at_y, at_y)
            + f'<circle cx="{at_x}" cy="{at_y}" r="5"/>'
            + label(float(at_x) + 8, f"{float(at_y) - 6:.1f}", str(number + 1), "start") + "</g>")
    names = ", ".join(summary.name for summary in front)
    return (f"<figure><figcaption>{_text(title)}. On the line, beaten by no other in both: "
            f'{_text(names)}.</figcaption><svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
            f'aria-label="{_text(title)}">{"".join(parts)}</svg></figure>')


def _ticks(most: float) -> list[float]:
    """Round numbers from 0 to `most` or a little more: four to six of them."""
    most = most or 1.0
    power = 10.0 ** math.floor(math.log10(most))
    step = next(power * share for share in (0.2, 0.25, 0.5, 1, 2, 5) if power * share * 5 >= most)
    return [number * step for number in range(math.ceil(most / step) + 1)]


_STYLE = """
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem;
  padding: 0 1rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; margin: 1rem 0; width: 100%; }
caption { text-align: left; padding-bottom: .5rem; max-width: calc(100vw - 2rem); }
th, td { text-align: left; vertical-align: top; padding: .35rem .6rem;
  border-top: 1px solid #8886; }
th button { all: unset; cursor: pointer; font-weight: 600; }
th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
pre { margin: 0; font: inherit; white-space: pre-wrap; overflow-wrap: anywhere;
  min-width: 12rem; max-width: 32rem;
  unicode-bidi: isolate; max-height: 16rem; overflow: auto; }
small, .note { opacity: .8; }
.note { margin: .3rem 0 0; font-style: italic; }
figure { display: inline-block; margin: 1rem 1rem 1rem 0; max-width: 100%; width: 34rem; }
svg { width: 100%; height: auto; font-size: 12px; fill: currentColor; }
.grid { stroke: #8884; }
.front { fill: none; stroke: currentColor; stroke-dasharray: 4 3; }
svg text { stroke: none; fill: currentColor; }
.controls { display: flex; gap: 1.5rem; flex-wrap: wrap; align-items: center; }
"""

_SCRIPT = """
for (const table of document.querySelectorAll("table")) {
  table.tHead.addEventListener("click", event => {
    const head = event.target.closest("th");
    if (!head) return;
    const descending = head.ariaSort === "ascending";
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    head.ariaSort = descending ? "descending" : "ascending";
    const by = row => row.cells[head.cellIndex].dataset.by;
    const order = (a, b) => {
      if (a === "" || b === "") return (a === "") - (b === "");
      const sign = descending ? -1 : 1;
      return sign * (isNaN(a) || isNaN(b) ? a.localeCompare(b) : a - b);
    };
    const rows = [...table.tBodies[0].rows].sort((a, b) => order(by(a), by(b)));
    table.tBodies[0].append(...rows);
  });
}
const search = document.getElementById("search"), differing = document.getElementById("differing");
const count = document.getElementById("count"), rows = document.querySelectorAll("#rows tbody tr");
function filter() {
  const words = search.value.toLowerCase();
  let shown = 0;
  for (const row of rows) {
    row.hidden = (differing.checked && !("differs" in row.dataset))
      || !row.textContent.toLowerCase().includes(words);
    shown += !row.hidden;
  }
  count.textContent = shown + " of " + rows.length + " rows";
}
search.addEventListener("input", filter);
differing.addEventListener("change", filter);
filter();
"""

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="referrer" content="no-referrer">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{facts}</p>
<h2>Models</h2>
{summary}
{plots}
{tags}
{judge}
<h2>Rows</h2>
<div class="controls">
<label>Search <input id="search" type="search"></label>
<label><input id="differing" type="checkbox"> Only prompts on which contenders differ</label>
<span id="count" role="status"></span>
</div>
{rows}
</main>
<script>{script}</script>
</body>
</html>
"""
