"""What is asked about a picture: ready-made instructions, and modes, each changed as one likes."""

from __future__ import annotations

from base64 import b64decode

import pytest
from streamlit.testing.v1 import AppTest

from llm.images import read_image
from llm.prompts import BLIND_SYSTEM, IMAGE_TASKS, PICTURE_SYSTEMS
from tests.app import ROOT
from tests.pages.test_kept import click
from tests.pages.test_stages import ask, button, picture_bytes, words
from tests.pictures import encoded, halves, opened
from tests.servers.fixed_rate import FixedRateServer

HTML_OFFERED = "characters; screen readers say up to"


def visit(model: str = "eyes", *, picture: bool = True) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / "02_multimodal.py"), default_timeout=60)
    page.session_state["model-that-sees"] = model
    page.session_state["settings"] = True  # unfolded
    page.run()
    if picture:
        page.file_uploader(key="pictures").set_value(
            ("a.png", picture_bytes(), "image/png")).run()
    assert not page.exception
    return page


def asks(page: AppTest, name: str):
    """The box with what a mode's button asks."""
    return next(box for box in page.text_area if box.label == f"What “{name}” asks")


def instruction(page: AppTest):
    return page.selectbox(key="system-preset")


def last_request(server: FixedRateServer) -> tuple[str, str]:
    """The system prompt, and the words of the last message."""
    system, *_before, last = server.requests[-1].json["messages"]
    words = last["content"]
    return system["content"], words if isinstance(words, str) else words[-1]["text"]


# ── The instruction ──────────────────────────────────────────────────────────────────


def test_who_is_blind_is_helped_from_the_start(eyes):
    page = visit()
    assert instruction(page).value == "Help somebody who is blind"
    click(page, "Describe it")
    assert last_request(eyes) == (BLIND_SYSTEM, IMAGE_TASKS["Describe it"])


@pytest.mark.parametrize("name", PICTURE_SYSTEMS)
def test_each_instruction_goes_into_the_system_prompts_box_and_is_what_is_sent(eyes, name):
    page = visit()
    instruction(page).set_value(name).run()
    assert page.text_area(key="system-picture").value == PICTURE_SYSTEMS[name]
    click(page, "Describe it")
    sent = [message["content"] for message in eyes.requests[-1].json["messages"]
            if message["role"] == "system"]
    assert sent == ([PICTURE_SYSTEMS[name]] if PICTURE_SYSTEMS[name] else [])


def test_one_that_was_changed_is_ones_own_and_can_be_taken_anew(eyes):
    page = visit()
    page.text_area(key="system-picture").set_value("Answer in rhymes.").run()
    assert instruction(page).value is None
    click(page, "Describe it")
    assert last_request(eyes)[0] == "Answer in rhymes."
    instruction(page).set_value("Help somebody who is blind").run()
    assert page.text_area(key="system-picture").value == BLIND_SYSTEM


def test_a_model_that_takes_no_instruction_is_offered_none(eyes):
    page = visit("obstinate")
    assert "system-preset" not in [box.key for box in page.selectbox]
    assert page.text_area(key="system-picture").disabled


# ── Which pictures go ────────────────────────────────────────────────────────────────


def square(number: int) -> tuple[str, bytes, str]:
    return f"{number}.png", encoded(halves((64 + number, 48))), "image/png"


def choose(page: AppTest, *files: tuple[str, bytes, str]) -> AppTest:
    page.file_uploader[0].set_value(list(files)).run()
    return page


def widths_sent(server: FixedRateServer) -> list[int]:
    """How wide each picture of the last message is."""
    content = server.requests[-1].json["messages"][-1]["content"]
    parts = [] if isinstance(content, str) else content[:-1]
    return [opened(b64decode(part["image_url"]["url"].partition(",")[2])).width for part in parts]


def test_a_picture_goes_with_one_message_and_is_no_longer_chosen(eyes):
    page = choose(visit(picture=False), square(1))
    ask(page, "What is it?")
    assert widths_sent(eyes) == [65] and not page.file_uploader[0].value
    ask(page, "And its colour?")
    assert widths_sent(eyes) == []
    click(page, "New conversation")
    assert "Picture 1:" not in words(page)
    ask(page, "Good morning.")
    assert widths_sent(eyes) == [] and len(eyes.requests[-1].json["messages"]) == 2


def test_one_that_was_not_sent_stays_chosen_for_a_new_conversation(eyes):
    page = click(choose(visit(picture=False), square(1)), "New conversation")
    ask(page, "What is it?")
    assert widths_sent(eyes) == [65]


def test_each_message_takes_as_many_as_a_message_may_have(eyes):
    page = choose(visit(picture=False), *map(square, range(8)))
    ask(page, "What are they?")
    ask(choose(page, square(8)), "And this one?")
    assert widths_sent(eyes) == [72]


def test_a_picture_that_is_chosen_anew_is_the_one_that_is_asked_about(eyes):
    page = visit(picture=False)
    for number in (1, 2, 1):
        click(choose(page, square(number)), "Alt text")
        assert widths_sent(eyes) == [64 + number]


