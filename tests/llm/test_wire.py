"""A recording holds what went over the wire, byte for byte, and never a key."""

import asyncio
import base64
import json
import os
import subprocess

import pytest
from langchain_core.messages import HumanMessage
from langchain_core.output_parsers import StrOutputParser

from llm import wire
from llm.catalog import ModelSpec
from llm.providers import create_chat_model
from llm.replies import start_reply
from tests.servers import recording
from tests.servers.recording import Answer

KEY = "sk-canary-0123456789abcdef"
BOTH = pytest.mark.parametrize("provider", ["openai", "huggingface"])


@pytest.fixture
def server():
    with recording.running() as running:
        yield running


def _spec(provider: str, base_url: str) -> ModelSpec:
    return ModelSpec(id="m", label="M", provider=provider, model="org/m", open=True,
                     base_url=base_url)


@BOTH
@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
async def test_it_is_what_the_server_received_and_sent(server, provider, way):
    model = create_chat_model(_spec(provider, server.base_url), api_key=KEY)
    with wire.record() as exchanges:
        if way == "invoke":
            model.bind(temperature=0.2).invoke("Grüße 🎉")
        elif way == "stream":
            list(model.bind(temperature=0.2).stream("Grüße 🎉"))
        elif way == "ainvoke":
            await model.bind(temperature=0.2).ainvoke("Grüße 🎉")
        else:
            assert [chunk async for chunk in model.bind(temperature=0.2).astream("Grüße 🎉")]
    [exchange], [request] = exchanges, server.requests
    assert exchange.method == request.method == "POST"
    assert exchange.url == f"{server.base_url}/chat/completions"
    assert exchange.request_body == request.body
    assert exchange.request_bytes == len(request.body)
    received = dict(request.headers)
    assert received.pop("authorization") == f"Bearer {KEY}"
    shown = dict(exchange.request_headers)
    assert shown.pop("authorization") == "Bearer •••"
    assert shown == received
    assert exchange.status == 200
    assert exchange.error is None
    assert exchange.response_bytes == len(exchange.response_body)
    assert sum(size for _, size in exchange.chunks) == exchange.response_bytes
    assert [at for at, _ in exchange.chunks] == sorted(at for at, _ in exchange.chunks)
    if "stream" in way:
        assert exchange.response_body.endswith(b"data: [DONE]\n\n")
        assert exchange.response_headers["x-request-id"] == "request-7"
    else:
        assert json.loads(exchange.response_body)["usage"]["total_tokens"] == 15


@BOTH
def test_each_piece_has_its_time(provider):
    class Pausing(Answer):
        def answer(self, request):
            self.begin_stream()
            for text in ("Good", " morning"):
                self.server.is_closing.wait(0.05)
                self.token(text)
            self.finish_reply()

    with recording.running(Pausing) as server, wire.record() as exchanges:
        list(create_chat_model(_spec(provider, server.base_url)).stream("Hi"))
    times = [at for at, _ in exchanges[0].chunks]
    assert len(times) >= 2
    assert 0 < exchanges[0].headers_seconds < times[0] < times[1]


@BOTH
async def test_replies_at_once_do_not_mix(server, provider):
    model = create_chat_model(_spec(provider, server.base_url))

    async def ask(text):
        with wire.record() as exchanges:
            async for _ in model.astream(text):
                await asyncio.sleep(0)
        return exchanges

    texts = [f"question {number}" for number in range(8)]
    for text, exchanges in zip(texts, await asyncio.gather(*map(ask, texts)), strict=True):
        [exchange] = exchanges
        assert exchange.request_json()["messages"][0]["content"] == text


def test_nothing_is_kept_when_nobody_asks(server):
    create_chat_model(_spec("openai", server.base_url)).invoke("Hi")
    assert wire.begin("POST", "http://x", [], b"") is None


@BOTH
def test_a_reply_holds_its_exchanges_also_when_it_was_stopped(provider):
    class Slow(Answer):
        def answer(self, request):
            self.begin_stream()
            self.token("Good")
            self.server.is_closing.wait()

    with recording.running(Slow) as server:
        spec = _spec(provider, server.base_url)
        reply = start_reply(create_chat_model(spec) | StrOutputParser(), "Hi", spec)
        for _ in reply.updates(0.01):
            if reply.text:
                break
        reply.stop()
        reply.wait(5)
    [exchange] = reply.exchanges
    assert b"Good" in exchange.response_body
    assert exchange.error == wire.CLOSED_HERE


