"""Every way in which a model's service fails ends in the right error and one plain sentence.

Both kinds of chat model, through `start_reply`, against a server that misbehaves on purpose.
"""

import re
import socket

import httpx2
import pytest
from langchain_core.output_parsers import StrOutputParser

from llm import connections, errors
from llm.catalog import ModelSpec
from llm.connections import Patience
from llm.errors import ParleyError
from llm.providers import create_chat_model
from llm.replies import Ending, Limits, Reply, start_reply
from llm.vendor_errors import translate
from tests.servers import hostile, recording

KEY = "sk-canary-0123456789abcdef"
PROVIDERS = ("openai", "huggingface")

# Fault: the error, words that its sentence must hold, the text that is kept, requests sent.
EXPECTED = {
    "401": ("InvalidKeyError", "key", "", 1),
    "401-echo-in-stream": ("InvalidKeyError", "key", "Good", 1),
    "402": ("QuotaExceededError", "credit", "", 1),
    "403": ("PermissionDeniedError", "key", "", 1),
    "404": ("ModelNotFoundError", "“404”", "", 1),
    "400": ("InvalidRequestError", "roles must alternate", "", 1),
    "400-echo": ("InvalidRequestError", "Roles must alternate", "", 1),
    "400-no-charset": ("InvalidRequestError", "Roles must alternate", "", 1),
    "400-context-openai": ("ContextTooLongError", "8,192 tokens", "", 1),
    "400-context-llama.cpp": ("ContextTooLongError", "too long", "", 1),
    "422-context-tgi": ("ContextTooLongError", "too long", "", 1),
    "400-parameter": ("InvalidRequestError", "temperature", "", 1),
    "400-google-key": ("InvalidKeyError", "key", "", 1),
    "413": ("RequestTooLargeError", "smaller pictures", "", 1),
    "422": ("InvalidRequestError", "field required", "", 1),
    "429-long": ("RateLimitError", "in 5 minutes", "", 1),
    "429-for-ever": ("RateLimitError", "in a minute", "", 3),
    "429-google": ("RateLimitError", "in 34 seconds", "", 1),
    "429-quota": ("QuotaExceededError", "waiting does not help", "", 1),
    "500": ("ServiceUnavailableError", "500", "", 3),
    "502": ("ServiceUnavailableError", "502", "", 3),
    "503": ("ServiceUnavailableError", "503", "", 3),
    "529": ("ServiceUnavailableError", "529", "", 3),
    "hang": ("ServiceTimeoutError", "silent", "", 1),
    "stall": ("ServiceTimeoutError", "silent", "Good", 1),
    "reset": ("CutReplyError", "ended before", "Good", 1),
    "cut": ("CutReplyError", "ended before", "Good", 1),
    "no-finish-reason": ("CutReplyError", "ended before", "Good", 1),
    "no-choices": ("EmptyReplyError", "without a word", "", 1),
    "no-words": ("EmptyReplyError", "without a word", "", 1),
    "malformed": ("BrokenReplyError", "readable", "Good", 1),
    "bad-utf-8": ("BrokenReplyError", "readable", "Good", 1),
    "not-an-object": ("BrokenReplyError", "sent", "Good", 1),
    "page": ("BrokenReplyError", "web page", "", 1),
    "error-event": ("ServiceUnavailableError", "broke off", "Good", 1),
    "error-event-tgi": ("ServiceUnavailableError", "broke off", "Good", 1),
    "endless-line": ("BrokenReplyError", "cut off", "Good", 1),
}
ENDS_WELL = {
    "fine": (Ending.STOP, "Good morning.", 1),
    "429-soon": (Ending.STOP, "Good morning.", 2),
    "500-once": (Ending.STOP, "Good morning.", 2),
    "drop-once": (Ending.STOP, "Good morning.", 2),
    "content-filter": (Ending.CONTENT_FILTER, "Good", 1),
    "length": (Ending.LENGTH, "Good", 1),
}


@pytest.fixture(autouse=True)
def _impatience(request, monkeypatch):
    """Not with a busy machine: a connection that takes long would be tried twice, and be two
    requests. Where silence is the fault, it is waited for half a second."""
    fault = request.node.callspec.params.get("fault") if "fault" in request.fixturenames else None
    silence = 0.5 if fault in ("hang", "stall") else 30
    monkeypatch.setattr(connections, "PATIENCE",
                        Patience(silence=silence, pause=0.01, longest_pause=0.1))


@pytest.fixture(scope="module")
def server():
    with recording.running(hostile.Hostile) as running:
        yield running


def _spec(provider: str, base_url: str, fault: str = "fine") -> ModelSpec:
    return ModelSpec(id="hostile", label="The hostile model", provider=provider, model=fault,
                     open=True, base_url=base_url, context_window=8192)


def _ask(spec: ModelSpec, **bound) -> Reply:
    chain = create_chat_model(spec, api_key=KEY).bind(**bound) | StrOutputParser()
    reply = start_reply(chain, "Hello", spec, limits=Limits(seconds=20, characters=1000)).wait(30)
    assert not reply.is_running
    return reply


