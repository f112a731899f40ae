"""What an evaluation's rows come to, and the files that hold them."""

import csv
import io
import json

import pytest

from llm.errors import ImportRefusedError, StorageError
from llm.evaluation import make_plan
from llm.journal import Contender, Contents, Judged, Row
from llm.prompt_sets import parse_prompt_set
from llm.results import Results, load_results, parse_results, write_results
from llm.standings import Verdict, share

MODELS = ("smollm2-135m", "gpt-6-luna")


def results(*rows: dict, prompts: int = 4, models=MODELS, **plan) -> Results:
    lines = (json.dumps({"prompt": f"Question {number}?", "expected": "yes",
                         "tag": "odd" if number % 2 else "even"})
             for number in range(1, prompts + 1))
    prompt_set = parse_prompt_set("\n".join(lines).encode(), name="mine", form="jsonl")
    contents = Contents(make_plan(prompt_set, models, runs=plan.pop("runs", 3), **plan))
    for row in rows:
        contents.take(Row(**{"model": MODELS[0], "settings": 0, "run": 1, "started_at": 1.0,
                             "ending": "stop", "answer": "", **row}))
    return Results(contents)


def passing(prompt: int, passed: bool, **row) -> dict:
    finding = {"kind": "contains", "passed": passed, "score": float(passed), "detail": ""}
    return {"prompt": prompt, "answer": str(passed), "findings": [finding], **row}


# ── Figures ───────────────────────────────────────────────────────────────────────────


def test_quality_counts_prompts_not_runs():
    """Three runs that agree say no more about a model than one."""
    rows = [passing(prompt, prompt != 1, run=run) for prompt in (1, 2, 3, 4) for run in (1, 2, 3)]
    (summary,) = results(*rows).summaries
    assert summary.rows == 12
    assert summary.quality == share(3, 4)


def test_medians_are_over_prompts_and_have_an_interval():
    rows = [{"prompt": prompt, "run": run, "total_seconds": float(prompt), "usd": 0.001,
             "output_tokens": 10} for prompt in (1, 2, 3, 4) for run in (1, 2)]
    rows.append({"prompt": 4, "run": 3, "total_seconds": 4.0, "usd": 0.001, "output_tokens": 10})
    (summary,) = results(*rows).summaries
    assert summary.total_seconds.value == 2.5
    assert 1 <= summary.total_seconds.low < 2.5 < summary.total_seconds.high <= 4
    assert (summary.usd.low, summary.usd.value, summary.usd.high) == (0.001,) * 3
    assert summary.usd_in_all == pytest.approx(0.009)
    assert summary.first_token_seconds is None and summary.quality is None


def test_one_prompt_has_no_interval():
    (summary,) = results({"prompt": 1, "total_seconds": 2.0}).summaries
    assert (summary.total_seconds.value, summary.total_seconds.low) == (2.0, None)


def test_failed_rows_are_counted_and_in_no_other_figure():
    (summary,) = results(passing(1, True, total_seconds=1.0),
                         {"prompt": 2, "ending": "failed", "error": "No.", "total_seconds": 60.0}
                         ).summaries
    assert (summary.rows, summary.failed) == (2, 1)
    assert (summary.quality.votes, summary.total_seconds.value) == (1, 1.0)


def test_a_cost_that_is_not_known_is_not_made_up():
    (summary,) = results({"prompt": 1, "usd": 0.1}, {"prompt": 2, "usd": None}).summaries
    assert summary.usd is None and summary.usd_in_all is None


def test_steadiness_is_the_likeness_of_runs_of_the_same_prompt():
    (summary,) = results(*[{"prompt": 1, "run": run, "answer": "aa"} for run in (1, 2)],
                         {"prompt": 2, "answer": "zz"}).summaries
    assert summary.steadiness == 1
    assert results({"prompt": 1, "answer": "aa"}).summaries[0].steadiness is None


def test_each_tag_has_a_quality_of_its_own():
    by_tag = results(*[passing(prompt, prompt % 2 == 1) for prompt in (1, 2, 3, 4)]
                     ).quality_by_tag()
    contender = Contender(MODELS[0], 0)
    assert {tag: found[contender].value for tag, found in by_tag.items()} == {"odd": 1, "even": 0}


def test_the_pareto_front_leaves_out_who_is_beaten_in_both():
    """Three settings: quick and poor, slow and good, slower and poor."""
    rows = [passing(prompt, passed, settings=number, total_seconds=seconds)
            for number, (passed, seconds) in enumerate([(False, 1.0), (True, 2.0), (False, 3.0)])
            for prompt in (1, 2)]
    found = results(*rows, settings=[{"seed": 1}, {"seed": 2}, {"seed": 3}])
    front = found.pareto(lambda summary: summary.total_seconds)
    assert [summary.name for summary in front] == ["SmolLM2 135M (seed 1)", "SmolLM2 135M (seed 2)"]
    assert found.pareto(lambda summary: summary.usd) == []


