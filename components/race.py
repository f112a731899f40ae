"""A race on the page: one box, a pane for each model, all of them growing at once.

Knows panes and replies; how a question is answered, the page says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from components import kept_races, session
from components.browser import announce, copy_button, read_aloud_button, stay_at
from components.conversation import OnEnd, check_length, pick_version, refusing, show_refusal
from components.engines import wait_for_engine
from components.growing import draw_as_they_grow
from components.language import _, say
from components.model_card import where_text_goes
from components.pictures import accept, blindness, draw_picture
from components.race_numbers import plain
from components.reply import show_outcome
from components.text import show_text
from components.what_ran import show_what_ran
from llm.errors import CannotSeeError, ParleyError
from llm.race import Contender, Pane, Race
from llm.replies import Reply
from llm.transcript import Turn

EXPANDED = "expanded"
"""The session's key for the letter of the pane at full width, or None."""

_BOX, _HELD = "race-box", "race-held"
"""The session's keys for the one box, and for pictures' files that came without words."""

_PLACE = "race-place"
"""The session's key for the race that is drawn, and whether it is in the second of two places."""

_TWO_BY_TWO = """<style>
.st-key-panes-4 {container-type: inline-size}
@media (min-width: 640px) {
  @container (max-width: 70rem) {
    .st-key-panes-4 [data-testid="stColumn"] {min-width: calc(50% - 1rem)}
  }
}
</style>"""
"""Four panes in one row are too narrow to read where the page is not very wide. Below 640
pixels Streamlit itself puts each under the other."""

Answer = Callable[[Pane, Turn, OnEnd], Reply]


def take_message(race: Race, contenders: Sequence[Contender]) -> Race:
    """Draw the one box, and ask what was said in it. After a blind vote, that begins the next
    race. Returns the race to show."""
    # Asked here and not when it is sent: who races may have been chosen a moment before.
    said = session.said_to_race()
    while said:
        text, pictures = said.pop(0)
        if race.blind and not race.hidden:
            race = session.replace_race(contenders, blind=True)
        race.ask(text, pictures)
    sees = any(contender.spec.vision for contender in contenders)
    label = _("Your message to all of them")
    if race.blind and not race.hidden:
        label = _("Your message: it begins the next blind race")
    elif race.only:
        label = _("Your message to {letter}").format(letter=race.only)
    st.chat_input(label, key=_BOX, accept_file="multiple" if sees else False,
                  on_submit=_take_from_box)
    with st.bottom:
        show_refusal(_BOX)
        if sees and st.session_state.get(_HELD):
            st.info(_("Your picture goes with your next message: write something to ask."),
                    icon=":material/image:")
    return race


def _take_from_box() -> None:
    said = st.session_state[_BOX]
    text, files = (said, []) if isinstance(said, str) else (said.text, [
        *st.session_state.get(_HELD, []), *(file.getvalue() for file in said.files)])
    with refusing(_BOX, draft=text):
        check_length(text)
        pictures = accept(files)
        # A picture alone asks nothing: it waits for the words.
        st.session_state[_HELD] = [] if text.strip() else files
        # Streamlit may hand it on twice: see `components.conversation`.
        if text.strip() and (text, pictures) not in session.said_to_race():
            session.said_to_race().append((text, pictures))


def run_race(race: Race, answer: Answer, *, one_at_a_time: bool = False,
             below: Callable[[Race], None] = lambda race: None) -> None:
    """Draw every pane, and have what waits answered, all at once or one at a time.

    `below` draws what stands under the panes while they still run. Each pane can be
    stopped and asked again by itself, and one that fails leaves the others running.
    """
    with st.container():
        # Its place is kept even when nothing is drawn there: what stands below must not
        # move between runs of the page, or its old self is seen beside it.
        _start(race, answer, one_at_a_time)
    # Before a pane is drawn: a void race is one of known sides, whose errors are shown.
    race.settle()
    if all(pane.chat.last is None for pane in race.panes):
        return
    growing = []
    with _place_of(race):
        places = _places(race)
    for pane, place in places:
        with place:
            running = _show_pane(race, pane)
        if running is not None:
            growing.append(running)
    with st.container():
        below(race)
    if not growing:
        if race.is_over:
            # A key for each question: the same words are said once for each key.
            announce(_("All have answered."), key=f"answered-{race.panes[0].chat.last_question.id}")
            if not race.hidden:
                stay_at('[class*="st-key-panes-"]',
                        moment=" ".join(pane.chat.last.id for pane in race.panes
                                         if pane.chat.last))
            if problem := kept_races.problem(race):
                st.warning(plain(say(problem)), icon=":material/save:")
        return
    draw_as_they_grow(
        [(pane.reply, place) for pane, place, _foot in growing if pane.reply is not None],
        at_end=lambda number: _end_pane(race, *growing[number]))
    # What is told of a race that is over stands around the panes too.
    st.rerun()


def new_race_button(contenders: Sequence[Contender], *, blind: bool) -> None:
    """Draw the button in the sidebar that begins the race of these contenders anew."""
    st.sidebar.button(_("New race"), icon=":material/flag:", on_click=kept_races.begin_anew,
                      args=(contenders,), kwargs={"blind": blind})


def _place_of(race: Race) -> DeltaGenerator:
    """Where the panes stand: not where those of another race were, which would be seen in
    between until all have answered."""
    drawn, is_second = st.session_state.get(_PLACE, (race.id, False))
    if drawn != race.id:
        is_second = not is_second
    st.session_state[_PLACE] = race.id, is_second
    if is_second:
        st.empty()
    place = st.container()
    if not is_second:
        st.empty()
    return place


