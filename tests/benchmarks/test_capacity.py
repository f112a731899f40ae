"""`python -m benchmarks.capacity`: what people need, and what that is reckoned from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks import capacity, model_servers, report
from benchmarks.capacity import Cost, Measured, last_word, needs, servers_for
from benchmarks.model_servers import ModelServer
from benchmarks.rows import row
from tests.servers.fixed_rate import fixed_rate

MACHINE = {"cores": 2, "processor": "P", "date": "2026-01-02"}
A_SECOND = "a second of a reply at {} tokens/s: processor time of the {}"
ROWS = {
    "10 streaming at once: memory of the app": 205.0,
    "100 streaming at once: memory of the app": 250.0,
    "a question: processor time of the app": 0.05,
    A_SECOND.format(20, "app"): 0.03, A_SECOND.format(60, "app"): 0.05,
    A_SECOND.format(20, "people and the model"): 0.002,
    "10 streaming at once: that over the ideal": 1.0,
    "50 streaming at once: that over the ideal": 1.25,
    "100 streaming at once: that over the ideal": 2.0,
}


def measured(**others: float) -> Measured:
    return Measured(2, ROWS | others)


def results(rows: dict[str, float]) -> report.Results:
    return {"engines": [row("built-in: rate", 60.0, "tokens/s"),
                        row("built-in: eight at once, together", 130.0, "tokens/s"),
                        row("tutorial: rate", 20.0, "tokens/s"),
                        row("tutorial: eight at once, together", 20.0, "tokens/s")],
            "sessions": [row(name, median, "") for name, median in rows.items()]}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    file = tmp_path / "performance.json"
    file.write_text(report.as_json(MACHINE, results(ROWS)), "utf-8")
    return file


@pytest.mark.parametrize("people, processes, cores, seconds", [
    (1, 1, 1, 10 + 0.05 / (1 - 0.01 / 2)),  # hardly more than the model takes
    (50, 1, 1, 10 + 2.5 / 0.75),            # the last of fifty waits for 49 other pages
    (100, 1, 1, 10 + 5 / 0.5),              # which get half of a core, for replies take as much
    (100, 2, 2, 10 + 2.5 / 0.75),           # two processes: to each its half of them
    (200, 1, 1, 20 + 10 / 0.5),             # more to do than a core can: replies come slower
    (200, 8, 2, 10 + 5 / 0.5),              # on two cores, however many processes
])
def test_the_last_word_waits_for_the_model_the_pages_and_the_cores(
        people: int, processes: int, cores: int, seconds: float) -> None:
    found = last_word(people, 10.0, Cost(0.05, 0.01), processes=processes, cores=cores)
    assert found == pytest.approx(seconds)


def test_what_else_runs_on_the_cores_takes_its_part_of_them() -> None:
    found = last_word(50, 10.0, Cost(0.05, 0.01), processes=1, cores=2, beside=0.07)
    assert found == pytest.approx(20 + 2.5 / 0.5)  # 50 x (0.01 + 0.07) is four cores' work


def test_people_need_processes_memory_and_tokens() -> None:
    found = needs(300, measured(), replying=0.5, rate=20, tokens=200)
    assert found.at_once == 150
    # A token costs 0.0005 s, a second of twenty 0.01 s, and the page 0.05 s every ten.
    assert found.cores == pytest.approx(150 * 0.015)
    assert found.processes == 5  # 2.25 cores, each process busy for half of the time
    assert found.megabytes == pytest.approx(5 * 200 + 300 * 0.5)
    assert found.tokens_per_second == 3000
    assert found.times_the_ideal == pytest.approx(1 + 1.5 / 0.85 / 10)
    assert needs(1, measured()).processes == 1


def test_a_faster_model_costs_the_app_more() -> None:
    assert measured().cost(rate=40).second == pytest.approx(0.02)
    assert measured().cost(rate=100).second == pytest.approx(0.05)


def test_a_server_carries_what_it_was_seen_to_and_no_more() -> None:
    server = ModelServer("S", {64: 2000.0, 1: 60.0, 8: 400.0})
    assert server.carries(20) == 64  # it might do 100, but nobody has tried
    assert server.carries(40) == 15  # between 8 and 64, on a line: 600 tokens/s
    assert server.carries(50) == 8
    assert server.carries(60) == 1
    assert server.carries(61) == 0
    assert ModelServer("S", {1: 15.0, 8: 20.0}).carries(20) == 0
    assert servers_for(100, server, 40) == 7
    assert servers_for(100, ModelServer("S", {1: 15.0}), 20) is None


def test_predictions_stand_beside_what_was_measured() -> None:
    lines = capacity.table(measured()).splitlines()
    assert lines[2:] == ["| 10 | 1.05 | 1.00 | 1.05 |", "| 50 | 1.33 | 1.25 | 1.07 |",
                         "| 100 | 2.00 | 2.00 | 1.00 |"]


def test_without_its_rows_it_says_which_command_measures_them(tmp_path: Path) -> None:
    assert capacity.table(Measured(2, {})) == capacity.NOT_MEASURED
    file = tmp_path / "old.json"
    file.write_text(report.as_json(MACHINE, results({})), "utf-8")
    with pytest.raises(SystemExit, match=r"no row .* --only sessions"):
        capacity.main(["30", "--data", str(file)])


def test_the_table_goes_into_the_page_and_nothing_else_changes(data: Path, tmp_path: Path) -> None:
    page = tmp_path / "scaling.md"
    page.write_text("Before\n\n<!-- python -m benchmarks.capacity --check -->\nold\n"
                    "<!-- end -->\n\nAfter\n", "utf-8")
    capacity.write_table(data, page)
    text = page.read_text("utf-8")
    assert text.startswith("Before\n") and text.endswith("| 1.00 |\n<!-- end -->\n\nAfter\n")
    assert "old" not in text


def test_the_page_has_what_the_check_says_of_the_shipped_figures(tmp_path: Path) -> None:
    if not report.DATA.exists():
        pytest.skip("nothing has been measured yet")
    page = tmp_path / "scaling.md"
    page.write_text(capacity.PAGE.read_text("utf-8"), "utf-8")
    capacity.write_table(page=page)
    assert page.read_text("utf-8") == capacity.PAGE.read_text("utf-8")


def test_the_command_says_what_people_need(data: Path, tmp_path: Path,
                                           capsys: pytest.CaptureFixture[str]) -> None:
    servers = tmp_path / "servers.json"
    model_servers.keep(ModelServer("A fast one", {64: 2000.0}, "2026-01-02"), servers)
    capacity.main(["300", "--replying", "0.5", "--data", str(data), "--servers", str(servers)])
    said = capsys.readouterr().out
    assert "300 people, 150 of them" in said
    assert "processes of the app  5, a core each" in said
    assert "30  built-in, 2 cores of P (5 replies each)" in said
    assert "3  A fast one (64 replies each)" in said
    assert "tutorial" not in said  # it answers one after another


def test_any_server_is_measured_and_kept_by_its_name(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
        capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("THE_KEY", "secret-of-the-server")
    file = tmp_path / "servers.json"
    with fixed_rate("word " * 19 + "end", rate=100) as server:
        capacity.main(["--measure", server.base_url, "--model", "m", "--name", "Fixed",
                       "--key-from", "THE_KEY", "--servers", str(file), "--at-once", "1", "4"])
        keys = {request.headers["authorization"] for request in server.requests}
    assert keys == {"Bearer secret-of-the-server"}
    [known] = model_servers.read(file)
    assert known.name == "Fixed"
    # Twenty at a hundred a second; how much later they come on a busy machine is no matter.
    assert 5 < known.together[1] <= 106 and known.together[1] < known.together[4] <= 424
    assert "secret" not in file.read_text("utf-8") + capsys.readouterr().out
    again = ModelServer("Fixed", {1: 7.0}, "2026-01-02")
    model_servers.keep(again, file)
    assert model_servers.read(file) == [again]


def test_the_shipped_servers_can_be_read() -> None:
    assert isinstance(json.loads(model_servers.FILE.read_text("utf-8")), list)
    assert all(each.together for each in model_servers.read())