def _assert_is_a_plain_sentence(sentence: str) -> None:
    assert 20 < len(sentence) < 500
    assert sentence[0].isupper() or sentence[0].isdigit()
    assert sentence.endswith(".")
    assert KEY not in sentence and "canary" not in sentence
    assert not re.search(r"Traceback|Exception|[<>\[\]`{}]|://(?!platform|aistudio|huggingface)",
                         sentence)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", EXPECTED)
def test_each_fault_gets_its_error_and_keeps_what_came(server, provider, fault):
    error_type, words, text, requests = EXPECTED[fault]
    server.requests.clear()
    reply = _ask(_spec(provider, server.base_url, fault))
    assert (reply.ending, reply.error_type, reply.text) == (Ending.FAILED, error_type, text)
    assert words in reply.error
    assert len(server.requests) == requests
    assert len(reply.exchanges) == requests
    _assert_is_a_plain_sentence(reply.error)
    assert "canary" not in "".join(str(exchange.as_dict()) for exchange in reply.exchanges)


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ENDS_WELL)
def test_what_is_no_failure_ends_as_what_it_is(server, provider, fault):
    ending, text, requests = ENDS_WELL[fault]
    server.requests.clear()
    reply = _ask(_spec(provider, server.base_url, fault))
    assert (reply.ending, reply.error, reply.text) == (ending, None, text)
    assert len(server.requests) == requests


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_server_that_stops_reading_is_waited_for_once(provider, monkeypatch):
    monkeypatch.setattr(connections, "PATIENCE", Patience(silence=0.5, pause=0.01))
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        spec = _spec(provider, f"http://127.0.0.1:{deaf.getsockname()[1]}/v1")
        chain = create_chat_model(spec, api_key=KEY) | StrOutputParser()
        reply = start_reply(chain, "Hello " * 3_000_000, spec).wait(60)
    assert (reply.error_type, len(reply.exchanges)) == ("ServiceTimeoutError", 1)


def test_no_fault_of_the_server_is_left_unjudged():
    assert set(hostile.FAULTS) == {*EXPECTED, *ENDS_WELL, "redirect", "endless", "odd-shape"}


@pytest.mark.parametrize("provider", PROVIDERS)
def test_content_that_is_no_text_is_refused(server, provider):
    reply = _ask(_spec(provider, server.base_url, "odd-shape"))
    assert (reply.error_type, reply.text) == ("BrokenReplyError", "Good")


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_redirect_is_an_error_and_nothing_is_sent_on(server, provider):
    with recording.running() as elsewhere:
        reply = _ask(_spec(provider, server.base_url, "redirect"),
                     extra_body={"user": f"{elsewhere.base_url}/chat/completions"})
    assert reply.error_type == "ServiceUnreachableError"
    _assert_is_a_plain_sentence(reply.error)
    assert elsewhere.requests == []


@pytest.mark.parametrize("provider", PROVIDERS)
def test_a_reply_that_never_ends_is_capped(server, provider):
    reply = _ask(_spec(provider, server.base_url, "endless"), max_tokens=5)
    assert reply.ending is Ending.LENGTH
    assert 1000 < len(reply.text) < 2000


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize(("base_url", "words"), [
    ("http://127.0.0.1:1/v1", "Nothing answers"),
    ("http://no-such-host.example/v1", "is not known"),
])
def test_an_address_that_cannot_be_reached(provider, base_url, words):
    reply = _ask(_spec(provider, base_url))
    assert reply.error_type == "ServiceUnreachableError"
    assert words in reply.error
    _assert_is_a_plain_sentence(reply.error)


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_connection_without_a_certificate_that_holds(server, provider):
    server.requests.clear()
    reply = _ask(_spec(provider, server.base_url.replace("http://", "https://")))
    assert reply.error_type == "ServiceUnreachableError"
    assert "certificate" in reply.error
    assert server.requests == []


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("fault", ["401", "429-long", "500", "hang", "page", "malformed"])
async def test_a_notebook_gets_the_same_error_from_invoke_and_stream(server, provider, fault):
    spec = _spec(provider, server.base_url, fault)
    model = create_chat_model(spec, api_key=KEY)
    expected = getattr(errors, EXPECTED[fault][0])
    for ask in (model.invoke, lambda text: list(model.stream(text))):
        with pytest.raises(Exception) as caught:
            ask("Hello")
        assert type(translate(caught.value, spec)) is expected
    with pytest.raises(Exception) as caught:
        await model.ainvoke("Hello")
    assert type(translate(caught.value, spec)) is expected


def test_an_answer_that_is_no_reply_is_refused_when_not_streamed(server):
    spec = _spec("huggingface", server.base_url, "fine")
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json={"choices": []}))
    model = create_chat_model(spec)
    model.llm.client._http = httpx2.Client(transport=transport)
    with pytest.raises(ParleyError):
        model.invoke("Hello")
