"""From a chosen model to one that a chain can use: key found, engine ready, settings bound."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import llm
from components.engines import wait_for_engine
from components.keys import key_for
from components.language import say_elsewhere
from components.limits import count_message
from llm.catalog import ModelSpec

if TYPE_CHECKING:
    from langchain_core.language_models import LanguageModelLike


def ready_model(spec: ModelSpec, settings: Mapping[str, Any]) -> LanguageModelLike:
    """The chat model with its settings bound; shows a local engine's progress while it starts.

    It counts as one reply asked for. Raises a `ParleyError`: too many of those, no key, no
    weights, an engine that does not start.
    """
    count_message()
    wait_for_engine(spec)
    return llm.bind_settings(llm.create_chat_model(spec, api_key=key_for(spec)), spec,
                             {**settings, "say": say_elsewhere()})
