"""The memory lab in a browser, with the built-in model: who remembers is seen at a glance."""

import pytest
from playwright.sync_api import Page, expect

from llm.memory import STRATEGIES
from tests.browser.controls import choose
from tests.browser.test_first_reply import last_message, open_stage, say, whole_reply

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

LAB = "Ask the same under each memory"


def test_the_answers_under_each_memory_stand_side_by_side(page: Page, app_url: str):
    open_stage(page, app_url, "A chat with memory")
    say(page, "My name is Maria.")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    whole_reply(page)
    page.get_by_text(LAB).click()
    page.get_by_role("button", name="Ask under each memory: 6 requests").click()
    lab = page.get_by_test_id("stExpander").filter(has_text=LAB)
    expect(lab.get_by_text("tokens/s")).to_have_count(6, timeout=120_000)
    answers = {strategy.label: lab.get_by_test_id("stColumn").filter(
        has=page.get_by_text(strategy.label, exact=True)) for strategy in STRATEGIES.values()}
    knows = {label: "Maria" in answer.inner_text() for label, answer in answers.items()}
    assert knows == {label: label != "Nothing" for label in answers}
    boxes = [answer.bounding_box() for answer in answers.values()]
    assert len({box["y"] for box in boxes[:3]}) == len({box["y"] for box in boxes[3:]}) == 1
    # They are no part of the conversation.
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    say(page, "What is my name?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
    assert "Maria" in whole_reply(page) and "Maria" in last_message(page).inner_text()


def test_what_the_model_no_longer_sees_is_grey_and_counted(page: Page, app_url: str):
    open_stage(page, app_url, "A chat with memory")
    say(page, "My name is Maria.")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    whole_reply(page)
    said = page.get_by_test_id("stChatMessage").first.get_by_test_id("stMarkdownContainer").filter(
        has_text="My name is Maria.")
    expect(said).to_have_css("opacity", "1")
    choose(page.get_by_role("combobox", name="Memory"), "Nothing")
    expect(page.get_by_test_id("stBottom").get_by_text("2 of 2 messages")).to_be_visible()
    expect(said).to_have_css("opacity", "0.7")
