"""The two parts of the drawer that show what went over HTTP: the request and the response.

What stands there is the recording that was made while the reply ran (`llm.wire`), keys
masked and pictures shortened.
"""

from __future__ import annotations

import json

import streamlit as st

from components.figures import human_bytes, human_seconds
from components.language import _
from components.take_away import offer_text
from components.text import show_literal
from llm.catalog import ModelSpec
from llm.keys import key_variable
from llm.replies import Reply
from llm.what_ran import (
    ChunkTimes,
    chunk_times,
    read_outcome,
    request_body,
    request_head,
    response_head,
)
from llm.wire import CLOSED_HERE, Exchange

MAX_POINTS = 400
"""Of the chart: more are not seen, and each is sent to the browser."""


def show_request(reply: Reply, spec: ModelSpec | None, *, key: str) -> None:
    """Draw one of the reply's requests as it was sent, and as a curl command."""
    exchange = _pick(reply, key=f"request-{key}")
    if exchange is None:
        return
    show_literal(request_head(exchange), language="http")
    body = request_body(exchange)
    if st.toggle(_("Indented for reading (off: byte for byte as sent)"), True,
                 key=f"indented-{key}"):
        show_literal(json.dumps(exchange.request_json(), indent=2, ensure_ascii=False),
                     language="json")
    else:
        show_literal(body)
    offer_text(f"{request_head(exchange)}\n\n{body}\n", "request.txt", key=f"request-{key}")
    if "characters)" in body and len(body) < exchange.request_bytes:
        st.caption(_("{size} were sent: pictures are shortened here.").format(
            size=human_bytes(exchange.request_bytes)))
    st.markdown(f"**{_('The same from a terminal')}**")
    variable = (spec and key_variable(spec)) or "ENGINE_KEY"
    command = exchange.as_curl(variable)
    show_literal(command, language="bash")
    offer_text(command, "request.sh", mime="text/x-sh", key=f"curl-{key}")
    if spec is not None and spec.provider == "local":
        st.caption(_("The engine's key is made up anew at each start and known to Parley alone. "
                     "A server of your own with the same model takes this command too."))


def show_response(reply: Reply, *, key: str) -> None:
    """Draw one of the reply's responses: status, headers, ending, tokens, and when it came."""
    exchange = _pick(reply, key=f"response-{key}")
    if exchange is None:
        return
    if exchange.status is None:
        st.markdown(_("No response came."))
    else:
        show_literal(response_head(exchange), language="http")
    if exchange.error == CLOSED_HERE:
        st.caption(_("Parley closed the connection before its end."))
    elif exchange.error:
        st.caption(_("It broke off:"))
        show_literal(exchange.error)
    outcome = read_outcome(exchange)
    show_literal(json.dumps({"finish_reason": outcome.finish_reason, "usage": outcome.usage}),
                 language="json")
    if (times := chunk_times(exchange)) is not None:
        _show_times(exchange, times)
    if outcome.timings:
        st.markdown(f"**{_('The engine on itself')}**")
        show_literal(json.dumps(outcome.timings, indent=2), language="json")
    body = exchange.response_body.decode("utf-8", "replace")
    if st.toggle(_("The body as it was received"), key=f"body-{key}"):
        show_literal(body)
    offer_text(f"{response_head(exchange)}\n\n{body}", "response.txt", key=f"response-{key}")


def _pick(reply: Reply, *, key: str) -> Exchange | None:
    """The exchange to show: of several the last, unless another is chosen."""
    count = len(reply.exchanges)
    if not count:
        # A reply with its chain ran in this process: nothing of it was lost.
        st.caption(not_kept() if reply.chain is None else _(
            "Nothing went over HTTP: this model is a part of Parley, or the reply ended before "
            "anything was sent."))
        return None
    if count == 1:
        return reply.exchanges[0]
    number = st.radio(
        _("It took more than one try"), range(count), index=count - 1, horizontal=True,
        key=f"try-{key}",
        format_func=lambda number: _("Try {n} of {m}").format(n=number + 1, m=count))
    return reply.exchanges[number]


def not_kept() -> str:
    """What is said in the place of something that a reply no longer has."""
    return _("This was not kept. It is there for replies that were made since the app started, "
             "and that went over HTTP.")


def _show_times(exchange: Exchange, times: ChunkTimes) -> None:
    if times.count == 1:  # mostly an error's: between one piece there is no wait, and no line
        st.caption(_("Response headers after {headers}. All of it came in one piece, after "
                     "{first}.").format(headers=human_seconds(exchange.headers_seconds or 0),
                                        first=human_seconds(times.first)))
        return
    import altair as alt  # here, as in components.race_numbers
    import pandas as pd

    words = _("Response headers after {headers}. {count} pieces: the first after {first}, the last "
              "after {last}; half of the waits between two were under {median}, the longest was "
              "{longest}.").format(
        headers=human_seconds(exchange.headers_seconds or 0), count=times.count,
        first=human_seconds(times.first), last=human_seconds(times.last),
        median=human_seconds(times.median_gap), longest=human_seconds(times.longest_gap))
    total, points = 0, []
    for at, size in exchange.chunks:
        total += size
        points.append((at, total))
    step = -(-len(points) // MAX_POINTS)
    seconds, received = _("Seconds since the request"), _("Bytes received")
    frame = pd.DataFrame(points[::step], columns=[seconds, received])
    st.altair_chart(
        alt.Chart(frame).mark_line(point=True, interpolate="step-after").encode(
            x=alt.X(seconds, type="quantitative", scale=alt.Scale(domainMin=0)),
            y=alt.Y(received, type="quantitative"),
        ).properties(height=180, description=words))
    st.caption(words)
