"""Every exception of the libraries has a meaning, and no sentence tells what it must not."""

import asyncio
import base64
import html
import inspect
import json
import re
import socket
import time
from urllib.parse import quote_plus

import httpx
import httpx2
import huggingface_hub.errors
import langchain_core.exceptions
import langchain_openai.chat_models.base as langchain_openai
import openai
import pytest
from huggingface_hub.utils import hf_raise_for_status

from llm import errors
from llm.catalog import ModelSpec, get_model
from llm.errors import ParleyError
from llm.failed_request import is_about_quota, redact, retry_after
from llm.vendor_errors import MEANINGS, translate

SPEC = ModelSpec(id="m", label="The model", provider="openai", model="m-1", open=False)
KEY = "sk-canary-0123456789abcdef"


def _exception_classes(module) -> list[type[BaseException]]:
    members = (getattr(module, name) for name in dir(module))
    return [member for member in members
            if inspect.isclass(member) and issubclass(member, Exception)
            and not issubclass(member, Warning)]


VENDOR_CLASSES = sorted({
    cls for module in (openai, openai._exceptions, huggingface_hub.errors, httpx, httpx2,
                       langchain_core.exceptions)
    for cls in _exception_classes(module)
}, key=lambda cls: (cls.__module__, cls.__name__))


@pytest.mark.parametrize("cls", VENDOR_CLASSES, ids=lambda cls: f"{cls.__module__}.{cls.__name__}")
def test_every_vendor_exception_class_has_a_meaning_of_its_own(cls):
    assert f"{cls.__module__.partition('.')[0]}.{cls.__name__}" in MEANINGS


@pytest.mark.parametrize("cls", _exception_classes(langchain_openai),
                         ids=lambda cls: cls.__name__)
def test_langchain_openais_own_classes_have_one_at_least_by_their_base(cls):
    names = [f"{base.__module__.partition('.')[0]}.{base.__name__}" for base in cls.__mro__]
    assert any(name in MEANINGS for name in names)


def test_the_table_names_no_class_that_is_gone():
    there = {f"{cls.__module__.partition('.')[0]}.{cls.__name__}" for cls in VENDOR_CLASSES}
    libraries = {name.partition(".")[0] for name in there}
    named = {name for name in MEANINGS if name.partition(".")[0] in libraries}
    # httpx has no server-sent events, but otherwise the same classes as httpx2.
    assert named - there == {"httpx.SSEError"}


def _response(status: int, body: object = None, **headers: str) -> httpx2.Response:
    request = httpx2.Request("POST", "https://api.example/v1",
                             headers={"authorization": f"Bearer {KEY}"})
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return httpx2.Response(status, json=body, headers=fields, request=request)


def _openai_error(status: int, body: dict, **headers: str) -> openai.APIStatusError:
    return openai.APIStatusError("text", response=_response(status, body, **headers), body=body)


def _hub_error(status: int, **headers: str) -> Exception:
    response = httpx.Response(status, request=httpx.Request("GET", "https://huggingface.co/x"),
                              headers=headers)
    try:
        hf_raise_for_status(response)
    except Exception as error:
        return error
    raise AssertionError(status)


