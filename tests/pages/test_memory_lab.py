"""Stage 04's memory lab: what each memory sends, and that nothing is ever cut in silence."""

from __future__ import annotations

import pytest
from streamlit.testing.v1 import AppTest

from components.conversation import SHOWN_TURNS
from llm.catalog import get_model
from llm.local_engines import engine_for
from llm.memory import STRATEGIES
from llm.replies import Ending, Reply
from llm.transcript import Transcript
from tests.app import ROOT
from tests.pages import test_stages
from tests.pages.test_stages import SCRIPTED, ask, button, sent, words
from tests.servers.fixed_rate import FixedRateServer
from tests.transcripts import say

server = test_stages.server

UNSEEN = "Not seen by the model any more"
BUILT_IN = "smollm2-135m"


def open_lab(strategy: str = "everything", *, model: str = SCRIPTED, chat: Transcript | None = None,
             **numbers: int) -> AppTest:
    """Stage 04 with this memory; `numbers` are its options, `last` or `budget`."""
    page = AppTest.from_file(str(ROOT / "pages/04_chatbot_with_memory.py"), default_timeout=110)
    if chat is not None:
        page.session_state["transcripts"] = {"memory": chat}
    page.session_state["model"] = model
    page.run()
    choose(page, strategy, **numbers)
    return page


def choose(page: AppTest, strategy: str, **numbers: int) -> None:
    page.selectbox(key="memory-strategy").set_value(strategy).run()
    for name, number in numbers.items():
        page.number_input(key=f"memory-{name}").set_value(number).run()
    assert not page.exception


def open_drawer(page: AppTest, key: str) -> None:
    page.session_state[key] = True
    page.run()
    assert not page.exception


def edit_first(page: AppTest, text: str) -> None:
    """Put another message in the place of the first one."""
    button(page, "Edit").click().run()
    box = next(area for area in page.text_area if area.label == "Edit the message")
    box.set_value(text)
    button(page, "Send").click().run()
    assert not page.exception


def greyed(page: AppTest) -> list[int]:
    """The numbers of the messages on the page that are marked as not seen."""
    return [number for number, message in enumerate(page.chat_message)
            if any(UNSEEN in caption.value for caption in message.caption)]


def texts(server: FixedRateServer) -> list[str]:
    """What was sent last, without the roles."""
    return [text for _role, text in sent(server)[-1]]


# ── What each memory sends, and what is greyed ───────────────────────────────────────


@pytest.fixture
def chat() -> Transcript:
    return say(Transcript(stage="memory"), "I am Ada.", "Hello Ada.", "I like trains.",
               "So do I.", "And tea.", "Tea it is.")


@pytest.mark.parametrize("strategy, numbers, seen", [
    ("nothing", {}, []),
    ("everything", {}, ["I am Ada.", "Hello Ada.", "I like trains.", "So do I.", "And tea.",
                        "Tea it is."]),
    ("last", {"last": 2}, ["And tea.", "Tea it is."]),
    ("budget", {"budget": 16}, ["And tea.", "Tea it is."]),
    ("langgraph", {}, ["I am Ada.", "Hello Ada.", "I like trains.", "So do I.", "And tea.",
                       "Tea it is."]),
])
def test_the_reply_is_made_from_what_the_chosen_memory_shows(server, chat, strategy, numbers,
                                                             seen):
    page = open_lab(strategy, chat=chat, **numbers)
    assert greyed(page) == list(range(6 - len(seen)))
    ask(page, "Who am I?")
    assert texts(server) == [*seen, "Who am I?"]


def test_a_message_is_greyed_and_counted_as_soon_as_the_next_one_goes_without_it(server):
    page = open_lab("last", last=2)
    ask(page, "I am Ada.")
    assert greyed(page) == []
    ask(page, "I like tea.")
    assert greyed(page) == [0, 1]
    assert f"{UNSEEN}: 2 of 4 messages" in words(page)
    choose(page, "everything")
    assert greyed(page) == []


