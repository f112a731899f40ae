"""Takes the pictures in docs/images from the running app: python -m docs.screenshots

Starts the app with a home of its own, talks to the built-in model in a real Chromium,
and takes each page in the light and the dark theme.
"""

import tempfile
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

from tests.app import find_chromium, start_app

IMAGES = Path(__file__).parent / "images"
PAGES = ("translate", "picture", "memory", "compare", "models")


def chat(page: Page, url: str) -> None:
    page.goto(f"{url}/chat")
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill("What is the capital of France?")
    box.press("Enter")
    expect(page.get_by_text("tokens/s")).to_be_visible(timeout=120_000)
    page.wait_for_timeout(1000)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    with (tempfile.TemporaryDirectory() as home, start_app(Path(home) / "home") as app,
          sync_playwright() as playwright):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for scheme, suffix in (("light", ""), ("dark", "-dark")):
            page = browser.new_page(viewport={"width": 1100, "height": 700}, color_scheme=scheme)
            chat(page, app.url)
            page.screenshot(path=IMAGES / f"chat{suffix}.png")
            for name in PAGES:
                page.goto(f"{app.url}/{name}")
                expect(page.get_by_role("heading", level=1)).to_be_visible(timeout=60_000)
                page.wait_for_timeout(2500)
                page.screenshot(path=IMAGES / f"{name}{suffix}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
