"""Memory as LangGraph does it: a graph that keeps each thread's messages in a checkpointer.

    graph = build_langgraph_chat(model)
    thread = {"configurable": {"thread_id": "1"}}
    graph.invoke({"system": "", "messages": [HumanMessage("I am Ada.")]}, thread)
    graph.invoke({"system": "", "messages": [HumanMessage("Who am I?")]}, thread)

Only the new message goes in; the thread adds it to what it holds. Its memory lives
in this process alone, in the checkpointer, so keep the graph as long as the chat.

Nothing else imports this module: LangGraph is loaded when a page asks for it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage, RemoveMessage
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableConfig, RunnableGenerator, RunnableLambda
from langgraph.checkpoint.base import BaseCheckpointSaver
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import StateSnapshot

from llm.chains import without_blank_system

MAX_STEPS = 30
"""Of a thread, before it is begun anew: a checkpointer keeps the state after each step, with
all messages so far. An answer takes three."""


class ChatState(MessagesState):
    """What a thread holds: its `messages`, and the `system` message they are sent under."""

    system: str


THREAD_PROMPT = ChatPromptTemplate([("system", "{system}"), MessagesPlaceholder("messages")])


def build_langgraph_chat(model: LanguageModelLike,
                         checkpointer: BaseCheckpointSaver | None = None) -> CompiledStateGraph:
    """A graph of one node that has `model` answer a thread.

    Input: `system` and `messages`, the new ones only. Each call needs a `thread_id`
    among its `configurable`s. Without a `checkpointer` an InMemorySaver keeps the threads.
    """
    answer = (THREAD_PROMPT | without_blank_system | model
              | RunnableLambda(lambda message: {"messages": [message]}))
    graph = StateGraph(ChatState)
    graph.add_node("answer", answer)
    graph.add_edge(START, "answer")
    return graph.compile(checkpointer=checkpointer or InMemorySaver())


def build_langgraph_chain(graph: CompiledStateGraph, thread_id: str) -> Runnable[dict, str]:
    """One thread of `graph` as a chain with the inputs of `build_chat_chain`, ending in text.

    The thread remembers by itself: `history` is only compared with what it holds.
    Where the two differ (another branch is shown, a reply was stopped, the process was
    started anew) the thread is first made to hold `history`. So it is after `MAX_STEPS` too.
    """

    async def stream(inputs: AsyncIterator[dict[str, Any]],
                     config: RunnableConfig) -> AsyncIterator[str]:
        async for given in inputs:
            thread = _in_thread(config, thread_id)
            state = await graph.aget_state(thread)
            if _is_long(state):
                await graph.checkpointer.adelete_thread(thread_id)
            if not _holds(state, given["history"]):
                await graph.aupdate_state(thread, _replacing(given["history"]))
            async for message, _ in graph.astream(_new(given), thread, stream_mode="messages"):
                yield message.text

    def stream_in_thread(inputs: Iterator[dict[str, Any]],
                         config: RunnableConfig) -> Iterator[str]:
        for given in inputs:
            thread = _in_thread(config, thread_id)
            state = graph.get_state(thread)
            if _is_long(state):
                graph.checkpointer.delete_thread(thread_id)
            if not _holds(state, given["history"]):
                graph.update_state(thread, _replacing(given["history"]))
            for message, _ in graph.stream(_new(given), thread, stream_mode="messages"):
                yield message.text

    return RunnableGenerator(stream_in_thread, stream, name="langgraph_thread")


def _in_thread(config: RunnableConfig, thread_id: str) -> RunnableConfig:
    return {**config, "configurable": {**config.get("configurable", {}), "thread_id": thread_id}}


def _new(inputs: dict[str, Any]) -> dict[str, Any]:
    return {"system": inputs["system"], "messages": inputs["message"]}


def _replacing(history: Sequence[BaseMessage]) -> dict[str, Any]:
    return {"messages": [RemoveMessage(REMOVE_ALL_MESSAGES), *history]}


def _is_long(state: StateSnapshot) -> bool:
    return bool(state.metadata) and state.metadata["step"] >= MAX_STEPS


def _holds(state: StateSnapshot, history: Sequence[BaseMessage]) -> bool:
    """Whether a thread in this state will go on from just these messages."""
    held = [] if _is_long(state) else state.values.get("messages", [])
    return [(message.type, message.content) for message in held] == [
        (message.type, message.content) for message in history]
