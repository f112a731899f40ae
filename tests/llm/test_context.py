"""How full the context window is, and a word before anything leaves it."""

import dataclasses

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, SystemMessage

from llm import context, tokens
from llm.catalog import ModelSpec
from llm.context import context_parts, counter, tokens_per_turn, will_cut
from llm.memory import (
    STRATEGIES,
    Options,
    View,
    remember_everything,
    remember_summary,
    to_message,
    turns_to_summarise,
    was_said,
)
from llm.summary import SUMMARY_PROMPT, SUMMARY_WORDS, summary_inputs
from llm.tokens import count_message_tokens
from llm.transcript import Transcript, Turn
from tests.transcripts import paths, say

SPEC = ModelSpec(id="m", label="M", provider="openai", model="m", open=False,
                 base_url="http://127.0.0.1:9/v1", context_window=200)
CHAT = say(Transcript(), *(f"{who} says something of some length, number {n}"
                           for n in range(4) for who in ("Ada", "The model")))


def parts(*args, **kwargs):
    return {part: count.tokens for part, count in context_parts(*args, **kwargs)}


def test_the_parts_stand_in_the_order_in_which_they_are_sent():
    view = remember_everything(CHAT.path())
    names = [part.part for part in context_parts(SPEC, "Be brief.", view, [HumanMessage("Hi")], 50)]
    assert names == ["system", "summary", "history", "message", "reply"]


def test_the_history_is_counted_as_it_is_sent():
    view = remember_everything(CHAT.path())
    counted = parts(SPEC, "Be brief.", view, [HumanMessage("Hi")], 50)
    assert counted["history"] == count_message_tokens(SPEC, view.messages).tokens > 0
    assert counted["reply"] == 50
    assert counted["summary"] == 0


def test_without_a_limit_the_reply_has_the_room_that_is_left():
    counted = parts(SPEC, "Be brief.", View())
    assert sum(counted.values()) == SPEC.context_window


def test_an_overfull_window_leaves_no_room():
    long = say(Transcript(), "word " * 2_000)
    assert parts(SPEC, "", remember_everything(long.path()))["reply"] == 0


def test_a_window_of_unknown_size_has_no_room_to_tell():
    unknown = SPEC.model_copy(update={"context_window": None})
    assert "reply" not in parts(unknown, "", View())


def test_a_blank_instruction_takes_no_room_as_it_is_not_sent():
    assert parts(SPEC, " \n", View())["system"] == 0


def test_a_summary_has_its_own_share():
    chat = say(Transcript(), "I am Ada.", "Hello.")
    chat.last.summary = "The user is called Ada and likes trains."
    counted = parts(SPEC, "Be brief.", remember_summary(chat.path()))
    assert counted["history"] == 0
    assert counted["summary"] > 8


def test_estimates_are_told_from_measured_counts(monkeypatch):
    assert not context_parts(SPEC, "Be brief.", View())[0].count.measured
    monkeypatch.setattr(tokens, "_count_by", lambda *asked: tokens.TokenCount(1, True))
    assert context_parts(SPEC, "Be brief.", View())[0].count.measured


# ── Before anything is cut ───────────────────────────────────────────────────────────


def cut(strategy, *, spec=SPEC, turns=None, message="Hi", max_tokens=10, **options):
    return will_cut(spec, "", STRATEGIES[strategy], turns or CHAT.path(),
                    Options(**options, count=counter(spec)), message, max_tokens)


def test_nothing_is_said_while_everything_fits():
    roomy = SPEC.model_copy(update={"context_window": 100_000})
    assert cut("everything", spec=roomy) is None
    assert cut("last", spec=roomy, last=20) is None


def test_the_messages_that_the_next_one_pushes_out_are_named_before_it_is_sent():
    path = CHAT.path()
    coming = cut("last", last=8)
    assert coming.turn_ids == (path[0].id, path[1].id)
    assert not coming.at_once


def test_the_same_for_a_token_budget():
    path = CHAT.path()
    budget = counter(SPEC)([to_message(turn) for turn in path])
    roomy = SPEC.model_copy(update={"context_window": 100_000})
    assert cut("budget", spec=roomy, budget=budget).turn_ids[:1] == (path[0].id,)
    assert cut("budget", spec=roomy, budget=10 * budget) is None


def test_a_message_that_does_not_fit_the_window_is_told_at_once():
    coming = cut("everything", message="word " * 500)
    assert coming.at_once and coming.tokens_over > 0


def test_a_window_that_the_coming_reply_will_fill_is_told_before():
    used = sum(count for part, count in parts(
        SPEC, "", remember_everything(CHAT.path()), [HumanMessage("Hi")], 10).items())
    tight = SPEC.model_copy(update={"context_window": used})
    coming = cut("everything", spec=tight)
    assert not coming.at_once and coming.tokens_over > 0


def test_nothing_is_cut_where_nothing_is_remembered():
    assert cut("nothing") is None


# ── What each strategy costs ─────────────────────────────────────────────────────────


