"""Opens a page of the app as a browser does, and keeps all that the app sends for it."""

from __future__ import annotations

from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.sync.client import connect

from tests.app import RunningApp


def read_page(app: RunningApp, page: str = "") -> list[ForwardMsg]:
    """The messages of one run of `page`, which is the last part of its address."""
    messages = []
    with connect(f"ws://127.0.0.1:{app.port}/_stcore/stream", origin=app.url,
                 subprotocols=["streamlit"], max_size=None) as websocket:
        request = BackMsg()
        request.rerun_script.page_name = page
        websocket.send(request.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            messages.append(ForwardMsg.FromString(websocket.recv(timeout=60)))
    return messages
