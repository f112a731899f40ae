"""`python -m benchmarks` runs, and says what it found as a table and as JSON."""

import json
import subprocess
import sys
from contextlib import nullcontext

import jsonschema
import pytest

from benchmarks import engines, machine, report, ways
from benchmarks.asking import Timing
from benchmarks.rows import Options, could_not, in_turn, ratio, row
from tests.app import ROOT, clean_environment

NUMBER, TEXT = {"type": ["number", "null"]}, {"type": "string"}
SHAPE = {
    "type": "object", "required": ["machine", "rows"],
    "properties": {
        "machine": {
            "type": "object",
            "required": ["date", "cores", "processor", "memory_gb", "python", "versions"]},
        "rows": {"type": "array", "minItems": 1, "items": {
            "type": "object", "additionalProperties": False,
            "required": ["group", "name", "median", "spread", "unit", "goal", "met"],
            "properties": {
                "group": TEXT, "name": TEXT, "median": NUMBER, "unit": TEXT, "note": TEXT,
                "spread": {"type": ["array", "null"], "items": {"type": "number"},
                           "minItems": 2, "maxItems": 2},
                "goal": {"type": ["string", "null"]}, "met": {"type": ["boolean", "null"]}}}}},
}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "benchmarks", *arguments], cwd=ROOT, text=True,
                          capture_output=True, timeout=280, env=clean_environment())


def test_a_row_is_measured_and_told_as_a_table_and_as_json(tmp_path):
    file = tmp_path / "results.json"
    done = run("--only", "storage", "--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    results = json.loads(file.read_text("utf-8"))
    jsonschema.validate(results, SHAPE)
    searches = [found for found in results["rows"] if found["name"].startswith("search")]
    assert len(searches) == 5
    for found in results["rows"]:
        assert found["group"] == "storage"
        assert found["median"] > 0, found
        assert found["name"] in done.stdout
    assert all(found["goal"] == "at most 100" for found in searches)


def test_json_on_standard_output_is_alone_there():
    done = run("--only", "storage", "--quick", "--json", "-")
    jsonschema.validate(json.loads(done.stdout), SHAPE)
    assert "open a conversation" in done.stderr


def test_a_row_says_whether_its_goal_is_met():
    assert row("a", [1, 2, 9], "s", at_most=2).met is True
    assert row("a", [1, 2, 9], "s", at_most=1.9).met is False
    assert row("a", [1, 2, 9], "s", at_least=2.1).met is False
    assert row("a", [1, 2, 9], "s").met is None
    assert row("a", [1, 2, 9], "s").spread == (1, 9)
    found = ratio("a", [2, 20, 9], [1, 10, 3], at_most=2)
    assert (found.median, found.met) == (2, True)


def test_each_is_measured_as_often_as_the_others_and_none_is_always_first():
    order = []
    in_turn(Options(repeats=4), lambda n: order.append("a"), lambda n: order.append("b"))
    assert order == ["a", "b", "b", "a", "a", "b", "b", "a"]


def test_what_cannot_be_measured_says_why_and_the_page_shows_what_was_missed(monkeypatch, tmp_path):
    notes = tmp_path / "notes.toml"
    notes.write_text('[missed]\n"slow thing" = "It is a very slow thing."\n', "utf-8")
    monkeypatch.setattr(report, "NOTES", notes)
    results = {"things": [row("slow thing, twice", [3.0, 4.0], "s", at_most=1),
                          row("quick thing", 0.5, "s", at_most=1),
                          could_not("odd thing", FileNotFoundError("no such file"))]}
    machine = {"date": "2026-01-01", "cores": 2, "processor": "P", "instructions": ["avx2"],
               "memory_gb": 8, "system": "Linux", "python": "3.11", "versions": {"torch": "2"}}
    assert report.from_json(report.as_json(machine, results)) == results
    page = report.as_page(machine, results, {"things": "All the things"})
    assert "1 of 2 met" in page
    assert "- Missed: slow thing, twice: 3.50 s (at most 1). It is a very slow thing." in page
    assert "## All the things" in page
    assert "odd thing (not measured: FileNotFoundError: no such file)" in page


@pytest.mark.parametrize("number, shown", [(None, "–"), (0.01234, "0.012"), (1.234, "1.23"),
                                           (12.34, "12.3"), (1234.5, "1,234")])
def test_figures_are_as_precise_as_measured(number, shown):
    assert report.figure(number) == shown


@pytest.mark.slow
@pytest.mark.model
@pytest.mark.browser
@pytest.mark.timeout(300)
def test_the_app_is_started_and_asked_in_a_real_browser(tmp_path):
    file = tmp_path / "results.json"
    done = run("--only", "start", "--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    rows = json.loads(file.read_text("utf-8"))["rows"]
    assert all(found["median"] > 0 for found in rows), rows
    by_name = {found["name"]: found["median"] for found in rows}
    assert (by_name["from the command to the page being usable"]
            < by_name["from the command to the first word of an answer"])


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.timeout(300)
def test_races_long_chats_and_many_people_are_measured_at_models_of_known_rate(tmp_path):
    file = tmp_path / "results.json"
    done = run("--only", "race", "long", "sessions", "--quick", "--json", str(file))
    assert done.returncode == 0, done.stderr
    rows = json.loads(file.read_text("utf-8"))["rows"]
    assert all(found["median"] is not None for found in rows), rows
    by_name = {found["name"]: found["median"] for found in rows}
    assert by_name["5 streaming at once: replies that did not come whole"] == 0
    assert by_name["5 streaming at once: that over the ideal"] >= 0.95  # nothing outruns the model
    assert by_name["a rerun with 100 messages: sent to the browser"] > 1
    assert by_name["a race of both: last word on the page"] >= 0.95  # 40 words, 40 a second


def test_ways_to_run_the_weights_are_held_against_each_other(monkeypatch):
    def way(rate: float, size: int) -> ways.Way:
        return ways.Way(lambda messages, tokens: Timing(
            first=len(messages) / rate, total=(len(messages) + tokens - 1) / rate, tokens=tokens,
            prompt_tokens=len(str(messages)), text="The first."), size)

    def broken():
        raise FileNotFoundError("no weights")

    monkeypatch.setattr(engines, "WAYS", {
        "built-in": lambda: nullcontext(way(100.0, 270_000_000)),
        "llama.cpp Q4_1": lambda: nullcontext(way(80.0, 98_000_000)), "tutorial": broken})
    monkeypatch.setattr(machine, "read_gigabytes_per_second", lambda megabytes: 45.0)
    rows = {found.name: found for found in engines.measure(Options(quick=True))}
    assert rows["rate: built-in / llama.cpp Q4_1"].median == pytest.approx(1.25)
    assert rows["built-in: rate as a share of what memory allows"].median == pytest.approx(0.6)
    assert rows["built-in: rate as a share of what memory allows"].met is False
    assert rows["built-in: first token of the next question on it"].median == pytest.approx(0.03)
    assert rows["tutorial"].note == "not measured: FileNotFoundError: no weights"
