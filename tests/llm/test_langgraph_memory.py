"""LangGraph's threads: they remember by themselves, and follow the branch that is shown."""

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from llm.catalog import ModelSpec
from llm.langgraph_memory import MAX_STEPS, build_langgraph_chain, build_langgraph_chat
from llm.replies import start_reply

SPEC = ModelSpec(id="scripted", label="Scripted", provider="openai", model="scripted", open=False,
                 base_url="http://127.0.0.1:9/v1")


class Recording(FakeListChatModel):
    """Says "one", "two", … and keeps what it was sent."""

    responses: list = ["one", "two", "three", "four"]
    sent: list = []

    def _call(self, messages, *args, **kwargs):
        self.sent.append([message.text for message in messages])
        return super()._call(messages, *args, **kwargs)

    async def _astream(self, messages, *args, **kwargs):
        self.sent.append([message.text for message in messages])
        async for chunk in super()._astream(messages, *args, **kwargs):
            yield chunk

    def _stream(self, messages, *args, **kwargs):
        self.sent.append([message.text for message in messages])
        yield from super()._stream(messages, *args, **kwargs)


def inputs(message, *history):
    kinds = (HumanMessage, AIMessage)
    return {"system": "Be brief.", "message": [HumanMessage(message)],
            "history": [kinds[n % 2](text) for n, text in enumerate(history)]}


def test_a_thread_is_given_the_new_message_and_remembers_the_rest():
    model = Recording(sent=[])
    graph = build_langgraph_chat(model)
    thread = {"configurable": {"thread_id": "1"}}
    graph.invoke({"system": "", "messages": [HumanMessage("I am Ada.")]}, thread)
    graph.invoke({"system": "", "messages": [HumanMessage("Who am I?")]}, thread)
    assert model.sent[-1] == ["I am Ada.", "one", "Who am I?"]


def test_threads_do_not_know_of_each_other():
    model = Recording(sent=[])
    graph = build_langgraph_chat(model)
    build_langgraph_chain(graph, "1").invoke(inputs("I am Ada."))
    build_langgraph_chain(graph, "2").invoke(inputs("Who am I?"))
    assert model.sent[-1] == ["Be brief.", "Who am I?"]


def test_it_streams_through_a_reply_like_any_chain():
    chain = build_langgraph_chain(build_langgraph_chat(Recording(sent=[])), "1")
    assert list(chain.stream(inputs("Hi"))) == ["o", "n", "e"]
    reply = start_reply(chain, inputs("Hi again", "Hi", "one"), SPEC).wait(10)
    assert reply.text == "two"
    assert [message.text for message in reply.messages] == ["Be brief.", "Hi", "one", "Hi again"]
    assert len(reply.chunk_times) == 3


def test_another_branch_makes_the_thread_forget_the_first():
    model = Recording(sent=[])
    chain = build_langgraph_chain(build_langgraph_chat(model), "1")
    chain.invoke(inputs("I am Ada."))
    chain.invoke(inputs("Who am I?", "I am Bob.", "Hello Bob."))
    assert model.sent[-1] == ["Be brief.", "I am Bob.", "Hello Bob.", "Who am I?"]


def test_the_thread_is_not_written_anew_when_it_holds_the_history_already(monkeypatch):
    model = Recording(sent=[])
    graph = build_langgraph_chat(model)
    chain = build_langgraph_chain(graph, "1")
    chain.invoke(inputs("I am Ada."))
    monkeypatch.setattr(graph, "update_state", None)
    chain.invoke(inputs("Who am I?", "I am Ada.", "one"))
    assert model.sent[-1] == ["Be brief.", "I am Ada.", "one", "Who am I?"]


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
async def test_a_long_thread_is_begun_anew_and_forgets_nothing(way):
    """A checkpointer keeps every state that a thread ever had: a gigabyte in a long chat."""
    model, saver, history = Recording(sent=[], responses=["Yes."]), InMemorySaver(), []
    chain = build_langgraph_chain(build_langgraph_chat(model, saver), "1")
    kept = []
    for number in range(40):
        given = inputs(f"Question {number}", *history)
        said = chain.invoke(given) if way == "invoke" else await chain.ainvoke(given)
        assert model.sent[-1] == ["Be brief.", *history, f"Question {number}"]
        history += [f"Question {number}", said]
        kept.append(len(list(saver.list(None))))
    assert max(kept) <= MAX_STEPS + 5