def _caused(error: Exception, cause: Exception) -> Exception:
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(("error", "expected", "words"), [
    (_openai_error(401, {"message": "no"}), "InvalidKeyError", "platform.openai.com"),
    (_openai_error(402, {}), "QuotaExceededError", "credit"),
    (_openai_error(403, {}), "PermissionDeniedError", "key"),
    (_openai_error(404, {}), "ModelNotFoundError", "m-1"),
    (_openai_error(400, {"code": "context_length_exceeded"}), "ContextTooLongError", "too long"),
    (_openai_error(400, {"message": "max_tokens is too large", "param": "max_tokens"}),
     "InvalidRequestError", "max_tokens"),
    (_openai_error(400, {"message": "Invalid content type. image_url is only supported by certain "
                                    "models."}), "CannotSeeError", "takes no pictures"),
    (_openai_error(500, {"message": "image input is not supported - hint: you may need mmproj"}),
     "CannotSeeError", "a model that sees"),
    (_openai_error(400, {"message": "org/m is not a multimodal model"}), "CannotSeeError", "sees"),
    (_openai_error(413, {}), "RequestTooLargeError", "smaller"),
    (_openai_error(429, {}, retry_after="300"), "RateLimitError", "5 minutes"),
    (_openai_error(429, {}, retry_after="1"), "RateLimitError", "1 second,"),
    (_openai_error(429, {}, retry_after="7200"), "RateLimitError", "2 hours"),
    (_openai_error(429, {"code": "insufficient_quota"}), "QuotaExceededError", "does not help"),
    (_openai_error(503, {}), "ServiceUnavailableError", "503"),
    (_openai_error(418, {"message": "teapot"}), "InvalidRequestError", "teapot"),
    (_openai_error(307, {}), "ServiceUnreachableError", "another address"),
    (openai.OpenAIError("Missing credentials. Please pass an `api_key`"), "MissingKeyError", "key"),
    (openai.APIConnectionError(request=httpx2.Request("POST", "http://x")),
     "ServiceUnreachableError", "network"),
    (_caused(openai.APIConnectionError(request=httpx2.Request("POST", "http://x")),
             httpx2.ReadError("reset")), "CutReplyError", "ended before"),
    (openai.APITimeoutError(httpx2.Request("POST", "http://x")), "ServiceTimeoutError", "silent"),
    (httpx2.ConnectTimeout("x"), "ServiceUnreachableError", "network"),
    (httpx.ReadTimeout("x"), "ServiceTimeoutError", "silent"),
    (httpx2.InvalidURL("x"), "ServiceUnreachableError", "base URL"),
    (_hub_error(401), "InvalidKeyError", "key"),
    (_hub_error(404, **{"X-Error-Code": "RepoNotFound"}), "ModelNotFoundError", "m-1"),
    (_hub_error(403, **{"X-Error-Code": "GatedRepo"}), "ModelNotFoundError", "grants access"),
    (_hub_error(429, ratelimit='"api";r=0;t=55'), "RateLimitError", "55 seconds"),
    (huggingface_hub.errors.LocalEntryNotFoundError("x"), "WeightsMissingError", "Fetch"),
    (huggingface_hub.errors.OfflineModeIsEnabled("x"), "HubUnreachableError", "network"),
    (langchain_core.exceptions.ContextOverflowError("x"), "ContextTooLongError", "too long"),
    (langchain_core.exceptions.ModelRateLimitError("x"), "RateLimitError", "in a minute"),
    (langchain_core.exceptions.ModelAPIError("x"), "ServiceUnavailableError", "cannot answer"),
    (json.JSONDecodeError("x", "y", 0), "BrokenReplyError", "readable"),
    (UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"), "BrokenReplyError", "readable"),
    (ValueError("No generation chunks were returned"), "EmptyReplyError", "without a word"),
    (TimeoutError(), "ServiceTimeoutError", "silent"),
    (ConnectionResetError(), "CutReplyError", "ended before"),
    (ConnectionRefusedError(), "ServiceUnreachableError", "Nothing answers"),
    (socket.gaierror(-2, "x"), "ServiceUnreachableError", "not known"),
    (OSError(28, "No space left on device"), "NoRoomError", "disk"),
    (MemoryError(), "OutOfMemoryError", "memory"),
], ids=str)
def test_what_it_means(error, expected, words):
    told = translate(error, SPEC)
    assert type(told).__name__ == expected
    assert words in str(told)
    assert len(str(told)) < 500
    assert isinstance(translate(error), getattr(errors, expected))


def test_the_wait_is_told_as_a_number_too():
    assert translate(_openai_error(429, {}, retry_after="300"), SPEC).retry_after == 300
    assert translate(_openai_error(429, {}), SPEC).retry_after is None


@pytest.mark.parametrize(("headers", "text", "seconds"), [
    ({"retry-after": "7"}, "", 7),
    ({"retry-after": "0.5"}, "", 0.5),
    ({"retry-after-ms": "1500", "retry-after": "9"}, "", 1.5),
    ({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}, "", 0),
    ({"retry-after": "soon"}, "", None),
    ({"retry-after": "9" * 400}, "", None),
    ({"retry-after-ms": "9" * 400}, "", None),
    ({"retry-after": "Wed, 21 Oct 99999 07:28:00 GMT"}, "", None),
    ({"ratelimit": '"api";r=0;t=55'}, "", 55),
    ({"ratelimit": '"api";r=3;t=55'}, "", None),
    ({}, '{"retryDelay": "34s"}', 34),
    ({}, f'{{"retryDelay": "{"9" * 400}s"}}', None),
    ({}, "", None),
])
def test_how_long_a_server_asks_to_wait(headers, text, seconds):
    assert retry_after(headers, text) == seconds


def test_quota_is_told_from_haste():
    spent = "You exceeded your current quota, please check your plan and billing details."
    assert is_about_quota(spent)
    assert not is_about_quota(spent + ' "retryDelay": "34s"')
    assert not is_about_quota("Rate limit reached for requests per minute")


def test_parleys_own_errors_pass_through_also_as_a_cause():
    own = errors.EngineError("The engine stopped.")
    assert translate(own) is own
    assert translate(_caused(openai.APIConnectionError(request=httpx2.Request("POST", "http://x")),
                             own)) is own


def test_a_local_models_connection_is_its_engine():
    spec = get_model("smollm2-135m")
    for error in (httpx2.ConnectError("x"), httpx2.ReadError("x"), ConnectionResetError()):
        told = translate(error, spec)
        assert type(told) is errors.EngineError
        assert "starts anew" in str(told)


def test_what_nobody_knows_is_said_plainly_and_its_place_is_logged_without_its_text(caplog):
    try:
        {}["what somebody wrote"]
    except KeyError as error:
        told = translate(error, SPEC)
    assert type(told) is errors.BrokenReplyError
    assert "wrote" not in str(told) + caplog.text
    assert "KeyError" in caplog.text
    assert "test_vendor_errors.py" in caplog.text


@pytest.mark.parametrize("text", [
    f"Incorrect API key provided: {KEY}",
    f"header was Bearer {KEY}",
    json.dumps({"error": {"message": f"bad {KEY} given"}}),
])
@pytest.mark.parametrize("status", [400, 401, 422, 500])
def test_a_key_in_a_servers_words_never_reaches_a_sentence(text, status):
    error = openai.APIStatusError(text, response=_response(status, {"error": text}), body=text)
    assert "canary" not in str(translate(error, SPEC))


def test_a_key_of_no_known_shape_is_taken_out_because_it_was_sent():
    response = httpx2.Response(400, text="unknown user hunter2", request=httpx2.Request(
        "POST", "http://x", headers={"authorization": "Bearer hunter2"}))
    error = httpx2.HTTPStatusError("x", request=response.request, response=response)
    assert "hunter2" not in str(translate(error, SPEC))
    assert "unknown user" in str(translate(error, SPEC))


@pytest.mark.parametrize("secret", [
    KEY, "hf_abcdefghijklmnop", "AIzaSyA-0123456789abcdef", "sk-proj-abc_DEF-123456",
    "gsk_0123456789abcdef", "sk-ab***********wxyz",
])
def test_redact_takes_out_whatever_looks_like_a_key(secret):
    assert redact(f"the key {secret} is wrong") == "the key ••• is wrong"


@pytest.mark.parametrize("write", [
    str, quote_plus, html.escape, lambda key: json.dumps(key).strip('"').replace("/", "\\/"),
    lambda key: base64.b64encode(key.encode()).decode(),
    lambda key: base64.b64encode(f"Bearer {key}".encode()).decode(),
    lambda key: base64.urlsafe_b64encode(f"me:{key}".encode()).decode(),
])
def test_a_key_is_taken_out_however_the_server_writes_it(write):
    key = "typed&key/of+no=known~kind"
    told = redact(f"sent with {write(key)}.", [key])
    # Of base64 a few letters stay that are of what stands beside it too.
    assert re.fullmatch(r"sent with [\w=]{0,10}•••[\w=]{0,3}\.", told)


@pytest.mark.parametrize("write", [
    str.upper, lambda key: f"{key[:9]} {key[9:]}", lambda key: f"{key[:9]}\u200b{key[9:]}",
    lambda key: json.dumps(json.dumps(key)),
])
def test_words_in_which_a_key_can_still_be_read_are_left_out(write):
    key = 'typed&key/of+no="known~kind'
    error = _openai_error(400, {"message": f"Roles must alternate; sent with {write(key)}"})
    error.response.request.headers["authorization"] = f"Bearer {key}"
    told = str(translate(error, SPEC))
    assert "could not use the request. Change" in told


@pytest.mark.parametrize("piece", ["-", "a-", "a", "_a", "sk-", "a**"])
def test_no_words_of_a_server_hold_everybody_up(piece):
    started = time.process_time()
    translate(_openai_error(400, {"message": piece * 60_000}), SPEC)
    assert time.process_time() - started < 1


def test_a_servers_words_are_short_plain_and_without_what_was_sent():
    nasty = ("www.evil.example a@evil.example :material/home: ![x](http://evil.example/?q=1) "
             "<script>alert(1)</script> `a` :red[b] " + "long " * 500)
    told = str(translate(_openai_error(400, {"message": nasty}), SPEC))
    assert len(told) < 500
    assert not set("![]<>`()") & set(told)
    assert not re.search(r"://|www\.|@|:\S", told)
    # FastAPI's 422 repeats the whole request in `input`.
    body = {"detail": [{"msg": "Field required", "input": {"messages": "what somebody wrote"}}]}
    told = str(translate(_openai_error(422, body), SPEC))
    assert "Field required" in told
    assert "somebody" not in told


@pytest.mark.parametrize("body", [
    None, [], [[]], {}, {"error": None}, {"error": []}, "text", 7, "[" * 30_000,
    {"error": {"error": {"error": {"message": "deep"}}}},
], ids=lambda body: str(body)[:20])
def test_any_body_at_all_gives_a_sentence(body):
    for status in (400, 422, 429, 500):
        response = httpx2.Response(status, text=body if isinstance(body, str) else json.dumps(body),
                                   request=httpx2.Request("POST", "http://x"))
        error = httpx2.HTTPStatusError("x", request=response.request, response=response)
        assert isinstance(translate(error, SPEC), ParleyError)
        vendors = openai.APIStatusError("x", response=response, body=body)
        assert isinstance(translate(vendors, SPEC), ParleyError)


def test_a_time_out_of_asyncio_is_silence():
    async def late():
        async with asyncio.timeout(0.01):
            await asyncio.sleep(1)

    with pytest.raises(TimeoutError) as caught:
        asyncio.run(late())
    assert type(translate(caught.value, SPEC)) is errors.ServiceTimeoutError
