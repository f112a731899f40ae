"""From a catalog entry to a LangChain chat model: one function a provider.

    model = create_chat_model(get_model("smollm2-135m"))
    model.invoke("What is the capital of France?").text

Adding a provider is one function and one entry in PROVIDERS (and its name in
`ModelSpec.provider`). Creating a model contacts nobody; a local engine starts then, and
whoever asks it first waits for it.

This module does not know prompts, pages, or how a reply is run.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessage
from langchain_core.runnables import Runnable
from pydantic import SecretStr
from tokenizers import Tokenizer

from llm import connections
from llm.catalog import ModelSpec
from llm.chat_models import Address, OpenChat
from llm.keys import SERVICES, base_url, find_key, key_variable, needs_key, where_text_goes
from llm.local_engines import LOCAL_ENGINES, Endpoint, engine_to_ask
from llm.weights import tokenizer_file

__all__ = [
    "PROVIDERS", "bind_settings", "create_chat_model",
    "key_variable", "needs_key", "where_text_goes",
]

LOCAL_SILENCE = 600.0
"""Seconds that an engine on this machine, which is watched, may take to read a long prompt."""


def create_chat_model(spec: ModelSpec, *, api_key: str | None = None) -> BaseChatModel:
    """The model as LangChain has them: invokes, streams, reports usage, sync and async.

    The key is `api_key`, else the one in `key_variable(spec)`. Raises `MissingKeyError`
    or `InvalidKeyError` for it, and `WeightsMissingError` for a model yet to be fetched.
    """
    return PROVIDERS[spec.provider](spec, api_key)


def bind_settings(model: BaseChatModel, spec: ModelSpec, settings: Mapping[str, Any]
                  ) -> Runnable[LanguageModelInput, AIMessage]:
    """`model` with those settings that it takes: temperature, top_p, max_tokens and seed, or of
    the picture reader `mode` and `say`."""
    return model.bind(**{
        name: value for name, value in settings.items()
        if name != "system" and value is not None and spec.supports(name)
    })


def _openai(spec: ModelSpec, api_key: str | None) -> BaseChatModel:
    from llm.openai_chat import OpenAIChat

    key, url = find_key(spec, api_key), base_url(spec)
    return OpenAIChat(
        model=spec.model,
        base_url=url,
        # The library wants one even where none is sent.
        api_key=SecretStr(key or "none"),
        http_client=connections.open_client(
            with_key=key is not None, public_only=spec.public_only),
        http_async_client=connections.open_async_client(
            with_key=key is not None, public_only=spec.public_only),
        # Else it would read OPENAI_PROXY, and refuse it beside clients.
        openai_proxy="",
        timeout=connections.timeouts(),
        max_retries=0,
        stream_chunk_timeout=None,
        stream_usage=True,
        use_responses_api=False,
        renames_max_tokens=SERVICES["openai"].owns(url or ""),
    )


def _huggingface(spec: ModelSpec, api_key: str | None) -> BaseChatModel:
    return OpenChat.at(
        Address(base_url(spec) or "", spec.model, find_key(spec, api_key)),
        spec.model,
        connections.open_client(with_key=True, public_only=spec.public_only),
        connections.open_async_client(with_key=True, public_only=spec.public_only),
    )


def _local(spec: ModelSpec, api_key: str | None) -> BaseChatModel:
    engine_to_ask(spec).start()
    patience = dataclasses.replace(connections.PATIENCE, silence=LOCAL_SILENCE)
    return OpenChat.at(
        _EnginePlace(spec),
        spec.model,
        connections.open_client(with_key=True, patience=patience),
        connections.open_async_client(with_key=True, patience=patience),
    )


@dataclasses.dataclass(frozen=True)
class _EnginePlace:
    """A local engine's address. One that died or was idle starts again, elsewhere."""

    spec: ModelSpec

    def find(self) -> Address:
        return self._address(engine_to_ask(self.spec).wait_ready())

    async def afind(self) -> Address:
        return self._address(await engine_to_ask(self.spec).ready())

    def _address(self, endpoint: Endpoint) -> Address:
        return Address(endpoint.base_url, endpoint.model_name, endpoint.api_key,
                       _special_tokens(self.spec), LOCAL_ENGINES[self.spec.engine].to_repeat,
                       sees=self.spec.vision)


def _reader(spec: ModelSpec, api_key: str | None) -> BaseChatModel:
    from llm.picture_reader import PictureReaderModel

    return PictureReaderModel()


PROVIDERS: dict[str, Callable[[ModelSpec, str | None], BaseChatModel]] = {
    "openai": _openai,
    "google": _openai,
    "huggingface": _huggingface,
    "local": _local,
    "reader": _reader,
}
"""By `ModelSpec.provider`: what makes the chat model of an entry, given a key or None."""


@functools.cache
def _special_tokens(spec: ModelSpec) -> frozenset[str]:
    """Those of a model whose weights are here: a ready engine's."""
    file = tokenizer_file(spec)
    if file is None:
        return frozenset()
    added = Tokenizer.from_file(str(file)).get_added_tokens_decoder().values()
    return frozenset(token.content for token in added if token.special)
