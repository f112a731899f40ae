"""A chat: the one renderer of history, the box one types in, and what can be done to a turn.

    converse(transcript, answer, starters=("…",))

A page says only how a question is answered. Editing and asking again make new
branches of the transcript; nothing that was said is lost, and what is finished is
kept (`components.kept`). Knows no model and no prompt.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import kept
from components.browser import copy_button, move_focus, read_aloud_button
from components.language import _, say
from components.pictures import hold, let_go, show_picture
from components.reply import show_reply
from components.text import as_label, show_text
from components.what_ran import show_what_ran
from llm.errors import ParleyError, RequestTooLargeError
from llm.images import Picture
from llm.memory import View
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn, new_id

SHOWN_TURNS = 12
"""Turns drawn at once: they are sent again at each rerun, and 16 cost 1.6 times what 10 do."""

MAX_CHARACTERS = 200_000
"""A message longer than this is a file, and no model here reads it whole. The box is not told
so: a longer paste it would drop without a word."""

SAVING_SECONDS = 10
"""How long the page waits to hear whether a reply that has ended could be kept."""

SECOND_CLICK_SECONDS = 3
"""How long after a question the same one, by a button, is taken for a second click: on a page
that was slow to show the first."""

OnEnd = Callable[[Reply], Awaitable[None] | None]
Answer = Callable[[Turn, OnEnd], Reply]
Marks = tuple[DeltaGenerator, DeltaGenerator]
"""The places in a turn's message and beneath it, where it is marked what the model sees."""

ALL_SEEN = View()

_REFUSED = "refused"
"""The session's key for the box whose message is not taken, and why."""

_DRAWN = "turns-drawn"
"""The session's key for the most turns that were drawn at once."""

_FOCUS = "focus"
"""The session's key for where the focus goes as what was pressed goes: see `move_focus`."""

_BOX = '[data-testid="stChatInputTextArea"]'

_GREYED = """<style>
[data-testid="stChatMessage"]:has([class*="st-key-unseen-"])
    [data-testid="stMarkdownContainer"]:not(
        [data-testid="stCaptionContainer"] *, button *, details *) {opacity: .7}
</style>"""
"""Still dark enough to be read: people come back to what the model has forgotten."""


def converse(chat: Transcript, answer: Answer, *, starters: Sequence[str] = (),
             takes_pictures: bool = False,
             under_answer: Callable[[Turn], None] = lambda turn: None,
             view: Callable[[Sequence[Turn]], View] = lambda turns: ALL_SEEN) -> None:
    """Draw the conversation and its box, and have a new question answered by `answer`.

    `answer` gets the human turn, and what `start_reply` is to do `on_end`; it returns the
    running reply, or raises a `ParleyError`. `starters` are offered while nothing has been
    said. `takes_pictures`: they can be pasted into the box, and those at hand go with the
    next message. `under_answer` draws a page's own actions under an answer.
    `view` says which of the turns the model sees: the others are greyed, and a summary
    is shown where it stands.
    """
    box = _box(chat)
    st.chat_input(_("Your message"), key=box, on_submit=_ask_from_box, args=(chat, box),
                  accept_file="multiple" if takes_pictures else False)
    show_refusal(box)
    if not chat.turns and starters:
        _offer_starters(chat, starters)
    turns = chat.path()
    first = _first_shown(chat, len(turns))
    st.session_state[_DRAWN] = max(st.session_state.get(_DRAWN, 0), len(turns) - first)
    marks = {turn.id: _show_turn(chat, turn, under_answer) for turn in turns[first:]}
    _mark(marks, view(turns))
    if turns and turns[-1].role == "human":
        if kept.was_left_open(turns[-1]):
            _offer_answer(turns[-1])
        else:
            _answer(chat, turns[-1], answer, under_answer)
            # What was seen for this answer is not all seen for the next.
            _mark(marks, view(chat.path()), when="after")
    _show_whether_kept(chat)
    if places := st.session_state.pop(_FOCUS, None):
        move_focus(places, moment=new_id())


