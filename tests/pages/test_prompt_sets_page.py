"""Prompt sets on their page: chosen, estimated, run, cancelled, resumed, and read."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import kept
from llm import evaluation_runs
from llm.evaluation import Evaluation, make_plan
from llm.lanes import State
from llm.prompt_sets import parse_prompt_set
from llm.results import parse_results
from storage import open_store
from tests.app import ROOT, wait_until
from tests.servers.fixed_rate import FixedRateServer, fixed_rate

PAGE = ROOT / "pages" / "07_evaluate.py"
GOOD, BAD, DEAD = "test-good", "test-bad", "test-dead"
FACTS = "prompt,expected\nCapital of France?,Paris\nCapital of Italy?,Rome\nTwo and two?,4\n"


def script(model: str, question: str) -> str:
    answers = {"Capital of France?": "It is Paris.", "Capital of Italy?": "It is Rome.",
               "Two and two?": "4"}
    if "better" in question:
        return "1"
    return answers.get(question, "yes") if model == GOOD else "I do not know."


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with fixed_rate(script) as running:
        catalog = tmp_path / "models.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name.title()}"\nprovider = "openai"\n'
            f'model = "{name}"\nbase_url = "{url}"\nopen = true\n'
            for name, url in ((GOOD, running.base_url), (BAD, running.base_url),
                              (DEAD, "http://127.0.0.1:9/v1"))))
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield running
        evaluation_runs.shutdown()


@pytest.fixture
def owner(monkeypatch: pytest.MonkeyPatch) -> str:
    """Whom the page takes for its visitor."""
    monkeypatch.setattr("components.evaluation_runs.current_owner", lambda: "browser:ada")
    monkeypatch.setattr("components.evaluation_results.current_owner", lambda: "browser:ada")
    return "browser:ada"


def open_page(**query: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=30)
    for name, value in query.items():
        page.query_params[name] = value
    return well(page.run())


def well(page: AppTest) -> AppTest:
    assert not page.exception, page.exception
    return page


def type_set(page: AppTest, text: str = FACTS, form: str = "csv", models=(GOOD, BAD)) -> AppTest:
    well(page.segmented_control(key="prompts-from").set_value("typed").run())
    page.selectbox(key="prompts-form").set_value(form)
    page.text_area(key="prompts-typed").set_value(text)
    well(page.run())
    return well(page.multiselect(key="evaluated").set_value(list(models)).run())


def press(page: AppTest, key: str) -> AppTest:
    return well(page.button(key=key).click().run())


def test_while_nothing_is_to_be_kept_none_is_begun_and_that_is_said(server, owner, monkeypatch):
    monkeypatch.setattr(kept, "current_owner", lambda: owner)
    with closing(open_store()) as store:
        store.put_record(owner, kept.SETTINGS, kept.NOTHING, True)
    page = press(type_set(open_page()), "evaluation-start")
    assert "nothing is to be kept now" in page.error[0].value
    assert evaluation_runs.kept(owner) == [] and server.requests == []


def wait_for_the_end(page: AppTest, owner: str) -> AppTest:
    run = page.session_state["evaluation"]
    wait_until(lambda: evaluation_runs.running(owner, run) is None, "the run ends")
    return well(page.run())


def words(page: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "error", "warning", "table")
    shown = "\n".join(str(element.value) for kind in kinds for element in page.get(kind))
    return shown.replace("\\", "")


def rows(page: AppTest):
    return page.dataframe[-1].value


def asked(server: FixedRateServer) -> Counter:
    return Counter(server.asked)


def test_a_typed_set_runs_on_two_models_and_ends_in_a_table(server, owner):
    page = type_set(open_page())
    assert page.button(key="evaluation-start").label == "Start 6 calls"
    assert list(page.table[0].value["Calls"]) == ["3", "3"]
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert set(asked(server).values()) == {1} and len(asked(server)) == 6
    table = page.table[0].value
    assert [cell.split()[0] for cell in table["Quality"]] == ["100%", "0%"]
    assert list(table["Failed"]) == ["0", "0"]
    assert len(rows(page)) == 6
    assert "6 of 6 finished" in words(page)
    quality = (page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart"))[0]
    assert '"domain": [0, 1]' in quality.proto.spec, "a share is seen as one of the whole"


def test_rows_are_searched_and_filtered_to_where_models_differ(server, owner):
    page = type_set(open_page(), FACTS + "Is it?,know\n")
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    well(page.text_input(key="rows-search").set_value("italy").run())
    assert list(rows(page)["Model"]) == ["Test-Good", "Test-Bad"]
    well(page.text_input(key="rows-search").set_value("").run())
    well(page.pills(key="rows-only").set_value("not passed").run())
    assert set(rows(page)["Checks"]) == {"not passed"}


def test_a_column_in_which_nothing_stands_is_left_out(server, owner):
    page = type_set(open_page(), "Why?\nWhat for?", "text")
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert list(rows(page)) == ["No.", "Prompt", "Model", "Answer", "Seconds", "Tokens out",
                                "Ending"]


def test_only_the_first_prompts_of_a_shipped_set_can_be_run(server, owner):
    page = open_page()
    well(page.multiselect(key="evaluated").set_value([GOOD]).run())
    well(page.number_input(key="prompts-first").set_value(5).run())
    assert page.button(key="evaluation-start").label == "Start 5 calls"


def test_a_setting_that_a_model_does_not_take_is_said_before_the_start(server, owner):
    page = type_set(open_page(), models=[GOOD, "gpt-6-luna"])
    assert "GPT-6 Luna takes no temperature: it is not sent" in words(page)
    assert "Test-Good takes no" not in words(page)


def test_models_times_temperatures_times_runs(server, owner):
    page = type_set(open_page())
    page.multiselect(key="evaluated-temperatures").set_value([0.0, 1.0])
    well(page.number_input(key="evaluated-runs").set_value(3).run())
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert set(asked(server).values()) == {6}
    temperatures = Counter(request.json["temperature"] for request in server.requests)
    assert temperatures == {0.0: 18, 1.0: 18}
    assert len(page.table[0].value) == 4 and "100%" in list(page.table[0].value["Steadiness"])


def test_a_check_of_ones_own_goes_for_every_answer(server, owner):
    page = type_set(open_page(), "One?\nTwo?", form="text", models=[GOOD])
    well(page.selectbox(key="extra-check").set_value("regex").run())
    well(page.text_input(key="extra-check-text").set_value("^yes$").run())
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert list(rows(page)["Checks"]) == ["passed", "passed"]
    well(page.selectbox(key="evaluation").set_value("").run())
    type_set(page, "One?", form="text", models=[GOOD])
    well(page.selectbox(key="extra-check").set_value("regex").run())
    well(page.text_input(key="extra-check-text").set_value("((((").run())
    assert "That check cannot be used" in words(page)


def test_a_judge_is_asked_in_both_orders(server, owner):
    page = type_set(open_page())
    well(page.selectbox(key="evaluated-judge").set_value(GOOD).run())
    assert "tends to prefer its own" in words(page)
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert "What the judge says" in [header.value for header in page.subheader]
    assert sum(asked(server).values()) == 6 + 2 * 3


def test_cancelled_and_taken_up_after_a_restart_nothing_runs_twice(
        server, owner, monkeypatch: pytest.MonkeyPatch):
    server.first = 0.05
    page = type_set(open_page(), "\n".join(f"Question {n}?" for n in range(20)), form="text")
    press(page, "evaluation-start")
    run = page.session_state["evaluation"]
    wait_until(lambda: evaluation_runs.progress(owner, run).done >= 5, "some rows ran")
    press(page, "evaluation-cancel")
    page = wait_for_the_end(page, owner)
    done = evaluation_runs.progress(owner, run).done
    assert 5 <= done < 40 and "cancelled" in words(page)
    # Another process, another session: only the journal and the address are left.
    monkeypatch.setattr(evaluation_runs, "_ended", type(evaluation_runs._ended)())
    page = open_page(run=run)
    assert f"{done} of 40 not finished" in words(page)
    server.asked.clear()
    page = wait_for_the_end(press(page, "evaluation-go-on"), owner)
    assert "40 of 40 finished" in words(page)
    assert set(asked(server).values()) == {1} and len(asked(server)) == 40 - done


def test_paused_it_begins_no_call_until_it_goes_on(server, owner):
    server.first = 0.05
    page = type_set(open_page(), "\n".join(f"Question {n}?" for n in range(20)), form="text")
    page = press(press(page, "evaluation-start"), "evaluation-pause")
    run = page.session_state["evaluation"]
    wait_until(lambda: evaluation_runs.progress(owner, run).state is State.PAUSED
               and not any(lane.running for lane in evaluation_runs.progress(owner, run).lanes),
               "it is paused")
    assert "paused" in words(well(page.run()))
    page = wait_for_the_end(press(page, "evaluation-resume"), owner)
    assert "40 of 40 finished" in words(page)


def test_a_model_that_cannot_be_reached_is_said_and_its_rows_can_run_again(server, owner):
    page = type_set(open_page(), "One?\nTwo?", form="text", models=[GOOD, DEAD])
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    assert "2 failed" in words(page)
    assert list(page.table[-1].value["Failed"]) == ["0", "2"]
    before = len(server.requests)
    page = wait_for_the_end(press(page, "evaluation-retry"), owner)
    assert len(server.requests) == before


def test_what_the_command_line_made_opens_and_goes_on_here(server, owner, tmp_path):
    plan = make_plan(parse_prompt_set(FACTS.encode(), name="facts", form="csv"), [GOOD, BAD])
    evaluation = Evaluation.begin(plan, tmp_path / "out")
    evaluation.start()
    evaluation.wait(30)
    journal = (tmp_path / "out" / "journal.jsonl").read_bytes()
    half = b"".join(journal.splitlines(keepends=True)[:4])
    run = evaluation_runs.take_in(owner, half)
    page = open_page(run=run)
    assert "3 of 6 not finished" in words(page)
    server.asked.clear()
    page = wait_for_the_end(press(page, "evaluation-go-on"), owner)
    assert "6 of 6 finished" in words(page) and sum(asked(server).values()) == 3
    again = parse_results(evaluation_runs.results(owner, run).to_jsonl().encode())
    assert len(again.rows) == 6


def test_nobody_sees_another_persons_evaluations(server, owner):
    other = "browser:eve"
    plan = make_plan(parse_prompt_set(b"Secret?", name="x", form="text"), [GOOD])
    run = evaluation_runs.begin(other, plan)
    wait_until(lambda: evaluation_runs.running(other, run) is None, "it ends")
    page = open_page(run=run)
    assert page.selectbox(key="evaluation").value == ""
    assert len(page.selectbox(key="evaluation").options) == 1


def test_a_set_that_cannot_be_used_says_which_line(server, owner):
    page = open_page()
    well(page.segmented_control(key="prompts-from").set_value("typed").run())
    page.selectbox(key="prompts-form").set_value("jsonl")
    well(page.text_area(key="prompts-typed").set_value('{"prompt": "a"}\n{"prompt": ').run())
    assert "Line 2 is not JSON" in words(page)
    well(page.text_area(key="prompts-typed").set_value("word " * 1_000_001).run())
    assert "This prompt set has more than 5 MB. Split it." in words(page)
    assert not [button for button in page.button if button.key == "evaluation-start"]


def test_too_many_calls_are_refused_before_they_are_counted(server, owner):
    page = type_set(open_page(), "\n".join(f"{n}?" for n in range(600)), form="text")
    well(page.number_input(key="evaluated-runs").set_value(100).run())
    assert "more than 50,000 calls" in words(page)


def test_deleted_it_is_gone(server, owner):
    page = type_set(open_page(), "One?", form="text", models=[GOOD])
    page = wait_for_the_end(press(page, "evaluation-start"), owner)
    page = press(page, "evaluation-delete")
    assert page.selectbox(key="evaluation").value == ""
    assert evaluation_runs.kept(owner) == []
    assert not list(evaluation_runs.folder_of(owner).iterdir())
