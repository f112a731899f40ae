"""What is loaded ahead, and what the garbage collector then has to look at."""

from __future__ import annotations

import gc
import json
import logging
import subprocess
import sys
import threading

import pytest

from tests.app import ROOT, clean_environment, wait_until
from web import warm_up

AFTERWARDS = """
import gc, json, sys, time
import app
from web import warm_up

def loaded(*names):
    return [name for name in names if name in sys.modules]

before = loaded("langchain_core", "sqlalchemy", "pydantic")
drawn = []
warming = warm_up.start(drawn.append, patience=0, later=0)
while not drawn:
    time.sleep(0.01)
drawn[0].wait()
at_first_page = loaded(
    *warm_up.DRAWING, "langchain_core.runnables", "langchain_huggingface", "langchain_openai")
warming.join()
looked_at = len(gc.get_objects())

import llm
from llm.catalog import ModelSpec
from tests.servers.fixed_rate import fixed_rate

at_first_reply = {}
for provider in ("huggingface", "openai"):
    known = set(sys.modules)
    with fixed_rate("Hello!") as server:
        spec = ModelSpec(id="m", label="M", provider=provider, model="m", open=True,
                         base_url=server.base_url)
        reply = llm.start_reply(
            llm.build_chat_chain(llm.create_chat_model(spec, api_key="k")),
            {"system": "", "history": [], "message": [("human", "Hello")]}, spec).wait(30)
    at_first_reply[reply.text, provider] = sorted(set(sys.modules) - known)
print(json.dumps({
    "before": before, "at_first_page": at_first_page,
    "at_first_reply": list(at_first_reply.items()),
    "heavy": loaded("pandas", "altair", "pyarrow", "torch"),
    "collects": gc.isenabled(), "frozen": gc.get_freeze_count(), "looked_at": looked_at}))
"""


@pytest.fixture(scope="module")
def afterwards() -> dict:
    done = subprocess.run([sys.executable, "-c", AFTERWARDS], cwd=ROOT, env=clean_environment(),
                          capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def test_a_browser_is_answered_before_what_pages_need_is_loaded(afterwards: dict) -> None:
    assert afterwards["before"] == []


def test_a_chat_is_drawn_without_langchains_chains_and_models(afterwards: dict) -> None:
    assert afterwards["at_first_page"] == [*warm_up.DRAWING]


def test_what_charts_need_is_not_loaded_ahead(afterwards: dict) -> None:
    assert afterwards["heavy"] == []


def test_the_first_reply_loads_nothing_that_would_count_as_its_models_time(
        afterwards: dict) -> None:
    assert afterwards["at_first_reply"] == [
        [["Hello!", "huggingface"], []], [["Hello!", "openai"], []]]


def test_what_modules_hold_is_not_looked_at_after_every_run_of_a_page(afterwards: dict) -> None:
    assert afterwards["collects"]
    assert afterwards["frozen"] > 100_000
    assert afterwards["looked_at"] < 5_000


def test_what_cannot_be_loaded_is_told_in_the_log_alone(
        monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr(warm_up, "DRAWING", ("components.no_such_module",))
    monkeypatch.setattr(warm_up, "_rehearse", lambda provider: None)
    monkeypatch.setattr(gc, "freeze", lambda: None)
    with caplog.at_level(logging.ERROR, "web.warm_up"):
        warm_up.start(lambda hold: None, patience=0, later=0).join()
    assert "components.no_such_module" in caplog.text
    assert gc.isenabled()


def test_the_engine_waits_until_the_first_page_was_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(warm_up, "DRAWING", ())
    monkeypatch.setattr(warm_up, "_rehearse", lambda provider: None)
    monkeypatch.setattr(warm_up, "BROWSERS_TIME", 0)
    monkeypatch.setattr(warm_up, "first_page_sent", threading.Event())
    monkeypatch.setattr(gc, "freeze", lambda: None)
    asked_for: list[threading.Event] = []
    warming = warm_up.start(asked_for.append, patience=60, later=0)
    wait_until(lambda: asked_for, "the engine is on its way")
    assert not asked_for[0].wait(0.3)
    warm_up.first_page_sent.set()
    assert asked_for[0].wait(10)
    warming.join()
