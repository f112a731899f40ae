"""Takes the pictures in docs/images from the running app: python -m docs.screenshots

Starts the app with a home of its own, talks to the built-in model in a real Chromium,
and takes each page in the light and the dark theme.
"""

from __future__ import annotations

import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, expect, sync_playwright

from tests.app import find_chromium, start_app
from tests.browser.conftest import FLAGS

IMAGES = Path(__file__).parent / "images"
PATIENCE = 120_000
"""Milliseconds that an answer may take."""


def ask(page: Page, question: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(question)
    box.press("Enter")


def as_it_is(page: Page) -> None:
    """The page as one finds it."""


def chat(page: Page) -> None:
    questions = ("Remember this: the name of the user is Ada.", "What is my name?")
    for number, question in enumerate(questions, start=1):
        ask(page, question)
        expect(page.get_by_text("tokens/s")).to_have_count(number, timeout=PATIENCE)


def translate(page: Page) -> None:
    page.get_by_role("button", name="Translate", exact=True).click()
    expect(page.get_by_text("tokens/s")).to_be_visible(timeout=PATIENCE)


def race(page: Page) -> None:
    ask(page, "What is the capital of France?")
    expect(page.get_by_role("heading", name="Differences")).to_be_visible(timeout=PATIENCE)
    page.get_by_role("heading", level=1).scroll_into_view_if_needed()


PAGES: dict[str, Callable[[Page], None]] = {
    "translate": translate, "picture": as_it_is, "chat": chat, "memory": chat, "compare": race,
    "evaluate": as_it_is, "models": as_it_is, "scorecard": as_it_is, "start": as_it_is,
}
"""The last part of each page's address, and what is done there before the picture is taken."""


def take(page: Page, path: Path) -> None:
    """Write what the window shows as a small PNG: a page has few colours."""
    shot = Image.open(io.BytesIO(page.screenshot()))
    shot.convert("RGB").quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with (tempfile.TemporaryDirectory() as home, start_app(Path(home) / "home") as app,
          sync_playwright() as playwright):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            page = browser.new_page(viewport={"width": 1200, "height": 800}, color_scheme=scheme,
                                    locale="en-GB")
            for name, prepare in PAGES.items():
                page.goto(f"{app.url}/{name if name != 'start' else ''}")
                expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
                page.wait_for_timeout(2_500)
                prepare(page)
                page.wait_for_timeout(1_000)
                take(page, IMAGES / f"{name}{suffix}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
