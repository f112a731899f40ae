"""A person at the app, over its WebSocket, who counts what comes."""

from __future__ import annotations

import asyncio

from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from tests.web.person import PATIENCE, Person


class CountingPerson(Person):
    """Knows how many bytes the app has sent, as they are before the socket's compression."""

    received = 0

    async def _next(self) -> ForwardMsg:
        data = await asyncio.wait_for(self._socket.recv(), PATIENCE)
        self.received += len(data)
        return ForwardMsg.FromString(data)
