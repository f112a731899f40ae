"""A chat page as Chainlit's documentation has it, on the model server that MODEL_URL names."""


import chainlit
import httpx
from pieces import pieces_of


@chainlit.on_message
async def answer(message: chainlit.Message) -> None:
    reply = chainlit.Message(content="")
    async with httpx.AsyncClient(timeout=600) as client:
        async for piece in pieces_of(client, message.content):
            await reply.stream_token(piece)
    await reply.update()
