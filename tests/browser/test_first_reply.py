"""From a fresh profile to a streamed reply, as somebody new goes about it."""

import re
import time

import pytest
from playwright.sync_api import Page, expect

from tests.app import wait_until
from tests.browser.controls import choose

pytestmark = pytest.mark.model

expect.set_options(timeout=30_000)  # on a busy machine a page takes its time

LONG = "Write a long story about a fox, a river and a very old bridge."


def say(page: Page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")


def open_stage(page: Page, url: str, name: str) -> None:
    page.goto(url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible()



def last_message(page: Page):
    return page.get_by_test_id("stChatMessage").last


def whole_reply(page: Page) -> str:
    """The last message's text, once it has its figures."""
    expect(last_message(page).get_by_text("tokens/s")).to_be_visible(timeout=60_000)
    return last_message(page).inner_text()


def test_the_built_in_model_answers_streams_stops_and_answers_again(page: Page, app_url: str):
    open_stage(page, app_url, "A chat without memory")
    say(page, "What is the capital of France?")
    first = whole_reply(page)
    assert "Paris" in first
    assert re.search(r"first token .* total .* tokens/s .* tokens in .* out .* free, on this",
                     first)

    page.get_by_test_id("stSidebar").get_by_text("Settings").click()
    page.get_by_role("spinbutton", name="Max tokens").fill("4000")
    page.get_by_role("spinbutton", name="Max tokens").press("Enter")
    say(page, LONG)
    stop = page.get_by_test_id("stBottom").get_by_role("button", name="Stop")
    expect(stop).to_be_visible()
    wait_until(lambda: len(last_message(page).inner_text()) > 60, "the text grows")
    shorter = len(last_message(page).inner_text())
    wait_until(lambda: len(last_message(page).inner_text()) > shorter + 40, "it goes on growing")
    stop.click()
    expect(last_message(page).get_by_text("Stopped by you.")).to_be_visible()
    stopped = last_message(page).inner_text()
    time.sleep(1)
    assert last_message(page).inner_text() == stopped

    say(page, "What is the capital of Japan?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(6)
    assert "Tokyo" in whole_reply(page)


def test_stage_04_remembers_the_name_that_stage_03_does_not(page: Page, app_url: str):
    for stage, remembers in (("A chat without memory", False), ("A chat with memory", True)):
        open_stage(page, app_url, stage)
        say(page, "Remember this: the name of the user is Ada.")
        expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
        whole_reply(page)
        say(page, "What is my name?")
        expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
        assert ("Ada" in whole_reply(page)) == remembers


def test_a_page_left_and_come_back_to_has_its_conversation(page: Page, app_url: str):
    open_stage(page, app_url, "A chat without memory")
    say(page, LONG)
    expect(page.get_by_test_id("stBottom").get_by_role("button", name="Stop")).to_be_visible()
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    page.get_by_role("link", name="A chat without memory").click()
    assert len(whole_reply(page)) > 100
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)


def test_asking_again_keeps_the_earlier_answer_one_click_away(page: Page, app_url: str):
    open_stage(page, app_url, "A chat without memory")
    say(page, "Name one colour.")
    first = whole_reply(page).split("\n")[0]
    page.get_by_role("button", name="Try again").click()
    expect(page.get_by_text("2 of 2")).to_be_visible()
    whole_reply(page)
    page.get_by_role("button", name="Earlier version").click()
    expect(page.get_by_text("1 of 2")).to_be_visible()
    assert last_message(page).inner_text().split("\n")[0] == first


def test_an_edited_message_goes_on_from_there_and_the_old_branch_stays(page: Page, app_url: str):
    open_stage(page, app_url, "A chat with memory")
    say(page, "What is the capital of France?")
    whole_reply(page)
    say(page, "And of Spain?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)
    whole_reply(page)
    page.get_by_role("button", name="Edit").first.click()
    page.get_by_label("Edit the message").fill("What is the capital of Japan?")
    page.get_by_role("button", name="Send", exact=True).click()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(2)
    assert "Tokyo" in whole_reply(page)
    page.get_by_role("button", name="Earlier version").first.click()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(4)


def test_every_page_opens_without_an_error_and_reload_works(page: Page, app_url: str):
    page.goto(app_url)
    links = page.get_by_test_id("stSidebarNav").get_by_role("link")
    expect(links.first).to_be_visible()
    for number in range(links.count()):
        links.nth(number).click()
        expect(page.get_by_role("heading", level=1)).to_be_visible()
        expect(page.get_by_test_id("stException")).to_have_count(0)
        page.wait_for_timeout(500)
    page.goto(app_url)
    page.reload()
    expect(page.get_by_role("heading", level=1)).to_be_visible()


def test_who_comes_first_by_a_pages_own_address_gets_that_page(own_app, page: Page, complaints):
    app = own_app()
    page.goto(f"{app.url}/chat")
    expect(page.get_by_role("heading", name="A chat without memory")).to_be_visible()
    expect(page.get_by_role("dialog")).to_have_count(0)
    # Streamlit first asks for its health below the page's own address.
    complaints[:] = [c for c in complaints if "404" not in c]


def test_a_closed_model_without_a_key_says_which_and_takes_one(page: Page, app_url: str):
    open_stage(page, app_url, "A chat without memory")
    choose(page.get_by_test_id("stSidebar").get_by_role("combobox", name="Model"), "GPT-6 Luna")
    say(page, "Hello")
    message = last_message(page)
    expect(message.get_by_text("OPENAI_API_KEY")).to_be_visible()
    expect(page.get_by_test_id("stSidebar").locator("input[type=password]")).to_be_visible()
    expect(message.get_by_role("button", name="Try again")).to_be_visible()


def test_translation_shows_the_prompt_first_and_is_checked_by_the_way_back(page: Page,
                                                                          app_url: str):
    page.goto(app_url)
    page.get_by_test_id("stSidebarNav").get_by_role("link", name="One prompt").click()
    page.get_by_text("The filled prompt: what will be sent").click()
    expect(page.get_by_text("translates English to French")).to_be_visible()
    page.get_by_role("button", name="Translate", exact=True).click()
    expect(page.get_by_text("tokens/s")).to_be_visible(timeout=60_000)
    page.get_by_role("button", name="Translate it back and compare").click()
    expect(page.get_by_text("chrF of the way there and back")).to_be_visible(timeout=60_000)
