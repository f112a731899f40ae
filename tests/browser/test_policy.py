"""Under the Content Security Policy everything that Parley is made of still works.

The browser's complaints fail each test, so any refusal by the policy does.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.app import ROOT, RunningApp, find_chromium, start_app, wait_until
from tests.browser.conftest import FLAGS, listen
from tests.browser.controls import wait_until_at_rest

FAKE_CAMERA = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]


@pytest.fixture(scope="module")
def kitchen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("kitchen") / "home",
                   script=Path(__file__).with_name("one_page_app.py"),
                   env={"PYTHONPATH": str(ROOT), "PAGE": "kitchen_page.py"},
                   args=["--browser.gatherUsageStats=false"]) as running:
        yield running


@pytest.fixture
def drawn(page: Page, kitchen: RunningApp) -> Page:
    page.goto(kitchen.url)
    expect(page.get_by_text("All drawn")).to_be_visible(timeout=30_000)
    return page


def test_everything_is_drawn(drawn: Page) -> None:
    expect(drawn.locator(".katex").first).to_be_visible()
    expect(drawn.locator("[data-testid=stCode]").get_by_text("print")).to_be_visible()
    expect(drawn.locator("[data-testid=stDataFrame] canvas").first).to_be_visible()
    expect(drawn.locator("[data-testid=stVegaLiteChart] canvas, [data-testid=stVegaLiteChart] svg")
           ).to_have_count(3)
    assert drawn.locator("[data-testid=stImage] img").evaluate("image => image.naturalWidth") == 40
    # Not wait_for_function: the policy lets nobody evaluate strings, Playwright included.
    wait_until(lambda: drawn.evaluate("document.querySelector('audio').duration"), "a sound")
    fonts = drawn.evaluate("document.fonts.ready.then(all => [...all].map(font => font.status))")
    assert "loaded" in fonts
    assert "error" not in fonts
    expect(drawn.locator("[data-testid=stException]")).to_have_count(0)


def test_files_go_up_and_come_down(drawn: Page) -> None:
    note = {"name": "note.txt", "mimeType": "text/plain", "buffer": b"up"}
    drawn.locator("[data-testid=stFileUploader] input[type=file]").set_input_files(note)
    expect(drawn.get_by_text("uploaded note.txt b'up'")).to_be_visible()
    with drawn.expect_download() as download:
        drawn.get_by_role("button", name="Download", exact=True).click()
    assert Path(download.value.path()).read_bytes() == b"downloaded"
    box = drawn.locator("[data-testid=stChatInput]")
    # Enter is not heard while a file is still on its way.
    with drawn.expect_response(lambda answer: "upload_file" in answer.url):
        box.locator("input[type=file]").first.set_input_files(note)
    box.locator("textarea").fill("hello")
    expect(box.get_by_text("note.txt")).to_be_visible()
    box.locator("textarea").press("Enter")
    expect(drawn.get_by_text("said hello ['note.txt']")).to_be_visible()


def test_the_browsers_own_abilities_are_at_hand(drawn: Page) -> None:
    drawn.context.grant_permissions(["clipboard-read", "clipboard-write"])
    drawn.get_by_role("button", name="Copy", exact=True).click()
    expect(drawn.get_by_role("button", name="Copied")).to_be_visible()
    assert drawn.evaluate("navigator.clipboard.readText()") == "what was copied"
    said = drawn.get_by_role("status").filter(has_text="The reply is there")
    expect(said).to_have_attribute("aria-live", "polite")


def test_a_text_is_read_aloud_sentence_by_sentence_and_stopped(page: Page,
                                                               kitchen: RunningApp) -> None:
    # A Chromium without a sound card has no voice; what it is asked to say can be seen.
    page.add_init_script("""
        window.spoken = [];
        speechSynthesis.speak = utterance => spoken.push([utterance.text.trim(), utterance.lang]);
        speechSynthesis.cancel = () => spoken.push("cancel");
    """)
    page.goto(kitchen.url)
    page.get_by_role("button", name="Read aloud").click()
    page.get_by_role("button", name="Stop reading").click()
    expect(page.get_by_role("button", name="Read aloud")).to_be_visible()
    assert page.evaluate("spoken") == ["cancel", ["One sentence.", "en"], ["Another.", "en"],
                                       "cancel"]


def test_the_camera_takes_a_picture(browser: Browser, kitchen: RunningApp) -> None:
    chromium = browser.browser_type.launch(executable_path=find_chromium(),
                                           args=[*FLAGS, *FAKE_CAMERA])
    page = chromium.new_context(permissions=["camera"]).new_page()
    complaints: list[str] = []
    listen(page, complaints)
    page.goto(kitchen.url)
    wait_until(lambda: page.evaluate("document.querySelector('video')?.videoWidth"), "a camera")
    wait_until_at_rest(page)
    photo, taken = (page.get_by_role("button", name="Take photo"),
                    page.get_by_text("camera b'\\xff\\xd8'"))

    def is_taken() -> bool:
        # The camera's own button takes none where no frame is at hand: one presses it again.
        if photo.is_visible():
            photo.click()
        page.wait_for_timeout(2_000)
        return taken.is_visible()

    wait_until(is_taken, "a picture")
    assert complaints == []
    chromium.close()