def _ask_from_box(chat: Transcript, box: str) -> None:
    said = st.session_state[box]
    takes_none = isinstance(said, str)
    text = said if takes_none else said.text
    with refusing(box, draft=text):
        # A file that was chosen and is no picture is refused here too: its question means it.
        pictures = [] if takes_none else hold([file.getvalue() for file in said.files])
        if text and text.strip():
            ask(chat, text, pictures)


def _box(chat: Transcript) -> str:
    return f"box-{chat.id}"


@contextmanager
def refusing(box: str, *, draft: str | None = None) -> Iterator[None]:
    """For what is done with a message: a `ParleyError` is said by its box, `draft` put back."""
    st.session_state.pop(_REFUSED, None)
    try:
        yield
    except ParleyError as error:
        st.session_state[_REFUSED] = box, error.wording
        if draft is not None:
            st.session_state[box] = draft


def refusing_in(chat: Transcript) -> AbstractContextManager[None]:
    """`refusing`, by the box of a conversation."""
    return refusing(_box(chat))


def show_refusal(box: str) -> None:
    """Say why what was in a box is not taken, until there is another message or another box."""
    # Not said once and forgotten: a run that another one cuts short would have said it to nobody.
    refused, wording = st.session_state.get(_REFUSED, (box, None))
    if refused != box:
        del st.session_state[_REFUSED]
    elif wording is not None:
        st.error(as_label(say(wording)), icon=":material/error:")


def check_length(text: str, most: int = MAX_CHARACTERS) -> None:
    """Raises `RequestTooLargeError` for a message of more than so many characters."""
    if len(text) > most:
        raise RequestTooLargeError(
            "That is {count:,} characters, and a message may have {most:,}. Shorten it, or send "
            "it in parts.", count=len(text), most=most)


def ask(chat: Transcript, message: str, pictures: Sequence[Picture] = ()) -> None:
    """Put a question, with pictures, which then are no longer at hand for the next one.

    Raises `RequestTooLargeError` for one that is too long.
    """
    check_length(message)
    if chat.last is not None and _is_just_asked(chat.last, message):
        return
    _stop_running(chat)
    kept.keep(chat, chat.append("human", message, pictures=pictures))
    if pictures:
        let_go()


def _is_just_asked(last: Turn, message: str) -> bool:
    """Whether the question waits for its answer already: now and then Streamlit hands a message
    on twice, where a fragment's own run begins at the same moment."""
    return last.role == "human" and last.content == message and _was_just_now(last.created_at)


def ask_by_button(chat: Transcript, message: str, pictures: Sequence[Picture] = ()) -> None:
    """`ask`, but for a second click on a page that was slow to show the first.

    Raises `RequestTooLargeError`.
    """
    question, reply = chat.last_question, chat.last and chat.last.reply
    # Pictures went with the first click: there are none to go with a second one.
    if pictures or question is None or question.content != message or not (
            reply and reply.is_running or _was_just_now(question.created_at)):
        ask(chat, message, pictures)


def is_second_click(first: Reply) -> bool:
    """Whether what this reply answers, if it is asked again now, is so by a second click."""
    return first.is_running or (first.ending not in (Ending.FAILED, Ending.STOPPED)
                                and _was_just_now(first.started_at))


def _was_just_now(when: float) -> bool:
    return time.time() - when < SECOND_CLICK_SECONDS


def _offer_answer(question: Turn) -> None:
    """Of a question that was found without an answer, asked anew only if the person says so."""
    st.caption(_("This question has no answer here. If its reply is still on its way elsewhere, "
                 "reload the page in a moment."))
    st.button(_("Answer it now"), key=f"answer-{question.id}", icon=":material/send:",
              on_click=kept.answer_after_all, args=(question,))


def _show_whether_kept(chat: Transcript) -> None:
    last = chat.last
    if last is not None and last.reply is not None:
        last.reply.wait(SAVING_SECONDS)
    if problem := kept.problem(chat):
        st.warning(as_label(say(problem)), icon=":material/save:")


def _answer(chat: Transcript, question: Turn, answer: Answer,
            under_answer: Callable[[Turn], None]) -> None:
    bubble = st.chat_message("assistant", avatar=":material/smart_toy:")
    _clear_below()
    with bubble:
        # What is shown before the reply begins stands where the next run has a mark. Else
        # what follows would stand elsewhere in that run, and until its end in both places.
        before = st.empty()
        turn = Turn("ai", parent_id=question.id)
        try:
            with before.container():
                turn.reply = answer(question, kept.when_ended(chat, turn))
            chat.add(turn)
        except ParleyError as error:
            # Kept as a failed reply: it has no text, so it never enters a history.
            turn.reply = Reply.failed("", error)
            kept.keep(chat, chat.add(turn))
        _show_answer(chat, turn, under_answer)


