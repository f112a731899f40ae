"""Parley's models, chains and replies, for the app and for a notebook alike.

    from llm import build_chat_chain, create_chat_model, get_model, start_reply

    spec = get_model("smollm2-135m")
    chain = build_chat_chain(create_chat_model(spec))
    chain.invoke({"system": "", "history": [], "message": [("human", "Hello!")]})

No Streamlit in here, no torch, no transformers, no session and no secrets file.
"""

from llm.catalog import ModelSpec, get_model, list_models
from llm.chains import build_chat_chain, build_image_chain, build_translation_chain, image_message
from llm.errors import ParleyError, UnknownModelError
from llm.providers import create_chat_model
from llm.replies import Ending, Reply, start_reply

__all__ = [
    "Ending", "ModelSpec", "ParleyError", "Reply", "UnknownModelError",
    "build_chat_chain", "build_image_chain", "build_translation_chain",
    "create_chat_model", "get_model", "image_message", "list_models", "start_reply",
]
