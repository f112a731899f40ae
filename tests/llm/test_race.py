"""A race: the same messages to each, histories that stay apart, and votes that are blind."""

import json
import random
from collections import Counter

import pytest

from llm.catalog import get_model
from llm.errors import ImportRefusedError
from llm.race import Contender, Race
from llm.race_json import plain_race, race_from_plain
from llm.replies import Ending, Reply
from tests.transcripts import picture

SMALL, LARGE, CLOSED = map(get_model, ("smollm2-135m", "smollm3-3b", "gpt-6-luna"))


def race(*specs, **options) -> Race:
    return Race.of([Contender(spec) for spec in specs or (SMALL, CLOSED)], **options)


def answered(text: str = "Because.", ending: Ending = Ending.STOP, **more) -> Reply:
    return Reply("any", text=text, ending=ending, **more)


def asked(*replies: Reply, question: str = "Why?", **options) -> Race:
    """A race in which everybody has answered."""
    begun = race(**options)
    begun.ask(question)
    for pane, reply in zip(begun.panes, replies, strict=True):
        pane.take(reply)
    return begun


def test_every_pane_gets_the_message_and_waits_until_it_is_answered():
    begun = race(SMALL, LARGE, CLOSED)
    begun.ask("Why is the sky blue?")
    assert [pane.chat.last_question.content for pane in begun.waiting] == [
        "Why is the sky blue?"] * 3
    begun.panes[1].take(answered())
    assert [pane.letter for pane in begun.waiting] == ["A", "C"]
    assert not begun.is_over
    begun.panes[0].take(answered())
    begun.panes[2].take(answered())
    assert begun.is_over


def test_each_message_has_the_pictures_that_were_chosen_for_it():
    begun = race()
    begun.ask("What is this?", [picture()])
    begun.ask("And who painted it?")
    begun.ask("Look again.", [picture()])
    assert [[len(turn.pictures) for turn in pane.chat.path()] for pane in begun.panes] == [
        [1, 0, 1], [1, 0, 1]]


def test_a_follow_up_goes_to_one_alone_once_the_race_goes_on_with_it():
    begun = asked(answered(), answered())
    begun.only = "B"
    begun.ask("And at night?")
    assert [len(pane.chat.path()) for pane in begun.panes] == [2, 3]
    assert [pane.letter for pane in begun.waiting] == ["B"]


def test_only_answers_to_one_and_the_same_question_are_comparable():
    begun = asked(answered(), answered())
    assert begun.comparable == begun.panes
    begun.only = "B"
    begun.ask("And at night?")
    begun.panes[1].take(answered())
    begun.begin_runs(2)
    assert begun.comparable == [begun.panes[1]] and list(begun.runs) == ["B"]
    begun.only = None
    begun.ask("And at noon?")
    assert begun.comparable == []
    for pane in begun.panes:
        pane.take(answered())
    assert begun.comparable == begun.panes
    assert len(read_again(begun).comparable) == 2


def test_asking_again_leaves_the_other_pane_and_keeps_the_old_answer():
    begun = asked(answered("first"), answered("other"))
    first = begun.panes[0].chat.last
    begun.panes[0].ask_again(first)
    assert [pane.letter for pane in begun.waiting] == ["A"]
    turn = begun.panes[0].take(answered("second"))
    assert [version.text for version in begun.panes[0].chat.siblings(turn)] == ["first", "second"]
    assert begun.panes[1].reply.text == "other"
    begun.panes[0].ask_again(first)  # a second click on the same button
    assert not begun.waiting


def test_a_contenders_own_temperature_replaces_the_shared_one_for_it_alone():
    shared = {"temperature": 0.2, "top_p": 0.9}
    assert Contender(SMALL, 1.0).settings(shared) == {"temperature": 1.0, "top_p": 0.9}
    assert Contender(SMALL).settings(shared) == shared


def test_a_blind_race_draws_two_of_all_in_every_order_alike():
    rng = random.Random(7)
    drawn = Counter(tuple(pane.spec.id for pane in race(SMALL, LARGE, CLOSED, blind=True,
                                                        rng=rng).panes) for _ in range(3000))
    assert len(drawn) == 6
    assert all(420 < count < 580 for count in drawn.values())  # 500, with five deviations' room


