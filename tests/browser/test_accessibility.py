"""Every page for everybody: axe in both themes, a phone's width, no mouse, another language."""

from __future__ import annotations

import re

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from tests.app import ROOT
from tests.browser.controls import choose
from tests.browser.test_first_reply import LONG, last_message, say, whole_reply

pytestmark = pytest.mark.model

expect.set_options(timeout=30_000)

PAGES = {"start": "Start", "translate": "1 One prompt", "picture": "2 A picture",
         "chat": "3 A chat without memory", "memory": "4 A chat with memory",
         "compare": "5 Side by side", "evaluate": "Prompt sets", "models": "Models",
         "scorecard": "Scorecard"}
"""A page's address -> its name in the menu."""

PHONE = {"width": 390, "height": 844}

OVERFLOW = """() => [document.scrollingElement, ...document.querySelectorAll(
  '[data-testid="stMain"], [data-testid="stAppScrollToBottomContainer"], '
  + '[data-testid="stMainBlockContainer"]')]
  .map(box => box.scrollWidth - box.clientWidth)"""

STREAMLITS_MENU = '[data-testid="stSidebarNav"]'
"""Its list has headings among the items. It is Streamlit's own, and no page's."""


def open_page(page: Page, url: str, address: str) -> None:
    page.goto(url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=PAGES[address]).click()
    expect(page.get_by_role("heading", level=1)).to_have_count(1)
    stands(page)


def stands(page: Page) -> None:
    """Nothing runs any more: the page is as it will be."""
    expect(page.get_by_test_id("stApp")).to_have_attribute("data-test-script-state", "notRunning")


def serious_violations(page: Page) -> list[str]:
    """What axe finds of the app's own making: the rule, and the elements."""
    found = Axe().run(page, context={"exclude": [STREAMLITS_MENU]},
                      options={"resultTypes": ["violations"]}).response["violations"]
    return [f"{rule['id']}: {[node['html'][:300] for node in rule['nodes']]}" for rule in found
            if rule["impact"] in ("serious", "critical")]


def check_both_themes(page: Page) -> None:
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        expect(page.get_by_test_id("stApp")).to_have_css("color-scheme", scheme)
        found = serious_violations(page)
        for _look in range(5):
            # What changes colour or is drawn anew in this very moment is faint, and passes.
            if not found:
                break
            page.wait_for_timeout(1_000)
            found = serious_violations(page)
        assert found == [], scheme


def check_width_of_a_phone(page: Page) -> None:
    page.set_viewport_size(PHONE)
    expect(page.locator("html")).to_have_css("width", f"{PHONE['width']}px")
    too_wide = page.evaluate(OVERFLOW)
    for _look in range(5):
        if max(too_wide) <= 0:
            break
        page.wait_for_timeout(1_000)  # A chart draws itself anew for its new width.
        too_wide = page.evaluate(OVERFLOW)
    assert max(too_wide) <= 0


def tab_to(page: Page, wanted: Locator, *, most: int = 120) -> None:
    """Press Tab until the element, or something in it, has the focus."""
    for _press in range(most):
        page.keyboard.press("Tab")
        if wanted.count() and wanted.first.evaluate(
                "element => element.contains(document.activeElement)"):
            return
    raise AssertionError(f"Not reached by {most} presses of Tab: {wanted}")


def test_no_page_is_forgotten_here():
    written = re.findall(r'url_path="(\w+)"', (ROOT / "navigation.py").read_text("utf-8"))
    assert sorted(["start", *written]) == sorted(PAGES)


@pytest.mark.parametrize("address", PAGES)
def test_a_page_has_no_serious_violation_in_either_theme_and_fits_a_phone(
        page: Page, app_url: str, address: str):
    open_page(page, app_url, address)
    check_both_themes(page)
    check_width_of_a_phone(page)


