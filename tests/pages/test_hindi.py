"""What went wrong, told to somebody who reads Hindi."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import language
from storage import Store
from tests.pages.test_conversations import take_in
from tests.pages.test_kept import ADA, visit, words
from tests.pages.test_stages import ask


@pytest.fixture(autouse=True)
def hindi(monkeypatch: pytest.MonkeyPatch) -> None:
    # Not in the session: AppTest asks for the labels of what can be chosen from outside of it.
    monkeypatch.setattr(language, "current_language", lambda: "hi")


def test_a_missing_key_is_asked_for_in_hindi_and_kept_in_english(
        store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    catalog = tmp_path / "closed.toml"
    catalog.write_text('[[model]]\nid = "smollm2-135m"\nlabel = "Closed"\nprovider = "openai"\n'
                       'model = "closed"\nopen = false\n')
    monkeypatch.setenv("PARLEY_MODELS", str(catalog))
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    page = visit()
    ask(page, "Hello?")
    assert "Closed को OpenAI की कुंजी चाहिए" in words(page)
    assert "needs a key" not in words(page)
    answer = store.load(ADA, store.list(ADA)[0].id).path()[-1]
    assert answer.reply.error.startswith("Closed needs a key from OpenAI")


def test_a_picture_that_is_none_is_refused_in_hindi(store: Store):
    page = visit("02_multimodal")
    page.file_uploader(key="pictures").set_value(("a.png", b"%PDF-1.7 hello", "image/png")).run()
    assert "यह PDF दस्तावेज़ है, तस्वीर नहीं। PNG, JPEG, WebP, GIF या HEIC फ़ाइल चुनें।" in words(page)


def test_an_import_is_refused_in_hindi_with_the_reason(store: Store):
    page = take_in(visit(), "{}")
    assert "यह फ़ाइल नहीं ली गई: यह Parley की बातचीत का निर्यात नहीं है" in words(page)
