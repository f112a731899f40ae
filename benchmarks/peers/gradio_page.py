"""A chat page as Gradio's documentation has it, on the model server that MODEL_URL names."""

import sys
from collections.abc import AsyncIterator

import gradio
import httpx
from pieces import pieces_of


async def answer(message: str, history: list) -> AsyncIterator[str]:
    text = ""
    async with httpx.AsyncClient(timeout=600) as client:
        async for piece in pieces_of(client, message):
            text += piece
            yield text


gradio.ChatInterface(answer).launch(server_name="127.0.0.1", server_port=int(sys.argv[1]),
                                    quiet=True)
