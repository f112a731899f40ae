"""A real Chromium, and the real app for it to open.

`page` fails its test on anything that a person's browser would have complained about: an
error in the console, an exception in the page, a request to any host but this one.
A test that provokes one says so by clearing `complaints`.
"""

from __future__ import annotations

import os
import re
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Error, Page, sync_playwright

from tests.app import ROOT, RunningApp, find_chromium, start_app

FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
         "--disable-background-networking", "--disable-component-update"]

NO_CHROMIUM = ("no Chromium: apt install chromium, or "
               f"{sys.executable} -m playwright install chromium, or name one in PARLEY_CHROMIUM")

FAILED = pytest.StashKey[bool]()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("browser")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item):
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all tests in this folder.

    Not for the whole run: while Playwright's sync API is open, no other event loop
    can run in this thread, and other folders have async tests.
    """
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(executable_path=find_chromium(), args=FLAGS)
        except Error as error:
            if "executable doesn't exist" not in str(error).lower():
                raise
            (pytest.fail if os.environ.get("CI") else pytest.skip)(NO_CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture(scope="package")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    """The app, shared by all tests in this folder, as somebody new finds it."""
    with start_app(tmp_path_factory.mktemp("app") / "home") as running:
        yield running


@pytest.fixture
def app_url(app: RunningApp) -> str:
    return app.url


@pytest.fixture
def own_app(tmp_path: Path) -> Iterator[Callable[..., RunningApp]]:
    """`start_app` for a test that needs an app to itself, ended after its pages are closed."""
    with ExitStack() as running:
        def start(**options) -> RunningApp:
            return running.enter_context(start_app(tmp_path / uuid.uuid4().hex, **options))
        yield start


@pytest.fixture
def complaints() -> list[str]:
    """What the browser has complained about so far in this test."""
    return []


def is_loopback(url: str) -> bool:
    """Whether a request to `url` stays on this machine."""
    parts = urlsplit(url)
    return (parts.scheme in ("data", "blob", "about")
            or parts.hostname in ("127.0.0.1", "localhost", "::1"))


def listen(page: Page, complaints: list[str]) -> None:
    """Write down in `complaints` what goes wrong in `page`."""
    page.on("console", lambda message: message.type == "error"
            and complaints.append(f"console: {message.text} ({message.location.get('url')})"))
    page.on("pageerror", lambda error: complaints.append(f"exception: {error}"))


def name_for(item: pytest.Item) -> str:
    """A file name for a test's screenshot."""
    return re.sub(r"[^A-Za-z0-9]+", "-", item.nodeid.removeprefix("tests/browser/")).strip("-")


@pytest.fixture
def context(request: pytest.FixtureRequest, browser: Browser, complaints: list[str],
            own_app: Callable[..., RunningApp]) -> Iterator[BrowserContext]:
    """A fresh profile, in which every page is listened to; its end fails on complaints."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, locale="en-GB")
    context.set_default_timeout(15_000)
    context.on("request", lambda sent: is_loopback(sent.url)
               or complaints.append(f"a request to another host: {sent.url}"))
    context.on("page", lambda page: listen(page, complaints))
    yield context
    if request.node.stash.get(FAILED, False) or complaints:
        folder = ROOT / "test-results"
        folder.mkdir(exist_ok=True)
        for number, page in enumerate(context.pages, start=1):
            page.screenshot(path=folder / f"{name_for(request.node)}-{number}.png",
                            full_page=True)
    context.close()
    if complaints:
        pytest.fail("The browser complained:\n" + "\n".join(complaints), pytrace=False)


@pytest.fixture
def page(context: BrowserContext) -> Page:
    """An empty page in a fresh profile. Open the app with `page.goto(app_url)`."""
    return context.new_page()
