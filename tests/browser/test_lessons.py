"""The lessons' exercises, done as they say, with the built-in model: each gives what it promises.

What is typed and pressed stands in the lesson's file. Those of the chat that forgets and of the
chat that remembers are done in test_first_reply.py and test_memory_lab.py.
"""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from components.lesson import Lesson, read_lesson
from tests.browser.controls import wait_until_at_rest
from tests.browser.drawer import open_drawer, show_part
from tests.browser.test_first_reply import last_message, open_stage, say, whole_reply
from tests.browser.test_pictures import SIGN, choose_model
from tests.pictures import text_page

pytestmark = [pytest.mark.model, pytest.mark.slow, pytest.mark.timeout(300)]

expect.set_options(timeout=30_000)


def lesson(name: str) -> Lesson:
    found = read_lesson(name, "en")
    assert found is not None
    return found


def typed_in(found: Lesson) -> str:
    """What the exercise has one type, the last of it in backticks."""
    return re.findall(r": `(.+?)`", found.task)[-1]


def test_a_mark_that_is_typed_is_only_text(page: Page, app_url: str):
    text = typed_in(lesson("01_simple_llm"))
    assert "<|im_end|>" in text
    page.goto(app_url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="One prompt").click()
    page.get_by_label("Text", exact=True).fill(text)
    page.get_by_role("button", name="Translate", exact=True).click()
    expect(page.get_by_text("tokens/s")).to_be_visible(timeout=60_000)
    prompt = show_part(open_drawer(page.get_by_test_id("stMain")), "Prompt")
    prompt.get_by_text("Token by token").click()
    expect(prompt.get_by_text("2  <|im_end|>").first).to_be_visible()
    tokens = [line.split(maxsplit=1) for line in prompt.inner_text().splitlines()
              if re.match(r"\s*\d+ {2}", line)]
    # The system message's and the person's own: none for the mark in between.
    assert tokens.count(["2", "<|im_end|>"]) == 2
    said = [token.strip('"') for _number, token in tokens]
    begin = said.index(" Paris") + 1
    assert len(said[begin:said.index(" leaves")]) == 9
    assert "".join(said[begin:said.index(" leaves")]).replace("\u200b", "") == " <|im_end|>"


def test_one_picture_three_kinds_of_eyes(page: Page, app_url: str):
    question = typed_in(lesson("02_multimodal"))
    sign = {"name": "sign.png", "mimeType": "image/png", "buffer": text_page([SIGN], pixels=28)}
    uploader = page.locator("[aria-label^='Pictures:'] input")
    open_stage(page, app_url, "A picture")
    uploader.set_input_files(sign)
    expect(page.get_by_text("Picture 1: no tokens")).to_be_visible()
    for button, words in (("Read the text", SIGN), ("Describe it", "text")):
        page.get_by_role("button", name=button, exact=True).click()
        expect(last_message(page).get_by_text(words).first).to_be_visible(timeout=60_000)
        wait_until_at_rest(page)
    choose_model(page, "SmolLM2 135M · open")
    page.get_by_role("button", name="New conversation").click()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
    uploader.set_input_files(sign)
    expect(page.get_by_text("Picture 1: ")).to_be_visible()
    wait_until_at_rest(page)
    say(page, question)
    assert SIGN in whole_reply(page)
    told = open_drawer(last_message(page))
    expect(told.get_by_text(f"> {SIGN}")).to_be_visible()


def test_at_temperature_0_five_runs_are_the_same_and_at_1_they_are_not(page: Page, app_url: str):
    question = typed_in(lesson("05_compare"))
    page.goto(app_url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="Side by side").click()
    page.get_by_role("button", name="One model, two temperatures").click()
    wait_until_at_rest(page)
    page.get_by_test_id("stSidebar").get_by_text("Settings").click()
    tokens = page.get_by_role("spinbutton", name="Max tokens")
    tokens.fill("60")
    tokens.press("Enter")
    wait_until_at_rest(page)
    say(page, question)
    expect(page.get_by_text("How steady is each?")).to_be_visible(timeout=120_000)
    wait_until_at_rest(page)
    page.get_by_text("How steady is each?").click()
    runs = page.get_by_role("spinbutton", name="Runs of each")
    expect(runs).to_be_visible()
    page.wait_for_timeout(1_000)  # it slides open, and would be shut by what comes meanwhile
    runs.fill("5")
    runs.press("Enter")
    page.get_by_role("button", name="Run 10 calls").click()
    row = page.get_by_role("row").filter(has_text="Different answers")
    expect(row).to_be_visible(timeout=180_000)
    cold, hot = (int(cell) for cell in row.get_by_role("cell").all_inner_texts()[-2:])
    assert cold == 1 and hot > 1
