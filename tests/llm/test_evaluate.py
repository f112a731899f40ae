"""An evaluation runs every row once, whatever interrupts it, and says how it stands."""

import errno
import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from langchain_core.language_models import GenericFakeChatModel
from langchain_core.messages import AIMessage

from llm import evaluate, prices, spending
from llm.errors import InvalidKeyError, StorageError, UnknownModelError
from llm.evaluation import UNLUCKY, Evaluation, make_plan
from llm.journal import FILE_NAME, Journal, Key, Pair, Row, read_folder
from llm.lanes import State
from llm.prompt_sets import parse_prompt_set
from llm.results import load_results
from llm.spending import estimate
from tests.app import ROOT, clean_environment, wait_until
from tests.servers.fixed_rate import fixed_rate
from tests.servers.hostile import Hostile
from tests.servers.recording import running

ENTRY = """
[[model]]
id = "{model}"
label = "Model {model}"
provider = "openai"
model = "{model}"
base_url = "{url}"
open = {open}
"""


def write_catalog(path: Path, url: str, models=("a", "b")) -> Path:
    path.write_text("".join(ENTRY.format(model=model, url=url, open=str(model > "a").lower())
                            for model in models), encoding="utf-8")
    return path


@pytest.fixture
def use(tmp_path, monkeypatch):
    """Fill the catalog with models behind a server."""
    def fill(url: str, *models: str) -> None:
        path = write_catalog(tmp_path / "models.toml", url, models or ("a", "b"))
        monkeypatch.setenv("PARLEY_MODELS", str(path))
    return fill


def prompt_set(count: int, **row):
    lines = (json.dumps({"prompt": f"Question {number}?", **row}) for number in range(1, count + 1))
    return parse_prompt_set("\n".join(lines).encode(), name="questions", form="jsonl")


def run(evaluation: Evaluation, seconds: float = 60):
    evaluation.start()
    progress = evaluation.wait(seconds)
    assert evaluation.is_over, progress
    return progress


def questions_in_journal(folder: Path) -> Counter:
    """Straight from the file: how often each row is in it."""
    lines = (folder / FILE_NAME).read_text("utf-8").splitlines()
    rows = [line for line in map(json.loads, lines) if line["kind"] == "row"]
    return Counter((row["prompt"], row["model"], row["settings"], row["run"]) for row in rows)


# ── A run without a hitch ─────────────────────────────────────────────────────────────


def test_every_prompt_runs_on_every_model_with_every_settings_as_often_as_wanted(use, tmp_path):
    with fixed_rate(lambda model, question: f"{model} says Paris to {question}") as server:
        use(server.base_url)
        plan = make_plan(prompt_set(3, expected="Paris"), ["a", "b"], runs=2,
                         settings=[{"temperature": 0.0}, {"temperature": 1.0}])
        evaluation = Evaluation.begin(plan, tmp_path / "out")
        progress = run(evaluation)
        asked = server.requests
    assert (progress.state, progress.done, progress.total) == (State.FINISHED, 24, 24)
    assert set(questions_in_journal(tmp_path / "out").values()) == {1}
    assert Counter((request.json["model"], request.json["temperature"]) for request in asked) == {
        (model, temperature): 6 for model in "ab" for temperature in (0.0, 1.0)}
    row = evaluation.results.contents.rows[Key(2, "b", 1, 1)]
    assert (row.answer, row.ending, row.score) == ("b says Paris to Question 2?", "stop", 1.0)
    assert row.tokens_measured and row.output_tokens == 6 and row.input_tokens == 2
    assert 0 < row.first_token_seconds <= row.total_seconds


def test_the_results_are_in_the_folder_and_open_again(use, tmp_path):
    with fixed_rate("Paris") as server:
        use(server.base_url)
        evaluation = Evaluation.begin(make_plan(prompt_set(2), ["a"]), tmp_path / "out")
        run(evaluation)
    names = {path.name for path in (tmp_path / "out").iterdir()} - {".lock"}
    assert names == {"journal.jsonl", "results.csv", "results.jsonl", "report.html"}
    for path in (tmp_path / "out", tmp_path / "out" / "results.jsonl"):
        assert load_results(path).table() == evaluation.results.table()


