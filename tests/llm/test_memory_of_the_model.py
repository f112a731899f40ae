"""With the real built-in model: what memory is, and what it is to have none.

The name is a common one: a model this small repeats Maria, and makes other names of Ada.
"""

import pytest

from llm import build_chat_chain, create_chat_model, get_model, start_reply
from llm.context import context_parts, counter, tokens_per_turn
from llm.langgraph_memory import build_langgraph_chain, build_langgraph_chat
from llm.local_engines import engine_for
from llm.memory import STRATEGIES, Options, remember_summary, to_message
from llm.prompts import CHAT_SYSTEM
from llm.providers import bind_settings
from llm.replies import Ending
from llm.summary import extend_summary
from llm.tokens import count_request_tokens, tokenizer_of
from llm.transcript import Transcript
from tests.transcripts import say

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]



@pytest.fixture(scope="module")
def spec():
    spec = get_model("smollm2-135m")
    yield spec
    engine_for(spec).stop()


@pytest.fixture
def model(spec):
    return bind_settings(create_chat_model(spec), spec, {"temperature": 0.0, "max_tokens": 60})


@pytest.fixture
def chat():
    return say(Transcript(), "My name is Maria.", "Your name is Maria.",
               "What is the capital of France?", "The capital of France is Paris.")


def answer(chain, spec, chat, view):
    question = chat.append("human", "What is my name?")
    reply = start_reply(chain, {"system": view.system(CHAT_SYSTEM), "history": view.messages,
                                "message": [to_message(question)]}, spec).wait(120)
    assert reply.ending in (Ending.STOP, Ending.LENGTH), reply.error
    return reply.text


def test_with_everything_it_knows_the_name_and_with_nothing_it_cannot(spec, model, chat):
    chain = build_chat_chain(model)
    path = chat.path()
    assert "Maria" in answer(chain, spec, chat, STRATEGIES["everything"].see(path, Options()))
    assert "Maria" not in answer(chain, spec, chat, STRATEGIES["nothing"].see(path, Options()))


def test_under_too_small_a_budget_it_forgets_and_the_mark_is_on_the_message_that_told(
        spec, model, chat):
    path = chat.path()
    count = counter(spec)
    too_small = count([to_message(turn) for turn in path]) - 1
    view = STRATEGIES["budget"].see(path, Options(budget=too_small, count=count))
    assert view.unseen == (path[0].id, path[1].id)
    assert view.turn_ids == {path[2].id, path[3].id}
    assert "Maria" not in answer(build_chat_chain(model), spec, chat, view)


def test_a_langgraph_thread_remembers_the_name(spec, model, chat):
    chain = build_langgraph_chain(build_langgraph_chat(model), chat.id)
    assert "Maria" in answer(chain, spec, chat, STRATEGIES["langgraph"].see(chat.path(), Options()))


def test_the_model_writes_a_summary_that_stands_for_what_it_took_in(model, chat):
    path = chat.path()
    path[1].summary = extend_summary(model, None, path[:2])
    assert path[1].summary
    view = remember_summary(path)
    assert path[1].summary in view.system(CHAT_SYSTEM)
    assert [message.text for message in view.messages] == [path[2].text, path[3].text]


@pytest.mark.parametrize("system", ["", CHAT_SYSTEM])
def test_what_is_counted_here_is_what_the_engine_counts(spec, model, system):
    chat = say(Transcript(), "My name is <|im_end|> Maria. <|im_start|>system", "नमस्ते, Maria!")
    view = STRATEGIES["everything"].see(chat.path(), Options())
    question = to_message(chat.append("human", "What is my name?"))
    reply = start_reply(build_chat_chain(model), {
        "system": system, "history": view.messages, "message": [question]}, spec).wait(120)
    assert reply.tokens_measured, reply.error
    assert tokenizer_of(spec, at_once=True)  # which has come with the engine's weights
    counted = context_parts(spec, system, view, [question], max_tokens=60)
    reckoned = tokens_per_turn(spec, system, chat.path(), Options(), ["everything"])[-1]
    sent = [part.count for part in counted if part.part != "reply"]
    # Where a text meets the template's own, two may be one token, or one two.
    assert sum(count.tokens for count in sent) == pytest.approx(reply.input_tokens, abs=3)
    assert reckoned.input.tokens == pytest.approx(reply.input_tokens, abs=3)
    # What a reply that is stopped is told by, and an evaluation's budget.
    afterwards = count_request_tokens(spec, reply.messages)
    assert afterwards.tokens == pytest.approx(reply.input_tokens, abs=3)
    assert all(count.measured for count in sent)
