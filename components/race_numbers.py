"""A race in numbers: a table, the tokens over time, and what became of the settings.

Knows replies and what a catalog entry says. Measured and estimated figures are told apart:
≈ stands before an estimate.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import streamlit as st

from components.figures import human_cost, human_seconds
from components.language import _
from components.model_card import where_text_goes
from components.safe_markdown import legible
from llm.race import LETTERS, Pane, Race
from llm.replies import Ending, Reply
from llm.standings import Estimate

if TYPE_CHECKING:
    # Loaded where they are used: with altair they take half a second and 80 MB, and a chat
    # draws no table and no chart until one is asked for.
    import pandas as pd

MAX_POINTS = 400
"""Of one line in the chart: more are not seen, and each is sent to the browser."""

COLOURS = ("#1f6feb", "#bf3989", "#1a7f37", "#9a6700")
"""Of lines and marks: each has a contrast of 3 to 1 and more with white and with black."""

_ENDINGS = {
    Ending.RUNNING: "still running",
    Ending.STOP: "finished",
    Ending.LENGTH: "cut off at the length limit",
    Ending.STOPPED: "stopped by you",
    Ending.CONTENT_FILTER: "withheld by the service",
    Ending.FAILED: "failed",
}

SETTING_NAMES = {"system": "System prompt", "temperature": "Temperature", "top_p": "Top p",
                 "max_tokens": "Max tokens", "seed": "Seed"}


def show_numbers(race: Race) -> None:
    """Draw the figures of the answers to the latest question, one column a pane."""
    panes = race.comparable
    st.subheader(_("Numbers"))
    if left_out := [pane.letter for pane in race.panes if pane not in panes]:
        st.caption(_("Not compared, as the last message did not go there: {letters}").format(
            letters=", ".join(left_out)))
    rate = st.number_input(
        _("What an hour of this machine costs, in US dollars"), 0.0, 1000.0, 0.0, 0.05,
        key="hourly-rate", persist_state="session", width=320,
        help=_("Power, or rent. A model on this machine costs this, for as long as it writes."))
    rows: dict[str, list[str]] = {}
    for pane in panes:
        for name, figure in _figures(pane, rate).items():
            rows.setdefault(name, []).append(figure)
    st.table(table(rows, [heading(pane) for pane in panes]))
    if any(pane.reply.output_tokens and not pane.reply.tokens_measured for pane in panes):
        st.caption(_("≈ is an estimate: that service did not count, or the answer did not end."))
    _show_chart(panes)


def heading(pane: Pane) -> str:
    """A pane's name over its column."""
    return f"{pane.letter} · {pane.contender.label}"


def table(rows: Mapping[str, Sequence[str]], columns: Sequence[str]) -> pd.DataFrame:
    """Rows of texts for st.table, which reads Markdown: the texts are shown as they are."""
    import pandas as pd

    return pd.DataFrame(
        [[plain(cell) for cell in cells] for cells in rows.values()],
        index=[plain(name) for name in rows], columns=[plain(name) for name in columns])


def share(estimate: Estimate) -> str:
    """A share with its interval, which no column is too narrow for to stand in one line."""
    return (f"{estimate.value:.0%}\N{NO-BREAK SPACE}({estimate.low:.0%}–\N{WORD JOINER}"
            f"{estimate.high:.0%})")


def plain(text: str) -> str:
    """`text` for where Streamlit reads Markdown, such as a table or a warning: shown as it is."""
    for sign in "\\`*_[]<>$:~#|":
        text = text.replace(sign, f"\\{sign}")
    return legible(text)


def _figures(pane: Pane, rate: float) -> dict[str, str]:
    reply = pane.reply
    mark = "" if reply.tokens_measured else "≈ "
    return {
        _("Ending"): _(_ENDINGS[reply.ending]),
        _("Time to first token"): _or_dash(reply.first_token_seconds, human_seconds),
        _("Total time"): _or_dash(reply.total_seconds, human_seconds),
        _("Tokens per second"): _or_dash(reply.tokens_per_second, lambda n: f"{mark}{n:.1f}"),
        _("Tokens in"): _or_dash(reply.input_tokens, lambda n: f"{mark}{n:,}"),
        _("Tokens out"): _or_dash(reply.output_tokens, lambda n: f"{mark}{n:,}"),
        _("Characters"): f"{len(reply.text):,}",
        _("Cost"): _cost(reply, rate),
        _("Price list"): (reply.cost.source if reply.cost else "") or "–",
        _("What you type"): where_text_goes(pane.spec),
    }


