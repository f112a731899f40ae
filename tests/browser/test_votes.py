"""Votes and what they say, in a real browser: by kind of task, and cast before the end."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect

from llm.votes import Choice, Vote, export_votes, import_votes
from tests.browser.controls import choose, wait_until_at_rest
from tests.browser.test_race import answers, forgive_the_health_check, say
from tests.servers.gated import gated

expect.set_options(timeout=30_000)

SMALL, LARGE = "smollm2-135m", "gpt-6-luna"


def votes(count: int, choice: Choice, tag: str, other: str = LARGE) -> list[Vote]:
    return [Vote(race_id="r", prompt="Why?", models=(SMALL, other), choice=choice, tag=tag)
            for _number in range(count)]


def standings_table(page: Page) -> Locator:
    return page.get_by_test_id("stTable").filter(has_text="Win rate")


def open_standings(page: Page, url: str, complaints: list[str]) -> None:
    page.goto(f"{url}/compare")
    page.get_by_text("Votes and standings").click(timeout=60_000)
    expect(page.get_by_test_id("stFileUploaderDropzoneInput")).to_be_attached()
    forgive_the_health_check(complaints)


def take_in(page: Page, cast: list[Vote], file: Path) -> None:
    file.write_text(export_votes(cast), encoding="utf-8")
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_text(f"{len(cast)} votes imported")).to_be_visible()


def choose_kind(page: Page, name: str) -> None:
    choose(page.get_by_role("combobox", name="Kind of task"), name)


def test_the_standings_of_one_kind_of_task_are_those_of_its_votes_alone(
        page: Page, app_url: str, complaints, tmp_path: Path):
    open_standings(page, app_url, complaints)
    take_in(page, [*votes(12, "left", "facts"), *votes(14, "right", "code"),
                   *votes(1, "tie", "")], tmp_path / "votes.jsonl")
    small = standings_table(page).get_by_role("row").filter(has_text="SmolLM2 135M")
    for kind, figures, said in (
            ("all", "12 / 14 / 1 / 0", "nothing can be said yet"),
            ("facts", "12 / 0 / 0 / 0", "wins more often than not"),
            ("code", "0 / 14 / 0 / 0", "loses more often than not"),
            ("without a word for it", "0 / 0 / 1 / 0", "nothing can be said yet")):
        choose_kind(page, kind)
        expect(small).to_contain_text(figures)
        expect(small).to_contain_text(said)
    expect(page.get_by_text("Votes so far: 27")).to_be_visible()


def test_who_met_whom_is_told_pair_by_pair(page: Page, app_url: str, complaints, tmp_path: Path):
    open_standings(page, app_url, complaints)
    take_in(page, [*votes(9, "left", ""), *votes(4, "right", ""),
                   *votes(3, "right", "", "llama-3.3-70b")], tmp_path / "votes.jsonl")
    wait_until_at_rest(page)
    page.get_by_text("Pair by pair").click()
    pair = page.get_by_role("row").filter(has_text="SmolLM2 135M against GPT-6 Luna")
    expect(pair).to_contain_text("9 / 4 / 0 / 0")


def test_a_vote_before_the_end_stops_both_and_is_kept_as_early_with_its_kind(
        page: Page, own_app, complaints, tmp_path: Path):
    with gated() as server:
        catalog = tmp_path / "models.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name.title()}"\nprovider = "openai"\n'
            f'model = "{name}"\nbase_url = "{server.base_url}"\nopen = true\n'
            for name in ("one", "two")))
        app = own_app(env={"PARLEY_MODELS": str(catalog)})
        page.goto(f"{app.url}/compare?model=one&model=two&blind=1")
        say(page, "Wait for the vote")
        for answer in answers(page):
            expect(answer.get_by_text("Begun with Wait for the vote")).to_be_visible()
        page.get_by_label("Kind of task, if you like").fill("patience")
        page.get_by_role("button", name="A tie").click()
        expect(page.get_by_text("Your vote is kept: A tie.")).to_be_visible(timeout=30_000)
        for answer in answers(page):
            expect(answer.get_by_text("Stopped by you.")).to_be_visible()
        # The figures that came below did not push them away.
        expect(page.get_by_role("heading", name="Differences")).to_be_visible()
        page.wait_for_timeout(2_500)
        for answer in answers(page):
            expect(answer.get_by_text("Stopped by you.")).to_be_in_viewport()
        page.get_by_text("Votes and standings").click()
        with page.expect_download() as download:
            page.get_by_role("button", name="Export the votes").click()
        download.value.save_as(tmp_path / "votes.jsonl")
    (kept,) = import_votes((tmp_path / "votes.jsonl").read_bytes()).votes
    assert (kept.choice, kept.tag, kept.stopped_early) == ("tie", "patience", True)
    assert set(kept.models) == {"one", "two"}
    forgive_the_health_check(complaints)
