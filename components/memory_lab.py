"""The memory lab: choosing how a chat remembers, and what that does to one conversation.

    memory = pick_memory(spec, settings)
    view = memory.view(turns)                 # what the model is sent of them

Knows the strategies of llm.memory as data, and none by what it does, but for two that
need something of their own: the running summary has the model write one first, and
LangGraph keeps its threads.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import streamlit as st

import llm
from components import kept, session
from components.asking import ready_model
from components.browser import announce
from components.conversation import check_length, is_second_click
from components.growing import draw_as_they_grow
from components.language import _, say
from components.reply import show_outcome, show_reply
from components.text import as_label
from components.what_ran import show_what_ran
from llm.catalog import ModelSpec
from llm.context import counter
from llm.errors import ParleyError
from llm.memory import (
    STRATEGIES,
    Options,
    Strategy,
    View,
    to_message,
    turns_to_summarise,
    was_said,
)
from llm.replies import Ending, Reply, start_reply
from llm.transcript import Transcript, Turn

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelLike
    from langchain_core.runnables import Runnable

COLUMNS = 3
"""Answers side by side."""


@dataclass(frozen=True)
class Memory:
    """A strategy with its options, and the model that it remembers for."""

    key: str
    """Of `STRATEGIES`."""
    options: Options
    spec: ModelSpec
    settings: Mapping[str, Any]

    @property
    def strategy(self) -> Strategy:
        return STRATEGIES[self.key]

    def view(self, turns: Sequence[Turn]) -> View:
        """What the model sees of `turns`, those before a question."""
        return self.strategy.see(turns, self.options)

    def view_of_path(self, path: Sequence[Turn]) -> View:
        """What it sees of a whole conversation: with the question that waits for its answer
        or, where none does, with the next one."""
        return self.view(before_question(path)[0])


def before_question(path: Sequence[Turn]) -> tuple[Sequence[Turn], Turn | None]:
    """The turns before the question that waits for its answer, and that; None if none does."""
    if path and path[-1].role == "human":
        return path[:-1], path[-1]
    return path, None


def pick_memory(spec: ModelSpec, settings: Mapping[str, Any]) -> Memory:
    """Draw the choice of a strategy and of what it can be told. Returns the choice."""
    left, right = st.columns([2, 1], vertical_alignment="bottom")
    key = left.selectbox(_("Memory"), list(STRATEGIES), index=list(STRATEGIES).index("everything"),
                         format_func=lambda name: _(STRATEGIES[name].label),
                         key="memory-strategy", persist_state="session")
    options = Options(system=settings.get("system", ""), count=counter(spec))
    if key in ("last", "summary"):
        options = replace(options, last=right.number_input(
            _("Messages word for word"), 1, 200, options.last, key="memory-last",
            persist_state="session",
            help=_("Questions and replies both count. A history begins with a question, so it "
                   "may be one fewer.")))
    elif key == "budget":
        options = replace(options, budget=right.number_input(
            _("Budget in tokens"), 16, 1_000_000, options.budget, 16, key="memory-budget",
            persist_state="session",
            help=_("For the system prompt and the history together. Your message and the reply "
                   "come on top.")))
    st.caption(_(STRATEGIES[key].explanation))
    return Memory(key, options, spec, settings)


def memory_chain(memory: Memory, model: LanguageModelLike,
                 chat: Transcript | None = None) -> Runnable:
    """The chain that answers under a memory: inputs `system`, `history` and `message`.

    `chat` is the conversation that a LangGraph thread goes on with; without it, a new one.
    """
    if memory.key != "langgraph":
        return llm.build_chat_chain(model)
    from llm.langgraph_memory import build_langgraph_chain, build_langgraph_chat

    if chat is None:
        return build_langgraph_chain(build_langgraph_chat(model), "lab")
    return build_langgraph_chain(build_langgraph_chat(model, session.langgraph_threads(chat.id)),
                                 chat.id)


# ── The running summary ──────────────────────────────────────────────────────────────


def sum_up(memory: Memory, chat: Transcript, turns: Sequence[Turn],
           model: LanguageModelLike) -> None:
    """Have the model write the summary that is due before a question, if one is, and keep it.

    Shows it while it is written. If it fails, that is said, and the turns stay as they were:
    the model then sees them word for word.
    """
    if memory.key != "summary":
        return
    written = _write_summary(memory, turns, model)
    if written is not None:
        turn, text = written
        turn.summary = text
        kept.keep(chat, turn)


def _write_summary(memory: Memory, turns: Sequence[Turn],
                   model: LanguageModelLike) -> tuple[Turn, str] | None:
    """The last turn that the new summary stands for, and its text. None: none is due, or it
    failed."""
    folded = turns_to_summarise(turns, memory.options)
    if not folded:
        return None
    from llm.summary import build_summary_chain, summary_inputs

    place = st.empty()
    inputs = summary_inputs(memory.view(turns).summary, folded)
    reply = start_reply(build_summary_chain(model), inputs, memory.spec,
                        settings=memory.settings)
    try:
        with place.container(border=True):
            st.caption(_("The model sums up the oldest messages: {count} …").format(
                count=len(folded)))
            draw_as_they_grow([(reply, st.container())])
    finally:
        reply.stop()  # Of no use to a page that is drawn anew: it begins again.
    place.empty()
    if reply.ending in (Ending.STOP, Ending.LENGTH) and reply.text.strip():
        return folded[-1], reply.text.strip()
    st.warning(_("The summary could not be written, so the older messages were sent word for "
                 "word. {reason}").format(
                     reason=say(reply.wording or reply.error or "")), icon=":material/summarize:")
    return None


# ── The same question under each memory ──────────────────────────────────────────────


@dataclass(frozen=True)
class Answered:
    """One strategy's answer in the lab, and what it was given."""

    question: str
    memory: Memory
    view: View
    all: int
    """Messages that had been said."""
    reply: Reply


