"""A conversation is a tree: nothing that was said is lost, and one path is shown."""

from hypothesis import given, settings

from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn
from tests.transcripts import PICTURES, say, transcripts


def texts(turns):
    return [turn.text for turn in turns]


def test_turns_follow_each_other_down_the_path():
    chat = say(Transcript(), "Hello", "Hi", "Bye")
    assert texts(chat) == ["Hello", "Hi", "Bye"]
    assert chat.last.text == "Bye"
    assert Transcript().last is None


def test_editing_shows_the_new_version_and_keeps_the_old_one_with_all_below_it():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.", "Who am I?", "Ada.")
    first, last = chat.path()[0], chat.last
    chat.branch(first, "I am Bob.")
    assert texts(chat) == ["I am Bob."]
    assert len(chat.turns) == 5
    chat.show(last)
    assert texts(chat) == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]


def test_going_back_to_a_version_shows_the_path_below_it_as_it_was_left():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.", "Who am I?", "Ada.")
    first = chat.path()[0]
    chat.branch(first, "I am Bob.")
    chat.show(first)
    assert texts(chat) == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]


def test_versions_of_a_turn_stand_in_the_order_in_which_they_were_made():
    chat = say(Transcript(), "One?", "One.")
    answer = chat.last
    chat.branch(answer, "Two.")
    newest = chat.branch(answer, "Three.")
    assert texts(chat.siblings(newest)) == ["One.", "Two.", "Three."]
    assert chat.siblings(answer) == chat.siblings(newest)


def test_a_new_version_of_a_question_keeps_its_pictures():
    chat = Transcript()
    turn = chat.append("human", "What is this?", pictures=[PICTURES[0]])
    assert chat.branch(turn, "And this?").pictures == [PICTURES[0]]


def test_an_ai_turn_says_what_its_reply_says_while_it_grows():
    reply = Reply("m", "Good", Ending.RUNNING)
    turn = Turn("ai", reply=reply)
    reply.text += " morning"
    assert turn.text == "Good morning"


def test_ids_cannot_be_guessed():
    ids = {Turn("human").id for _ in range(100)}
    assert len(ids) == 100 and all(len(id) == 32 for id in ids)


@given(chat=transcripts())
@settings(max_examples=100, deadline=None)
def test_the_path_shown_goes_from_the_root_down_by_parents(chat):
    parent = None
    for turn in chat:
        assert turn.parent_id == parent
        assert turn in chat.siblings(turn)
        parent = turn.id


@given(chat=transcripts())
@settings(max_examples=100, deadline=None)
def test_any_turn_can_be_shown(chat):
    for turn in chat.turns.values():
        chat.show(turn)
        assert turn in chat.path()
        assert chat.path()[:len(chat.path_to(turn))] == chat.path_to(turn)
