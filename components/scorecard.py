"""The scorecard: figures of the person's own replies, a row for each model, plots, and files.

Knows figures, and no model but by its id. Nothing is told by colour alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import altair as alt
import pandas as pd
import streamlit as st

from components import kept, session
from components.figures import human_seconds
from components.language import _, say
from components.race_numbers import plain, table
from components.safe_markdown import legible
from llm.errors import StorageError
from llm.scorecard import Measured, Score, Spread, measure, score, to_csv, to_json

MAX_POINTS = 400
"""Of one plot: more are not seen, and each is sent to the browser."""

FAILURES = {
    "MissingKeyError": "no key was given",
    "InvalidKeyError": "the key was not accepted",
    "PermissionDeniedError": "the key is not for this model",
    "ModelNotFoundError": "the service has no such model",
    "InvalidRequestError": "the service did not take the request",
    "ContextTooLongError": "too long for the context window",
    "RequestTooLargeError": "more bytes than the service takes",
    "RateLimitError": "asked too often",
    "QuotaExceededError": "the credit is used up",
    "ServiceUnavailableError": "the service could not answer",
    "ServiceUnreachableError": "no connection to the service",
    "ServiceTimeoutError": "the service was silent for too long",
    "BrokenReplyError": "the reply could not be read",
    "CutReplyError": "the reply was cut off",
    "EmptyReplyError": "the reply was empty",
    "WeightsMissingError": "the weights were not there",
    "WeightsDamagedError": "the weights were damaged",
    "UnsupportedModelError": "the engine does not know such models",
    "NoRoomError": "no room on the disk",
    "HubUnreachableError": "no connection to the hub",
    "FetchCancelledError": "the download was stopped",
    "OutOfMemoryError": "not enough memory",
    "EngineError": "the engine did not start, or ended",
    "UnreadablePictureError": "the picture could not be read",
    "PictureTooLargeError": "the picture was too large",
    "CannotSeeError": "the model cannot see",
}
"""A class of `llm.errors` -> what happened, in a few words."""


def gather_figures() -> list[Measured]:
    """Those of the kept conversations and of this visit, each reply once, the oldest first.

    Where what is kept cannot be read, that is said, and this visit's alone are given.
    """
    try:
        found = [measure(reply) for reply in kept.replies() if reply.total_seconds is not None]
    except StorageError as error:
        st.warning(plain(_("Only this visit's replies are counted. {reason}").format(
            reason=say(error))), icon=":material/warning:")
        found = []
    once = {(figures.model_id, figures.started_at): figures
            for figures in [*found, *session.figures()]}
    return sorted(once.values(), key=lambda figures: figures.started_at)


def show_scorecard(measured: Sequence[Measured]) -> None:
    """Draw the table, the plots and the files, or that nothing has been measured."""
    if not measured:
        st.info(_("Nothing has been measured yet. Ask a model something on any of the pages under "
                  "Learn: each reply is measured as it comes, and counts here."),
                icon=":material/speed:")
        return
    scores = score(measured)
    labels = {spec.id: spec.label for spec in session.models()}
    names = {found.model_id: labels.get(found.model_id, found.model_id) for found in scores}
    _show_table(scores, names)
    for title, of_score, of_reply in (
        (_("Seconds to the first token"), lambda found: found.first_token_seconds,
         lambda figures: figures.first_token_seconds),
        (_("Tokens per second, after the first"), lambda found: found.tokens_per_second,
         lambda figures: figures.tokens_per_second),
    ):
        _show_plot(title, scores, measured, names, of_score, of_reply)
    _show_failures(scores, names)
    with st.container(horizontal=True):
        # A spreadsheet takes UTF-8 for what it is by the mark before it.
        st.download_button(_("CSV"), lambda: "\ufeff" + to_csv(scores), "scorecard.csv",
                           "text/csv", key="scorecard-csv", on_click="ignore",
                           icon=":material/download:")
        st.download_button(_("JSON, with each reply's figures"), lambda: to_json(measured),
                           "scorecard.json", "application/json", key="scorecard-json",
                           on_click="ignore", icon=":material/download:")


def _show_table(scores: Sequence[Score], names: dict[str, str]) -> None:
    st.table(table(
        {f"{names[found.model_id]}": [
            str(found.replies), str(found.failed),
            _spread(found.first_token_seconds, human_seconds),
            _spread(found.tokens_per_second, "{:,.0f}".format),
            _tokens(found, found.input_tokens), _tokens(found, found.output_tokens), _cost(found),
        ] for found in scores},
        [_("Replies"), _("Failed"), _("First token"), _("Tokens/s"), _("Tokens in"),
         _("Tokens out"), _("Cost")]))
    notes = [_("Medians, and in brackets what the middle half of the replies lies between. Failed "
               "replies are in no time and no rate.")]
    if any(found.estimated for found in scores):
        notes.append(_("≈: some of it is estimated, where a service did not count or a reply was "
                       "stopped."))
    st.caption(" ".join(notes))


def _spread(spread: Spread | None, write: Callable[[float], str]) -> str:
    if spread is None:
        return "–"
    if spread.count < 2:
        return write(spread.median)
    return f"{write(spread.median)} ({write(spread.low)} – {write(spread.high)})"


def _tokens(found: Score, count: int) -> str:
    return f"{'≈ ' if found.estimated else ''}{count:,}"


def _cost(found: Score) -> str:
    if found.usd is None:
        return _("unknown") if found.usd_unknown else "–"
    if found.usd == 0:
        return _("free")
    known = f"${found.usd:.4f}"
    return _("{cost}, and {count} unknown").format(cost=known, count=found.usd_unknown) \
        if found.usd_unknown else known


def _show_plot(title: str, scores: Sequence[Score], measured: Sequence[Measured],
               names: dict[str, str], of_score: Callable[[Score], Spread | None],
               of_reply: Callable[[Measured], float | None]) -> None:
    """Every reply as a dot, the median as a line across, the middle half as a bar."""
    middle = [{"name": legible(names[found.model_id]), "median": spread.median, "low": spread.low,
               "high": spread.high} for found in scores if (spread := of_score(found)) is not None]
    if not middle:
        return
    dots = [{"name": legible(names[figures.model_id]), "value": value} for figures in measured
            if not figures.failed and (value := of_reply(figures)) is not None][-MAX_POINTS:]
    st.subheader(title)
    y = alt.Y("name:N", title=None, sort=None, axis=alt.Axis(labelLimit=200))
    bars = alt.Chart(pd.DataFrame(middle)).encode(y=y)
    chart = (
        bars.mark_bar(height=16, opacity=0.25).encode(
            x=alt.X("low:Q", title=None, scale=alt.Scale(zero=True)), x2="high:Q")
        + alt.Chart(pd.DataFrame(dots)).mark_point(size=40).encode(x="value:Q", y=y)
        + bars.mark_tick(thickness=3, height=24).encode(x="median:Q"))
    said = "; ".join(f"{point['name']}: {point['median']:.3g} ({point['low']:.3g} – "
                     f"{point['high']:.3g})" for point in middle)
    st.altair_chart(chart, height=90 + 40 * len(middle),
                    alt=_("{title}: a dot for each reply, a line at the median, a bar over the "
                          "middle half. {points}.").format(title=title, points=said))


def _show_failures(scores: Sequence[Score], names: dict[str, str]) -> None:
    rows = {f"{names[found.model_id]} · {_what_failed(kind)}": [str(count)]
            for found in scores for kind, count in found.failures.items()}
    if rows:
        st.subheader(_("What failed"))
        st.table(table(rows, [_("How often")]))


def _what_failed(kind: str) -> str:
    # One that an earlier version has kept may be of a kind that is no more.
    return _(FAILURES[kind]) if kind in FAILURES else kind
