"""Starting the app and reading every page of it calls nobody outside this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.app import RunningApp, start_app, wait_until

WATCHED = Path(__file__).parent.parent / "servers" / "watched"
LOCAL = {"'127.0.0.1'", "'localhost'", "'::1'", "'0.0.0.0'", "'::'", "None", "b'localhost'",
         "b'127.0.0.1'"}
PAGES = re.findall(r'url_path="(\w+)"',
                   (WATCHED.parents[2] / "navigation.py").read_text("utf-8"))


def read_page(app: RunningApp, page: str) -> list[ForwardMsg]:
    """Open a page as a browser does, and return all that the app sent for it."""
    messages = []
    with connect(f"{app.url.replace('http', 'ws')}/_stcore/stream", origin=app.url,
                 subprotocols=["streamlit"], max_size=None) as websocket:
        request = BackMsg()
        request.rerun_script.page_name = page
        websocket.send(request.SerializeToString())
        while not messages or messages[-1].WhichOneof("type") != "script_finished":
            messages.append(ForwardMsg.FromString(websocket.recv(timeout=60)))
    return messages


@pytest.mark.model
def test_nobody_outside_is_called(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with start_app(tmp_path / "home", env={"PYTHONPATH": str(WATCHED), "CALLS": str(calls)},
                   args=["--server.address=0.0.0.0"]) as app:
        for page in ["", *PAGES]:
            assert len(read_page(app, page)) > 5
        # Streamlit alone would ask a service what this machine's address is, to compare.
        with pytest.raises(InvalidStatus):
            connect(f"{app.url.replace('http', 'ws')}/_stcore/stream", origin="http://evil.example")
        # So that it is known to be heard: the app asks its own engine how it is.
        wait_until(calls.exists, "a call to the app's own engine", seconds=60)
    called = {line.split(" ", 1)[1] for line in calls.read_text("utf-8").splitlines()}
    assert called - LOCAL == set()