def test_the_warning_comes_before_the_first_message_is_cut(server):
    page = open_lab("last", last=4)
    ask(page, "I am Ada.")
    assert not page.warning
    ask(page, "I like tea.")
    assert "2 of them" in page.warning[0].value and greyed(page) == []
    ask(page, "Who am I?")
    assert texts(server)[0] == "I am Ada." and greyed(page) == [0, 1]


def open_lab_with_a_window(tmp_path, *, tokens: int):
    catalog = tmp_path / "models.toml"
    catalog.write_text(catalog.read_text().replace("open = false",
                                                   f"open = false\ncontext_window = {tokens}"))
    page = open_lab()
    page.session_state["settings"] = True  # unfolded
    page.run().number_input(key=f"max_tokens-{SCRIPTED}").set_value(60).run()
    return page


def test_a_window_that_fills_is_told_before_it_is_full_and_nothing_is_left_out(server, tmp_path):
    page = open_lab_with_a_window(tmp_path, tokens=140)
    ask(page, "A first question of some length, to fill the window of this model.")
    assert "After the next exchange" in page.warning[0].value
    for number in range(2):
        ask(page, f"Another question of some length, to fill this window. Number {number}")
    assert "too long for the context window" in page.warning[0].value
    assert greyed(page) == []
    assert len(texts(server)) == 5


def test_a_warning_that_a_short_reply_has_made_void_does_not_stay(server, tmp_path):
    page = open_lab_with_a_window(tmp_path, tokens=115)
    ask(page, "Hi")
    assert not page.warning


def test_the_window_is_shown_in_its_parts_and_estimates_are_marked(server):
    page = open_lab()
    page.session_state["settings"] = True  # unfolded
    page.run().text_area(key="system").set_value("Be kind.").run()
    ask(page, "Hello")
    gauge = page.get("html")[-1].proto.body
    for part in ("system prompt", "history", "your message", "room for the reply"):
        assert part in gauge
    assert "room for the reply 512" in gauge and "history ≈" in gauge


# ── Branches ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("strategy", ["everything", "last", "langgraph"])
def test_memory_follows_the_branch_that_is_shown(server, strategy):
    page = open_lab(strategy)
    ask(page, "I am Ada.")
    edit_first(page, "I am Bob.")
    ask(page, "Who am I?")
    assert texts(server) == ["I am Bob.", "You said: I am Bob.", "Who am I?"]
    button(page, "Earlier version").click().run()
    ask(page, "And who am I?")
    assert texts(server) == ["I am Ada.", "You said: I am Ada.", "And who am I?"]


def test_a_summary_belongs_to_its_branch(server, chat):
    page = open_lab("summary", chat=chat, last=1)
    ask(page, "Who am I?")
    assert "The summary that the model reads" in words(page)
    edit_first(page, "I am Bob.")
    assert texts(server) == ["I am Bob."]
    assert "The summary that the model reads" not in words(page)


# ── The running summary ──────────────────────────────────────────────────────────────


def test_a_summary_is_announced_written_by_the_model_and_shown_where_it_stands(server, chat):
    page = open_lab("summary", chat=chat, last=2)
    assert "sums up the oldest messages (4)" in page.info[0].value
    ask(page, "Who am I?")
    request, answer = sent(server)[-2:]
    assert "I am Ada." in request[-1][1] and "And tea." not in request[-1][1]
    assert answer[0][0] == "system" and answer[0][1].endswith(f"You said: {request[-1][1]}".strip())
    assert [text for _role, text in answer[1:]] == ["And tea.", "Tea it is.", "Who am I?"]
    assert greyed(page) == [0, 1, 2, 3]
    summed_up = chat.path()[3]
    assert summed_up.summary
    ask(page, "And you?")
    assert len(sent(server)) == 3


