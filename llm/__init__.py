"""Parley's models, chains and replies, for the app and for a notebook alike.

    from llm import build_chat_chain, create_chat_model, get_model, start_reply

    spec = get_model("smollm2-135m")
    chain = build_chat_chain(create_chat_model(spec))
    chain.invoke({"system": "", "history": [], "message": [("human", "Hello!")]})

No Streamlit in here, no torch, no transformers, no session and no secrets file.
"""

from __future__ import annotations

import importlib
from typing import Any

_MODULES = {
    "catalog": ("ModelSpec", "get_model", "list_models"),
    "chains": ("build_chat_chain", "build_image_chain", "build_translation_chain",
               "image_message"),
    "errors": ("ParleyError", "UnknownModelError"),
    "providers": ("bind_settings", "create_chat_model"),
    "replies": ("Ending", "Reply", "start_reply"),
}
"""Where each name is. Loaded when it is asked for: LangChain's chains and models take longer than
all else that the app loads. What answers a browser does without, and so does what draws a chat,
which of LangChain has the messages alone: see web.warm_up."""

__all__ = [name for names in _MODULES.values() for name in names]


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            return getattr(importlib.import_module(f"llm.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
