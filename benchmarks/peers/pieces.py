"""The pieces of a model server's reply, for the pages beside this file.

They run in an environment of their own, which has nothing of Parley's.
"""

import json
import os
from collections.abc import AsyncIterator

import httpx


async def pieces_of(client: httpx.AsyncClient, question: str) -> AsyncIterator[str]:
    """Of the likeliest reply of MODEL_TOKENS tokens from MODEL_URL (up to /v1), key MODEL_KEY."""
    body = {"model": os.environ["MODEL_NAME"], "stream": True, "temperature": 0,
            "max_tokens": int(os.environ["MODEL_TOKENS"]),
            "messages": [{"role": "user", "content": question}]}
    async with client.stream(
            "POST", f"{os.environ['MODEL_URL']}/chat/completions", json=body,
            headers={"authorization": f"Bearer {os.environ['MODEL_KEY']}"}) as response:
        async for line in response.aiter_lines():
            if line.startswith("data: {"):
                for choice in json.loads(line[6:]).get("choices", ()):
                    if piece := choice.get("delta", {}).get("content"):
                        yield piece