def _clear_below() -> None:
    """Take from the page the turns of another branch or conversation that were drawn before:
    they would stay below a reply until it has ended."""
    for _place in range(2 * st.session_state[_DRAWN]):  # a turn has one, and one beneath it
        st.empty()


def _show_turn(chat: Transcript, turn: Turn, under_answer: Callable[[Turn], None]) -> Marks:
    avatar = ":material/person:" if turn.role == "human" else ":material/smart_toy:"
    bubble = st.chat_message("user" if turn.role == "human" else "assistant", avatar=avatar)
    if turn.reply is not None and turn.reply.is_running:
        _clear_below()
    with bubble:
        above = st.empty()
        if turn.role == "human":
            _show_question(chat, turn)
        else:
            _show_answer(chat, turn, under_answer)
    return above, st.empty()


def _mark(marks: Mapping[str, Marks], view: View, *, when: str = "before") -> None:
    """Grey the turns that the model does not see, and draw the summary where it stands.

    `when`, before or after an answer, makes the keys of one run unique.
    """
    for turn_id, (above, below) in marks.items():
        if turn_id in view.unseen:
            # The key's class is what _GREYED looks for.
            above.container(key=f"unseen-{when}-{turn_id}").caption(
                f":material/visibility_off: {_('Not seen by the model any more')}")
        else:
            above.empty()
        if turn_id == view.summary_after and view.summary:
            with below.container(border=True):
                st.caption(f":material/summarize: "
                           f"{_('The summary that the model reads in place of all above:')}")
                show_text(view.summary)
        else:
            below.empty()
    if view.unseen:
        st.html(_GREYED)


def _show_question(chat: Transcript, turn: Turn) -> None:
    for number, picture in enumerate(turn.pictures):
        # Not by the picture: a file taken in may have the same one twice.
        show_picture(picture, key=f"{turn.id}-{number}")
    if turn.pictures_lost:
        st.caption(":material/broken_image: " + _(
            "Pictures of this message that found no room and were not kept: {count}").format(
                count=turn.pictures_lost))
    editing = f"editing-{turn.id}"
    if not st.session_state.get(editing):
        show_text(turn.content, by_person=True)
        with st.container(horizontal=True, vertical_alignment="center"):
            pick_version(chat, turn, partial(_show_version, chat))
            st.button(_("Edit"), key=f"edit-{turn.id}", icon=":material/edit:", type="tertiary",
                      on_click=_open_draft, args=(turn, True))
        return
    with st.form(f"form-{turn.id}", border=False):
        st.text_area(_("Edit the message"), turn.content, key=f"draft-{turn.id}")
        with st.container(horizontal=True):
            st.form_submit_button(_("Send"), on_click=_edit, args=(chat, turn))
            st.form_submit_button(_("Cancel"), on_click=_open_draft, args=(turn, False))


def _open_draft(turn: Turn, is_open: bool) -> None:
    st.session_state[f"editing-{turn.id}"] = is_open
    st.session_state[_FOCUS] = [f".st-key-draft-{turn.id} textarea" if is_open
                                else f".st-key-edit-{turn.id} button"]


def _show_answer(chat: Transcript, turn: Turn, under_answer: Callable[[Turn], None]) -> None:
    reply = turn.reply
    text, actions, drawer, stop = st.container(), st.empty(), st.empty(), st.bottom.empty()
    if reply.is_running:
        # Drawn before the text grows, so that it can be pressed while it does.
        stop.button(_("Stop"), key=f"stop-{turn.id}", icon=":material/stop_circle:",
                    shortcut="Escape", on_click=_press_stop, args=(reply,))
    with text:
        show_reply(reply, key=turn.id)
    stop.empty()
    with actions.container(horizontal=True, vertical_alignment="center"):
        pick_version(chat, turn, partial(_show_version, chat))
        st.button(_("Try again"), key=f"again-{turn.id}", icon=":material/refresh:",
                  type="tertiary", on_click=_ask_again, args=(chat, turn))
        if reply.text:
            st.feedback("thumbs", key=f"thumbs-{turn.id}", on_change=_rate, args=(chat, turn),
                        default=None if turn.rating is None else int(turn.rating > 0))
            copy_button(reply.text, key=f"copy-{turn.id}")
            read_aloud_button(reply.text, key=f"speak-{turn.id}")
            under_answer(turn)
    if reply.messages:
        with drawer.container():
            show_what_ran(reply, key=turn.id, before=chat.path_to(turn)[:-2])


