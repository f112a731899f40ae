"""Lessons on their pages: what is shown, whatever a teacher wrote, and what is kept of progress."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import kept, lesson
from components.lesson import lesson_names, read_lesson
from storage import Store
from tests.app import ROOT
from tests.pages.test_stages import words

NAME = "03_chatbot"
LANGUAGES = ("en", "hi")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a teacher's own lessons are looked for."""
    monkeypatch.setattr(lesson, "FOLDER", tmp_path / "lessons")
    (tmp_path / "lessons" / "en").mkdir(parents=True)
    return tmp_path / "lessons"


def open_page(script: str = f"pages/{NAME}.py") -> AppTest:
    """A page as somebody sees it who has unfolded the lesson, if there is one."""
    page = AppTest.from_file(str(ROOT / script), default_timeout=60)
    page.session_state[f"lesson-{NAME}"] = True
    page.run()
    assert not page.exception
    return page


def progress(page: AppTest) -> list[str]:
    return [bar.proto.text for bar in page.get("progress")]


def done_box(page: AppTest):
    return page.checkbox(key=f"lesson-done-{NAME}")


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_stage_has_a_lesson_to_predict_run_and_explain(language: str):
    names = [path.stem for path in sorted((ROOT / "pages").glob("0[1-5]_*.py"))]
    assert lesson_names() == names
    for name in names:
        assert (ROOT / "lessons" / language / f"{name}.md").is_file()
        found = read_lesson(name, language)
        assert found is not None and found.title != name
        assert len([line for line in found.task.splitlines() if line.startswith("- ")]) == 3
        assert found.explanation


def test_the_explanation_comes_when_it_is_asked_for(store: Store):
    page = open_page()
    explanation = read_lesson(NAME, "en").explanation.split()[0]
    assert explanation not in words(page)
    page.toggle(key=f"lesson-explained-{NAME}").set_value(True).run()
    assert explanation in words(page)


def test_what_is_done_is_kept_and_counted(store: Store):
    page = open_page()
    done_box(page).check().run()
    assert "Lesson, done: " in page.expander[0].label
    assert done_box(open_page()).value
    start = open_page("navigation.py")
    assert "Lessons done: 1 of 5" in progress(start)
    done_box(page).uncheck().run()
    assert not done_box(open_page()).value


def test_where_nothing_is_kept_it_is_done_for_this_tab_alone(store: Store):
    store.put_record("browser:ada", kept.SETTINGS, kept.NOTHING, True)
    page = open_page()
    done_box(page).check().run()
    assert done_box(page.run()).value
    assert store.records("browser:ada", lesson.LESSONS) == {}
    assert not done_box(open_page()).value


@pytest.mark.parametrize("content", [
    b"", b"\xff\xfe\x00\x80", b"---\n---\n---", b"# \n", b"# <script>alert(1)</script>\n\n[x](",
    b"```\nnever closed", b"> " * 3_000, "﻿# Titel\r\n\r\nText".encode()])
def test_whatever_is_in_the_file_the_page_opens(store: Store, folder: Path, content: bytes):
    (folder / "en" / f"{NAME}.md").write_bytes(content)
    page = open_page()
    assert page.title[0].value == "A chat without memory" and page.chat_input


def test_without_a_file_the_page_and_the_start_page_go_without(store: Store, folder: Path):
    assert all("Lesson" not in drawer.label for drawer in open_page().expander)
    assert not any("Lessons done" in text for text in progress(open_page("navigation.py")))


def test_a_language_without_the_lesson_shows_the_english_one(folder: Path):
    (folder / "en" / f"{NAME}.md").write_text("# Forgetting\n\nTry it.\n")
    assert read_lesson(NAME, "hi").title == "Forgetting"
    (folder / "hi").mkdir()
    (folder / "hi" / f"{NAME}.md").write_text("# भूलना\n\nआज़माएँ।\n---\nसमझाना", "utf-8")
    found = read_lesson(NAME, "hi")
    assert (found.title, found.task, found.explanation) == ("भूलना", "आज़माएँ।", "समझाना")
