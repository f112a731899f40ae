"""Blind judging: the vote, what the votes say so far, and files of them.

A vote is kept for its owner, so that the standings are there tomorrow; while nothing is to
be kept, or cannot be, it counts as long as the tab is open. Knows votes and their standings,
and no model by name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st
from pydantic import ValidationError

from components import kept, kept_races, session
from components.language import _, say
from components.race_numbers import plain, share, table
from llm.errors import ImportRefusedError, StorageError
from llm.race import Race
from llm.standings import Record, Standings, Verdict, standings
from llm.votes import MAX_TAG, Choice, Vote, export_votes, import_votes

VOTE = "vote"
"""The kind of the records that hold votes, each by its id."""
MAX_VOTES = 20_000
"""Of one person. All of them are read to work the standings out."""
SHOWN = 200
"""Rows of a table. A file may name thousands of models."""

_CHOICES: dict[Choice, str] = {
    "left": "A is better", "right": "B is better", "tie": "A tie", "both_bad": "Both are bad",
}
_VERDICTS = {
    Verdict.ABOVE: "wins more often than not",
    Verdict.BELOW: "loses more often than not",
    Verdict.NOTHING_YET: "nothing can be said yet",
}
_OF_A_CLASS = {
    Verdict.ABOVE: "they win more often than not",
    Verdict.BELOW: "they lose more often than not",
    Verdict.NOTHING_YET: "nothing can be said yet",
}
_TAG, _TOLD, _FOUND = "vote-tag", "votes-told", "votes-found"
_ALL = 0
"""The choice of every kind of task. A kind is a text, which may be empty."""


def ask_for_vote(race: Race) -> None:
    """Draw the vote on a blind race, which may still run, or what has come of it."""
    if not race.blind:
        return
    if race.verdict is not None:
        st.info(plain(say(race.verdict)), icon=":material/how_to_vote:")
        return
    st.markdown(f"**{_('Which is better?')}** " + _("A vote stops what still runs."))
    st.text_input(_("Kind of task, if you like"), key=_TAG, persist_state="session",
                  placeholder=_("translation, facts, code …"), width=320)
    with st.container(horizontal=True):
        for choice, label in _CHOICES.items():
            st.button(_(label), key=f"vote-{choice}", on_click=_cast, args=(race, choice))


def _cast(race: Race, choice: Choice) -> None:
    if race.verdict is not None:  # by a first click
        return
    # Cut here: the box itself would drop a longer one that is pasted, without a word.
    vote = race.vote(choice, tag=(st.session_state.get(_TAG) or "")[:MAX_TAG])
    if vote is None:
        kept_races.keep(race)
        return
    reason = ""
    try:
        said = _("Your vote is kept: {choice}. A was {a}, B was {b}.")
        if not _keep([vote]):
            said = _("Your vote counts until this tab closes: {choice}. A was {a}, B was {b}.")
    except StorageError as error:
        said = _("Your vote counts until this tab closes: {choice}. A was {a}, B was {b}.")
        reason = f" {say(error)}"
    race.verdict = said.format(
        choice=_(_CHOICES[choice]), a=race.panes[0].contender.label,
        b=race.panes[1].contender.label) + reason
    kept_races.keep(race)


def _keep(votes: Sequence[Vote]) -> bool:
    """Count votes in, in this session at least. Returns whether they are kept for longer.

    Raises `StorageError` where they cannot be.
    """
    session.votes().extend(votes)
    return kept.put_records(VOTE, {vote.id: vote.model_dump(mode="json") for vote in votes})


def _all_votes() -> list[Vote]:
    """The person's votes, kept or of this session alone, each once and the oldest first.

    Raises `StorageError`.
    """
    found = {vote.id: vote for vote in session.votes()}
    for key, value in kept.records(VOTE).items():
        try:
            found.setdefault(key, Vote.model_validate(value))
        except ValidationError:
            continue  # Written by a later version: an older one knows nothing of it.
    return sorted(found.values(), key=lambda vote: vote.time)


def show_standings() -> None:
    """Draw what the votes say, and their export and import."""
    drawer = st.expander(_("Votes and standings"), icon=":material/leaderboard:",
                         key="standings", on_change="rerun")
    if not drawer.open:
        return
    with drawer:
        try:
            votes = _all_votes()
        except StorageError as error:
            votes = session.votes()
            st.warning(plain(say(error)), icon=":material/save:")
        if votes:
            _show_votes(votes)
        else:
            st.markdown(_("No votes yet. Switch Blind on, ask something, and vote."))
        with st.container(horizontal=True, vertical_alignment="bottom"):
            # Made when asked for, and not at each run of the page.
            st.download_button(_("Export the votes"), lambda: export_votes(votes), "votes.jsonl",
                               "application/jsonl", on_click="ignore", disabled=not votes,
                               icon=":material/download:")
            st.file_uploader(_("Import votes (JSON Lines)"), key="votes-file",
                             on_change=_import)
        # Until there is another file or none: a run that is cut short would have told nobody.
        if told := st.session_state.get(_TOLD):
            st.info(plain(told))


def _show_votes(votes: Sequence[Vote]) -> None:
    st.caption(_("Votes so far: {count}").format(count=f"{len(votes):,}"))
    tags = sorted({vote.tag for vote in votes})
    tag = _ALL
    if tags != [""]:
        tag = st.selectbox(_("Kind of task"), [_ALL, *tags], key="standings-tag",
                           format_func=lambda tag: _("all") if tag == _ALL
                           else tag or _("without a word for it"))
    labels = {spec.id: spec.label for spec in session.models()}
    _show(_standings(votes, None if tag == _ALL else tag), labels)


def _standings(votes: Sequence[Vote], tag: str | None) -> Standings:
    """The bootstrap takes a second: once for the same votes."""
    catalog = session.models()
    sign = (tag, [vote.id for vote in votes], [(spec.id, spec.open) for spec in catalog])
    known = st.session_state.get(_FOUND)
    if known is None or known[0] != sign:
        known = st.session_state[_FOUND] = (sign, standings(votes, tag=tag, catalog=catalog))
    return known[1]


def _import() -> None:
    file = st.session_state["votes-file"]
    st.session_state[_TOLD] = None
    if file is None:
        return
    try:
        known = {vote.id for vote in _all_votes()}
        found = import_votes(file.getvalue(), known)
        if len(known) + len(found.votes) > MAX_VOTES:
            raise ImportRefusedError(
                "Nothing was imported: there would be more than {most:,} votes.", most=MAX_VOTES)
        _keep(found.votes)
    except (ImportRefusedError, StorageError) as error:
        st.session_state[_TOLD] = say(error)
        return
    st.session_state[_TOLD] = _("{new} votes imported, {old} were here already.").format(
        new=len(found.votes), old=found.duplicates)


def _show(found: Standings, labels: Mapping[str, str]) -> None:
    if found.left_out:
        st.caption(_("{count} votes between a model and itself with the same settings are not "
                     "counted.").format(count=found.left_out))
    if not found.models:
        return
    rows = {}
    for model in found.models[:SHOWN]:
        votes, counts, rate, so = _figures(model.record)
        strength = share(model.strength) if model.strength else "–"
        rows[_named(model.name, labels)] = [votes, counts, rate, strength, so]
    st.table(table(rows, [_("Votes"), _("Won / lost / tied / both bad"), _("Win rate (95%)"),
                          _("Strength (95%)"), _("So")]))
    if len(found.models) > SHOWN:
        st.caption(_("The first {shown} of {count}.").format(shown=SHOWN,
                                                             count=f"{len(found.models):,}"))
    st.caption(_("Win rate: a tie counts half, with Wilson's interval. Strength: the chance to "
                 "beat an average opponent (Bradley-Terry), with a bootstrap interval."))
    if found.no_strengths:
        st.caption(say(found.no_strengths))
    _show_pairs(found, labels)
    if (classes := found.closed_against_open) is not None:
        st.markdown(_("**Closed against open**: closed models won {rate}; {verdict}.").format(
            rate=share(classes.rate), verdict=_(_OF_A_CLASS[classes.rate.verdict])))
    if (position := found.position) is not None:
        st.markdown(_("**Position**: A won {left}, B won {right}; so uneven a split comes by "
                      "chance with p = {p}.").format(
            left=position.left_wins, right=position.right_wins, p=f"{position.p_value:.2g}"))


def _show_pairs(found: Standings, labels: Mapping[str, str]) -> None:
    """Who met whom, where that is more than the table above says."""
    if len(found.pairs) > 1 and st.toggle(_("Pair by pair"), key="standings-pairs"):
        st.table(table({_("{left} against {right}").format(
            left=_named(pair.left, labels), right=_named(pair.right, labels)):
            _figures(pair.record) for pair in found.pairs[:SHOWN]},
            [_("Votes"), _("Won / lost / tied / both bad"), _("Win rate (95%)"), _("So")]))


def _figures(record: Record) -> list[str]:
    return [str(record.votes),
            f"{record.wins} / {record.losses} / {record.ties} / {record.both_bad}",
            share(record.rate), _(_VERDICTS[record.rate.verdict])]


def _named(name: str, labels: Mapping[str, str]) -> str:
    """A contender's name in the standings, "id" or "id, temperature 1", for people."""
    model_id, comma, settings = name.partition(", ")
    return labels.get(model_id, model_id) + comma + settings