def pick_version(chat: Transcript, turn: Turn, show: Callable[[Turn], None]) -> None:
    """Draw the buttons between the versions of a turn, where there is more than one.

    `show` is called with the one that is to be shown.
    """
    versions = chat.siblings(turn)
    if len(versions) < 2:
        return
    number = versions.index(turn)
    for label, step, icon in ((_("Earlier version"), -1, "chevron_left"),
                              (_("Later version"), +1, "chevron_right")):
        there = 0 <= number + step < len(versions)
        if step > 0:
            st.caption(_("{n} of {m}").format(n=number + 1, m=len(versions)), width="content")
        st.button(label, key=f"version-{step}-{turn.id}", icon=f":material/{icon}:",
                  type="tertiary", disabled=not there, on_click=show,
                  args=(versions[number + step] if there else turn,))


def _offer_starters(chat: Transcript, starters: Sequence[str]) -> None:
    st.caption(_("Try one of these, or write your own below."))
    with st.container(horizontal=True):
        for starter in starters:
            st.button(starter, key=f"starter-{starter}", on_click=_start, args=(chat, starter))


def _start(chat: Transcript, starter: str) -> None:
    ask_by_button(chat, starter)
    st.session_state[_FOCUS] = [_BOX]


def _first_shown(chat: Transcript, count: int) -> int:
    """The index of the first turn to draw, with a button to see the earlier ones."""
    key = f"shown-{chat.id}"
    shown = st.session_state.get(key, SHOWN_TURNS)
    if count <= shown:
        return 0
    st.button(_("Show earlier messages ({count} more)").format(count=count - shown),
              on_click=st.session_state.__setitem__, args=(key, shown + SHOWN_TURNS))
    return count - shown


def _stop_running(chat: Transcript) -> None:
    for turn in chat:
        if turn.reply is not None and turn.reply.is_running:
            _stop(turn.reply)


def _stop(reply: Reply) -> None:
    reply.stop()
    reply.wait(1)


def _press_stop(reply: Reply) -> None:
    _stop(reply)
    st.session_state[_FOCUS] = [_BOX]


def _ask_again(chat: Transcript, turn: Turn) -> None:
    """Leave the question as the last turn shown: the page answers it anew, as a sibling."""
    if turn in chat.path():  # and not left by a first click already
        _stop_running(chat)
        chat.shown.pop(turn.parent_id)
        st.session_state[_FOCUS] = ['[class*="st-key-again-"] button']


def _edit(chat: Transcript, turn: Turn) -> None:
    if turn not in chat.path():  # left by a first click already
        return
    draft = st.session_state[f"draft-{turn.id}"]
    with refusing_in(chat):
        check_length(draft)
        st.session_state[f"editing-{turn.id}"] = False
        if draft.strip() and draft != turn.content:
            _stop_running(chat)
            kept.keep(chat, chat.branch(turn, draft))
        st.session_state[_FOCUS] = [_BOX]


def _show_version(chat: Transcript, turn: Turn) -> None:
    versions, path = chat.siblings(turn), chat.path()
    step = 1 if any(version in path for version in versions[:versions.index(turn)]) else -1
    chat.show(turn)
    kept.keep_shown(chat)
    st.session_state[_FOCUS] = [f".st-key-version-{each}-{turn.id} button:enabled"
                                for each in (step, -step)]


def _rate(chat: Transcript, turn: Turn) -> None:
    thumbs = st.session_state[f"thumbs-{turn.id}"]
    turn.rating = None if thumbs is None else (1 if thumbs else -1)
    kept.keep(chat, turn)
