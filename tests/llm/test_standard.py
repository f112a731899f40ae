"""LangChain's own standard suites, on the chat models that the app builds.

On each local engine, through `OpenChat`; and through `OpenAIChat` on a real server that
it finds by OPENAI_BASE_URL, the way a person would point it there.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from llm import create_chat_model, get_model
from llm.catalog import ModelSpec
from llm.chat_models import Address, ChatCompletions, OpenChat
from llm.connections import open_async_client, open_client
from llm.local_engines import engine_for
from llm.openai_chat import OpenAIChat


@pytest.fixture
def benchmark():
    """Runs what langchain-tests would have measured: here it is enough that it runs."""
    return lambda function, *args, **kwargs: function(*args, **kwargs)


@pytest.fixture
def snapshot():
    """Compared with what a serializable model is written as: these are not."""


@pytest.fixture
def vcr():
    """Would replay recorded answers: the engines here answer themselves."""


class _Standard:
    """Switches that hold for every model here: each is off for the reason beside it."""

    # SmolLM2-135M was not trained to call tools, and its chat template has no place for them.
    has_tool_calling = False
    has_tool_choice = False
    # ChatHuggingFace gives dicts where the suite wants instances, and without a grammar
    # a model of this size does not keep to a schema.
    has_structured_output = False
    supports_json_mode = False
    # It has no eyes and no ears.
    supports_image_inputs = False
    supports_image_urls = False
    supports_pdf_inputs = False
    supports_audio_inputs = False
    supports_video_inputs = False
    supports_image_tool_message = False
    supports_pdf_tool_message = False
    # The blocks are Anthropic's own.
    supports_anthropic_inputs = False
    # An engine serves the one model it was started for.
    supports_model_override = False
    # Cassettes are for services that cost money.
    enable_vcr_tests = False


class TestOpenChat(_Standard, ChatModelUnitTests):
    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        place = Address("http://127.0.0.1:9/v1", "org/m")
        model = OpenChat.at(place, "org/m", open_client(with_key=False),
                            open_async_client(with_key=False))
        assert isinstance(model.llm.client, ChatCompletions)
        return {"llm": model.llm}


class TestOpenAIChat(_Standard, ChatModelUnitTests):
    # Binding tools and schemas needs no model: ChatOpenAI's own, unharmed.
    has_tool_calling = True
    has_tool_choice = True
    has_structured_output = True

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenAIChat

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {"model": "m", "api_key": "test"}

    @property
    def init_from_env_params(self) -> tuple[dict, dict, dict]:
        return {"OPENAI_API_KEY": "from-env"}, {"model": "m"}, {"openai_api_key": "from-env"}


@pytest.mark.model
class _OnAnEngine(_Standard, ChatModelIntegrationTests):
    """Greedy and short, as the suite wants it; else as the app has it."""

    model_id: str

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenChat

    @property
    def standard_chat_model_params(self) -> dict[str, Any]:
        return {"temperature": 0, "max_tokens": 24}

    @property
    def chat_model_params(self) -> dict[str, Any]:
        """As the app has it: what `create_chat_model` set, to be set again. The suite makes some
        models with these alone, which would talk for as long as the window is wide."""
        model = create_chat_model(self.spec())
        return {name: getattr(model, name) for name in model.model_fields_set} \
            | self.standard_chat_model_params

    def spec(self) -> ModelSpec:
        return get_model(self.model_id)


class TestLlamaCpp(_OnAnEngine):
    model_id = "smollm2-135m"


class TestTransformers(_OnAnEngine):
    model_id = "smollm2-135m-transformers"


class TestOpenAIChatByBaseUrl(_OnAnEngine):
    """`transformers serve` as somebody's OpenAI-compatible server."""

    model_id = "smollm2-135m-transformers"

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return OpenAIChat

    @pytest.fixture(autouse=True)
    def _point_there(self, monkeypatch: pytest.MonkeyPatch) -> None:
        endpoint = engine_for(get_model(self.model_id)).wait_ready()
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.base_url)
        monkeypatch.setenv("OPENAI_API_KEY", endpoint.api_key)
        self.served_name = endpoint.model_name

    def spec(self) -> ModelSpec:
        return ModelSpec(id="served", label="Served", provider="openai", model=self.served_name,
                         open=True)


@pytest.fixture(scope="module", autouse=True)
def _end_the_engines() -> Iterator[None]:
    yield
    for suite in (TestLlamaCpp, TestTransformers):
        engine_for(get_model(suite.model_id)).stop()
