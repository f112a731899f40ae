"""Blind judging: the vote, what the votes say so far, and files of them.

Knows votes and their standings, and no model by name.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st

from components import session
from components.language import _
from components.race_numbers import table
from llm.errors import ImportRefusedError
from llm.race import Race
from llm.standings import Estimate, Standings, Verdict, standings
from llm.votes import Choice, export_votes, import_votes

_CHOICES: dict[Choice, str] = {
    "left": "A is better", "right": "B is better", "tie": "A tie", "both_bad": "Both are bad",
}
_VERDICTS = {
    Verdict.ABOVE: "wins more often than not",
    Verdict.BELOW: "loses more often than not",
    Verdict.NOTHING_YET: "nothing can be said yet",
}
_TAG = "vote-tag"


def ask_for_vote(race: Race) -> None:
    """Draw the vote on a blind race, which may still run, or what has come of it."""
    if not race.blind:
        return
    if race.verdict is not None:
        st.info(race.verdict, icon=":material/how_to_vote:")
        return
    st.markdown(f"**{_('Which is better?')}** " + _("A vote stops what still runs."))
    st.text_input(_("Kind of task, if you like"), key=_TAG, max_chars=100, persist_state="session",
                  placeholder=_("translation, facts, code …"), width=320)
    with st.container(horizontal=True):
        for choice, label in _CHOICES.items():
            st.button(_(label), key=f"vote-{choice}", on_click=_cast, args=(race, choice))


def _cast(race: Race, choice: Choice) -> None:
    vote = race.vote(choice, tag=st.session_state.get(_TAG) or "")
    if vote is None:
        return
    session.votes().append(vote)
    race.verdict = _("Your vote is kept: {choice}. A was {a}, B was {b}.").format(
        choice=_(_CHOICES[choice]), a=race.panes[0].contender.label,
        b=race.panes[1].contender.label)


def show_standings() -> None:
    """Draw what the votes say, and their export and import."""
    votes = session.votes()
    labels = {spec.id: spec.label for spec in session.models()}
    drawer = st.expander(_("Votes and standings"), icon=":material/leaderboard:",
                         key="standings", on_change="rerun")
    if not drawer.open:
        return
    with drawer:
        if votes:
            st.caption(_("Votes in this session: {count}").format(count=len(votes)))
            tags = sorted({vote.tag for vote in votes})
            tag = None
            if tags != [""]:
                tag = st.selectbox(_("Kind of task"), [None, *tags], key="standings-tag",
                                   format_func=lambda tag: _("all") if tag is None
                                   else tag or _("without a word for it"))
            _show(standings(votes, tag=tag, catalog=session.models()), labels)
        else:
            st.markdown(_("No votes yet. Switch Blind on, ask something, and vote."))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            st.download_button(_("Export the votes"), export_votes(votes), "votes.jsonl",
                               "application/jsonl", on_click="ignore", disabled=not votes,
                               icon=":material/download:")
            st.file_uploader(_("Import votes (JSON Lines)"), ["jsonl"], key="votes-file",
                             on_change=_import)
        if told := st.session_state.pop("votes-told", None):
            st.info(told)


def _import() -> None:
    file = st.session_state["votes-file"]
    if file is None:
        return
    known = {vote.id for vote in session.votes()}
    try:
        found = import_votes(file.getvalue(), known)
    except ImportRefusedError as error:
        st.session_state["votes-told"] = str(error)
        return
    session.votes().extend(found.votes)
    st.session_state["votes-told"] = _("{new} votes imported, {old} were here already.").format(
        new=len(found.votes), old=found.duplicates)


def _show(found: Standings, labels: Mapping[str, str]) -> None:
    if found.left_out:
        st.caption(_("{count} votes between a model and itself with the same settings are not "
                     "counted.").format(count=found.left_out))
    if not found.models:
        return
    rows = {}
    for model in found.models:
        record = model.record
        rows[_named(model.name, labels)] = [
            str(record.votes), f"{record.wins} / {record.losses} / {record.ties} / "
            f"{record.both_bad}", _share(record.rate),
            _share(model.strength) if model.strength else "–", _(_VERDICTS[record.rate.verdict])]
    st.table(table(rows, [_("Votes"), _("Won / lost / tied / both bad"), _("Win rate (95%)"),
                          _("Strength (95%)"), _("So")]))
    st.caption(_("Win rate: a tie counts half, with Wilson's interval. Strength: the chance to "
                 "beat an average opponent (Bradley-Terry), with a bootstrap interval."))
    if found.no_strengths:
        st.caption(found.no_strengths)
    if (classes := found.closed_against_open) is not None:
        st.markdown(_("**Closed against open**: closed models won {rate}; {verdict}.").format(
            rate=_share(classes.rate), verdict=_(_VERDICTS[classes.rate.verdict])))
    if (position := found.position) is not None:
        st.markdown(_("**Position**: A won {left}, B won {right}; so uneven a split comes by "
                      "chance with p = {p}.").format(
            left=position.left_wins, right=position.right_wins, p=f"{position.p_value:.2g}"))


def _named(name: str, labels: Mapping[str, str]) -> str:
    """A contender's name in the standings, "id" or "id, temperature 1", for people."""
    model_id, comma, settings = name.partition(", ")
    return labels.get(model_id, model_id) + comma + settings


def _share(estimate: Estimate) -> str:
    return f"{estimate.value:.0%} ({estimate.low:.0%}–{estimate.high:.0%})"
