"""Kept evaluations are their owner's alone, bounded, and stopped before the engines are."""

from __future__ import annotations

import json

import pytest

from llm import evaluation_runs as runs
from llm.errors import ImportRefusedError, StorageError
from llm.evaluation import make_plan
from llm.journal import Journal
from llm.lanes import State
from llm.prompt_sets import parse_prompt_set
from tests.app import wait_until
from tests.servers.fixed_rate import fixed_rate

ADA, EVE = "browser:ada", "person:eve"


@pytest.fixture
def server(tmp_path, monkeypatch):
    with fixed_rate("ok", first=0.05) as running:
        path = tmp_path / "models.toml"
        path.write_text(f'[[model]]\nid = "a"\nlabel = "A"\nprovider = "openai"\nmodel = "a"\n'
                        f'base_url = "{running.base_url}"\nopen = true\n')
        monkeypatch.setenv("PARLEY_MODELS", str(path))
        yield running
        runs.shutdown()


def plan_of(count: int = 2, **options):
    text = "\n".join(f"Question {number}?" for number in range(count))
    return make_plan(parse_prompt_set(text.encode(), name="questions", form="text"), ["a"],
                     **options)


def wait_for(owner: str, run: str) -> None:
    wait_until(lambda: runs.running(owner, run) is None, "it ends")


def test_what_one_owner_runs_no_other_can_see_touch_or_remove(server):
    run = runs.begin(ADA, plan_of())
    for act in (runs.running, runs.progress, runs.results, runs.delete, runs.go_on,
                runs.journal_bytes):
        with pytest.raises(StorageError, match="no such evaluation"):
            act(EVE, run)
    assert runs.kept(EVE) == []
    wait_for(ADA, run)
    assert [one.id for one in runs.kept(ADA)] == [run]
    assert runs.progress(ADA, run).state is State.FINISHED


@pytest.mark.parametrize("name", ["../../x", "", "/etc/passwd", "..", "a" * 32])
def test_an_id_is_no_path(server, name):
    with pytest.raises(StorageError, match="no such evaluation"):
        runs.results(ADA, name)


def test_a_plan_from_a_file_chooses_no_folder(server):
    plan = plan_of().model_copy(update={"id": "../../../evil"})
    run = runs.take_in(ADA, (plan.model_dump_json(by_alias=True) + "\n").encode())
    (folder,) = runs.folder_of(ADA).iterdir()
    assert folder.name == run and folder.parent == runs.folder_of(ADA)


def test_taken_in_twice_it_is_there_once_and_can_go_on(server):
    data = (plan_of().model_dump_json(by_alias=True) + "\n").encode()
    run = runs.take_in(ADA, data)
    assert runs.take_in(ADA, data) == run and len(runs.kept(ADA)) == 1
    assert runs.progress(ADA, run).state is State.INCOMPLETE
    runs.go_on(ADA, run)
    wait_for(ADA, run)
    assert len(runs.results(ADA, run).rows) == 2


def test_a_file_that_is_no_evaluation_is_refused_and_leaves_nothing(server):
    for data in (b"", b"nonsense\n", b'{"kind": "plan"}\n', b"x" * (runs.MAX_IMPORT_BYTES + 1)):
        with pytest.raises(ImportRefusedError):
            runs.take_in(ADA, data)
    assert runs.kept(ADA) == []


def test_a_plan_of_a_few_bytes_that_unfolds_to_millions_of_rows_is_refused(server):
    plan = json.loads(plan_of(1000).model_dump_json(by_alias=True))
    plan["runs"] = 100
    with pytest.raises(StorageError, match="more than 50,000"):
        runs.take_in(ADA, json.dumps(plan).encode() + b"\n")
    with pytest.raises(StorageError, match="more than 50,000"):
        runs.begin(ADA, plan_of(1000, runs=100))


def test_an_owner_runs_two_at_once_and_no_third(server):
    server.first = 5
    first, second = (runs.begin(ADA, plan_of()) for _ in range(2))
    with pytest.raises(StorageError, match="run already"):
        runs.begin(ADA, plan_of())
    assert runs.begin(EVE, plan_of())
    runs.delete(ADA, first)
    assert runs.begin(ADA, plan_of())
    assert [one.id for one in runs.kept(ADA)].count(first) == 0
    assert second in [one.id for one in runs.kept(ADA)]


def test_a_shutdown_leaves_no_row_that_failed_for_it(server):
    server.first = 0.3
    run = runs.begin(ADA, plan_of(20))
    wait_until(lambda: server.requests, "it has begun")
    runs.shutdown()
    progress = runs.progress(ADA, run)
    assert (progress.state, progress.failed) == (State.CANCELLED, 0)
    runs.go_on(ADA, run)
    assert runs.running(ADA, run) is not None


def test_one_that_another_process_runs_is_not_run_here_and_no_path_is_told(server):
    plan = plan_of()
    run = runs.take_in(ADA, (plan.model_dump_json(by_alias=True) + "\n").encode())
    held = Journal.take_up(runs.folder_of(ADA) / run)
    with pytest.raises(StorageError, match="running already") as caught:
        runs.go_on(ADA, run)
    assert str(runs.folder_of(ADA)) not in str(caught.value)
    held.close()


def test_everything_of_an_owner_can_be_removed(server):
    run = runs.begin(ADA, plan_of(20))
    runs.begin(EVE, plan_of())
    runs.delete_everything(ADA)
    assert runs.kept(ADA) == [] and len(runs.kept(EVE)) == 1
    with pytest.raises(StorageError):
        runs.running(ADA, run)
