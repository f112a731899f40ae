"""What each memory would have cost on the conversation shown: a chart, and the same as a table.

Reckons; nothing is asked of a model. Counts and prices are those of llm.context.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import streamlit as st

from components import session
from components.language import _
from components.memory_lab import Memory
from components.race_numbers import table
from llm.catalog import ModelSpec
from llm.context import TurnTokens, tokens_per_turn
from llm.memory import STRATEGIES
from llm.prices import price_of
from llm.transcript import Transcript

if TYPE_CHECKING:
    import pandas as pd

COMPARED = ("nothing", "everything", "last", "budget", "summary")
"""Of `STRATEGIES`. A LangGraph thread sends what "everything" does."""

MAX_POINTS = 200
"""Of one line in the chart: more are not seen, and each is sent to the browser."""

MAX_ROWS = 20
"""Of the table. The last row is the sum of all."""


@st.fragment
def show_costs(memory: Memory, chat: Transcript) -> None:
    """Draw the closed drawer with the tokens and cost per message under each memory."""
    drawer = st.expander(_("What each memory costs on this conversation"),
                         icon=":material/monitoring:", key="memory-costs", on_change="rerun")
    if not drawer.open:
        return
    with drawer:
        priced = _pick_price(memory.spec)
        rows = tokens_per_turn(memory.spec, memory.settings.get("system", ""), chat.path(),
                               memory.options, COMPARED, priced_as=priced)
        if not rows:
            st.caption(_("Nothing has been asked yet."))
            return
        in_tokens, in_dollars = _("Tokens sent"), _("US dollars")
        unit = st.radio(_("Per message"), [in_tokens, in_dollars], horizontal=True,
                        key="memory-unit") if priced else in_tokens
        _show_chart(rows, unit, in_dollars=unit == in_dollars)
        st.table(cost_table(rows, in_dollars=unit == in_dollars))
        st.caption(_("≈ is an estimate: the model's own tokenizer is not at hand, or the summary "
                     "has not been written. A running summary costs more where it is made. A "
                     "LangGraph thread sends the same as Everything."))


def _pick_price(spec: ModelSpec) -> ModelSpec | None:
    """Draw the choice of a model whose price is reckoned with: its own, where it has one."""
    priced = {other.id: other for other in session.models() if price_of(other) is not None}
    if not priced:
        return None
    ids = list(priced)
    chosen = st.selectbox(
        _("At the price of"), ids, index=ids.index(spec.id) if spec.id in priced else 0,
        format_func=lambda model_id: priced[model_id].label, key=f"memory-price-{spec.id}",
        help=_("A model on this machine costs nothing by the token: this is what the same "
               "conversation would cost with a hosted one."))
    st.caption(price_of(priced[chosen]).source)
    return priced[chosen]


def _show_chart(rows: Sequence[TurnTokens], unit: str, *, in_dollars: bool) -> None:
    import altair as alt  # here, as in components.race_numbers
    import pandas as pd

    lines = _by_strategy(rows)
    step = math.ceil(len(lines[COMPARED[0]]) / MAX_POINTS)
    points = [{"memory": _(STRATEGIES[key].label), "message": number,
               "amount": row.usd if in_dollars else row.input.tokens}
              for key, line in lines.items()
              for number, row in list(enumerate(line, start=1))[::-step]]
    chart = alt.Chart(pd.DataFrame(points)).mark_line(point=len(points) < 100).encode(
        x=alt.X("message:Q", title=_("Question number"), axis=alt.Axis(tickMinStep=1)),
        y=alt.Y("amount:Q", title=unit),
        color=alt.Color("memory:N", title=None, sort=None,
                        # In two columns, which a telephone has room for.
                        legend=alt.Legend(orient="top", columns=2, labelLimit=400)),
        # Told apart without colours too.
        strokeDash=alt.StrokeDash("memory:N", title=None, sort=None))
    ends = ", ".join(f"{_(STRATEGIES[key].label)}: {_amount([line[-1]], in_dollars=in_dollars)}"
                     for key, line in lines.items())
    st.altair_chart(chart, height=320, alt=_(
        "{unit} with each question under each memory. The last: {ends}. The table below has the "
        "numbers.").format(unit=unit, ends=ends))


def cost_table(rows: Sequence[TurnTokens], *, in_dollars: bool) -> pd.DataFrame:
    """A row for each of the last `MAX_ROWS` questions, and one for all together."""
    lines = _by_strategy(rows)
    count = len(lines[COMPARED[0]])
    cells = {_("Question {number}").format(number=number + 1): [
        _amount([line[number]], in_dollars=in_dollars) for line in lines.values()]
        for number in range(max(count - MAX_ROWS, 0), count)}
    cells[_("All {count} together").format(count=count)] = [
        _amount(line, in_dollars=in_dollars) for line in lines.values()]
    return table(cells, [_(STRATEGIES[key].label) for key in lines])


def _by_strategy(rows: Sequence[TurnTokens]) -> dict[str, list[TurnTokens]]:
    return {key: [row for row in rows if row.strategy == key] for key in COMPARED}


def _amount(rows: Sequence[TurnTokens], *, in_dollars: bool) -> str:
    mark = "" if all(row.input.measured for row in rows) else "≈"
    if in_dollars:
        return f"{mark}${sum(row.usd or 0.0 for row in rows):.6f}"
    return f"{mark}{sum(row.input.tokens for row in rows):,}"
