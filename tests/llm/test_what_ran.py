"""What is told of a reply's run is what went over HTTP, and never a key."""

import json

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from llm import build_chat_chain, create_chat_model, get_model
from llm.catalog import ModelSpec
from llm.memory import STRATEGIES, Options, to_message
from llm.providers import bind_settings
from llm.replies import Reply, start_reply
from llm.transcript import Transcript
from llm.what_ran import (
    chunk_times,
    everything,
    left_out,
    mermaid,
    prompt_of,
    read_outcome,
    request_body,
    request_head,
    response_head,
    steps,
)
from llm.wire import Exchange
from tests.servers import recording
from tests.servers.recording import USAGE, Answer
from tests.transcripts import PICTURES, say

KEY = "sk-canary-0123456789abcdef"


class Telling(Answer):
    """Answers with the headers that services send, and echoes the key that it got."""

    def answer(self, request):
        self.send_response(200)
        for name, value in (("content-type", "text/event-stream"), ("x-request-id", "req-7"),
                            ("x-ratelimit-remaining-requests", "59"), ("set-cookie", "a=b"),
                            ("x-ratelimit-hint", request.headers["authorization"])):
            self.send_header(name, value)
        self.send_header("connection", "close")
        self.end_headers()
        self.raw(b": " + request.headers["authorization"].encode() + b"\n\n")
        self.token("Good morning.")
        self.finish_reply()


@pytest.fixture(params=["openai", "huggingface"])
def ran(request):
    """A server, and a reply that it has given."""
    with recording.running(Telling) as server:
        spec = ModelSpec(id="m", label="M", provider=request.param, model="org/m", open=True,
                         vision=True, base_url=server.base_url)
        model = bind_settings(create_chat_model(spec, api_key=KEY), spec, {"temperature": 0.5})
        reply = start_reply(build_chat_chain(model), {
            "system": "Be brief.", "history": [], "message": [HumanMessage("Grüße 🎉")]}, spec)
        yield server, spec, reply.wait(20)


def test_the_server_received_byte_for_byte_what_is_shown(ran):
    server, _spec, reply = ran
    [exchange], [request] = reply.exchanges, server.requests
    assert request_body(exchange).encode() == request.body
    first, *headers = request_head(exchange).split("\n")
    assert first == f"POST {server.base_url}/chat/completions"
    shown = dict(line.split(": ", 1) for line in headers)
    assert shown.pop("authorization") == "Bearer •••"
    assert shown == {name: value for name, value in request.headers.items()
                     if name != "authorization"}


def test_the_response_has_its_status_its_telling_headers_its_ending_and_its_usage(ran):
    _server, _spec, reply = ran
    [exchange] = reply.exchanges
    head = response_head(exchange)
    assert head.startswith("200\n")
    assert "x-request-id: req-7" in head
    assert "x-ratelimit-remaining-requests: 59" in head
    assert "cookie" not in head
    outcome = read_outcome(exchange)
    assert (outcome.finish_reason, outcome.usage) == ("stop", USAGE)


def test_all_of_it_is_one_json_value_without_the_key(ran):
    _server, spec, reply = ran
    assert reply.error is None
    told = json.loads(json.dumps(everything(reply, spec)))
    assert "canary" not in json.dumps(told)
    assert told["exchanges"][0]["request"]["messages"][1] == {"role": "user", "content": "Grüße 🎉"}
    assert told["exchanges"][0]["outcome"]["usage"] == USAGE
    assert "authorization: Bearer" not in json.dumps(told)
    assert told["reply"]["text"] == "Good morning."
    assert "chain.invoke" in told["code"]
    assert "graph TD" in told["chain"]
    assert told["prompt"] is None  # its template is not on this machine


def test_the_chain_is_drawn_as_it_is(ran):
    _server, spec, reply = ran
    model = "OpenAIChat" if spec.provider == "openai" else "OpenChat"
    assert steps(reply.chain) == [["PromptInput"], ["ChatPromptTemplate"], ["_drop_blank_system"],
                                  [model], ["StrOutputParser"], ["StrOutputParserOutput"]]
    assert f"{model} --> StrOutputParser" in mermaid(reply.chain)


@pytest.mark.parametrize(("body", "finish_reason", "usage"), [
    (b"", None, {}),
    (b"<html>", None, {}),
    (b"[1]", None, {}),
    (b'{"choices": [{"finish_reason": "length"}], "usage": {"total_tokens": 3}}', "length",
     {"total_tokens": 3}),
    (b'data: {"choices": [{"finish_reason": null}, 7], "usage": null}\r\n\r\n'
     b'data: {"choices": [{"finish_reason": "stop"}]}\n\ndata: {"choi', "stop", {}),
    (b'data: {"choices": 5}\n\ndata: \xff\n\ndata: [DONE]\n\n', None, {}),
])
def test_any_response_can_be_read(body, finish_reason, usage):
    exchange = Exchange("POST", "http://x/v1", {}, b"{}", 2, 0.0, 200, response_body=body)
    outcome = read_outcome(exchange)
    assert (outcome.finish_reason, outcome.usage) == (finish_reason, usage)


def test_the_times_of_the_pieces_are_summed_up():
    exchange = Exchange("POST", "http://x/v1", {}, b"", 0, 0.0,
                        chunks=[(0.5, 10), (0.6, 10), (0.9, 10), (1.0, 10)])
    times = chunk_times(exchange)
    assert (times.count, times.first, times.last) == (4, 0.5, 1.0)
    assert times.median_gap == pytest.approx(0.1)
    assert times.longest_gap == pytest.approx(0.3)
    assert chunk_times(Exchange("POST", "http://x/v1", {}, b"", 0, 0.0)) is None


def test_a_reply_without_its_run_says_so_part_by_part():
    reply = Reply("gone", "Hi", messages=[HumanMessage("Hello")])
    told = everything(reply, None)
    assert (told["exchanges"], told["chain"], told["prompt"]) == (None, None, None)
    assert told["messages"] == [{"role": "human", "content": "Hello"}]
    assert prompt_of(reply, get_model("smollm2-135m")) is None


@pytest.mark.parametrize(("strategy", "texts"), [
    ("everything", []),
    ("nothing", ["One?", "1.", "Two?", "2.", "Two?", "2."]),
    ("last", ["One?", "1.", "Two?", "2."]),
])
def test_what_memory_left_out_is_told(strategy, texts):
    chat = say(Transcript(), "One?", "1.", "Two?", "2.", "Two?", "2.", "Three?")
    before, question = chat.path()[:-1], chat.last
    view = STRATEGIES[strategy].see(before, Options(last=2))
    sent = [SystemMessage("Be brief."), *view.messages, to_message(question)]
    missing = left_out(before, sent)
    assert [turn.text for turn in missing] == texts
    assert [turn.id for turn in missing] == list(view.unseen)


def test_a_message_with_a_picture_is_not_taken_for_left_out():
    chat = Transcript()
    chat.append("human", "What is this?", pictures=[PICTURES[0]])
    chat.append("ai", reply=Reply("m", "Red."))
    sent = [to_message(chat.path()[0]), AIMessage("Red."), HumanMessage("Sure?")]
    assert left_out(chat.path(), sent) == []
