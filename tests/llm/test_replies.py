"""A reply keeps what came, says how it ended, and can be stopped at any moment."""

import asyncio
import threading

import pytest
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.runnables import RunnableLambda

from llm import build_chat_chain
from llm.catalog import ModelSpec
from llm.replies import Ending, Limits, event_loop, start_reply

SPEC = ModelSpec(id="scripted", label="Scripted", provider="openai", model="scripted", open=False,
                 base_url="http://127.0.0.1:9/v1")
INPUTS = {"system": "Be brief.", "history": [], "message": [HumanMessage("Hello")]}


class Scripted(GenericFakeChatModel):
    """Streams the given pieces; an exception among them is raised, a number is slept."""

    messages: object = iter(())
    pieces: tuple = ()
    finish: str | None = "stop"
    usage: dict | None = None

    async def _astream(self, messages, stop=None, run_manager=None, **kwargs):
        for piece in self.pieces:
            if isinstance(piece, Exception):
                raise piece
            if isinstance(piece, float):
                await asyncio.sleep(piece)
                continue
            yield ChatGenerationChunk(message=AIMessageChunk(piece))
        yield ChatGenerationChunk(
            message=AIMessageChunk("", usage_metadata=self.usage),
            generation_info={"finish_reason": self.finish} if self.finish else None)


def reply_of(*pieces, finish="stop", usage=None, **options):
    chain = build_chat_chain(Scripted(pieces=pieces, finish=finish, usage=usage))
    return start_reply(chain, INPUTS, SPEC, **options)


USAGE = {"input_tokens": 12, "output_tokens": 3, "total_tokens": 15}


def test_a_whole_reply_has_its_text_ending_and_measured_tokens():
    reply = reply_of("Good ", "morning", "!", usage=USAGE).wait(5)
    assert (reply.text, reply.ending, reply.error) == ("Good morning!", Ending.STOP, None)
    assert (reply.input_tokens, reply.output_tokens, reply.tokens_measured) == (12, 3, True)
    assert 0 < reply.first_token_seconds <= reply.total_seconds
    assert [characters for _, characters in reply.chunk_times] == [5, 12, 13]


def test_the_exact_messages_sent_are_kept():
    reply = reply_of("Hi").wait(5)
    assert [(m.type, m.text) for m in reply.messages] == [
        ("system", "Be brief."), ("human", "Hello")]


def test_an_emptied_instruction_is_not_sent():
    chain = build_chat_chain(Scripted(pieces=("Hi",)))
    reply = start_reply(chain, INPUTS | {"system": " \n"}, SPEC).wait(5)
    assert [m.type for m in reply.messages] == ["human"]


def test_braces_in_what_people_type_are_just_braces():
    chain = build_chat_chain(Scripted(pieces=("Hi",)))
    message = [HumanMessage("{} {x.__class__} {system}")]
    reply = start_reply(chain, INPUTS | {"system": "{a}", "message": message}, SPEC).wait(5)
    assert [m.text for m in reply.messages] == ["{a}", "{} {x.__class__} {system}"]


def test_stopping_keeps_the_text_and_estimates_the_tokens():
    reply = reply_of("Once upon a time", 60.0, "the end")
    for _ in reply.updates(every=0.01):
        if reply.text:
            reply.stop()
    assert (reply.text, reply.ending) == ("Once upon a time", Ending.STOPPED)
    assert reply.output_tokens > 0 and not reply.tokens_measured


def test_stopping_before_the_first_word_ends_at_once():
    reply = reply_of(60.0, "late")
    reply.stop()
    assert reply.wait(5).ending is Ending.STOPPED
    assert reply.text == "" and reply.first_token_seconds is None


def test_a_reply_stopped_before_its_task_has_begun_is_stopped_too():
    blocked = threading.Event()
    event_loop().call_soon_threadsafe(blocked.wait)
    reply = reply_of("never")
    reply.stop()
    blocked.set()
    assert reply.wait(5).ending is Ending.STOPPED


