"""Every server that means well is understood, however it speaks chat completions."""

from __future__ import annotations

import gzip
import json
import time

import pytest
from langchain_core.output_parsers import StrOutputParser

from llm import create_chat_model, start_reply
from llm.catalog import ModelSpec
from llm.chat_events import EventReader
from llm.replies import Ending, Reply
from llm.vendor_errors import translate
from llm.what_ran import read_outcome
from tests.app import wait_until
from tests.servers import dialects, recording
from tests.servers.recording import USAGE

KEY = "sk-canary-0123456789abcdef"
PROVIDERS = ("openai", "huggingface")


@pytest.fixture(scope="module")
def server():
    with recording.running(dialects.Speaker) as running:
        yield running


def spec_of(provider: str, base_url: str, dialect: str) -> ModelSpec:
    return ModelSpec(id="speaker", label="The speaker", provider=provider, model=dialect,
                     open=True, base_url=base_url, context_window=8192)


def ask(provider: str, base_url: str, dialect: str) -> Reply:
    spec = spec_of(provider, base_url, dialect)
    chain = create_chat_model(spec, api_key=KEY) | StrOutputParser()
    return start_reply(chain, "Hello", spec).wait(30)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_the_reply_is_whole_and_counted_if_the_server_counts(server, provider, dialect):
    reply = ask(provider, server.base_url, dialect)
    assert (reply.text, reply.ending, reply.error) == (dialects.TEXT, Ending.STOP, None)
    assert reply.tokens_measured is (dialect in dialects.COUNTING)
    said = read_outcome(reply.exchanges[-1])
    assert said.finish_reason.lower() in ("stop", "eos")
    if reply.tokens_measured:
        assert (reply.input_tokens, reply.output_tokens) == (12, 3)
        assert said.usage in (USAGE, {})  # some have it in another place
    else:
        assert reply.output_tokens > 0


@pytest.mark.parametrize("provider", PROVIDERS)
def test_half_a_character_becomes_a_mark_that_any_file_takes(monkeypatch, server, provider):
    half = json.dumps(dialects._chunk({"content": "Half \ud83d"}, "stop")).encode()
    monkeypatch.setitem(dialects.DIALECTS, "half",
                        dialects._says(b"data: " + half + b"\n\ndata: [DONE]\n\n"))
    assert ask(provider, server.base_url, "half").text == "Half \ufffd"


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", dialects.DIALECTS)
def test_a_program_that_streams_gets_the_same_words(server, provider, dialect):
    model = create_chat_model(spec_of(provider, server.base_url, dialect), api_key=KEY)
    assert "".join((model | StrOutputParser()).stream("Hello")) == dialects.TEXT


@pytest.mark.parametrize("provider", PROVIDERS)
def test_asked_without_a_count_the_second_time_both_are_shown(server, provider):
    server.requests.clear()
    reply = ask(provider, server.base_url, "no-stream-options")
    sent = [request.json for request in server.requests]
    assert "stream_options" in sent[0] and "stream_options" not in sent[1]
    assert {**sent[0], "stream_options": 0} == {**sent[1], "stream_options": 0}
    assert [exchange.status for exchange in reply.exchanges] == [400, 200]


@pytest.mark.parametrize("end", [
    [{**dialects.COUNTED, "usage": {**USAGE, "total_tokens": "fifteen"}}, dialects.END[0]],
    [{**dialects.COUNTED, "usage": {**USAGE, "prompt_tokens_details": "none"}}, dialects.END[0]],
    [dialects._chunk({}, {"type": "stop"}), dialects.COUNTED],
    [dialects._chunk({}, 1), dialects.COUNTED],
])
@pytest.mark.parametrize("provider", PROVIDERS)
def test_an_end_in_a_form_of_its_own_costs_nothing_of_the_reply(monkeypatch, server, provider, end):
    monkeypatch.setitem(dialects.DIALECTS, "ends", dialects._says(dialects._events(
        [*dialects.MIDDLE, *end])))
    reply = ask(provider, server.base_url, "ends")
    assert (reply.text, reply.ending) == (dialects.TEXT, Ending.STOP)
    assert (reply.input_tokens, reply.output_tokens, reply.tokens_measured) == (12, 3, True)


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


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("error", dialects.ERRORS)
def test_what_is_wrong_is_said_in_a_sentence_however_the_server_says_it(server, provider, error):
    reply = ask(provider, server.base_url, error)
    assert reply.ending is Ending.FAILED
    assert f" It says: “{dialects.WHAT_IS_WRONG}” " in reply.error
    assert reply.text == (dialects.TEXT if error.startswith("mid-stream") else "")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("dialect", dialects.WHOLES)
