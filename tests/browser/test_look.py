"""What the app's own styles are for: writing from the right, and a narrow phone's lines."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.test_first_reply import open_stage, say, whole_reply

GREETING = "مرحبا بالعالم."

ENDS = """words => {
  const text = document.createTreeWalker(words, NodeFilter.SHOW_TEXT).nextNode();
  const at = index => {
    const range = document.createRange();
    range.setStart(text, index);
    range.setEnd(text, index + 1);
    return range.getBoundingClientRect();
  };
  const box = words.getBoundingClientRect();
  return {first: at(0).right, stop: at(text.length - 1).left, left: box.left, right: box.right};
}"""
"""Where a paragraph's first letter ends and its full stop begins, and the paragraph itself."""


@pytest.mark.model
def test_what_is_written_from_the_right_begins_at_the_right_and_ends_at_the_left(
        page: Page, app_url: str):
    open_stage(page, app_url, "A chat without memory")
    say(page, GREETING)
    whole_reply(page)
    at = page.get_by_text(GREETING, exact=True).first.evaluate(ENDS)
    assert at["stop"] < at["first"]
    assert at["right"] - at["first"] < 5 < at["stop"] - at["left"]

    say(page, "Good day.")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
    at = page.get_by_text("Good day.", exact=True).first.evaluate(ENDS)
    assert at["left"] <= at["first"] < at["stop"] < at["right"]


def test_on_a_narrow_phone_the_way_in_can_be_read_to_its_end(page: Page, app_url: str):
    page.set_viewport_size({"width": 360, "height": 740})
    page.goto(app_url)
    links = page.get_by_test_id("stPageLink-NavLink")
    expect(links).to_have_count(5)
    for link in links.all():
        assert link.locator("p").evaluate("words => words.scrollWidth - words.clientWidth") <= 0