def test_a_prompts_own_instruction_goes_before_the_plans(use, tmp_path):
    prompts = parse_prompt_set(b'{"prompt": "One", "system": "Own"}\n{"prompt": "Two"}',
                               name="x", form="jsonl")
    with fixed_rate("ok") as server:
        use(server.base_url)
        run(Evaluation.begin(make_plan(prompts, ["a"], system="Common"), tmp_path / "out"))
        sent = {tuple(message["content"] for message in request.json["messages"])
                for request in server.requests}
    assert sent == {("Own", "One"), ("Common", "Two")}


def test_no_more_calls_run_at_once_than_allowed(use, tmp_path):
    with fixed_rate("one two", first=0.05) as server:
        use(server.base_url)
        run(Evaluation.begin(make_plan(prompt_set(12), ["a", "b"]), tmp_path / "out",
                             parallel={"a": 2, None: 3}))
        assert server.busiest == {"a": 2, "b": 3}


def saying(*answers: str) -> GenericFakeChatModel:
    """A chat model that gives these answers in turn."""
    return GenericFakeChatModel(messages=iter([
        AIMessage(answer, response_metadata={"finish_reason": "stop"}) for answer in answers]))


def test_a_chat_model_made_elsewhere_is_used_as_it_is(tmp_path):
    """The app brings the key of the person who asks."""
    made = []

    def create(spec):
        made.append(spec.id)
        return saying("hi", "hi")

    evaluation = Evaluation.begin(make_plan(prompt_set(2), ["gpt-6-luna"]), tmp_path, create=create)
    assert run(evaluation).done == 2 and made == ["gpt-6-luna"]


# ── Interruptions ─────────────────────────────────────────────────────────────────────


