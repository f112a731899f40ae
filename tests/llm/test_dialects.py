"""Every server that means well is understood, however it speaks chat completions."""

from __future__ import annotations

import pytest
from langchain_core.output_parsers import StrOutputParser

from llm import create_chat_model, start_reply
from llm.catalog import ModelSpec
from llm.replies import Ending, Reply
from tests.servers import dialects, recording

KEY = "sk-canary-0123456789abcdef"
PROVIDERS = ("openai", "huggingface")


@pytest.fixture(scope="module")
def server():
    with recording.running(dialects.Speaker) as running:
        yield running


def ask(provider: str, base_url: str, dialect: str) -> Reply:
    spec = ModelSpec(id="speaker", label="The speaker", provider=provider, model=dialect,
                     open=True, base_url=base_url, context_window=8192)
    chain = create_chat_model(spec, api_key=KEY) | StrOutputParser()
    return start_reply(chain, "Hello", spec).wait(30)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_the_reply_is_whole_and_counted_if_the_server_counts(server, provider, dialect):
    reply = ask(provider, server.base_url, dialect)
    assert (reply.text, reply.ending, reply.error) == (dialects.TEXT, Ending.STOP, None)
    assert reply.tokens_measured is (dialect in dialects.COUNTING)
    if reply.tokens_measured:
        assert (reply.input_tokens, reply.output_tokens) == (12, 3)
    else:
        assert reply.output_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_asked_without_a_count_the_second_time_both_are_shown(server, provider):
    server.requests.clear()
    reply = ask(provider, server.base_url, "no-stream-options")
    sent = [request.json for request in server.requests]
    assert "stream_options" in sent[0] and "stream_options" not in sent[1]
    assert {**sent[0], "stream_options": 0} == {**sent[1], "stream_options": 0}
    assert [exchange.status for exchange in reply.exchanges] == [400, 200]


@pytest.mark.parametrize("reason, ending", [
    ("model_length", Ending.LENGTH), ("prohibited_content", Ending.CONTENT_FILTER),
    ("abort", Ending.FAILED), ("insufficient_system_resource", Ending.FAILED),
])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_word_that_means_no_ordinary_end_is_known(monkeypatch, server, provider, reason, ending):
    monkeypatch.setitem(dialects.DIALECTS, "ends", dialects._says(dialects._events(
        [*dialects.MIDDLE, dialects._chunk({}, reason)])))
    reply = ask(provider, server.base_url, "ends")
    assert (reply.text, reply.ending) == (dialects.TEXT, ending)
