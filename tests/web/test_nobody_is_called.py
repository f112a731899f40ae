"""Starting the app, reading every page of it and asking its model calls nobody outside.

Not Streamlit, nor the Hugging Face Hub, nor LangSmith, and not with their keys at hand either.
"""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.app import start_app, wait_until
from tests.web.person import Person
from tests.web.session import read_page

WATCHED = Path(__file__).parent.parent / "servers" / "watched"
LOCAL = {"'127.0.0.1'", "'localhost'", "'::1'", "'0.0.0.0'", "'::'", "None", "b'localhost'",
         "b'127.0.0.1'"}
PAGES = re.findall(r'url_path="(\w+)"',
                   (WATCHED.parents[2] / "navigation.py").read_text("utf-8"))


KEYS = {"LANGSMITH_API_KEY": "lsv2_pt_planted0123456789", "LANGCHAIN_API_KEY": "lsv2_pt_planted",
        "HF_TOKEN": "hf_planted0123456789abcdef"}
"""Having a key is no order to send anything: LANGSMITH_TRACING would be."""


async def ask_the_model(url: str) -> None:
    async with Person(url, "ada") as person:
        await person.open("memory")
        await person.ask("What is the capital of France?")
        assert "Paris" in person.words, person.warnings


@pytest.mark.model
def test_nobody_outside_is_called(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    with start_app(tmp_path / "home", env={**KEYS, "PYTHONPATH": str(WATCHED), "CALLS": str(calls)},
                   args=["--server.address=0.0.0.0"]) as app:
        for page in ["", *PAGES]:
            assert len(read_page(app, page)) > 5
        # Streamlit alone would ask a service what this machine's address is, to compare.
        with pytest.raises(InvalidStatus):
            connect(f"ws://127.0.0.1:{app.port}/_stcore/stream", origin="http://evil.example")
        asyncio.run(ask_the_model(app.url))
        # So that it is known to be heard: the app asks its own engine how it is.
        wait_until(calls.exists, "a call to the app's own engine", seconds=60)
    called = {line.split(" ", 1)[1] for line in calls.read_text("utf-8").splitlines()}
    assert called - LOCAL == set()
