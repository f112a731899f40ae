"""A reply that nobody gives, so that the first real one finds everything loaded.

What LangChain, the clients and the transport load when they are first used takes a third of a
second. It would count as the first model's time to its first token, and in a race against it.

This module does not know when there is time for that: see web.warm_up.
"""

from __future__ import annotations

import socket

from llm.catalog import ModelSpec
from llm.chains import build_chat_chain
from llm.providers import create_chat_model
from llm.replies import Limits, start_reply

SECONDS = 2.0
"""The refused connection is tried again for so long."""


def rehearse(provider: str) -> None:
    """Ask a model of this provider at an address of this machine where nobody listens. Waits."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        spec = ModelSpec(id="nobody", label="nobody", provider=provider, model="nobody", open=True,
                         base_url=f"http://127.0.0.1:{nobody.getsockname()[1]}/v1")
        chain = build_chat_chain(create_chat_model(spec, api_key="nobody"))
        inputs = {"system": "", "history": [], "message": [("human", "Is anybody there?")]}
        start_reply(chain, inputs, spec, limits=Limits(seconds=SECONDS)).wait()