@contextmanager
def command(folder: Path, *arguments: str, catalog: Path) -> Iterator[subprocess.Popen]:
    """`python -m llm.evaluate` in a process of its own, which does not outlive the block."""
    with subprocess.Popen(
            [sys.executable, "-m", "llm.evaluate", "--out", str(folder), *arguments], cwd=ROOT,
            env=clean_environment(PARLEY_MODELS=str(catalog), PARLEY_HOME=str(folder / "home")),
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.timeout(400)
def test_cancelled_and_killed_half_way_every_row_still_runs_exactly_once(tmp_path):
    """200 prompts on two models: cancelled after a quarter, killed with -9 after a half."""
    folder, in_flight = tmp_path / "out", 4 + 4

    def rows() -> int:
        path = folder / FILE_NAME
        return path.read_bytes().count(b'{"kind":"row"') if path.exists() else 0

    prompts = tmp_path / "prompts.txt"
    prompts.write_text("\n".join(f"Question {number}?" for number in range(1, 201)))
    with fixed_rate("It is Paris", first=0.02) as server:
        catalog = write_catalog(tmp_path / "models.toml", server.base_url)
        with command(folder, str(prompts), "--models", "a", "b", catalog=catalog) as first:
            wait_until(lambda: rows() >= 100, "a quarter has run", seconds=100)
            first.send_signal(signal.SIGINT)
            assert first.wait(60) == 3
        after_cancel = questions_in_journal(folder)
        asked_by_then = Counter(server.asked)

        with command(folder, "--resume", catalog=catalog) as second:
            wait_until(lambda: rows() >= 200, "a half has run", seconds=100)
            second.kill()
        after_kill = questions_in_journal(folder)

        with command(folder, "--resume", catalog=catalog) as third:
            assert third.wait(200) == 0
        asked = server.asked

    assert 100 <= len(after_cancel) < len(after_kill) < 400
    everything = questions_in_journal(folder)
    assert len(everything) == 400 and set(everything.values()) == {1}
    assert after_kill.items() <= everything.items(), "what was kept stayed"
    # The server heard of each row once, but for those under way at the two interruptions.
    assert len(asked) == 400 and sum(asked.values()) <= 400 + 2 * in_flight
    for prompt, model, _, _ in after_cancel:
        question = model, f"Question {prompt}?"
        assert asked[question] == asked_by_then[question], "what was kept is not asked again"


def test_a_row_cut_off_by_the_kill_is_run_again_and_nothing_else(use, tmp_path):
    folder = tmp_path / "out"
    with fixed_rate("Paris") as server:
        use(server.base_url)
        run(Evaluation.begin(make_plan(prompt_set(4), ["a"]), folder))
        journal = folder / FILE_NAME
        whole = journal.read_bytes()
        journal.write_bytes(whole[:-30])
        server.asked.clear()
        evaluation = Evaluation.take_up(folder)
        assert evaluation.progress().done == 3
        assert run(evaluation).state is State.FINISHED
        assert sum(server.asked.values()) == 1
    assert set(questions_in_journal(folder).values()) == {1}


def test_a_journal_damaged_in_its_middle_is_refused_and_left_alone(use, tmp_path):
    folder = tmp_path / "out"
    with fixed_rate("Paris") as server:
        use(server.base_url)
        run(Evaluation.begin(make_plan(prompt_set(3), ["a"]), folder))
    lines = (folder / FILE_NAME).read_bytes().splitlines(keepends=True)
    for bad in ([lines[0], b'{"kind": "row"}\n', *lines[1:]], [*lines, lines[-1]], lines[1:]):
        (folder / FILE_NAME).write_bytes(b"".join(bad))
        with pytest.raises(StorageError, match="damaged at line"):
            Evaluation.take_up(folder)
        assert (folder / FILE_NAME).read_bytes() == b"".join(bad)


def test_pause_lets_replies_end_and_begins_no_more(use, tmp_path):
    with fixed_rate("one two three", first=0.05) as server:
        use(server.base_url)
        evaluation = Evaluation.begin(make_plan(prompt_set(30), ["a"]), tmp_path / "out")
        evaluation.start()
        wait_until(lambda: evaluation.progress().done >= 3, "some rows have run")
        evaluation.pause()
        wait_until(lambda: evaluation.progress().state is State.PAUSED
                   and evaluation.progress().lanes[0].running == 0, "it stands still")
        done, asked = evaluation.progress().done, sum(server.asked.values())
        assert done == asked < 30
        evaluation.wait(0.3)
        assert (evaluation.progress().done, sum(server.asked.values())) == (done, asked)
        evaluation.resume()
        progress = evaluation.wait(30)
        assert (progress.state, progress.done) == (State.FINISHED, 30)
        assert set(server.asked.values()) == {1}


def test_cancel_closes_the_connections_at_once_and_leaves_the_results_so_far(use, tmp_path):
    with fixed_rate(lambda model, question: "a " * (5 if "1?" in question else 10_000), rate=100
                    ) as server:
        use(server.base_url)
        evaluation = Evaluation.begin(make_plan(prompt_set(3), ["a"]), tmp_path / "out")
        evaluation.start()
        wait_until(lambda: evaluation.progress().done == 1, "the short one has run")
        evaluation.cancel()
        progress = evaluation.wait(10)
        assert (progress.state, evaluation.is_over) == (State.CANCELLED, True)
        wait_until(lambda: not any(server.under_way.values()), "the server is left in peace")
    assert list(questions_in_journal(tmp_path / "out")) == [(1, "a", 0, 1)]
    assert len(load_results(tmp_path / "out").rows) == 1
    assert "1 of 3 rows have run" in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_one_that_never_began_can_be_put_away(use, tmp_path):
    use("http://127.0.0.1:9/v1")
    evaluation = Evaluation.begin(make_plan(prompt_set(1), ["a"]), tmp_path)
    evaluation.cancel()
    assert evaluation.wait(1).state is State.CANCELLED
    Evaluation.take_up(tmp_path).cancel()


def test_two_processes_never_run_the_same_evaluation(use, tmp_path):
    use("http://127.0.0.1:9/v1")
    evaluation = Evaluation.begin(make_plan(prompt_set(1), ["a"]), tmp_path)
    with pytest.raises(StorageError, match="running already"):
        Evaluation.take_up(tmp_path)
    evaluation.cancel()


def test_a_folder_with_an_evaluation_is_not_begun_anew(use, tmp_path):
    use("http://127.0.0.1:9/v1")
    plan = make_plan(prompt_set(1), ["a"])
    Evaluation.begin(plan, tmp_path).cancel()
    with pytest.raises(StorageError, match="already holds an evaluation"):
        Evaluation.begin(plan, tmp_path)
    with pytest.raises(StorageError, match="holds no evaluation"):
        Evaluation.take_up(tmp_path / "elsewhere")


def test_a_full_disk_stops_it_with_a_sentence_and_what_ran_is_kept(use, tmp_path, monkeypatch):
    folder, force = tmp_path / "out", os.fsync
    rows = iter(range(100))

    def full_at_the_fifth(descriptor):
        if threading.current_thread().name.startswith("evaluation") and next(rows) == 4:
            raise OSError(errno.ENOSPC, "No space left on device")
        force(descriptor)

    with fixed_rate("Paris") as server:
        use(server.base_url)
        evaluation = Evaluation.begin(make_plan(prompt_set(30), ["a"]), folder)
        monkeypatch.setattr(os, "fsync", full_at_the_fifth)
        progress = run(evaluation)
        assert progress.state is State.FAILED and "No space left" in str(progress.error)
        kept = questions_in_journal(folder)
        assert 4 <= len(kept) < 30
        assert run(Evaluation.take_up(folder)).state is State.FINISHED
    assert kept.items() <= questions_in_journal(folder).items()


def test_a_line_that_did_not_reach_the_disk_is_not_in_the_journal(tmp_path, monkeypatch):
    journal = Journal.begin(tmp_path, make_plan(prompt_set(1), ["gpt-6-luna"]))
    row = Row(prompt=1, model="gpt-6-luna", settings=0, run=1, answer="x", ending="stop",
              started_at=1.0)
    with monkeypatch.context() as patch, pytest.raises(OSError):
        patch.setattr(os, "fsync", lambda descriptor: (_ for _ in ()).throw(OSError("full")))
        journal.append(row)
    assert journal.contents.rows == {} and read_folder(tmp_path).rows == {}
    journal.append(row)
    journal.close()
    assert list(read_folder(tmp_path).rows) == [row.key]


# ── Failures ──────────────────────────────────────────────────────────────────────────


def test_a_failed_row_is_a_result_and_runs_again_only_on_request(use, tmp_path):
    """A prompt too long for the model fails however often it is tried."""
    folder = tmp_path / "out"
    with running(Hostile) as server:
        use(server.base_url, "400-context-openai", "length")
        plan = make_plan(prompt_set(2), ["400-context-openai", "length"])
        progress = run(Evaluation.begin(plan, folder))
        assert (progress.state, progress.done, progress.failed) == (State.FINISHED, 4, 2)
        asked = len(server.requests)
        assert run(Evaluation.take_up(folder)).state is State.FINISHED
        assert len(server.requests) == asked
        assert run(Evaluation.take_up(folder, retry_failed=True)).failed == 2
        assert len(server.requests) > asked
    rows = load_results(folder).rows
    assert [(row.model, row.ending, row.attempt) for row in rows] == [
        ("400-context-openai", "failed", 2)] * 2 + [("length", "length", 1)] * 2
    assert "Traceback" not in rows[0].error and rows[0].error_type == "ContextTooLongError"


def test_a_model_whose_key_is_refused_stops_alone_and_its_rows_wait(use, tmp_path):
    folder = tmp_path / "out"
    with running(Hostile) as server:
        use(server.base_url, "401", "length")
        progress = run(Evaluation.begin(make_plan(prompt_set(40), ["401", "length"]), folder))
        asked = Counter(request.json["model"] for request in server.requests)
    refused, fine = progress.lanes
    assert progress.state is State.INCOMPLETE
    assert (refused.done, fine.done) == (0, 40)
    assert "key" in str(refused.halted) and fine.halted is None
    assert asked["401"] <= 4
    assert {key[1] for key in questions_in_journal(folder)} == {"length"}


def test_a_model_that_cannot_even_be_made_stops_alone(use, tmp_path):
    def create(spec):
        raise InvalidKeyError("That key is not one.")

    evaluation = Evaluation.begin(make_plan(prompt_set(2), ["gpt-6-luna"]), tmp_path, create=create)
    progress = run(evaluation)
    assert progress.state is State.INCOMPLETE
    assert str(progress.lanes[0].halted) == "That key is not one."


def test_a_server_that_fails_again_and_again_is_left_alone(use, tmp_path):
    with running(Hostile) as server:
        use(server.base_url, "429-long")
        progress = run(Evaluation.begin(make_plan(prompt_set(60), ["429-long"]), tmp_path / "out",
                                        parallel={None: 1}))
    assert progress.state is State.INCOMPLETE
    assert f"{UNLUCKY} replies in a row failed" in str(progress.lanes[0].halted)
    assert progress.lanes[0].done == UNLUCKY


def test_what_is_a_bug_and_no_error_to_show_is_raised(tmp_path):
    def create(spec):
        raise ZeroDivisionError

    evaluation = Evaluation.begin(make_plan(prompt_set(1), ["gpt-6-luna"]), tmp_path, create=create)
    evaluation.start()
    with pytest.raises(ExceptionGroup):
        evaluation.wait(10)
    assert evaluation.progress().state is State.FAILED


def test_half_a_surrogate_in_an_answer_does_not_break_the_journal(tmp_path):
    evaluation = Evaluation.begin(make_plan(prompt_set(1), ["gpt-6-luna"]), tmp_path,
                                  create=lambda spec: saying("half \ud83d pair"))
    assert run(evaluation).state is State.FINISHED
    assert load_results(tmp_path).rows[0].answer == "half \ufffd pair"


# ── Money ─────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def priced(monkeypatch):
    """A dollar for a thousand tokens out, nothing for those in."""
    price = prices.Price(input=0.0, output=1000.0, source="a list, 2026")
    for module in (prices, spending):
        monkeypatch.setattr(module, "price_of", lambda spec: price)


def test_the_estimate_says_calls_tokens_and_dollars_before_anything_is_sent(use, priced):
    use("http://127.0.0.1:9/v1")
    plan = make_plan(prompt_set(10), ["a", "b"], runs=2, judge="b",
                     settings=[{"max_tokens": 100}, {"max_tokens": 300}])
    one, two, judge = estimate(plan).models
    assert (one.calls, one.output_tokens, one.usd) == (40, 8_000, pytest.approx(8.0))
    assert two.usd == one.usd and one.source == "a list, 2026"
    # Four contenders make six pairs, each asked about twice.
    assert (judge.is_judge, judge.calls) == (True, 10 * 2 * 6 * 2)
    assert estimate(plan).calls == 320 and estimate(plan).unpriced == ()


def test_local_models_cost_nothing_and_unknown_prices_are_named(use):
    use("http://127.0.0.1:9/v1")
    found = estimate(make_plan(prompt_set(1), ["smollm2-135m", "a"]))
    assert [model.usd for model in found.models] == [0.0, None]
    assert found.unpriced == ("Model a",) and found.usd == 0


def test_no_call_begins_that_could_pass_the_limit_on_spending(use, tmp_path, priced):
    folder = tmp_path / "out"
    with fixed_rate("one two three four five", first=0.02) as server:
        use(server.base_url)
        plan = make_plan(prompt_set(40), ["a", "b"], settings=[{"max_tokens": 10}])
        progress = run(Evaluation.begin(plan, folder, max_usd=0.104))
        assert progress.state is State.INCOMPLETE
        # A reply costs half a cent and may cost one: 19 are paid, and 20 would leave too little.
        assert progress.usd == pytest.approx(0.095) and progress.done == 19
        assert all("limit of $0.10" in str(lane.halted) for lane in progress.lanes)
        assert run(Evaluation.take_up(folder, max_usd=0.104)).done == 19
        assert run(Evaluation.take_up(folder, max_usd=1.0)).state is State.FINISHED
        assert set(server.asked.values()) == {1}


# ── The judge ─────────────────────────────────────────────────────────────────────────


def verdicts(model: str, question: str) -> str:
    """Answers, and a judge that prefers what b says wherever it stands."""
    if "<first_answer>" not in question:
        return f"I am {model}"
    return "FIRST" if "<first_answer>\nI am b" in question else "SECOND"


def test_a_judge_compares_the_answers_once_and_the_standings_say_what_it_found(use, tmp_path):
    folder = tmp_path / "out"
    with fixed_rate(verdicts) as server:
        use(server.base_url, "a", "b", "j")
        plan = make_plan(prompt_set(12, expected="b"), ["a", "b"], judge="j")
        progress = run(Evaluation.begin(plan, folder))
        assert [(lane.done, lane.total, lane.is_judge) for lane in progress.lanes] == [
            (12, 12, False), (12, 12, False), (12, 12, True)]
        asked = [question for model, question in server.asked if model == "j"]
        assert len(asked) == 24 and all("<reference>\nb\n" in question for question in asked)
        assert run(Evaluation.take_up(folder)).state is State.FINISHED
        assert sum(server.asked.values()) == 24 + 24
    results = load_results(folder)
    judged = results.contents.judged[Pair(1, 1, ("a", 0), ("b", 0))]
    assert (judged.choice, judged.agreed) == ("right", True)
    (pair,) = results.judge_standings.pairs
    assert {pair.left, pair.right} == {"Model a", "Model b"} and 12 in (pair.record.wins,
                                                                        pair.record.losses)


def test_a_judge_that_fails_is_asked_again_at_the_next_sitting(use, tmp_path):
    folder = tmp_path / "out"
    with running(Hostile) as server:
        use(server.base_url, "length", "401")
        plan = make_plan(prompt_set(2), ["length"], judge="401",
                         settings=[{"seed": 1}, {"seed": 2}])
        progress = run(Evaluation.begin(plan, folder))
        assert progress.state is State.INCOMPLETE and "key" in str(progress.lanes[-1].halted)
        before = len(server.requests)
        assert run(Evaluation.take_up(folder)).lanes[-1].done == 0
        assert {request.json["model"] for request in server.requests[before:]} == {"401"}


# ── The command line ──────────────────────────────────────────────────────────────────


def test_the_command_runs_the_same_code_and_its_results_open(use, tmp_path, capsys):
    folder = tmp_path / "out"
    with fixed_rate("Bonjour") as server:
        use(server.base_url)
        code = evaluate.main(["translation", "--models", "a", "b", "--out", str(folder),
                              "--temperature", "0", "0.7", "--max-tokens", "20"])
    output = capsys.readouterr()
    assert code == 0
    assert "128 calls in all" in output.out and "no price is known" in output.out
    assert "Model a (temperature 0.0, max_tokens 20): 32 rows, quality" in output.out
    assert "128/128 finished" in output.err, "a line of progress without a terminal"
    results = load_results(folder)
    assert len(results.rows) == 128 and results.plan.set_name == "translation"


@pytest.mark.parametrize(("arguments", "said"), [
    (["none.csv", "--models", "a"], "cannot be read"),
    (["translation", "--models", "nobody"], "no model called"),
    (["translation", "--models", "a", "--runs", "0"], "runs"),
    (["--resume"], "holds no evaluation"),
])
def test_what_cannot_begin_ends_with_two_and_a_sentence(use, tmp_path, capsys, arguments, said):
    use("http://127.0.0.1:9/v1")
    assert evaluate.main([*arguments, "--out", str(tmp_path / "out")]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [
    [], ["translation"], ["translation", "--models", "a", "--parallel", "0"],
    ["--resume", "--models", "a"], ["translation", "--models", "a", "--retry-failed"],
])
def test_arguments_that_make_no_sense_end_with_two(arguments, tmp_path, capsys):
    with pytest.raises(SystemExit) as ended:
        evaluate.main([*arguments, "--out", str(tmp_path)])
    assert ended.value.code == 2


def test_resuming_with_other_prompts_is_refused(use, tmp_path, capsys):
    use("http://127.0.0.1:9/v1")
    Evaluation.begin(make_plan(prompt_set(1), ["a"]), tmp_path).cancel()
    arguments = ["translation", "--models", "a", "--out", str(tmp_path), "--resume"]
    assert evaluate.main(arguments) == 2
    assert "other prompts, models or settings" in capsys.readouterr().err


def test_an_estimate_alone_begins_nothing(use, tmp_path, capsys, priced):
    use("http://127.0.0.1:9/v1")
    arguments = ["translation", "--models", "a", "--out", str(tmp_path / "out"), "--estimate"]
    assert evaluate.main(arguments) == 0
    assert "about $16.00 at most, a list, 2026" in capsys.readouterr().out
    assert not (tmp_path / "out").exists()


def test_a_setting_that_a_model_does_not_take_is_said_before_anything_is_sent(capsys, tmp_path):
    arguments = ["translation", "--models", "smollm2-135m", "gpt-6-luna", "--temperature", "0",
                 "--max-tokens", "20", "--out", str(tmp_path / "out"), "--estimate"]
    assert evaluate.main(arguments) == 0
    told = capsys.readouterr().err
    assert "GPT-6 Luna takes no temperature: it is not sent" in told and "SmolLM2" not in told


def test_a_bar_for_the_score_needs_something_to_score_by(use, tmp_path, capsys):
    prompts = tmp_path / "prompts.txt"
    prompts.write_text("Hi")
    use("http://127.0.0.1:9/v1")
    arguments = [str(prompts), "--models", "a", "--out", str(tmp_path / "out")]
    assert evaluate.main([*arguments, "--fail-under", "0.5"]) == 2
    assert "needs a prompt with a check" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("model", "arguments", "code"), [
    ("length", [], 0), ("length", ["--fail-under", "0.5"], 1), ("400-context-openai", [], 1),
    ("401", [], 3),
])
def test_the_exit_code_says_how_it_ended(use, tmp_path, capsys, model, arguments, code):
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text('{"prompt": "Hi", "expected": "never said"}')
    with running(Hostile) as server:
        use(server.base_url, model)
        assert evaluate.main([str(prompts), "--models", model, "--out", str(tmp_path / "out"),
                              *arguments]) == code


def test_the_help_documents_the_exit_codes(capsys):
    with pytest.raises(SystemExit):
        evaluate.main(["--help"])
    assert "--resume runs what is left" in capsys.readouterr().out


def test_a_plan_of_unknown_models_is_refused():
    with pytest.raises(UnknownModelError):
        make_plan(prompt_set(1), ["nobody"])


def test_ctrl_c_is_the_commands_own_only_while_it_runs(use, tmp_path, capsys):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    with fixed_rate("Paris") as server:
        use(server.base_url)
        evaluate.main(["translation", "--models", "a", "--out", str(tmp_path)])
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