# No fragment: what is pressed in one waits until its run ends, and Stop is pressed before.
def ask_under_each(memory: Memory, chat: Transcript) -> None:
    """Draw the question, and on one click its answers under every strategy, side by side.

    They are no part of the conversation.
    """
    drawer = st.expander(_("Ask the same under each memory"), icon=":material/compare_arrows:",
                         key="memory-lab", on_change="rerun")
    if not drawer.open:
        return
    with drawer:
        st.caption(_("Each memory gets this conversation and the question. The answers stay here, "
                     "outside of the conversation."))
        with st.form("memory-ask", border=False):
            question = st.text_input(_("Question"), _("What is my name?"), key="memory-question")
            pressed = st.form_submit_button(
                _("Ask under each memory: {count} requests").format(count=len(STRATEGIES)),
                icon=":material/send:")
        if pressed and question.strip() and not _is_asked(memory, chat, question):
            try:
                check_length(question)
                session.keep_memory_answers(chat.id, _ask_all(memory, chat, question))
            except ParleyError as error:
                st.error(as_label(say(error)), icon=":material/error:")
        _show_answers(session.memory_answers(chat.id))


def _is_asked(memory: Memory, chat: Transcript, question: str) -> bool:
    """Whether all of it was asked by a first click, a moment ago."""
    return any(before.question == question and before.memory.spec == memory.spec
               and is_second_click(before.reply) for before in session.memory_answers(chat.id))


def _ask_all(memory: Memory, chat: Transcript, question: str) -> list[Answered]:
    for before in session.memory_answers(chat.id):
        before.reply.stop()
    # Each is a request of its own, and counts as one; none begins unless all may.
    models = {key: ready_model(memory.spec, memory.settings) for key in STRATEGIES}
    turns, _waiting = before_question(chat.path())
    all_said = sum(map(was_said, turns))
    summed_up = _summed_up(replace(memory, key="summary"), turns, models["summary"])
    asked = []
    for key, model in models.items():
        each = replace(memory, key=key)
        view = each.view(summed_up if key == "summary" else turns)
        asked.append((each, view, memory_chain(each, model)))
    # Only now, when all of them are made: they begin at the same moment.
    return [Answered(question, each, view, all_said, start_reply(
        chain, {"system": view.system(memory.settings.get("system", "")),
                "history": view.messages, "message": [to_message(Turn("human", question))]},
        memory.spec, settings=memory.settings)) for each, view, chain in asked]


def _summed_up(memory: Memory, turns: Sequence[Turn], model: LanguageModelLike) -> list[Turn]:
    """The turns, with the summary that is due in a copy: the conversation is left alone."""
    written = _write_summary(memory, turns, model)
    return [replace(turn, summary=written[1]) if written and turn is written[0] else turn
            for turn in turns]


def _show_answers(answers: Sequence[Answered]) -> None:
    stop, growing = st.empty(), []
    if any(answer.reply.is_running for answer in answers):
        stop.button(_("Stop all of them"), key="memory-stop", icon=":material/stop_circle:",
                    on_click=_stop_all, args=(answers,))
    for first in range(0, len(answers), COLUMNS):
        for answer, column in zip(answers[first:first + COLUMNS], st.columns(COLUMNS, border=True),
                                  strict=False):
            with column:
                _show_head(answer)
                if answer.reply.is_running:
                    growing.append((answer, st.container()))
                else:
                    show_reply(answer.reply, key=f"memory-{answer.memory.key}")
                    _show_foot(answer)
    if not growing:
        return

    def end(number: int) -> None:
        answer, place = growing[number]
        with place:
            show_outcome(answer.reply)
            _show_foot(answer)

    draw_as_they_grow([(answer.reply, place) for answer, place in growing], at_end=end)
    stop.empty()
    announce(_("All have answered."), key="memory-answered")


def _show_head(answer: Answered) -> None:
    st.markdown(f"**{_(answer.memory.strategy.label)}**")
    seen = _("Saw {seen} of {all} messages").format(seen=len(answer.view.turn_ids), all=answer.all)
    if answer.view.summary is not None:
        seen = _("{seen}, and a summary").format(seen=seen)
    elif answer.memory.key == "summary" and answer.all:
        seen = _("{seen}; no summary is due yet").format(seen=seen)
    st.caption(seen)


def _show_foot(answer: Answered) -> None:
    if answer.reply.messages:
        show_what_ran(answer.reply, key=f"memory-{answer.memory.key}")


def _stop_all(answers: Sequence[Answered]) -> None:
    for answer in answers:
        answer.reply.stop()
        answer.reply.wait(1)
