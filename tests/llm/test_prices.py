"""Prices carry their date; what has none says so instead of guessing."""

from importlib.metadata import version

import pytest

from llm import get_model
from llm.catalog import ModelSpec
from llm.prices import PRICE_LIST_DATES, cost_of, price_of


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
