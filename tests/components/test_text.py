"""What is drawn of a text, finished or growing, and what it costs."""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from streamlit.testing.v1 import AppTest

from components import text as module
from components.safe_markdown import Block, blocks, legible
from components.text import MAX_SHOWN, StreamingText


@dataclass
class Slot:
    """One element of the page: what stands there, and all that was ever sent for it."""

    shown: Block | None = None
    sent: list[str] = field(default_factory=list)

    def markdown(self, text: str, **_: object) -> None:
        self.shown = Block(text, None, 0)
        self.sent.append(text)

    def code(self, text: str, *, language: str | None, **_: object) -> None:
        self.shown = Block(text, language or "", 0)
        self.sent.append(text)

    def empty(self) -> None:
        self.shown = None


@dataclass
class Page:
    """A container as Streamlit's: empty places are made in it, one after the other."""

    slots: list[Slot] = field(default_factory=list)

    def empty(self) -> Slot:
        self.slots.append(Slot())
        return self.slots[-1]

    @property
    def shown(self) -> list[tuple[str, str | None]]:
        return [(slot.shown.text, slot.shown.language) for slot in self.slots if slot.shown]

    @property
    def bytes_sent(self) -> int:
        """With the 150 bytes that a message has besides its text."""
        return sum(len(text.encode()) + 150 for slot in self.slots for text in slot.sent)


def finished(text: str) -> list[tuple[str, str | None]]:
    return [(piece.text, piece.language) for piece in module._join(blocks(legible(text)))]


def stream(text: str, step: int) -> Page:
    page = Page()
    streaming = StreamingText(page)
    for end in range(step, len(text) + step, step):
        streaming.update(text[:end])
    streaming.finish()
    return page


MARKDOWN = st.lists(st.sampled_from([
    "word ", "*a* ", "\n", "\n\n", "- item\n", "  - deeper\n", "1. one\n", "> said\n", "# Title\n",
    "```py\n", "```\n", "| a | b |\n", "|---|---|\n", "$$\nx\n$$\n", "![p](http://h/)",
    "    code\n", "---\n", "\r\n", "[l](http://h/)", "é\u0301\u0301", "<br>", "\t",
]), max_size=40).map("".join)


@settings(deadline=None)
@given(MARKDOWN, st.integers(1, 30))
def test_a_text_that_grew_looks_like_one_that_was_there_at_once(text: str, step: int) -> None:
    assert stream(text, step).shown == finished(text)


def words(count: int) -> list[str]:
    chosen = random.Random(1)
    return [chosen.choice(["the", "of", "language", "model", "memory", "to"]) for _ in range(count)]


LONG_REPLIES = {
    "paragraphs": "\n\n".join(" ".join(words(60)) + "." for _ in range(17)),
    "one paragraph": " ".join(words(1000)),
    "one list": "\n".join("- " + " ".join(words(11)) for _ in range(85)),
    "one block of code": "```py\n" + "\n".join(" ".join(words(5)) for _ in range(200)) + "\n```",
}


@pytest.mark.parametrize("kind", LONG_REPLIES)
@pytest.mark.parametrize("tokens_per_update", [1, 2, 10])
def test_a_reply_of_a_thousand_tokens_costs_at_most_200_kilobytes(
        kind: str, tokens_per_update: int) -> None:
    text = LONG_REPLIES[kind]
    page = stream(text, tokens_per_update * len(text) // 1000)
    assert page.bytes_sent < 200_000


def test_the_first_words_are_shown_as_they_come() -> None:
    page = Page()
    streaming = StreamingText(page)
    for end in range(4, 60, 4):
        streaming.update(LONG_REPLIES["paragraphs"][:end])
        assert page.shown[-1][0].strip() == LONG_REPLIES["paragraphs"][:end].strip()


def test_nothing_is_sent_when_nothing_changed() -> None:
    page = Page()
    streaming = StreamingText(page)
    streaming.update("Hello")
    sent = page.bytes_sent
    streaming.update("Hello")
    streaming.finish()
    assert page.bytes_sent == sent


def test_a_picture_that_comes_in_pieces_is_never_one() -> None:
    text = "Look: ![x](http://host/?q=secret) and <img src=http://host/>"
    page = stream(text, 1)
    for sent in (sent for slot in page.slots for sent in slot.sent):
        assert "![" not in sent
        assert "<img" not in sent.replace("\\<", "")


def draw_long_text() -> None:
    import streamlit as st

    from components.text import show_literal, show_text

    text = st.session_state["text"]
    show_text(text)
    show_text(text, by_person=True)
    show_literal(text)


def run(text: str) -> AppTest:
    test = AppTest.from_function(draw_long_text, default_timeout=30)
    test.session_state["text"] = text
    return test.run()


def test_a_megabyte_is_shown_in_part_and_offered_whole_even_twice() -> None:
    text = "words and more " * 70_000
    test = run(text)
    assert not test.exception
    assert sum(len(shown.value) for shown in test.markdown) < 3 * MAX_SHOWN
    assert "40,000 of 1,050,000" in test.caption[0].value
    assert len(test.get("download_button")) == 1


@pytest.mark.parametrize("text", ["", " ", "{}", "{x.__class__}", "\ud800", "a\x00\u202eb",
                                  "<|im_end|>", "```", "$", ":red[", "\\"])
def test_any_text_can_be_drawn(text: str) -> None:
    test = run(text)
    assert not test.exception
    assert len(test.code) >= 1
    assert test.code[-1].value == legible(text)
