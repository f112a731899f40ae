"""A real Chromium that writes down when each piece of an answer stands on the page.

The page's own clock is read, at every change of what is on it, so that nothing that drives
the browser takes time between an answer's last word and its being noticed. This module
does not know whose page it is: a `Site` says where its box is and where an answer stands.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from playwright.sync_api import Browser, Page, sync_playwright

from tests.app import find_chromium
from tests.browser.conftest import FLAGS

WATCH = """
(() => {
  const now = () => performance.timeOrigin + performance.now();
  const answer = %s;
  const seen = window.__seen = {asked: null, shots: []};
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter") { seen.asked = now(); seen.shots = []; seen.before = answer(); }
  }, true);
  new MutationObserver(() => {
    if (seen.asked === null) return;
    const text = answer();
    const last = seen.shots.at(-1);
    if (text !== (last ? last[1] : seen.before)) seen.shots.push([now(), text]);
  }).observe(document, {subtree: true, childList: true, characterData: true});
})();
"""


@dataclass(frozen=True)
class Site:
    """How a chat page is used."""

    box: str
    """CSS of where one writes. Enter sends."""
    answer: str
    """A JavaScript function: the text of the latest answer so far, or ""."""


PARLEY = Site(
    box='[data-testid="stChatInputTextArea"]',
    # Paragraphs stand one by one; captions and buttons are no part of the answer, nor is what
    # an engine does until it can give one.
    answer="""() => {
      const messages = document.querySelectorAll('[data-testid="stChatMessage"]');
      if (messages.length < 2) return "";
      return [...messages[messages.length - 1]
        .querySelectorAll('[data-testid="stMarkdownContainer"]')]
        .filter((part) => !part.closest(
          '[data-testid="stCaptionContainer"], [data-testid="stProgress"], button'))
        .map((part) => part.textContent).join(" ");
    }""",
)


@dataclass(frozen=True)
class Seen:
    """When an answer stood on the page: its words in seconds from the pressing of Enter."""

    asked: float
    """Seconds since the epoch at which Enter was pressed."""
    first_word: float
    last_word: float
    text: str
    pieces: int


@contextmanager
def chromium() -> Iterator[Browser]:
    """One browser. Playwright's sync API allows no other event loop in this thread."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, url: str, site: Site) -> Iterator[Page]:
    """The page in a fresh profile, its box visible."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    try:
        page = context.new_page()
        page.add_init_script(WATCH % site.answer)
        page.goto(url)
        page.locator(site.box).wait_for(timeout=60_000)
        yield page
    finally:
        context.close()


def send(page: Page, site: Site, question: str) -> None:
    box = page.locator(site.box)
    box.fill(question)
    box.press("Enter")


def watch_answer(page: Page, site: Site, question: str) -> Seen:
    """Ask, and wait until the answer has not changed for two seconds."""
    send(page, site, question)
    return answer_at_rest(page)


def answer_at_rest(page: Page, *, quiet: float = 2.0, seconds: float = 120) -> Seen:
    """The answer once it has not changed for `quiet` seconds.

    Raises `RuntimeError` if none has come in `seconds`.
    """
    deadline = time.monotonic() + seconds
    changes, changed = 0, time.monotonic()
    while not changes or time.monotonic() - changed < quiet:
        if time.monotonic() > deadline:
            raise RuntimeError("no answer came to its end on the page")
        page.wait_for_timeout(200)
        so_far = page.evaluate("window.__seen.shots.filter(shot => shot[1].trim()).length")
        if so_far != changes:
            changes, changed = so_far, time.monotonic()
    seen = page.evaluate("window.__seen")
    shots = [(at / 1e3 - seen["asked"] / 1e3, text) for at, text in seen["shots"] if text.strip()]
    return Seen(seen["asked"] / 1e3, shots[0][0], shots[-1][0], shots[-1][1], len(shots))
