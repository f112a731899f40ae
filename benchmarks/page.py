"""From a question to its last word on the page, in a real browser, beside the engine alone.

Engine, app and browser share the machine's cores, as they do at home. The same engine with
the same settings answers: once asked by plain HTTP with no page open, once through each page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import ExitStack

from playwright.sync_api import Browser, Page

from benchmarks import peers
from benchmarks.asking import ask, user
from benchmarks.browser import PARLEY, Seen, Site, chromium, open_page, watch_answer
from benchmarks.rows import Options, Row, could_not, in_turn, new_question, ratio, row
from llm import paths
from llm.catalog import list_models
from llm.local_engines import engine_for
from tests.app import start_app


def measure(options: Options) -> Iterable[Row]:
    tokens = options.sized(200, 30)
    endpoint = engine_for(list_models()[0]).wait_ready()
    alone: list[tuple[float, float]] = []
    seen: dict[str, list[Seen]] = {}

    def engine_alone(_repeat: int) -> None:
        timing = ask(endpoint, user(new_question()), tokens)
        if timing.tokens < tokens:
            raise RuntimeError(f"the reply ended after {timing.tokens} tokens")
        alone.append((timing.first, timing.total))

    def through(name: str, url: str, site: Site, prepare: Callable[[Page], None],
                browser: Browser) -> Callable[[int], None]:
        def watch(_repeat: int) -> None:
            with open_page(browser, url, site) as page:
                prepare(page)
                seen.setdefault(name, []).append(watch_answer(page, site, new_question()))
        return watch

    with ExitStack() as running:
        app = running.enter_context(start_app(paths.home()))
        browser = running.enter_context(chromium())
        pages = {"Parley": through("Parley", f"{app.url}/chat", PARLEY,
                                   lambda page: _limit(page, tokens), browser)}
        engine_alone(0), pages["Parley"](0)  # the first time loads, connects and fills caches
        for name, site in peers.SITES.items():
            try:
                url = running.enter_context(peers.serve(name, endpoint, tokens))
                pages[name] = through(name, url, site, _settle, browser)
                pages[name](0)
            except (RuntimeError, OSError) as error:
                pages.pop(name, None)
                yield could_not(name, error)
        alone.clear(), seen.clear()
        in_turn(options, engine_alone, *pages.values())

    firsts, totals = zip(*alone, strict=True)
    yield row("engine alone: first token", firsts, "s")
    yield row(f"engine alone: {tokens} tokens", totals, "s")
    for name, answers in seen.items():
        goal = {"at_most": 1.2} if name == "Parley" else {}
        lasts = [answer.last_word for answer in answers]
        words = [answer.first_word for answer in answers]
        later = [word - first for word, first in zip(words, firsts, strict=True)]
        yield row(f"{name}: first word on the page", words, "s")
        yield row(f"{name}: first word, after the engine's first token", later, "s",
                  **({"at_most": 0.1} if goal else {}))
        yield row(f"{name}: last word on the page", lasts, "s")
        yield ratio(f"{name}: last word / engine alone", lasts, totals, **goal)
        yield row(f"{name}: changes of the page on the way",
                  [float(answer.pieces) for answer in answers], "")


def _limit(page: Page, tokens: int) -> None:
    """Set the length of replies, as a person would."""
    page.get_by_test_id("stSidebar").get_by_text("Settings").click()
    box = page.get_by_role("spinbutton", name="Max tokens")
    box.fill(str(tokens))
    box.press("Enter")
    page.get_by_test_id("stSidebar").get_by_text("Settings").click()
    page.wait_for_timeout(1_500)  # the page runs once more, and its engine has become ready


def _settle(page: Page) -> None:
    """A box may be there before the page's connection is: what is asked then is lost."""
    page.wait_for_timeout(4_000)
