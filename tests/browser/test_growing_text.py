"""A reply that grows costs little on its way, and never holds up the page."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.app import ROOT, RunningApp, start_app


@pytest.fixture(scope="module")
def growing_app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("growing") / "home",
                   script=Path(__file__).with_name("one_page_app.py"),
                   env={"PYTHONPATH": str(ROOT), "PAGE": "growing_page.py"},
                   args=["--browser.gatherUsageStats=false"]) as running:
        yield running


def test_a_thousand_tokens_cost_at_most_200_kilobytes_and_no_run_is_left_behind(
        page: Page, growing_app: RunningApp) -> None:
    frames: list[int] = []
    page.on("websocket", lambda socket: socket.on(
        "framereceived", lambda payload: frames.append(len(payload))))
    page.goto(growing_app.url)
    expect(page.get_by_text("All has come")).to_be_visible(timeout=60_000)
    assert page.locator("[data-testid=stMarkdownContainer] li").count() == 14
    assert 20_000 < sum(frames) < 200_000
    # It stands still now, and will for a minute.
    page.get_by_role("button", name="Leave").click()
    expect(page.get_by_text("run 1")).to_be_visible(timeout=5_000)
    expect(page.get_by_text("1 running")).to_be_visible()