def test_a_question_about_a_file_that_is_no_picture_is_not_sent_without_it(eyes):
    page = choose(visit(picture=False), square(1), ("notes.png", b"only words", "image/png"))
    ask(page, "What is on them?")
    assert not eyes.requests
    assert words(page).count("Picture 2 of 2: This is a text file, not a picture.") == 2
    assert page.chat_input[0].value == "What is on them?"


# ── The modes ────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("name", IMAGE_TASKS)
def test_what_a_button_asks_is_sent_in_the_words_that_were_put_there(eyes, name):
    page = visit()
    asks(page, name).set_value(f"{name}, in {{Latin}}.").run()
    click(page, name)
    assert last_request(eyes)[1] == f"{name}, in {{Latin}}."
    click(page, "Ask as at first")
    click(page, name)
    assert last_request(eyes)[1] == IMAGE_TASKS[name]


def test_a_button_whose_words_were_all_taken_out_asks_as_at_first(eyes):
    page = visit()
    asks(page, "Describe it").set_value("  ").run()
    click(page, "Describe it")
    assert last_request(eyes)[1] == IMAGE_TASKS["Describe it"]


def test_a_button_with_more_words_than_a_message_may_have_says_so_and_sends_nothing(eyes):
    page = visit()
    asks(page, "Describe it").set_value("word " * 50_000).run()
    click(page, "Describe it")
    assert "That is 249,999 characters, and a message may have 200,000." in words(page)
    assert not eyes.requests


def test_the_html_is_offered_for_an_alt_text_whatever_it_was_asked_in(eyes):
    page = visit()
    asks(page, "Alt text").set_value("One line.").run()
    click(page, "Alt text")
    asks(page, "Alt text").set_value("One line, and short.").run()
    assert f"13 {HTML_OFFERED}" in words(page)
    click(page, "Try again")
    assert f"13 {HTML_OFFERED}" in words(page)


def test_no_html_is_offered_for_anything_else(eyes):
    page = click(visit(), "Describe it")
    ask(page, "Is it red?")
    assert "A red square." in words(page) and HTML_OFFERED not in words(page)


def test_no_html_is_offered_for_two_pictures_at_once(eyes):
    page = visit(picture=False)
    page.file_uploader(key="pictures").set_value(
        [("a.png", encoded(halves()), "image/png"), ("b.png", picture_bytes(), "image/png")]).run()
    click(page, "Alt text")
    assert "A red square." in words(page) and HTML_OFFERED not in words(page)


def test_the_same_picture_chosen_twice_is_sent_and_shown_once(eyes):
    page = visit()
    page.file_uploader(key="pictures").set_value(
        [(name, picture_bytes(), "image/png") for name in ("a.png", "copy.png")]).run()
    click(page, "Describe it")
    sent = eyes.requests[-1].json["messages"][-1]["content"]
    assert [part["type"] for part in sent] == ["image_url", "text"]
    assert "Sent as" in words(page)


def test_a_message_that_holds_a_picture_twice_is_shown(eyes):
    page = visit(picture=False)
    page.session_state["transcripts"]["picture"].append(
        "human", "Twice?", pictures=[read_image(picture_bytes())] * 2)
    assert not page.run().exception


def test_the_html_is_still_offered_for_a_message_that_was_changed_in_the_chat(eyes):
    page = click(visit(), "Alt text")
    click(page, "Edit")
    next(box for box in page.text_area if box.label == "Edit the message").set_value("In Latin?")
    click(page, "Send")
    assert last_request(eyes)[1] == "In Latin?"
    assert HTML_OFFERED in words(page)


def test_an_alt_text_is_known_as_one_on_the_next_visit(eyes, owner):
    page = visit()
    asks(page, "Alt text").set_value("One line.").run()
    click(page, "Alt text")
    again = visit(picture=False)
    assert f"13 {HTML_OFFERED}" in words(again)
    click(again, "Try again")
    assert last_request(eyes)[1] == "One line." and HTML_OFFERED in words(again)


def test_the_buttons_ask_about_the_picture_that_a_conversation_holds(eyes, owner):
    assert button(visit(picture=False), "Alt text").disabled
    ask(visit(), "What is it?")
    again = visit(picture=False)
    assert not button(again, "Alt text").disabled
    click(again, "Alt text")
    messages = eyes.requests[-1].json["messages"]
    assert messages[1]["content"][0]["type"] == "image_url"
    assert messages[-1] == {"role": "user", "content": IMAGE_TASKS["Alt text"]}


@pytest.mark.model
def test_the_picture_reader_goes_by_the_button_and_not_by_its_words(eyes, owner, reader):
    page = visit("picture-reader")
    assert "goes by the button alone" in words(page)
    asks(page, "Read the text").set_value("Anything written on it?").run()
    click(page, "Read the text")
    assert "No text was found in this picture." in words(page)
    assert "cannot answer" not in words(page)
    again = visit("picture-reader", picture=False)
    assert "cannot answer" not in words(click(again, "Try again"))
    ask(again, "Who drew it?")
    assert "The picture reader cannot answer questions" in words(again)
