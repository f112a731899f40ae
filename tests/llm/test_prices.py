"""Prices carry their date; what has none says so instead of guessing."""

from importlib.metadata import version

import httpx2
import pytest
from langchain_core.output_parsers import StrOutputParser

from llm import create_chat_model, get_model, start_reply
from llm.catalog import ModelSpec
from llm.keys import where_text_goes
from llm.prices import PRICE_LIST_DATES, cost_of, price_of
from tests.servers import recording


def test_the_installed_price_list_has_its_date():
    assert version("genai-prices") in PRICE_LIST_DATES


@pytest.mark.parametrize("model_id", ["gpt-6-luna", "gemini-3.8-flash", "llama-3.3-70b"])
def test_hosted_models_have_a_dated_price(model_id):
    price = price_of(get_model(model_id))
    assert 0 < price.input < 100 and 0 < price.output < 100
    assert "20" in price.source


def test_cost_is_tokens_times_price():
    spec = get_model("gpt-6-luna")
    price = price_of(spec)
    assert cost_of(spec, 2_000_000, 1_000_000).usd == pytest.approx(2 * price.input + price.output)


def test_a_local_reply_is_free_and_says_it_is_local():
    cost = cost_of(get_model("smollm2-135m"), 10, 10)
    assert (cost.kind, cost.usd) == ("local", 0.0)


def test_a_server_of_ones_own_has_no_list_price():
    spec = ModelSpec(id="x", label="X", provider="openai", model="gpt-6-luna", open=False,
                     base_url="http://127.0.0.1:9/v1")
    assert price_of(spec) is None and cost_of(spec, 10, 10) is None


def test_another_address_in_the_environment_has_no_list_price_either(monkeypatch):
    spec = get_model("gpt-6-luna")
    with recording.running() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        reply = start_reply(create_chat_model(spec) | StrOutputParser(), "Hello", spec).wait(30)
    assert (reply.output_tokens, reply.cost) == (3, None)
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    assert (price_of(spec), where_text_goes(spec)) == (None, "goes to proxy.example")
    assert price_of(get_model("gemini-3.8-flash")) is not None


@pytest.mark.parametrize("url", ["", "https://api.openai.com/v1/"])
def test_openais_own_address_in_the_environment_has_openais_price(monkeypatch, url):
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert price_of(get_model("gpt-6-luna")) is not None


@pytest.mark.parametrize("variable", [
    "OPENAI_API_BASE", "OPENAI_PROXY", "GOOGLE_API_BASE", "HF_ENDPOINT", "HF_INFERENCE_ENDPOINT",
])
def test_no_other_variable_takes_what_is_typed_elsewhere(monkeypatch, variable):
    monkeypatch.setenv(variable, "http://127.0.0.1:9/v1")
    for model_id, host in {"gpt-6-luna": "api.openai.com", "llama-3.3-70b": "router.huggingface.co",
                           "gemini-3.8-flash": "generativelanguage.googleapis.com"}.items():
        spec = get_model(model_id)
        reply = start_reply(create_chat_model(spec, api_key="a-key") | StrOutputParser(),
                            "Hello", spec).wait(30)
        assert {httpx2.URL(exchange.url).host for exchange in reply.exchanges} == {host}
        assert where_text_goes(spec).startswith(f"goes to {host} ")