def rows(chat, **options):
    found = {}
    for row in tokens_per_turn(SPEC, "Be brief.", chat.path(), Options(**options)):
        found.setdefault(row.strategy, []).append(row.input.tokens)
    return found


def test_the_cost_of_remembering_everything_grows_and_of_the_last_messages_stays_level():
    chat = say(Transcript(), *(f"A message of equal length, number {n:03}" for n in range(40)))
    found = rows(chat, last=4)
    assert len(found["nothing"]) == 20
    assert found["nothing"][5] == found["nothing"][19]
    assert found["everything"] == sorted(set(found["everything"]))
    assert found["last"][5] == found["last"][19] < found["everything"][19]


def test_tokens_are_those_of_what_would_be_sent():
    chat = say(Transcript(), "I am Ada.", "Hello Ada.", "Who am I?")
    view = remember_everything(chat.path()[:2])
    sent = sum(parts(SPEC, "Be brief.", view, [HumanMessage("Who am I?")], 0).values())
    assert rows(chat)["everything"][-1] == sent


def sent_when_asked_anew(key, turns, system, options):
    """What the strategy itself shows at each question, a summary made whenever one is due."""
    path = [dataclasses.replace(turn, summary=None) for turn in turns]
    found = []
    for number, turn in enumerate(path):
        if turn.role != "human" or not was_said(turn):
            continue
        making = []
        if key == "summary" and (folded := turns_to_summarise(path[:number], options)):
            folded[-1].summary = "word " * SUMMARY_WORDS
            making = SUMMARY_PROMPT.format_messages(
                **summary_inputs("word " * SUMMARY_WORDS, folded))
        view = STRATEGIES[key].see(path[:number], options)
        told = view.system(system)
        found.append(counter(SPEC)([*([SystemMessage(told)] if told.strip() else []),
                                    *view.messages, to_message(turn), *making]))
    return found


@pytest.mark.parametrize("key", ["nothing", "everything", "last", "budget", "summary"])
@given(path=paths(), system=st.sampled_from(["", "Be brief."]),
       options=st.builds(Options, last=st.integers(0, 5), budget=st.integers(0, 120),
                         system=st.sampled_from(["", "Be brief."]), count=st.just(counter(SPEC))))
@settings(max_examples=40, deadline=None)
def test_what_is_reckoned_is_what_the_strategy_itself_would_send(key, path, system, options):
    reckoned = [row.input.tokens for row in tokens_per_turn(SPEC, system, path, options, [key])]
    assert reckoned == sent_when_asked_anew(key, path, system, options)


def test_a_message_is_counted_as_often_in_a_long_conversation_as_in_a_short_one(monkeypatch):
    """Or a conversation of a thousand messages takes seconds to draw."""
    counted = []
    count = context.count_message_tokens
    monkeypatch.setattr(context, "count_message_tokens",
                        lambda spec, messages: counted.append(1) or count(spec, messages))
    monkeypatch.setattr(context, "to_message", lambda turn: counted.append(1) or to_message(turn))
    work = []
    for length in (40, 80):
        chat = say(Transcript(), *(f"Message number {n:03}" for n in range(length)))
        counted.clear()
        tokens_per_turn(SPEC, "", chat.path(), Options(last=4, budget=100))
        work.append(len(counted))
    assert work[1] <= 2 * work[0]


def test_the_price_of_another_model_can_be_reckoned_with():
    priced = ModelSpec(id="g", label="G", provider="openai", model="gpt-4o-mini", open=False)
    (row,) = tokens_per_turn(SPEC, "", say(Transcript(), "Hi").path(), Options(), ["nothing"],
                             priced_as=priced)
    assert row.usd > 0


def test_making_a_summary_is_counted_where_it_is_made_and_the_turns_are_left_alone():
    chat = say(Transcript(), *(f"A message of equal length, number {n:03}" for n in range(30)))
    found = rows(chat, last=2)["summary"]
    assert max(found) > 2 * min(found[5:])
    assert all(turn.summary is None for turn in chat)


def test_a_reckoned_summary_never_counts_as_measured(monkeypatch):
    monkeypatch.setattr(tokens, "_count_by", lambda *asked: tokens.TokenCount(1, True))
    found = tokens_per_turn(SPEC, "", CHAT.path(), Options(last=2))
    assert {row.input.measured for row in found if row.strategy == "summary"} == {False}
    assert {row.input.measured for row in found if row.strategy == "everything"} == {True}


@pytest.mark.parametrize("turn", [Turn("human", " "), Turn("ai", "Hello")])
def test_only_questions_cost(turn):
    assert tokens_per_turn(SPEC, "", [turn], Options()) == []


def test_a_priced_model_has_a_cost_in_dollars_for_each_turn():
    priced = ModelSpec(id="g", label="G", provider="openai", model="gpt-4o-mini", open=False)
    found = tokens_per_turn(priced, "", CHAT.path(), Options(), ["everything"])
    dollars = [row.usd for row in found]
    assert dollars == sorted(dollars) and dollars[0] > 0