def test_a_summary_that_fails_is_told_and_the_messages_are_sent_word_for_word(server, chat,
                                                                              monkeypatch):
    monkeypatch.setattr("components.memory_lab.start_reply",
                        lambda *args, **kwargs: Reply("x", "", Ending.FAILED, error="No service."))
    page = open_lab("summary", chat=chat, last=2)
    ask(page, "Who am I?")
    assert "No service." in page.warning[0].value
    assert texts(server)[:2] == ["I am Ada.", "Hello Ada."]
    assert greyed(page) == []


# ── The lab ──────────────────────────────────────────────────────────────────────────


def test_one_click_asks_the_same_under_each_memory_and_leaves_the_conversation_alone(server, chat):
    page = open_lab("last", chat=chat, last=2)
    open_drawer(page, "memory-lab")
    page.text_input(key="memory-question").set_value("Who am I?")
    button(page, "Ask under each memory: 6 requests").click().run()
    assert not page.exception
    shown = words(page)
    for strategy in STRATEGIES.values():
        assert f"**{strategy.label}**" in shown
    assert sorted(caption.value for caption in page.caption if "Saw" in caption.value) == [
        "Saw 0 of 6 messages", "Saw 2 of 6 messages", "Saw 2 of 6 messages, and a summary",
        "Saw 6 of 6 messages", "Saw 6 of 6 messages", "Saw 6 of 6 messages"]
    answers = [request for request in sent(server) if request[-1][1] == "Who am I?"]
    assert len(answers) == 6 and len(sent(server)) == 7
    assert len(chat.path()) == 6 and not any(turn.summary for turn in chat)
    page.run()
    assert "Saw 0 of 6 messages" in words(page)


def test_a_question_that_is_too_long_for_the_lab_is_refused_with_a_sentence(server, chat):
    page = open_lab(chat=chat)
    open_drawer(page, "memory-lab")
    page.text_input(key="memory-question").set_value("Who? " * 50_000)
    button(page, "Ask under each memory: 6 requests").click().run()
    assert "That is 250,000 characters, and a message may have 200,000." in words(page)
    assert not sent(server)


def test_what_each_memory_costs_is_drawn_and_stands_in_a_table_too(server, chat):
    page = open_lab("last", chat=chat, last=2)
    open_drawer(page, "memory-costs")
    table = page.table[0].value
    assert list(table.columns) == [strategy.label for key, strategy in STRATEGIES.items()
                                   if key != "langgraph"]
    assert list(table.index) == ["Question 1", "Question 2", "Question 3", "All 3 together"]
    assert all("≈" in cell for cell in table.iloc[0])
    chart = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    assert len(chart) == 1
    page.radio(key="memory-unit").set_value("US dollars").run()
    assert "\\$0.0" in page.table[0].value.iloc[-1, 0]


def test_a_long_conversation_is_drawn_no_further_back_than_a_short_one(server):
    long = say(Transcript(stage="memory"), *(f"Message number {n}" for n in range(1_000)))
    page = open_lab(chat=long)
    assert len(page.chat_message) == SHOWN_TURNS
    assert f"Show earlier messages ({1000 - SHOWN_TURNS} more)" in [
        found.label for found in page.button]


# ── With the real built-in model ─────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def built_in():
    """The engine of the built-in model, ended after these tests."""
    yield BUILT_IN
    engine_for(get_model(BUILT_IN)).stop()


def answer(page: AppTest) -> str:
    """The last reply on the page."""
    chat = page.session_state["transcripts"]["memory"]
    assert chat.last.reply.ending in (Ending.STOP, Ending.LENGTH), chat.last.reply.error
    return chat.last.text