def test_prompts_on_which_contenders_differ_are_found():
    rows = [passing(1, True), passing(1, False, model=MODELS[1]),
            passing(2, True), passing(2, True, model=MODELS[1], answer="other words"),
            {"prompt": 3, "answer": "so"}, {"prompt": 3, "answer": "so \n", "model": MODELS[1]},
            {"prompt": 4, "answer": "so"}, {"prompt": 4, "answer": "not so", "model": MODELS[1]}]
    assert results(*rows).differing() == {1, 4}


def test_the_judges_findings_become_standings():
    found = results(prompts=30, judge="gpt-6-luna")
    for prompt in range(1, 31):
        found.contents.take(Judged(
            prompt=prompt, run=1, left=(MODELS[0], 0), right=(MODELS[1], 0), agreed=True,
            choice="tie" if prompt < 4 else "right", said=("SECOND", "FIRST")))
    (pair,) = found.judge_standings.pairs
    assert (pair.left, pair.record.wins, pair.record.ties) == ("GPT-6 Luna", 27, 3)
    assert pair.record.rate.verdict is Verdict.ABOVE
    assert results().judge_standings is None


# ── Files ─────────────────────────────────────────────────────────────────────────────


def full() -> Results:
    return results(passing(1, True, total_seconds=1.0, usd=0.001), passing(2, False),
                   {"prompt": 3, "answer": "=HYPERLINK(\"http://x\")\n\"quoted\", ü"},
                   {"prompt": 4, "model": MODELS[1], "ending": "failed", "error": "No answer."})


def test_csv_reads_back_with_a_row_for_each():
    rows = list(csv.DictReader(io.StringIO(full().to_csv())))
    assert [row["prompt_number"] for row in rows] == ["1", "2", "3", "4"]
    assert (rows[0]["passed"], rows[0]["contender"], rows[0]["expected"]) == (
        "True", "SmolLM2 135M", "yes")
    assert rows[3]["error"] == "No answer."
    assert results().to_csv().startswith("prompt_number")


@pytest.mark.parametrize("answer", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", " =1", "\r=1"])
def test_no_answer_becomes_a_formula_in_a_spreadsheet(answer):
    (row,) = csv.DictReader(io.StringIO(results({"prompt": 1, "answer": answer}).to_csv(),
                                        newline=""))
    assert row["answer"] == "'" + answer


def test_json_lines_hold_everything_and_open_again():
    first = full()
    again = parse_results(first.to_jsonl().encode())
    assert again.table() == first.table() and again.plan == first.plan
    assert again.to_jsonl() == first.to_jsonl()


def test_files_are_written_whole_and_open_again(tmp_path):
    paths = write_results(full(), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "report.html", "results.csv", "results.jsonl"]
    assert load_results(paths[1]).table() == full().table()
    assert paths[0].read_bytes().startswith(b"\xef\xbb\xbf"), "spreadsheets see that it is UTF-8"


@pytest.mark.parametrize(("damage", "said"), [
    (lambda lines: lines[1:], "the plan must come first"),
    (lambda lines: [lines[0], *lines], "the plan must come first, and once"),
    (lambda lines: [*lines, lines[1]], "ran twice"),
    (lambda lines: [*lines, b"{}"], "damaged at line 6: it is not a line of an evaluation"),
    (lambda lines: [b"prompt,answer"], "Choose a file that Parley wrote as JSON Lines"),
    (lambda lines: [*lines, b"[" * 100_000], "damaged at line 6"),
    (lambda lines: [*lines, lines[1].replace(b'"prompt":1', b'"prompt":99')], "has no such row"),
    (lambda lines: [*lines, lines[1].replace(b"smollm2-135m", b"stranger")], "has no such row"),
    (lambda lines: [*lines, lines[1].replace(b'"run":1', b'"run":9')], "has no such row"),
    (lambda lines: [*lines, lines[1].replace(b'"kind":"row"', b'"kind":"lc"')], "damaged"),
    (lambda lines: [lines[0].replace(b'"version":1', b'"version":2')], "version"),
    (lambda lines: [b"\xff"], "damaged at line 1"),
    (lambda lines: [], "holds no evaluation"),
])
def test_a_file_that_is_not_whole_results_is_refused_with_the_line(damage, said):
    lines = full().to_jsonl().encode().splitlines()
    with pytest.raises(ImportRefusedError, match=said):
        parse_results(b"".join(line + b"\n" for line in damage(lines)))


def test_a_place_without_results_is_told(tmp_path):
    with pytest.raises(StorageError, match="holds no evaluation"):
        load_results(tmp_path)
    with pytest.raises(StorageError, match="cannot be read"):
        load_results(tmp_path / "none.jsonl")