def _places(race: Race) -> list[tuple[Pane, DeltaGenerator]]:
    """Where each pane stands: side by side, and the expanded one above the others."""
    wide = [pane for pane in race.panes if pane.letter == st.session_state.get(EXPANDED)]
    narrow = [pane for pane in race.panes if pane not in wide]
    st.html(_TWO_BY_TWO)
    above = [(pane, st.container(border=True)) for pane in wide]
    with st.container(key=f"panes-{len(narrow)}"):
        columns = st.columns(len(narrow), border=True)
    return above + list(zip(narrow, columns, strict=True))


def _start(race: Race, answer: Answer, one_at_a_time: bool) -> None:
    if not race.waiting or (one_at_a_time and race.is_running):
        return
    panes = race.waiting[:1] if one_at_a_time else race.waiting
    for pane in panes:
        # All are ready before the first begins, or its answer would be over unseen.
        try:
            wait_for_engine(pane.spec)
        except ParleyError:
            pass  # `answer` meets it again, and there it is this pane's own
    for pane in panes:
        question = pane.chat.last
        turn = Turn("ai", parent_id=question.id)
        try:
            _refuse_unseen_pictures(pane)
            turn.reply = answer(pane, question, kept_races.when_ended(race, pane, turn))
            pane.hang(turn)
        except ParleyError as error:
            pane.take(Reply.failed(pane.spec.id, error))
            kept_races.keep(race)


def _refuse_unseen_pictures(pane: Pane) -> None:
    if not pane.spec.vision and any(turn.pictures for turn in pane.chat):
        raise CannotSeeError.of(blindness(pane.spec, session.models()))


# ── One pane ──────────────────────────────────────────────────────────────────────────


def _show_pane(race: Race, pane: Pane) -> tuple[Pane, DeltaGenerator, DeltaGenerator] | None:
    """Draw a pane. If its last answer still runs: where it grows, and what is under it."""
    _show_head(race, pane)
    turns = pane.chat.path()
    for turn in turns:
        if turn.role == "human":
            with st.chat_message("user", avatar=":material/person:"):
                for picture in turn.pictures:
                    draw_picture(picture)
                show_text(turn.content, by_person=True)
        elif turn.reply.is_running:
            with st.chat_message("assistant", avatar=":material/smart_toy:"):
                stop = st.empty()
                stop.button(_("Stop {letter}").format(letter=pane.letter),
                            key=f"stop-{turn.id}", icon=":material/stop_circle:",
                            on_click=turn.reply.stop)
                return pane, st.container(), stop
        else:
            with st.chat_message("assistant", avatar=":material/smart_toy:"):
                if turn.reply.text:
                    show_text(turn.reply.text)
                _show_end(race, pane, turn, is_last=turn is turns[-1])
    if pane in race.waiting:
        st.caption(_("Waits for its turn …"))
    return None


def _show_head(race: Race, pane: Pane) -> None:
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(f"**{pane.letter}**" if race.hidden
                    else f"**{pane.letter} · {pane.contender.label}**")
        if st.session_state.get(EXPANDED) == pane.letter:
            # Of another key: a second click on the other button is none on this one.
            st.button(_("Side by side"), key=f"narrow-{pane.letter}", type="tertiary",
                      icon=":material/close_fullscreen:",
                      on_click=st.session_state.__setitem__, args=(EXPANDED, None))
        else:
            st.button(_("Expand {letter}").format(letter=pane.letter),
                      key=f"expand-{pane.letter}", type="tertiary",
                      icon=":material/open_in_full:",
                      on_click=st.session_state.__setitem__, args=(EXPANDED, pane.letter))
    if not race.hidden:
        st.caption(_("What you type {where}.").format(where=where_text_goes(pane.spec)))


def _end_pane(race: Race, pane: Pane, place: DeltaGenerator, stop: DeltaGenerator) -> None:
    stop.empty()
    with place:
        _show_end(race, pane, pane.chat.last, is_last=True)


def _show_end(race: Race, pane: Pane, turn: Turn, *, is_last: bool) -> None:
    reply = turn.reply
    if race.hidden:
        # An error, a speed or an ending may say which model it is.
        return
    show_outcome(reply)
    with st.container(horizontal=True, vertical_alignment="center"):
        pick_version(pane.chat, turn, show=lambda version: _show_version(race, pane, version))
        if is_last:
            st.button(_("Try {letter} again").format(letter=pane.letter), key=f"again-{turn.id}",
                      icon=":material/refresh:", type="tertiary", on_click=pane.ask_again,
                      args=(turn,))
            _offer_going_on(race, pane)
        if reply.text:
            copy_button(reply.text, key=f"copy-{turn.id}")
            read_aloud_button(reply.text, key=f"speak-{turn.id}")
    if reply.messages:
        show_what_ran(reply, key=turn.id, before=pane.chat.path_to(turn)[:-2])


def _show_version(race: Race, pane: Pane, version: Turn) -> None:
    pane.chat.show(version)
    kept_races.keep(race)


def _go_on_with(race: Race, letter: str | None) -> None:
    race.only = letter
    kept_races.keep(race)


def _offer_going_on(race: Race, pane: Pane) -> None:
    if race.blind:
        return
    if race.only == pane.letter:
        st.button(_("Ask all again"), key="go-on-all", icon=":material/groups:", type="tertiary",
                  on_click=_go_on_with, args=(race, None))
    elif race.only is None:
        st.button(_("Go on with {letter} only").format(letter=pane.letter),
                  key=f"go-on-{pane.letter}", icon=":material/arrow_forward:", type="tertiary",
                  on_click=_go_on_with, args=(race, pane.letter))
