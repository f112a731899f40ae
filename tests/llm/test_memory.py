"""What each strategy shows the model, and that none ever cuts in silence."""

import copy

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import SystemMessage

from llm.memory import (
    STRATEGIES,
    Options,
    remember_everything,
    remember_last,
    remember_nothing,
    remember_summary,
    remember_within,
    to_message,
    turns_to_summarise,
    was_said,
)
from llm.replies import Ending, Reply
from llm.summary import build_summary_chain, extend_summary, summary_inputs
from llm.transcript import Transcript
from tests.transcripts import PICTURES, paths, say


def by_letters(messages):
    return sum(len(message.text) + 1 for message in messages)


options = st.builds(Options, last=st.integers(0, 8), budget=st.integers(0, 120),
                    system=st.sampled_from(["", " ", "Be brief."]), count=st.just(by_letters))
CHAT = say(Transcript(), "My name is Ada.", "Hello Ada.", "I like trains.", "So do I.",
           "And tea.", "Tea it is.")


def words(view):
    return [message.text for message in view.messages]


# ── What holds for every strategy, whatever was said ─────────────────────────────────


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@given(path=paths(), options=options)
@settings(max_examples=60, deadline=None)
def test_a_history_starts_on_a_human_message_in_the_order_said(strategy, path, options):
    view = strategy.see(path, options)
    assert not view.messages or view.messages[0].type == "human"
    seen = [turn for turn in path if turn.id in view.turn_ids]
    assert view.messages == [to_message(turn) for turn in seen]
    assert all(message.text.strip() for message in view.messages)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@given(path=paths(), options=options)
@settings(max_examples=60, deadline=None)
def test_every_turn_that_said_something_is_either_seen_or_named_as_unseen(strategy, path, options):
    view = strategy.see(path, options)
    said = [turn.id for turn in path if was_said(turn)]
    assert [id for id in said if id not in view.turn_ids] == list(view.unseen)


@pytest.mark.parametrize("strategy", STRATEGIES.values(), ids=STRATEGIES)
@given(path=paths(), options=options)
@settings(max_examples=30, deadline=None)
def test_a_strategy_changes_nothing_and_always_says_the_same(strategy, path, options):
    before = copy.deepcopy(path)
    assert strategy.see(path, options) == strategy.see(path, options)
    assert path == before


@given(path=paths(), options=options)
@settings(max_examples=200, deadline=None)
def test_a_token_budget_holds_with_the_system_message_in_it(path, options):
    view = remember_within(path, options)
    system = [SystemMessage(options.system)] if options.system.strip() else []
    if view.messages:
        assert by_letters([*system, *view.messages]) <= options.budget


@given(path=paths(), options=options)
@settings(max_examples=200, deadline=None)
def test_a_token_budget_leaves_out_nothing_that_would_have_fitted(path, options):
    view = remember_within(path, options)
    said = [turn for turn in path if was_said(turn)]
    kept = len(view.messages)
    system = [SystemMessage(options.system)] if options.system.strip() else []
    for more in range(kept + 1, len(said) + 1):
        if said[-more].role == "human":
            longer = [*system, *map(to_message, said[-more:])]
            assert by_letters(longer) > options.budget


@given(path=paths(), options=options)
@settings(max_examples=60, deadline=None)
def test_the_system_message_is_kept_whatever_is_left_out(path, options):
    for strategy in STRATEGIES.values():
        assert strategy.see(path, options).system(options.system).startswith(options.system.strip())


# ── Each strategy by itself ──────────────────────────────────────────────────────────


def test_nothing_forgets_and_everything_remembers():
    path = CHAT.path()
    assert words(remember_nothing(path)) == []
    assert remember_nothing(path).unseen == tuple(turn.id for turn in path)
    assert words(remember_everything(path)) == [turn.text for turn in path]
    assert remember_everything(path).unseen == ()


def test_the_last_messages_are_one_fewer_where_they_would_start_on_a_reply():
    assert words(remember_last(CHAT.path(), Options(last=4))) == [
        "I like trains.", "So do I.", "And tea.", "Tea it is."]
    assert words(remember_last(CHAT.path(), Options(last=3))) == ["And tea.", "Tea it is."]
    assert words(remember_last(CHAT.path(), Options(last=0))) == []


