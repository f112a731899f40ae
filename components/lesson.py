"""A stage's lesson at the top of its page: what it teaches, and an exercise to try.

Lessons are Markdown files, `lessons/LANGUAGE/PAGE.md`, for a teacher to change or translate.
A file begins with its title behind "# "; what follows a line of three dashes is shown on
request only, so that one can predict first. In a language without the file, the English one
is shown; where that is not there either, the page goes without.

Knows which pages have lessons by the files' names, and no page by itself.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from components import kept, session
from components.language import ENGLISH, _, current_language
from components.text import as_label, show_text
from llm.errors import StorageError

FOLDER = Path(__file__).parent.parent / "lessons"

LESSONS = "lessons done"
"""The kind of the records that say which are done, each by its lesson."""

MAX_BYTES = 100_000
"""Of a file, no more than this is read."""

_TITLE = re.compile(r"\A\s*#\s+(.+)")
_DASHES = re.compile(r"^-{3,}[ \t]*$", re.MULTILINE)


@dataclass(frozen=True)
class Lesson:
    """One lesson as its file has it: Markdown."""

    title: str
    task: str
    explanation: str
    """Empty where the file has no line of dashes."""


def lesson_names() -> list[str]:
    """The lessons there are in any language, in the stages' order."""
    return sorted({path.stem for path in FOLDER.glob("*/*.md")})


def read_lesson(name: str, language: str) -> Lesson | None:
    """The lesson of the page `name` in a language, else in English; None if there is none.

    Any file gives something to show: without a title it is called by its name.
    """
    for code in (language, ENGLISH):
        try:
            with (FOLDER / code / f"{name}.md").open("rb") as file:
                text = file.read(MAX_BYTES).decode("utf-8-sig", "replace").replace("\r\n", "\n")
        except OSError:
            continue
        if text.strip():
            return _parsed(name, text)
    return None


def _parsed(name: str, text: str) -> Lesson:
    title = _TITLE.match(text)
    body = text[title.end():] if title else text
    task, *rest = _DASHES.split(body, maxsplit=1)
    return Lesson(title[1].strip() if title else name, task.strip(), "".join(rest).strip())


def show_lesson(name: str) -> None:
    """Draw the folded lesson of the page `name`, with the box that says that it is done."""
    lesson = read_lesson(name, current_language())
    if lesson is None:
        return
    done = name in lessons_done()
    title = as_label(lesson.title)
    # Whether it is done is a word: an icon has none.
    label = _("Lesson, done: {title}").format(title=title) if done \
        else _("Lesson: {title}").format(title=title)
    drawer = st.expander(label, key=f"lesson-{name}", on_change="rerun",
                         icon=":material/check_circle:" if done else ":material/school:")
    if not drawer.open:
        return
    with drawer:
        show_text(lesson.task, wrapped=True)
        if lesson.explanation and st.toggle(_("I have tried it: explain"),
                                            key=f"lesson-explained-{name}",
                                            persist_state="session"):
            show_text(lesson.explanation, wrapped=True)
        key = f"lesson-done-{name}"
        st.session_state[key] = done  # Another tab may have said so.
        st.checkbox(_("Done"), key=key, on_change=_mark, args=(name, key))


def _mark(name: str, key: str) -> None:
    """It is done, or is to be done again: kept if anything is, else until the tab closes."""
    marked = session.lessons_marked()
    marked[name] = st.session_state[key]
    try:
        if kept.put_records(LESSONS, {name: marked[name]}):
            del marked[name]
    except StorageError:
        pass


def lessons_done() -> set[str]:
    """The names of the lessons that the person has done, as far as can be told."""
    try:
        done = kept.records(LESSONS)
    except StorageError:
        done = {}
    return {name for name, is_done in {**done, **session.lessons_marked()}.items() if is_done}


def show_progress() -> set[str]:
    """Draw how many of the lessons are done. Returns the names of these."""
    names = lesson_names()
    done = lessons_done() & set(names)
    if names:
        st.progress(len(done) / len(names), text=_("Lessons done: {done} of {all}").format(
            done=len(done), all=len(names)))
    return done
