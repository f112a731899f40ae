"""What went wrong, told to somebody who reads Hindi."""

from __future__ import annotations

from pathlib import Path

import pytest

from components import language
from storage import Store
from tests.pages.test_conversations import take_in
from tests.pages.test_kept import ADA, click, visit
from tests.pages.test_stages import ask, words
from tests.pictures import encoded, halves, with_position


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
    again = words(visit())
    assert "Closed को OpenAI की कुंजी चाहिए" in again and "needs a key" not in again


def test_a_picture_that_is_none_is_refused_in_hindi(store: Store):
    page = visit("02_multimodal")
    page.file_uploader(key="pictures").set_value(("a.png", b"%PDF-1.7 hello", "image/png")).run()
    assert "यह PDF दस्तावेज़ है, तस्वीर नहीं। PNG, JPEG, WebP, GIF या HEIC फ़ाइल चुनें।" in words(page)


def test_an_import_is_refused_in_hindi_with_the_reason(store: Store):
    page = take_in(visit(), "{}")
    assert "यह फ़ाइल नहीं ली गई: यह Parley की बातचीत का निर्यात नहीं है" in words(page)


def with_picture(data: bytes, model: str):
    page = visit("02_multimodal")
    page.selectbox(key="model-that-sees").set_value(model).run()
    page.file_uploader(key="pictures").set_value(("a.jpg", data, "image/jpeg")).run()
    assert not page.exception
    return page


def test_what_was_done_to_a_picture_is_told_in_hindi_also_on_the_next_visit(
        store: Store, eyes):
    page = with_picture(with_position(halves((3000, 2000)), orientation=6), "eyes")
    ask(page, "?")
    changed = "बदला गया: 3000 × 2000 से छोटी की गई, सीधी की गई, कैमरे की जानकारी और जगह हटाई गई।"
    assert changed in words(page)
    assert changed in words(visit("02_multimodal"))
    [picture] = store.load(ADA, store.list(ADA)[0].id).path()[0].pictures
    assert picture.changes == ("scaled down from 3000 × 2000", "turned upright",
                               "camera data and position removed")


@pytest.mark.model
def test_the_picture_reader_answers_in_hindi_and_says_in_hindi_what_it_is(
        store: Store, reader):
    page = with_picture(encoded(halves((300, 200))), "picture-reader")
    page.session_state["about-model-that-sees"] = True  # unfolded
    page.run()
    assert "भाषा मॉडल नहीं: यह तस्वीर का पाठ पढ़ता है" in words(page)
    click(page, "वैकल्पिक पाठ (alt)")
    alt = store.load(ADA, store.list(ADA)[0].id).path()[-1].text
    assert alt.startswith("चित्र, ज़्यादातर ") and alt.endswith("पहचाना नहीं जा सका।")
    assert "अक्षर; स्क्रीन रीडर एक बार में" in words(page)
    ask(page, "यह किसने बनाया?")
    assert "तस्वीर-पाठक सवालों के जवाब नहीं दे सकता" in words(page)


def test_a_button_asks_a_model_for_hindi(store: Store, eyes):
    page = click(with_picture(encoded(halves()), "eyes"), "वर्णन करें")
    assert "in Hindi" in eyes.requests[-1].body.decode()
    assert "Write down" in next(box.value for box in page.text_area if "पाठ पढ़ें" in box.label)
