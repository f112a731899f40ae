"""A race of two models elsewhere, on the page, beside the slower of the two by itself."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from pathlib import Path

from benchmarks.browser import PARLEY, Site, chromium, open_page, watch_answer
from benchmarks.remote import catalog, remote
from benchmarks.rows import Options, Row, in_turn, ratio, row
from tests.app import start_app

RACE = Site(PARLEY.box, """() =>
  [...document.querySelectorAll('[data-testid="stChatMessage"]')]
    .flatMap((message) => [...message.querySelectorAll('[data-testid="stMarkdownContainer"]')])
    .filter((part) => !part.closest('[data-testid="stCaptionContainer"], button'))
    .map((part) => part.textContent).filter((text) => /word0/.test(text)).join(" ")""")
"""Both answers, as one text: it is whole when the slower has come to its end."""

SLOW, FAST = 40, 60
"""Tokens a second."""


def measure(options: Options) -> Iterable[Row]:
    tokens = options.sized(120, 40)
    alone: list[float] = []
    together: list[float] = []
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory()))
        models = {"Slow": running.enter_context(remote(SLOW, tokens)),
                  "Fast": running.enter_context(remote(FAST, tokens))}
        app = running.enter_context(start_app(
            folder / "home", env={"PARLEY_MODELS": str(catalog(folder, models)),
                                  "OPENAI_API_KEY": "k"}))
        browser = running.enter_context(chromium())

        def look(path: str, site: Site, times: list[float]) -> Callable[[int], None]:
            def watch(_repeat: int) -> None:
                with open_page(browser, f"{app.url}/{path}", site) as page:
                    page.wait_for_timeout(1_000)  # the page has run
                    times.append(watch_answer(page, site, "Tell me a story.").last_word)
            return watch

        each = (look("chat", PARLEY, alone),
                look("compare?model=smollm2-135m&model=other", RACE, together))
        for once in each:
            once(0)
        alone.clear(), together.clear()
        in_turn(options, *each)
    yield row(f"the slower alone: last of {tokens} words on the page", alone, "s",
              note=f"{tokens / SLOW:g} s at the model's rate")
    yield row("a race of both: last word on the page", together, "s")
    yield ratio("a race of two / the slower alone", together, alone, at_most=1.1)