@BOTH
def test_a_key_that_the_server_echoes_is_masked_even_across_two_pieces(provider):
    class Echo(Answer):
        def answer(self, request):
            self.begin_stream()
            self.token("hello")
            self.raw(b": " + KEY[:9].encode())
            self.raw(KEY[9:].encode() + b"\n\n")
            self.finish_reply()

    with recording.running(Echo) as server, wire.record() as exchanges:
        list(create_chat_model(_spec(provider, server.base_url), api_key=KEY).stream("Hi"))
    assert KEY not in json.dumps(exchanges[0].as_dict()) + repr(exchanges[0])
    assert b": \xe2\x80\xa2" in exchanges[0].response_body


def test_a_key_in_a_url_is_masked():
    with wire.record() as exchanges:
        wire.begin("GET", f"https://me:{KEY}@x.example/v1?key={KEY}&n=1", [], b"")
    assert exchanges[0].url == "https://•••@x.example/v1?key=•••&n=1"


def test_pictures_are_shortened_to_read_and_whole_as_sent(server):
    picture = base64.b64encode(os.urandom(3000)).decode()
    message = HumanMessage([{"type": "text", "text": "What?"},
                            {"type": "image", "base64": picture, "mime_type": "image/png"}])
    with wire.record() as exchanges:
        create_chat_model(_spec("huggingface", server.base_url)).invoke([message])
    [exchange] = exchanges
    assert exchange.request_body == server.requests[0].body
    url = exchange.request_json()["messages"][0]["content"][1]["image_url"]["url"]
    assert url == f"data:image/png;base64,{picture[:40]}…(4000 characters)"
    assert picture not in exchange.as_curl()


def test_what_is_kept_is_bounded():
    class Long(Answer):
        def answer(self, request):
            self.begin_stream()
            for _ in range(40):
                self.raw(b": " + b"x" * 50_000 + b"\n\n")
            self.finish_reply()

    picture = base64.b64encode(os.urandom(3_000_000)).decode()
    message = HumanMessage([{"type": "image", "base64": picture, "mime_type": "image/png"}])
    with recording.running(Long) as server, wire.record() as exchanges:
        model = create_chat_model(_spec("huggingface", server.base_url), api_key=KEY)
        list(model.stream([message]))
    [exchange] = exchanges
    assert len(exchange.response_body) == wire.MAX_BODY_BYTES
    assert exchange.response_bytes > 2_000_000
    assert exchange.request_bytes > 4_000_000
    assert len(exchange.request_body) < 1000
    assert exchange.request_json()["model"] == "org/m"


def test_the_curl_command_sends_the_same(server):
    spec = _spec("openai", server.base_url)
    with wire.record() as exchanges:
        create_chat_model(spec, api_key=KEY).invoke("It's $HOME `id` \"quoted\" \\ é\n!")
    command = exchanges[0].as_curl("MY_KEY")
    assert KEY not in command
    subprocess.run(["bash", "-c", command], check=True, timeout=20, capture_output=True,
                   env={"PATH": os.environ["PATH"], "MY_KEY": KEY})
    first, second = server.requests
    assert second.body == first.body
    assert (second.method, second.path) == (first.method, first.path)
    for name in ("authorization", "content-type", "accept"):
        assert second.headers[name] == first.headers[name]


def test_an_exchange_as_plain_json_has_all_of_it(server):
    with wire.record() as exchanges:
        create_chat_model(_spec("openai", server.base_url), api_key=KEY).invoke("Hi")
    plain = json.loads(json.dumps(exchanges[0].as_dict()))
    assert plain["request"]["messages"] == [{"role": "user", "content": "Hi"}]
    assert plain["status"] == 200
    assert "canary" not in json.dumps(plain)


@BOTH
def test_a_failure_is_recorded_with_what_broke_it(provider):
    with wire.record() as exchanges, pytest.raises(Exception):  # noqa: B017
        create_chat_model(_spec(provider, "http://127.0.0.1:1/v1")).invoke("Hi")
    assert [exchange.error for exchange in exchanges] == ["ConnectError"] * 3
    assert exchanges[0].status is None
