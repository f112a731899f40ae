"""How full the model's context window is, part by part, and a word before anything is cut.

What is counted, `llm.context` says; what is left out, the memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components.language import _
from components.memory_lab import Memory, before_question
from llm.context import Cut, Part, context_parts, will_cut
from llm.memory import View, to_message, turns_to_summarise, was_said
from llm.tokens import TokenCount
from llm.transcript import Turn

_PARTS = {
    "system": ("system prompt", "#7c6fcf"),
    "summary": ("summary", "#c2569b"),
    "history": ("history", "#2f7fd1"),
    "message": ("your message", "#3f9a6b"),
    "reply": ("room for the reply", "#9aa0a8"),
}
"""Part -> its name and its colour."""


def show_context(place: DeltaGenerator, memory: Memory, path: Sequence[Turn]) -> None:
    """Draw what is sent for the question that waits at the end of `path`, or for the next one.

    A warning stands below if that, or the one after it, does not fit any more.
    """
    turns, question = before_question(path)
    view = memory.view(turns)
    cut = will_cut(memory.spec, memory.settings.get("system", ""), memory.strategy, turns,
                   memory.options, question.content if question else "",
                   memory.settings.get("max_tokens"), now=view)
    with place.container(gap="xsmall"):
        _draw_bar(_parts(memory, view, turns, question), memory.spec.context_window)
        # Three places, each time: within one run, what stood in one that is not drawn again
        # would stay, such as a warning that the reply has made void.
        unseen, due, warning = st.empty(), st.empty(), st.empty()
    if view.unseen:
        unseen.caption(_unseen(view, turns, cut))
    if memory.key == "summary" and (oldest := turns_to_summarise(turns, memory.options)):
        due.info(_("Before the next answer the model sums up the oldest messages ({count}), and "
                   "then reads its summary in their place.").format(count=len(oldest)),
                 icon=":material/summarize:")
    if said := _warning(view, cut):
        warning.warning(said, icon=":material/content_cut:")


def _parts(memory: Memory, view: View, turns: Sequence[Turn], question: Turn | None) -> list[Part]:
    # The next message is not there yet: it is taken to be as long as the last one.
    like = question or next((turn for turn in reversed(turns) if turn.role == "human"), None)
    message = [to_message(like)] if like is not None and was_said(like) else []
    parts = context_parts(memory.spec, memory.settings.get("system", ""), view, message,
                          memory.settings.get("max_tokens"))
    if question is not None:
        return parts
    return [Part(part, TokenCount(count.tokens, count.measured and (
        part != "message" or not message))) for part, count in parts]


def _draw_bar(parts: Sequence[Part], window: int | None) -> None:
    """Draw the parts as one stacked bar, and beneath it as text: nobody needs to see colours."""
    total = sum((count for _part, count in parts), TokenCount(0, True))
    whole = max(window or 0, total.tokens, 1)
    bar = "".join(f"<i style='background:{_PARTS[part][1]};width:{count.tokens / whole:.3%};"
                  f"min-width:{min(count.tokens, 3)}px'></i>" for part, count in parts)
    names = "".join(
        f"<span><b style='background:{_PARTS[part][1]}'></b>{escape(_(_PARTS[part][0]))} "
        f"{_number(count)}</span>" for part, count in parts if count.tokens)
    if window is None:
        sum_up = _("together {tokens} tokens").format(tokens=_number(total))
    else:
        sum_up = _("together {tokens} of {window} tokens ({share})").format(
            tokens=_number(total), window=f"{window:,}", share=f"{total.tokens / window:.0%}")
    st.html(f"{_STYLE}<div class='parley-window' aria-hidden='true'>{bar}</div>"
            f"<div class='parley-parts'>{names}<span>{escape(sum_up)}</span></div>")


_STYLE = """<style>
.parley-window {display: flex; height: 10px; border-radius: 5px; overflow: hidden;
                background: rgba(128, 128, 128, .2)}
.parley-window i {flex: none}
.parley-parts {font-size: .8rem; display: flex; flex-wrap: wrap; gap: 0 .9em; margin-top: 2px}
.parley-parts b {display: inline-block; width: .7em; height: .7em; margin-right: .35em}
</style>"""


def _number(count: TokenCount) -> str:
    return f"{'' if count.measured else '≈'}{count.tokens:,}"


def _unseen(view: View, turns: Sequence[Turn], cut: Cut | None) -> str:
    said = _("Not seen by the model any more: {unseen} of {all} messages. They are "
             "greyed.").format(unseen=len(view.unseen), all=sum(map(was_said, turns)))
    if cut is None or not cut.turn_ids or cut.tokens_over:
        return said
    # Said loudly once, before the first is cut. From then on it is what this memory does.
    return f"{said} " + _("After the next exchange, more of them: {count}.").format(
        count=len(cut.turn_ids))


def _warning(view: View, cut: Cut | None) -> str:
    """What is to be said loudly before it happens; "" if nothing is."""
    if cut is None:
        return ""
    if cut.at_once:
        return _("The next request is {tokens} tokens too long for the context window, with "
                 "the room for the reply. Nothing is left out here, so it may be refused, or "
                 "the reply cut short. Choose a memory that sends less, lower Max tokens, or "
                 "begin a new conversation.").format(tokens=f"≈{cut.tokens_over:,}")
    if cut.tokens_over:
        return _("After the next exchange the conversation will be too long for the context "
                 "window, by {tokens} tokens if it is like the last. Choose a memory that "
                 "sends less, or begin a new conversation.").format(
                     tokens=f"≈{cut.tokens_over:,}")
    if view.unseen:
        return ""  # Said once, before the first is cut; see `_unseen`.
    return _("After the next exchange the model will no longer see the oldest messages "
             "that it sees now: {count} of them, if the exchange is like the last.").format(
                 count=len(cut.turn_ids))
