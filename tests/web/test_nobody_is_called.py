"""Starting the app and reading every page of it calls nobody outside this machine."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.app import start_app, wait_until
from tests.web.session import read_page

WATCHED = Path(__file__).parent.parent / "servers" / "watched"
LOCAL = {"'127.0.0.1'", "'localhost'", "'::1'", "'0.0.0.0'", "'::'", "None", "b'localhost'",
         "b'127.0.0.1'"}
PAGES = re.findall(r'url_path="(\w+)"',
                   (WATCHED.parents[2] / "navigation.py").read_text("utf-8"))


@pytest.mark.model
def test_nobody_outside_is_called(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with start_app(tmp_path / "home", env={"PYTHONPATH": str(WATCHED), "CALLS": str(calls)},
                   args=["--server.address=0.0.0.0"]) as app:
        for page in ["", *PAGES]:
            assert len(read_page(app, page)) > 5
        # Streamlit alone would ask a service what this machine's address is, to compare.
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{app.port}/_stcore/stream", origin="http://evil.example")
        # So that it is known to be heard: the app asks its own engine how it is.
        wait_until(calls.exists, "a call to the app's own engine", seconds=60)
    called = {line.split(" ", 1)[1] for line in calls.read_text("utf-8").splitlines()}
    assert called - LOCAL == set()