def test_under_too_small_a_budget_the_turn_that_told_the_name_is_the_one_not_seen():
    path = CHAT.path()
    view = remember_within(path, Options(budget=60, count=by_letters))
    assert words(view) == ["I like trains.", "So do I.", "And tea.", "Tea it is."]
    assert view.unseen == (path[0].id, path[1].id)


def test_a_reply_that_failed_is_never_remembered():
    chat = say(Transcript(), "Hello")
    chat.append("ai", reply=Reply("m", ending=Ending.FAILED, error="No connection."))
    chat.append("human", "Hello again")
    assert words(remember_everything(chat.path())) == ["Hello", "Hello again"]


def test_memory_follows_the_branch_that_is_shown():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.")
    ada = chat.last
    chat.branch(chat.path()[0], "I am Bob.")
    say(chat, "Hello Bob.")
    assert words(remember_everything(chat.path())) == ["I am Bob.", "Hello Bob."]
    chat.show(ada)
    assert words(remember_everything(chat.path())) == ["I am Ada.", "Hello Ada."]


def test_a_picture_is_sent_again_with_its_message():
    chat = Transcript()
    chat.append("human", "What is this?", pictures=[PICTURES[0]])
    [message] = remember_everything(chat.path()).messages
    assert [block["type"] for block in message.content] == ["image_url", "text"]


# ── The running summary ──────────────────────────────────────────────────────────────


def test_a_summary_stands_for_the_turns_down_to_where_it_was_made():
    chat = say(Transcript(), "I am Ada.", "Hello.", "I like trains.", "So do I.")
    path = chat.path()
    path[1].summary = "The user is Ada."
    view = remember_summary(path)
    assert words(view) == ["I like trains.", "So do I."]
    assert (view.summary, view.summary_after) == ("The user is Ada.", path[1].id)
    assert view.unseen == (path[0].id, path[1].id)
    assert view.system("Be brief.") == \
        "Be brief.\n\nA summary of the conversation so far:\nThe user is Ada."


def test_a_summary_made_on_one_branch_is_not_read_on_another():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.")
    chat.last.summary = "The user is Ada."
    chat.branch(chat.path()[0], "I am Bob.")
    assert remember_summary(chat.path()).summary is None
    assert words(remember_summary(chat.path())) == ["I am Bob."]


def test_a_summary_falls_due_after_twice_the_messages_that_are_kept_word_for_word():
    chat = say(Transcript(), *"abcd")
    assert turns_to_summarise(chat.path(), Options(last=2)) == []
    say(chat, "e")
    assert [turn.text for turn in turns_to_summarise(chat.path(), Options(last=2))] == list("abcd")
    chat.path()[3].summary = "a to d"
    assert turns_to_summarise(chat.path(), Options(last=2)) == []


@given(path=paths(), options=options)
@settings(max_examples=200, deadline=None)
def test_what_a_summary_leaves_word_for_word_starts_on_a_human_message(path, options):
    due = turns_to_summarise(path, options)
    if due:
        due[-1].summary = "All of it."
        after = path[[turn.id for turn in path].index(due[-1].id) + 1:]
        said = [turn for turn in after if was_said(turn)]
        assert remember_summary(path, options).messages == [to_message(turn) for turn in said]
        assert len(said) <= options.last
        assert not turns_to_summarise(path, options)


def test_the_model_extends_its_summary_by_what_was_said_since():
    prompts = []

    class Recording(FakeListChatModel):
        def _call(self, messages, *args, **kwargs):
            prompts.append(messages)
            return super()._call(messages, *args, **kwargs)

    model = Recording(responses=[" The user is Ada and likes trains. "])
    turns = say(Transcript(), "I like {trains}.", "So do I.").path()
    assert extend_summary(model, "The user is Ada.", turns) == "The user is Ada and likes trains."
    told = prompts[0][-1].text
    for said in ("The user is Ada.", "Human: I like {trains}.", "AI: So do I."):
        assert said in told


def test_a_summary_is_a_chain_like_any_other():
    model = FakeListChatModel(responses=["Ada."])
    assert "".join(build_summary_chain(model).stream(summary_inputs(None, CHAT.path()))) == "Ada."


def test_every_strategy_says_in_a_sentence_what_it_does():
    for strategy in STRATEGIES.values():
        assert strategy.label and strategy.explanation.endswith(".")
        assert len(strategy.explanation) < 160