def _or_dash(number: float | None, write: Any) -> str:
    return "–" if number is None else write(number)


def _cost(reply: Reply, rate: float) -> str:
    if rate and reply.cost is not None and reply.cost.kind == "local":
        return _("${usd} of this machine's time").format(
            usd=f"{(reply.total_seconds or 0.0) * rate / 3600:.6f}")
    return human_cost(reply)


def _show_chart(panes: Sequence[Pane]) -> None:
    import altair as alt
    import pandas as pd

    points = [{"pane": pane.letter, "seconds": seconds, "tokens": tokens}
              for pane in panes for seconds, tokens in tokens_over_time(pane.reply)]
    if not points:
        return
    letters = sorted({point["pane"] for point in points})
    chart = alt.Chart(pd.DataFrame(points)).mark_line(interpolate="step-after").encode(
        x=alt.X("seconds:Q", title=_("Seconds since the start"), scale=alt.Scale(zero=True)),
        y=alt.Y("tokens:Q", title=_("Tokens"), scale=alt.Scale(zero=True)),
        color=alt.Color("pane:N", title=None, legend=alt.Legend(orient="top"), scale=alt.Scale(
            domain=letters, range=[COLOURS[LETTERS.index(letter)] for letter in letters])),
        # Told apart without colours too.
        strokeDash=alt.StrokeDash("pane:N", title=None, scale=alt.Scale(domain=letters)))
    ends = ", ".join(f"{heading(pane)}: {human_seconds(pane.reply.total_seconds or 0.0)}"
                     for pane in panes)
    st.altair_chart(chart, height=260,
                    alt=_("Tokens of each answer over time. {ends}.").format(ends=ends))


def tokens_over_time(reply: Reply) -> list[tuple[float, float]]:
    """(seconds, tokens so far) of a reply, at most about `MAX_POINTS`.

    A service counts tokens at the end only: the pieces' characters share them out.
    """
    if not reply.text or not reply.output_tokens:
        return []
    step = math.ceil(len(reply.chunk_times) / MAX_POINTS)
    times = [*reply.chunk_times[:-1:step], reply.chunk_times[-1]]
    # From nothing, so that an answer that came in one piece has a line too.
    return [(times[0][0], 0.0), *((seconds, reply.output_tokens * characters / len(reply.text))
                                  for seconds, characters in times)]


# ── Parity ────────────────────────────────────────────────────────────────────────────


def show_parity(race: Race) -> None:
    """Draw what became of each setting on each side: as asked, changed, or left out."""
    panes = race.comparable
    with st.expander(_("Parity: were all asked the same?"), icon=":material/balance:"):
        names = [name for name in SETTING_NAMES
                 if any(pane.reply.settings.get(name) not in (None, "") for pane in panes)]
        rows = {_(SETTING_NAMES[name]): [what_became_of(name, pane) for pane in panes]
                for name in names}
        st.table(table(rows, [heading(pane) for pane in panes]))
        st.caption(_("“Sent” is what went over the wire. No service says whether it kept to it; "
                     "what can be seen from the answer is said."))


def what_became_of(name: str, pane: Pane) -> str:
    """One setting of one pane's last answer, in words, from the request that was sent."""
    reply = pane.reply
    value = reply.settings.get(name)
    if value in (None, ""):
        return _("not set")
    if not pane.spec.supports(name):
        return _("left out: this model does not take it")
    if not reply.exchanges and reply.text:
        # One from an earlier visit: requests are not kept.
        return _("asked for, and the request is not kept")
    if not reply.exchanges:
        return _("not sent: there was no request")
    sent = reply.exchanges[-1].request_json()
    if name == "system":
        system = [message for message in reply.messages if message.type == "system"]
        return _("sent, {count} characters").format(count=len(system[0].text)) if system \
            else _("left out")
    wire_name = next((known for known in (name, "max_completion_tokens")
                      if isinstance(sent, dict) and known in sent
                      and (known == name or name == "max_tokens")), None)
    if wire_name is None:
        return _("left out")
    said = _("sent: {value}").format(value=f"{sent[wire_name]:g}")
    if sent[wire_name] != value:
        said = _("changed from {asked}: {value}").format(asked=f"{value:g}",
                                                         value=f"{sent[wire_name]:g}")
    if wire_name != name:
        said += _(" (as {name})").format(name=wire_name)
    if name == "max_tokens" and reply.tokens_measured and reply.output_tokens:
        said += _(", kept") if reply.output_tokens <= value else _(", not kept")
    return said
