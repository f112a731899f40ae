"""What is loaded ahead, and what the garbage collector then has to look at."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys

import pytest

from tests.app import ROOT, clean_environment
from web import warm_up

AFTERWARDS = """
import gc, json, sys
import app
from web import warm_up

before = [name for name in ("langchain_core", "sqlalchemy", "pydantic") if name in sys.modules]
warm_up.start(lambda: None, later=0).join()
looked_at = len(gc.get_objects())
print(json.dumps({
    "before": before,
    "loaded": [name for name in (*warm_up.MODULES, *warm_up.LATER_MODULES) if name in sys.modules],
    "heavy": [name for name in ("pandas", "altair", "pyarrow", "torch") if name in sys.modules],
    "collects": gc.isenabled(), "frozen": gc.get_freeze_count(), "looked_at": looked_at}))
"""


@pytest.fixture(scope="module")
def afterwards() -> dict:
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], cwd=ROOT, env=clean_environment(),
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_browser_is_answered_before_what_pages_need_is_loaded(afterwards: dict) -> None:
    assert afterwards["before"] == []


def test_a_chats_modules_are_there_and_those_of_charts_are_not(afterwards: dict) -> None:
    assert afterwards["loaded"] == [*warm_up.MODULES, *warm_up.LATER_MODULES]
    assert afterwards["heavy"] == []


def test_what_modules_hold_is_not_looked_at_after_every_run_of_a_page(afterwards: dict) -> None:
    assert afterwards["collects"]
    assert afterwards["frozen"] > 100_000
    assert afterwards["looked_at"] < 5_000


def test_what_cannot_be_loaded_is_told_in_the_log_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(warm_up, "MODULES", ("components.no_such_module",))
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with caplog.at_level(logging.ERROR, "web.warm_up"):
        warm_up.start(lambda: None, later=0).join()
    assert "components.no_such_module" in caplog.text
    assert gc.isenabled()