async def test_the_words_arrive_where_no_stream_is_asked_for(server, provider, dialect):
    model = create_chat_model(spec_of(provider, server.base_url, dialect), api_key=KEY)
    assert model.invoke("Hello").text == (await model.ainvoke("Hello")).text == dialects.TEXT


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("error", [
    name for name in dialects.ERRORS if "stream" not in name and name != "in-a-list"])
async def test_what_is_wrong_is_said_where_no_stream_is_asked_for(server, provider, error):
    spec = spec_of(provider, server.base_url, error)
    with pytest.raises(Exception) as raised:
        await create_chat_model(spec, api_key=KEY).ainvoke("Hello")
    assert dialects.WHAT_IS_WRONG in str(translate(raised.value, spec))


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("how, content", [
    ("br", b"\x8b\x02\x80words\x03"), ("gzip", b"no gzip at all"),
    ("gzip", gzip.compress(dialects._events(dialects.ALL))[:60] + b"damage" * 20),
])
def test_what_is_packed_and_cannot_be_unpacked_is_said(monkeypatch, server, provider, how, content):
    monkeypatch.setitem(dialects.DIALECTS, "packed-badly",
                        dialects._says(content, content_encoding=how))
    reply = ask(provider, server.base_url, "packed-badly")
    assert reply.error.startswith("127.0.0.1 packed its answer in a way that cannot be read.")


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("filling", [b"data: " + b"x" * 9_000_000, b": alive\n" * 8_100_000])
def test_what_unpacks_without_end_is_cut_off(monkeypatch, server, provider, filling):
    """9 MB in a line and 65 MB of lines, sent as a few kB."""
    monkeypatch.setitem(dialects.DIALECTS, "bomb", dialects._says(
        gzip.compress(filling, 1), pieces_of=1_000_000, content_encoding="gzip"))
    reply = ask(provider, server.base_url, "bomb")
    assert "sent more data than any reply needs" in reply.error


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_packed_answer_is_shown_unpacked(server, provider):
    [exchange] = ask(provider, server.base_url, "gzip").exchanges
    assert dialects.WORDS[0].encode() in exchange.response_body


@pytest.mark.parametrize("provider", PROVIDERS)
def test_another_path_on_the_same_host_is_named_whole(monkeypatch, server, provider):
    monkeypatch.setitem(dialects.DIALECTS, "moved", lambda answer, request: answer.send(
        308, {}, {"location": "/v2/chat/completions?key=1"}))
    reply = ask(provider, server.base_url, "moved")
    whole = server.base_url.removeprefix("http://").replace("/v1", "/v2/chat/completions")
    assert f"127.0.0.1 wants the request sent to {whole} by http instead" in reply.error


def test_a_long_line_in_many_pieces_holds_nobody_up():
    """All replies share one thread: what it costs to look at each piece, all of them wait for."""
    reader, started = EventReader(), time.process_time()
    for piece in [b'data: {"text": "', *[b"x" * 64] * 30_000, b'"}', b"\n"]:
        events = list(reader.feed(piece))
    assert len(events[0]["text"]) == 30_000 * 64
    assert time.process_time() - started < 2


@pytest.mark.parametrize("provider", PROVIDERS)
def test_what_unpacks_into_countless_events_keeps_nobody_waiting_and_can_be_stopped(
        monkeypatch, server, provider):
    monkeypatch.setitem(dialects.DIALECTS, "countless", dialects._says(
        gzip.compress(b'data: {"choices": []}\n\n' * 1_000_000), content_encoding="gzip",
        pieces_of=1_000_000))
    spec = spec_of(provider, server.base_url, "countless")
    chain = create_chat_model(spec, api_key=KEY) | StrOutputParser()
    countless = start_reply(chain, "Hello", spec)
    wait_until(lambda: countless.exchanges and countless.exchanges[0].response_bytes, "it comes")
    assert ask(provider, server.base_url, "as-documented").text == dialects.TEXT
    assert countless.is_running
    countless.stop()
    assert countless.wait(5).ending is Ending.STOPPED
