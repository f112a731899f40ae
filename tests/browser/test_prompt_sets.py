"""Results of the command line, opened in a real browser, read, filtered and taken away again."""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import Page, expect

from llm.results import parse_results
from tests.app import ROOT, clean_environment
from tests.browser.test_accessibility import open_page, stands
from tests.servers.fixed_rate import fixed_rate

expect.set_options(timeout=30_000)

FACTS = ("\ufeffprompt;country;expected\r\nCapital of {country}?;France;Paris\r\n"
         "\"Capital; of {country}?\";Italy;Rome\r\n")
"""As a spreadsheet saves it."""


def answer(model: str, question: str) -> str:
    return "It is Paris." if model == "a" or "France" in question else "It is *Rome*."


def run_command(folder: Path) -> Path:
    """`python -m llm.evaluate` on two models behind a server. Returns its results.jsonl."""
    prompts, catalog = folder / "capitals.csv", folder / "models.toml"
    prompts.write_text(FACTS, encoding="utf-8")
    with fixed_rate(answer) as server:
        catalog.write_text("".join(
            f'[[model]]\nid = "{name}"\nlabel = "Model {name}"\nprovider = "openai"\n'
            f'model = "{name}"\nbase_url = "{server.base_url}"\nopen = true\n' for name in "ab"))
        subprocess.run(
            [sys.executable, "-m", "llm.evaluate", str(prompts), "--models", "a", "b", "--out",
             str(folder / "out")], cwd=ROOT, check=True, capture_output=True, timeout=60,
            env=clean_environment(PARLEY_MODELS=str(catalog), PARLEY_HOME=str(folder / "home")))
    return folder / "out" / "results.jsonl"


def test_prompts_are_taken_from_a_file_of_any_name_or_it_is_said_why_not(
        page: Page, app_url: str):
    open_page(page, app_url, "evaluate")
    page.get_by_text("A file", exact=True).click()
    for name, content, said in (("notes.md", b"Why?\nWhat for?", "See the prompts (2)"),
                                ("prompts.xlsx", b"PK\x03\x04\xff\x00",
                                 "This prompt set is not UTF-8 text.")):
        page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(
            {"name": name, "mimeType": "", "buffer": content})
        expect(page.get_by_text(said)).to_be_visible()
    page.get_by_role("button", name="Open results").click()
    page.get_by_test_id("stPopoverBody").get_by_test_id(
        "stFileUploaderDropzoneInput").set_input_files(
        {"name": "results.csv", "mimeType": "", "buffer": b"prompt_number,tag\n"})
    expect(page.get_by_text("Choose a file that Parley wrote as JSON Lines.")).to_be_visible()


def test_what_the_command_line_found_is_opened_read_and_taken_away_again(
        page: Page, app_url: str, tmp_path: Path):
    file = run_command(tmp_path)
    open_page(page, app_url, "evaluate")
    page.get_by_role("button", name="Open results").click()
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_text("4 of 4 finished")).to_be_visible()
    summaries = page.get_by_test_id("stTable").filter(has_text="Steadiness")
    expect(summaries.get_by_role("row").filter(has_text="Model a")).to_contain_text("50% (")
    expect(summaries.get_by_role("row").filter(has_text="Model b")).to_contain_text("100% (")

    stands(page)
    page.get_by_text("where models differ").click()
    expect(page.get_by_text("2 of 4 rows.")).to_be_visible()
    stands(page)
    page.get_by_role("textbox", name="Search").fill("*rome*")
    page.get_by_role("textbox", name="Search").press("Enter")
    expect(page.get_by_text("1 of 4 rows.")).to_be_visible()

    # The table's own download would hand a spreadsheet formulas that a model wrote.
    page.get_by_test_id("stDataFrame").hover()
    toolbars = page.get_by_test_id("stElementToolbar")
    expect(toolbars.get_by_role("button", name="Fullscreen: Every row")).to_be_visible()
    expect(toolbars.get_by_role("button", name="CSV")).to_have_count(0)
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV", exact=True).click()
    download.value.save_as(tmp_path / "again.csv")
    with (tmp_path / "again.csv").open(encoding="utf-8-sig", newline="") as opened:
        rows = list(csv.DictReader(opened))
    assert [(row["prompt"], row["contender"], row["passed"]) for row in rows] == [
        ("Capital of France?", "Model a", "True"), ("Capital; of Italy?", "Model a", "False"),
        ("Capital of France?", "Model b", "True"), ("Capital; of Italy?", "Model b", "True")]
    with page.expect_download() as download:
        page.get_by_role("button", name="JSON Lines").click()
    download.value.save_as(tmp_path / "again.jsonl")
    again = parse_results((tmp_path / "again.jsonl").read_bytes())
    assert again.table() == parse_results(file.read_bytes()).table()