def test_a_vote_holds_the_order_shown_the_prompt_and_each_sides_settings():
    begun = asked(answered(settings={"temperature": 0.0, "system": "Be brief."}),
                  answered(settings={"temperature": 1.0, "system": "Be brief."}), blind=True)
    assert begun.hidden
    vote = begun.vote("right", tag=" facts ")
    assert vote.models == tuple(pane.spec.id for pane in begun.panes)
    assert (vote.choice, vote.tag, vote.prompt, vote.system) == ("right", "facts", "Why?",
                                                                 "Be brief.")
    assert vote.settings == ({"temperature": 0.0}, {"temperature": 1.0})
    assert not vote.stopped_early


@pytest.mark.parametrize(("reply", "why"), [
    (answered("", Ending.FAILED), "failed"),
    (answered("I am ChatGPT."), "gave itself away"),
    (answered("", Ending.STOPPED), "had said nothing yet"),
])
def test_a_void_race_gives_no_vote_says_why_and_shows_the_names(reply, why):
    begun = asked(answered(), reply, blind=True)
    assert begun.vote("left") is None
    assert why in str(begun.verdict)
    assert not begun.hidden


def test_a_race_voted_on_before_one_side_had_begun_is_void():
    begun = race(blind=True)
    begun.ask("Why?")
    begun.panes[0].take(answered())
    assert begun.vote("left") is None
    assert "had said nothing yet" in str(begun.verdict)


def test_further_runs_enter_no_history():
    begun = asked(answered(), answered())
    begun.begin_runs(2)
    assert not begun.runs_are_over
    for letter in "AB":
        begun.runs[letter] += [answered("one"), answered("two")]
    assert begun.runs_are_over
    assert [len(pane.chat.turns) for pane in begun.panes] == [2, 2]
    begun.ask("Next?")
    assert begun.runs == {}


class Endless(Reply):
    """One that runs until it is stopped."""

    def stop(self) -> None:
        self.ending = Ending.STOPPED


def test_a_vote_cast_early_stops_the_rest_and_says_so():
    begun = asked(answered(), Endless("any", text="Well"), blind=True)
    assert begun.is_running
    assert begun.vote("left").stopped_early
    assert not begun.is_running


def read_again(written: Race) -> Race:
    return race_from_plain(json.loads(json.dumps(plain_race(written))), written.entered)


def test_a_race_comes_back_from_json_with_every_version_of_every_pane():
    written = asked(answered(), answered("Well."))
    written.panes[0].ask_again(written.panes[0].chat.last)
    written.panes[0].take(answered("For this reason."))
    written.only = "A"
    again = read_again(written)
    assert (again.id, again.only, again.blind) == (written.id, "A", False)
    assert [pane.contender for pane in again.panes] == list(written.entered)
    assert [[turn.text for turn in pane.chat] for pane in again.panes] == [
        ["Why?", "For this reason."], ["Why?", "Well."]]
    left = again.panes[0].chat
    assert [turn.text for turn in left.siblings(left.last)] == ["Because.", "For this reason."]


def test_a_race_of_an_earlier_version_is_compared_too_though_each_question_had_its_own_time():
    written = race(SMALL, LARGE, CLOSED)
    written.ask("Why?")
    for number, pane in enumerate(written.panes):
        pane.chat.last_question.created_at += number * 1e-5
        pane.take(answered())
    assert len(written.comparable) == 1
    assert len(read_again(written).comparable) == 3


def test_what_had_no_answer_when_it_was_written_waits_for_nobody():
    written = race()
    written.ask("Why?")
    written.panes[0].take(answered())
    again = read_again(written)
    assert not again.waiting and again.panes[1].reply.ending is Ending.STOPPED


def test_a_race_between_others_or_a_damaged_one_is_refused():
    written = asked(answered(), answered())
    for value, contenders in ((plain_race(written), [Contender(SMALL), Contender(CLOSED, 1.0)]),
                              ({**plain_race(written), "chats": "{"}, written.entered),
                              ({"version": 9}, written.entered)):
        with pytest.raises(ImportRefusedError):
            race_from_plain(value, contenders)