@pytest.mark.model
@pytest.mark.timeout(300)
def test_with_everything_it_repeats_the_name_and_with_nothing_it_cannot(built_in):
    page = open_lab(model=built_in)
    ask(page, "Remember this: the name of the user is Ada.")
    ask(page, "What is my name?")
    assert "Ada" in answer(page) and greyed(page) == []
    choose(page, "nothing")
    button_of_last(page, "Try again").click().run()
    assert "Ada" not in answer(page) and 0 in greyed(page)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_under_a_budget_too_small_for_the_message_that_told_it_the_grey_mark_is_on_that(built_in):
    page = open_lab(model=built_in)
    ask(page, "Remember this: the name of the user is Ada.")
    ask(page, "What is the capital of France?")
    choose(page, "budget", budget=34)
    assert greyed(page) == [0, 1]
    ask(page, "What is my name?")
    assert "Ada" not in answer(page)
    assert greyed(page)[:2] == [0, 1] and 5 not in greyed(page)


TOLD = ["My name is Maria.", "Your name is Maria.",
        "What is the capital of France?", "The capital of France is Paris."]
"""A model this small repeats a common name, and makes others of Ada after some words."""


@pytest.fixture
def told() -> Transcript:
    return say(Transcript(stage="memory"), *TOLD)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_of_the_last_messages_the_name_falls_out_and_its_message_is_greyed(built_in, told):
    page = open_lab("last", model=built_in, chat=told, last=2)
    assert greyed(page) == [0, 1]
    ask(page, "What is my name?")
    assert "Maria" not in answer(page)
    choose(page, "last", last=6)
    button_of_last(page, "Try again").click().run()
    assert "Maria" in answer(page)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_the_model_sums_up_what_was_said_and_knows_the_name_from_its_summary(built_in, told):
    say(told, "Name one colour.", "Blue.")
    page = open_lab("summary", model=built_in, chat=told, last=2)
    ask(page, "What is my name?")
    summary = told.path()[3].summary
    assert summary and "Maria" in summary
    assert "The summary that the model reads" in words(page) and greyed(page) == [0, 1, 2, 3]
    system, *rest = told.last.reply.messages
    assert system.text.endswith(summary)
    assert [message.text for message in rest] == ["Name one colour.", "Blue.", "What is my name?"]
    assert "Maria" in answer(page)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_a_langgraph_thread_knows_the_name_of_the_branch_that_is_shown(built_in):
    chat = say(Transcript(stage="memory"), "My name is Maria.", "Your name is Maria.")
    chat.branch(chat.path()[0], "My name is Peter.")
    page = open_lab("langgraph", model=built_in, chat=say(chat, "Your name is Peter."))
    ask(page, "What is my name?")
    assert "Peter" in answer(page)
    button(page, "Earlier version").click().run()
    ask(page, "What is my name?")
    assert "Maria" in answer(page) and "Peter" not in answer(page)


@pytest.mark.model
@pytest.mark.timeout(300)
def test_one_click_shows_which_memories_know_the_name(built_in, told):
    page = open_lab("budget", model=built_in, budget=34, chat=told)
    assert ask_under_each(page) == {"nothing": False, "everything": True, "last": True,
                                    "budget": False, "summary": True, "langgraph": True}


@pytest.mark.model
@pytest.mark.timeout(300)
def test_one_click_has_the_model_sum_up_where_a_summary_is_due(built_in, told):
    page = open_lab("summary", model=built_in, chat=say(told, "Name one colour.", "Blue."), last=2)
    assert ask_under_each(page) == {"nothing": False, "everything": True, "last": False,
                                    "budget": True, "summary": True, "langgraph": True}
    assert "Saw 2 of 6 messages, and a summary" in words(page)


def ask_under_each(page: AppTest) -> dict[str, bool]:
    """Ask "What is my name?" under each memory: whether its answer is Maria, by strategy."""
    open_drawer(page, "memory-lab")
    assert page.text_input(key="memory-question").value == "What is my name?"
    button(page, "Ask under each memory: 6 requests").click().run()
    assert not page.exception
    _chat_id, answers = page.session_state["memory_answers"]
    return {answer.memory.key: "Maria" in answer.reply.text for answer in answers}


def button_of_last(page: AppTest, label: str):
    return [found for found in page.button if found.label == label][-1]
