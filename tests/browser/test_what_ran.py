"""The drawer under an answer of the built-in model: opened and gone through by the keyboard."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app import ROOT, RunningApp, clean_environment
from tests.browser.controls import wait_until_at_rest
from tests.browser.drawer import PARTS, drawer_of
from tests.browser.test_first_reply import last_message, open_stage, say, whole_reply

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

expect.set_options(timeout=30_000)


def go_on_to(drawer: Locator, part: str) -> Locator:
    """With the arrow key, from the part before to this one. Returns what it shows."""
    before = drawer.get_by_role("tab", name=PARTS[PARTS.index(part) - 1], exact=True)
    before.press("ArrowRight")
    tab = drawer.get_by_role("tab", name=part, exact=True)
    expect(tab).to_have_attribute("aria-selected", "true")
    panel = drawer.get_by_role("tabpanel", name=part, exact=True)
    expect(panel.get_by_role("button", name="Download").first).to_be_visible()
    wait_until_at_rest(drawer.page)
    return panel


def shown(panel: Locator, number: int = 0) -> str:
    """A text to the letter."""
    return panel.get_by_test_id("stCode").nth(number).locator("code").first.text_content() or ""


def taken(button: Locator) -> str:
    """The file that a button downloads, by the keyboard."""
    with button.page.expect_download() as download:
        button.press("Enter")
    return Path(download.value.path()).read_text("utf-8")


def test_all_that_made_an_answer_is_a_few_keys_away(page: Page, app: RunningApp):
    open_stage(page, app.url, "A chat with memory")
    say(page, "Remember this: the name of the user is Ada.")
    whole_reply(page)
    say(page, "What is my name?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
    assert "Ada" in whole_reply(page)

    drawer = drawer_of(last_message(page))
    expect(drawer.get_by_role("tab")).to_have_count(0)
    drawer.locator("summary").press("Enter")
    messages = drawer.get_by_role("tabpanel", name="Messages", exact=True)
    expect(messages.get_by_text("Memory left nothing out.")).to_be_visible()
    assert "Remember this: the name of the user is Ada." in shown(messages)

    prompt = go_on_to(drawer, "Prompt")
    assert "<|im_start|>user\nWhat is my name?<|im_end|>\n<|im_start|>assistant" in shown(prompt)
    counted = re.search(r"(\d+) tokens by the model's own tokenizer; the engine counted (\d+)",
                        prompt.inner_text())
    assert counted is not None and counted[1] == counted[2]
    prompt.get_by_label("Token by token").press("Space")
    expect(prompt.get_by_text(re.compile(r"^ +1  <\|im_start\|>")).first).to_be_visible()
    assert len(shown(prompt).splitlines()) == int(counted[1])

    request = go_on_to(drawer, "Request")
    assert re.match(r"POST http://127\.0\.0\.1:\d+/v1/chat/completions\n", shown(request))
    assert "authorization: Bearer •••" in shown(request)
    assert json.loads(shown(request, 1))["messages"][-1]["content"] == "What is my name?"

    response = go_on_to(drawer, "Response")
    assert shown(response).startswith("200\n")
    assert json.loads(shown(response, 1))["finish_reason"] == "stop"
    expect(response.get_by_test_id("stVegaLiteChart").locator("canvas, svg").first).to_be_visible()

    code = go_on_to(drawer, "Code")
    program = shown(code)
    assert taken(code.get_by_role("button", name="Download")).rstrip() == program.rstrip()

    chain = go_on_to(drawer, "Chain")
    expect(chain.get_by_text("StrOutputParser", exact=True)).to_be_visible()
    everything = json.loads(taken(drawer.get_by_role("button", name="All of it as one file")))
    assert everything["code"].rstrip() == program.rstrip()

    printed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, text=True, capture_output=True, timeout=200,
        env=clean_environment(PARLEY_HOME=str(app.home)), check=True).stdout
    assert printed == everything["reply"]["text"] + "\n"

    drawer.locator("summary").press("Enter")
    expect(drawer.get_by_role("tab")).to_have_count(0)