@pytest.mark.parametrize(("finish", "ending"), [
    ("stop", Ending.STOP), ("length", Ending.LENGTH), ("content_filter", Ending.CONTENT_FILTER)])
def test_how_the_model_ended_is_told(finish, ending):
    assert reply_of("Hm", finish=finish).wait(5).ending is ending


def test_a_stream_that_ends_without_saying_why_is_cut_and_keeps_its_text():
    reply = reply_of("Half a", finish=None).wait(5)
    assert (reply.text, reply.ending) == ("Half a", Ending.FAILED)
    assert reply.error_type == "CutReplyError"


def test_a_reply_without_a_word_says_so():
    reply = reply_of().wait(5)
    assert (reply.ending, reply.error_type) == (Ending.FAILED, "EmptyReplyError")


def test_a_failure_keeps_the_text_and_its_sentence_is_no_part_of_it():
    reply = reply_of("Half a", ConnectionResetError("gone")).wait(5)
    assert (reply.text, reply.ending) == ("Half a", Ending.FAILED)
    assert reply.error and reply.error not in reply.text


def test_a_reply_that_never_ends_is_ended():
    reply = reply_of(*["word "] * 1000, limits=Limits(characters=100)).wait(5)
    assert reply.ending is Ending.LENGTH and 100 < len(reply.text) <= 105


def test_a_reply_that_takes_too_long_is_ended_and_kept():
    reply = reply_of("slow", 60.0, limits=Limits(seconds=0.05)).wait(5)
    assert (reply.text, reply.ending) == ("slow", Ending.LENGTH)


def test_many_replies_run_at_once_and_nothing_is_mixed():
    replies = [reply_of(f"{n}", 0.05, f"-{n}") for n in range(50)]
    assert [r.wait(5).text for r in replies] == [f"{n}-{n}" for n in range(50)]


def test_the_end_is_told_once_with_the_finished_reply():
    ends = []
    reply = reply_of("Hi", on_end=lambda ended: ends.append((ended.text, ended.ending)))
    reply.wait(5)
    assert ends == [("Hi", Ending.STOP)] and reply.total_seconds is not None


def test_what_is_done_at_the_end_may_take_its_time_and_holds_up_no_other_reply():
    saving, go_on = threading.Event(), threading.Event()

    def save():
        saving.set()
        go_on.wait(5)

    reply = reply_of("Hi", on_end=lambda r: asyncio.to_thread(save))
    assert saving.wait(5)
    assert reply_of("Meanwhile").wait(5).text == "Meanwhile"
    assert not reply._run.done.is_set()
    reply.stop()
    go_on.set()
    assert reply.wait(5).ending is Ending.STOP


def test_whoever_asks_is_told_of_the_first_text_and_of_the_end():
    news = threading.Event()
    reply = reply_of(0.1, "One", 0.3, " two", 0.3)
    reply.tell(news)
    assert not news.is_set()
    assert news.wait(5) and (reply.text, reply.is_running) == ("One", True)
    news.clear()
    assert news.wait(5) and (reply.text, reply.is_running) == ("One two", False)
    late = threading.Event()
    reply.tell(late)
    assert late.is_set()


def test_updates_come_even_when_nothing_does_so_that_a_page_can_be_left():
    reply = reply_of(60.0)
    updates = reply.updates(every=0.01)
    next(updates), next(updates)
    reply.stop()
    assert list(updates)[-1].ending is Ending.STOPPED


def test_invoking_the_chain_from_a_notebook_needs_none_of_this():
    model = GenericFakeChatModel(messages=iter([AIMessage("Hello there")]))
    assert build_chat_chain(model).invoke(INPUTS) == "Hello there"


def test_a_chain_need_not_hold_a_chat_model_to_fail_plainly():
    def broken(_inputs):
        raise ValueError("not JSON")
    reply = start_reply(RunnableLambda(broken), {}, SPEC).wait(5)
    assert reply.ending is Ending.FAILED and reply.error
