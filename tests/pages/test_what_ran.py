"""What ran, page by page: the request shown is the one received, and the code shown says the same.

The server's text is made of all that it was asked, so another question has another answer.
"""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from llm.catalog import get_model
from llm.code import program_of
from llm.keys import key_variable
from llm.replies import Reply
from llm.wire import shorten_pictures
from tests.app import ROOT, clean_environment
from tests.servers import recording

KEY = "sk-canary-0123456789abcdef"
MODELS = ("test-one", "test-two")
GREETING = "Grüße, {x}!"


class Consistent(recording.Answer):
    """Says what follows from the model, the messages and the settings, and from nothing else."""

    def answer(self, request: recording.Request) -> None:
        asked = request.json
        told = [asked.get(name) for name in ("model", "temperature", "top_p", "max_tokens", "seed")]
        told += [[message["role"], message["content"]] for message in asked["messages"]]
        words = f"I was asked {hashlib.sha256(json.dumps(told).encode()).hexdigest()}."
        if asked.get("stream"):
            self.stream([words[:20], words[20:]])
        else:
            self.send(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": {
                "role": "assistant", "content": words}}], "usage": recording.USAGE})


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[recording.Server]:
    """Two models with keys: a closed one, and an open one at Hugging Face's kind of service."""
    with recording.running(Consistent) as running:
        catalog = tmp_path / "models.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name}"\nprovider = "{provider}"\n'
            f'model = "org/{name}"\nbase_url = "{running.base_url}"\nopen = true\nvision = true\n'
            for name, provider in zip(MODELS, ("openai", "huggingface"), strict=True)))
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        for name in MODELS:
            monkeypatch.setenv(key_variable(get_model(name)), KEY)
        yield running


def open_page(name: str, *, model_key: str = "model") -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60)
    page.session_state[model_key] = MODELS[0]
    page.run()
    assert not page.exception
    return page


def press(page: AppTest, label: str) -> None:
    next(button for button in page.button if button.label == label).click().run()
    assert not page.exception


def last_of(page: AppTest, stage: str) -> tuple[str, Reply]:
    turn = page.session_state["transcripts"][stage].last
    return turn.id, turn.reply


def stage_01() -> tuple[AppTest, str, Reply]:
    page = open_page("01_simple_llm")
    page.text_area(key="text").set_value(GREETING).run()
    press(page, "Translate")
    return page, "there", page.session_state["translation"].reply


def stage_02() -> tuple[AppTest, str, Reply]:
    page = open_page("02_multimodal", model_key="model-that-sees")
    file = io.BytesIO()
    Image.effect_noise((64, 48), 60).save(file, "PNG")
    page.file_uploader(key="pictures").set_value(("a.png", file.getvalue(), "image/png")).run()
    press(page, "Describe it")
    return page, *last_of(page, "picture")


def stage_03() -> tuple[AppTest, str, Reply]:
    page = open_page("03_chatbot")
    for question in ("I am Ada.", GREETING):
        page.chat_input[0].set_value(question).run()
    return page, *last_of(page, "chatbot")


def stage_04() -> tuple[AppTest, str, Reply]:
    page = open_page("04_chatbot_with_memory")
    page.session_state["settings"] = True  # unfolded
    page.run().slider(key=f"temperature-{MODELS[0]}").set_value(0.5).run()
    for question in ("I am Ada.", GREETING):
        page.chat_input[0].set_value(question).run()
    return page, *last_of(page, "memory")


def a_race_pane() -> tuple[AppTest, str, Reply]:
    page = AppTest.from_file(str(ROOT / "pages" / "05_compare.py"), default_timeout=60)
    page.query_params["model"] = list(MODELS)
    page.run().chat_input[0].set_value(GREETING).run()
    turn = list(page.session_state["races"].values())[-1].panes[1].chat.last
    return page, turn.id, turn.reply


def show_part(page: AppTest, key: str, part: str) -> list[str]:
    """The texts to the letter in a part of the drawer."""
    page.session_state[f"what-ran-{key}"] = True
    page.session_state[f"what-ran-part-{key}"] = part
    page.session_state[f"indented-{key}"] = False
    page.run()
    assert not page.exception
    return [code.value for drawer in page.expander if drawer.label == "What ran"
            for code in drawer.code]


@pytest.mark.parametrize("go", [stage_01, stage_02, stage_03, stage_04, a_race_pane])
def test_the_request_shown_is_what_was_received_and_the_code_shown_says_the_same(
        server: recording.Server, tmp_path: Path, go) -> None:
    page, key, reply = go()
    assert reply.error is None and reply.text.startswith("I was asked ")
    received = [request for request in server.requests
                if request.json["model"] == f"org/{reply.model_id}"][-1]

    head, body, _curl = show_part(page, key, "Request")
    # Pictures alone are shortened.
    assert body == shorten_pictures(received.body.decode())
    assert ("characters)" in body) == (go is stage_02)
    first, *headers = head.split("\n")
    method, _, url = first.partition(" ")
    assert (method, url) == ("POST", server.base_url + "/chat/completions")
    assert received.path == "/v1/chat/completions"
    told = dict(line.split(": ", 1) for line in headers)
    assert told.pop("authorization") == "Bearer •••"
    assert received.headers.pop("authorization") == f"Bearer {KEY}"
    assert told == received.headers

    [code] = show_part(page, key, "Code")
    spec = get_model(reply.model_id)
    for name, data in program_of(reply, spec).pictures.items():
        (tmp_path / name).write_bytes(data)
    ended = subprocess.run(
        [sys.executable, "-I", "-c", code], cwd=tmp_path, text=True, capture_output=True,
        timeout=100, env=clean_environment(**{key_variable(spec): KEY}))
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == reply.text + "\n"
    assert KEY not in code


def test_an_error_that_came_in_one_piece_is_not_told_as_waits_between_pieces(
        server: recording.Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Consistent, "answer", lambda self, request: self.send(
        400, {"error": {"message": "No such setting."}}))
    page, key, reply = stage_04()
    assert reply.error
    show_part(page, key, "Response")
    told = [caption.value for caption in page.caption if "Response headers after" in caption.value]
    assert len(told) == 1 and "All of it came in one piece, after " in told[0]
