"""Pictures in a race: the same to every side, by real eyes here and over the wire there."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.app import RunningApp
from tests.browser.test_pictures import SIGN, paste
from tests.browser.test_race import HERE, forgive_the_health_check, say
from tests.pictures import text_page
from tests.servers.recording import Request, Server, running

pytestmark = pytest.mark.model

expect.set_options(timeout=30_000)

READER, THERE = "picture-reader", "eyes-by-url"


@pytest.fixture
def server() -> Iterator[Server]:
    """What a hosted model that sees is sent."""
    with running() as recording:
        yield recording


@pytest.fixture
def race_app(server: Server, own_app, tmp_path) -> RunningApp:
    catalog = tmp_path / "models.toml"
    catalog.write_text(f'[[model]]\nid = "{THERE}"\nlabel = "Eyes"\nprovider = "openai"\n'
                       f'model = "eyes"\nbase_url = "{server.base_url}"\nopen = false\n'
                       'vision = true\n')
    return own_app(env={"PARLEY_MODELS": str(catalog)})


@pytest.fixture
def open_race(page: Page, race_app: RunningApp, complaints: list[str]) -> Iterator[None]:
    """The page with a race of the reader, a model elsewhere, and one here that cannot see."""
    page.goto(f"{race_app.url}/compare?model={READER}&model={THERE}&model={HERE}")
    expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible(timeout=60_000)
    yield
    forgive_the_health_check(complaints)


def pane(page: Page, letter: str) -> Locator:
    """What stands in one model's column."""
    return page.get_by_test_id("stColumn").filter(
        has=page.get_by_role("button", name=f"Expand {letter}"))


def pictures_in(request: Request) -> list[bytes]:
    """Each picture of each message of a request, in order."""
    parts = [part for message in request.json["messages"]
             if isinstance(message["content"], list) for part in message["content"]]
    return [base64.b64decode(part["image_url"]["url"].partition(",")[2])
            for part in parts if part["type"] == "image_url"]


def test_a_picture_goes_to_all_who_see_is_shown_in_each_pane_and_stays(
        page: Page, open_race, server: Server):
    paste(page, text_page([SIGN], pixels=28))
    say(page, "Read the text")
    expect(pane(page, "A").get_by_text(SIGN)).to_be_visible(timeout=60_000)
    expect(pane(page, "B").get_by_text("Good morning.")).to_be_visible()
    blind = pane(page, "C").get_by_role("alert")
    expect(blind).to_contain_text("SmolLM2 135M cannot see pictures. These can: ")
    for letter in "ABC":
        expect(pane(page, letter).get_by_role("img", name=re.compile("^Picture of"))
               ).to_have_count(1)
    (sent,) = pictures_in(server.requests[0])

    # In the next turn it is part of what was said before.
    expect(page.get_by_text("Time to first token")).to_be_visible()
    say(page, "And what does that mean?")
    expect(pane(page, "B").get_by_text("Good morning.")).to_have_count(2)
    assert pictures_in(server.requests[1]) == [sent]
    assert len(server.requests) == 2

    page.reload()
    for letter in "ABC":
        expect(pane(page, letter).get_by_role("img", name=re.compile("^Picture of"))
               ).to_have_count(1, timeout=60_000)
    expect(pane(page, "A").get_by_text(SIGN).first).to_be_visible()


def test_a_picture_without_words_waits_for_them(page: Page, open_race, server: Server):
    paste(page, text_page([SIGN], pixels=28))
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    waits = page.get_by_text("Your picture goes with your next message: write something to ask.")
    expect(waits).to_be_visible()
    expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
    say(page, "Read the text")
    expect(pane(page, "A").get_by_text(SIGN)).to_be_visible(timeout=60_000)
    assert len(pictures_in(server.requests[0])) == 1
    expect(waits).to_have_count(0)


def test_what_is_no_picture_is_said_beside_the_box_and_the_words_stay(
        page: Page, open_race, server: Server):
    paste(page, b"%PDF-1.7 nothing to see")
    say(page, "What is this?")
    expect(page.get_by_text("PDF", exact=False).first).to_be_visible()
    expect(page.get_by_test_id("stChatInputTextArea")).to_have_value("What is this?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
    assert server.requests == []