def test_a_chat_works_without_a_mouse_and_its_answer_has_no_serious_violation(
        page: Page, app_url: str):
    open_page(page, app_url, "chat")
    tab_to(page, page.locator("summary", has_text="Lesson: "))
    page.keyboard.press("Enter")
    expect(page.get_by_text("Predict.")).to_be_visible()
    box = page.get_by_test_id("stChatInputTextArea")
    tab_to(page, box)
    page.keyboard.type(LONG)
    page.keyboard.press("Enter")
    stop = page.get_by_test_id("stBottom").get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    tab_to(page, stop)
    page.keyboard.press("Enter")
    expect(last_message(page).get_by_text("Stopped by you.")).to_be_visible()
    stands(page)

    tab_to(page, box)
    page.keyboard.type("What is the capital of France?")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
    whole_reply(page)
    stands(page)
    tab_to(page, last_message(page).locator("summary", has_text="What ran"))
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Messages")).to_be_visible()
    stands(page)
    check_both_themes(page)
    check_width_of_a_phone(page)


def test_the_keyboard_goes_on_from_where_it_was_when_what_was_pressed_is_gone(
        page: Page, app_url: str):
    def press(name: str, place: Locator | None = None) -> None:
        (place or chat).get_by_role("button", name=name).focus()
        page.keyboard.press("Enter")

    open_page(page, app_url, "chat")
    chat = page.get_by_test_id("stAppScrollToBottomContainer")
    box = page.get_by_test_id("stChatInputTextArea")
    press("What is the capital of France?")
    expect(page.get_by_role("button", name="Try again")).to_be_visible()
    expect(box).to_be_focused()
    press("Edit")
    expect(page.get_by_label("Edit the message")).to_be_focused()
    press("Cancel")
    expect(page.get_by_role("button", name="Edit")).to_be_focused()
    press("Try again")
    expect(page.get_by_text("2 of 2")).to_be_visible()
    expect(page.get_by_role("button", name="Try again")).to_be_focused()
    press("Earlier version")
    expect(page.get_by_text("1 of 2")).to_be_visible()
    expect(page.get_by_role("button", name="Later version")).to_be_focused()
    press("Edit")
    expect(page.get_by_label("Edit the message")).to_be_focused()
    page.get_by_label("Edit the message").fill(LONG)
    press("Send", page.get_by_test_id("stForm"))
    press("Stop")
    expect(last_message(page).get_by_text("Stopped by you.")).to_be_visible()
    expect(box).to_be_focused()


def test_the_page_in_hindi_says_so_stays_so_and_leaves_what_was_chosen(page: Page, app_url: str):
    open_page(page, app_url, "memory")
    choose(page.get_by_role("combobox", name="Memory"), "Nothing")
    expect(page.get_by_text("Each message stands alone: cheap, and forgetful.")).to_be_visible()
    choose(page.get_by_test_id("stSidebar").get_by_role("combobox", name="Language"), "हिन्दी")
    chosen = page.get_by_test_id("stMainBlockContainer").get_by_role("combobox")
    expect(chosen).to_have_value("कुछ नहीं")
    page.locator("summary", has_text="अभ्यास: ").click()
    expect(page.get_by_text("अनुमान लगाएँ।")).to_be_visible()
    stands(page)
    expect(chosen).to_have_value("कुछ नहीं")

    page.get_by_test_id("stSidebarNav").get_by_role("link").first.click()
    for _visit in ("this one", "the next"):
        expect(page.get_by_text("पूरे हुए अभ्यास: 5 में से 0")).to_be_visible()
        expect(page.locator("html")).to_have_attribute("lang", "hi")
        page.reload()


def test_changing_the_language_keeps_what_is_being_written_and_leaves_no_warning(
        page: Page, own_app):
    app = own_app()

    def change_language(name: str) -> None:
        choose(page.locator(".st-key-language-choice").get_by_role("combobox"), name)
        expect(page.locator("html")).to_have_attribute("lang", "hi" if name == "हिन्दी" else "en")
        stands(page)

    open_page(page, app.url, "chat")
    say(page, "Name one colour.")
    whole_reply(page)
    stands(page)
    page.get_by_role("button", name="Edit").click()
    page.get_by_label("Edit the message").fill("Name two colours.")
    page.get_by_label("Edit the message").blur()
    change_language("हिन्दी")
    expect(page.get_by_label("संदेश बदलें")).to_have_value("Name two colours.")
    for number, name in ((1, "English"), (2, "हिन्दी"), (4, "English")):
        page.get_by_test_id("stSidebarNav").get_by_role("link").nth(number).click()
        stands(page)
        change_language(name)
    assert "default value" not in app.printed and "Traceback" not in app.printed
