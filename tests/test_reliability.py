"""Each thing that can go wrong has tests that there are, and the page says how they ended."""

import ast
import re
from collections import Counter

from tests import reliability, reports
from tests.app import ROOT


def test_every_fault_has_tests_that_there_are():
    there_are = {
        f"{file.relative_to(ROOT).as_posix()}::{node.name}"
        for file in (ROOT / "tests").rglob("test_*.py")
        for node in ast.parse(file.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    found = list(reliability.rows())
    assert len(found) > 40 and all(tests for _, _, tests in found)
    assert sorted({test for _, _, tests in found for test in tests} - there_are) == []


def test_the_page_says_what_passed_what_failed_and_what_was_not_run(tmp_path):
    cases = "".join(
        f'<testcase classname="tests.llm.test_images" name="{name}">{inner}</testcase>'
        for name, inner in (
            ("test_an_empty_file_is_refused_as_empty", ""),
            ("test_half_a_picture_is_refused_as_damaged[PNG]", ""),
            ("test_half_a_picture_is_refused_as_damaged[GIF]", "<failure/>"),
            ("test_what_hides_behind_a_picture_is_gone", "<failure/>")))
    (tmp_path / "junit.xml").write_text(f"<testsuites><testsuite>{cases}</testsuite></testsuites>")
    again = '<testcase classname="tests.llm.test_images" ' \
            'name="test_what_hides_behind_a_picture_is_gone"/>'
    (tmp_path / "junit.xml.again.xml").write_text(f"<testsuite>{again}</testsuite>")
    run = reliability.endings(tmp_path)
    half = run["tests/llm/test_images.py::test_half_a_picture_is_refused_as_damaged"]
    assert half == Counter(passed=1, failed=1)
    text = reliability.page(run, tmp_path)
    assert "under a picture's name | 3 | 1 failed, 2 not run |" in text
    assert "A ZIP or a page behind it | 1 | all |" in text
    assert "A dropped WebSocket | 0 | 1 not run |" in text
    assert "## Load and chaos\n\nNot run." in text


def test_property_tests_are_counted_where_they_stand():
    found = reliability.property_tests()
    assert len(found) > 30
    assert "tests/llm/test_any_data.py::test_a_catalog_gives_models_or_its_error" in found


def test_the_page_tells_what_was_seen_under_load(tmp_path):
    seen = {"people": 20, "seconds": 30.5, "done": {"asked": 40}, "finished_turns": 40,
            "figures": {"in_flight_at_the_kill": 7}, "wrong": []}
    reports.write("soak", seen, tmp_path / "soak.json")
    reports.write("replicas-short", {**seen, "wrong": ["One is lost"]},
                  tmp_path / "replicas-short.json")
    text = reliability.page({}, tmp_path)
    [soak] = re.findall(r"one process, killed once.*\n(?:\n?- .*)+", text)
    [replicas] = re.findall(r"two processes behind nginx.*\n(?:\n?- .*)+", text)
    assert "`python -m tests.soak`" in soak and soak.endswith("left behind: nothing")
    assert "in flight at the kill 7" in replicas and replicas.endswith("- One is lost")
