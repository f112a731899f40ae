"""Stages 01 to 04 without a browser: what the model is sent, and what a person is shown."""

from __future__ import annotations

import base64
import io
from pathlib import Path

import pytest
from PIL import Image
from streamlit.testing.v1 import AppTest

from tests.app import ROOT
from tests.pictures import halves, with_position
from tests.servers.fixed_rate import FixedRateServer, fixed_rate

SCRIPTED = "test-scripted"


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A model that repeats what it was asked, and one that cannot see."""
    with fixed_rate(lambda model, question: f"You said: {question}") as running:
        catalog = tmp_path / "models.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name}"\nprovider = "openai"\nmodel = "{name}"\n'
            f'base_url = "{running.base_url}"\nopen = false\nvision = {sees}\n'
            for name, sees in ((SCRIPTED, "true"), ("test-blind", "false"))))
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield running


def open_page(name: str, *, model_key: str = "model", model: str = SCRIPTED) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60).run()
    page.selectbox(key=model_key).set_value(model).run()
    assert not page.exception
    return page


def ask(page: AppTest, text: str) -> None:
    page.chat_input[0].set_value(text).run()
    assert not page.exception


def sent(server: FixedRateServer) -> list[list[tuple[str, str]]]:
    return [[(message["role"], message["content"]) for message in request.json["messages"]]
            for request in server.requests]


def words(page: AppTest) -> str:
    """All that can be read on the page, Markdown's escapes undone."""
    kinds = ("markdown", "caption", "info", "error", "warning")
    shown = "\n".join(str(element.value) for kind in kinds for element in page.get(kind))
    return shown.replace("\\", "")


def button(page: AppTest, label: str):
    return next(found for found in page.button if found.label == label)


def test_stage_03_sends_the_last_message_alone(server):
    page = open_page("03_chatbot")
    for question in ("I am Ada.", "Who am I?"):
        ask(page, question)
    assert sent(server) == [[("user", "I am Ada.")], [("user", "Who am I?")]]
    assert "Not seen by the model any more" in words(page)


def test_stage_04_sends_the_whole_conversation_again(server):
    page = open_page("04_chatbot_with_memory")
    for question in ("I am Ada.", "Who am I?"):
        ask(page, question)
    assert sent(server)[-1] == [("user", "I am Ada."), ("assistant", "You said: I am Ada."),
                                ("user", "Who am I?")]
    assert "Not seen" not in words(page)


def test_trying_again_keeps_both_answers_and_the_history_follows_the_one_shown(server):
    page = open_page("04_chatbot_with_memory")
    ask(page, "One?")
    button(page, "Try again").click().run()
    assert "2 of 2" in words(page)
    button(page, "Earlier version").click().run()
    assert "1 of 2" in words(page)
    ask(page, "Two?")
    assert sent(server)[-1] == [("user", "One?"), ("assistant", "You said: One?"), ("user", "Two?")]


def test_settings_go_along_with_the_message(server):
    page = open_page("03_chatbot")
    ask(page, "Before")
    request = server.requests[-1].json
    assert (request["top_p"], request["max_tokens"]) == (0.9, 512) and "seed" not in request

    page.session_state["settings"] = True  # unfolded
    page.run()
    page.slider(key=f"temperature-{SCRIPTED}").set_value(0.25).run()
    page.number_input(key=f"seed-{SCRIPTED}").set_value(7).run()
    page.text_area(key="system").set_value("Be kind.").run()
    for unfolded in (True, False):
        page.session_state["settings"] = unfolded
        for question in ("Hello", "Again"):
            ask(page, question)
            request = server.requests[-1].json
            assert (request["temperature"], request["seed"]) == (0.25, 7)
            assert request["messages"][0] == {"role": "system", "content": "Be kind."}
    assert not page.slider
    page.session_state["settings"] = True
    page.run()
    assert page.slider(key=f"temperature-{SCRIPTED}").value == 0.25
    page.number_input(key=f"seed-{SCRIPTED}").set_value(None).run()
    ask(page, "Without")
    assert "seed" not in server.requests[-1].json


def test_an_error_is_told_in_the_chat_and_never_becomes_a_turn_of_the_model(server, monkeypatch):
    page = open_page("04_chatbot_with_memory", model="gpt-6-luna")
    ask(page, "Hello")
    assert "OPENAI_API_KEY" in words(page)
    page.selectbox(key="model").set_value(SCRIPTED).run()
    ask(page, "Again")
    assert sent(server)[-1] == [("user", "Hello"), ("user", "Again")]


def test_blank_messages_are_not_sent(server):
    page = open_page("03_chatbot")
    ask(page, "  \n ")
    assert server.requests == []


def test_a_message_too_long_is_refused_and_stays_in_the_box(server):
    page = open_page("03_chatbot")
    ask(page, "word " * 50_000)
    assert "That is 250,000 characters, and a message may have 200,000." in words(page)
    assert len(page.chat_input[0].value) == 250_000 and server.requests == []
    # Whatever has the page drawn again, perhaps before anybody could read it.
    assert "That is 250,000 characters" in words(page.run())
    # The box has no other limit, which it would show, cut at or drop a paste for.
    ask(page, "x" * 5_000_001)
    assert "That is 5,000,001 characters" in words(page)
    assert page.chat_input[0].proto.max_chars == 0
    ask(page, "Hello")
    assert "250,000" not in words(page) and sent(server) == [[("user", "Hello")]]

    button(page, "Edit").click().run()
    page.text_area(key=next(area.key for area in page.text_area
                            if area.label == "Edit the message")).set_value("x" * 200_001)
    button(page, "Send").click().run()
    assert "That is 200,001 characters" in words(page) and len(server.requests) == 1


def test_stage_01_fills_the_template_and_scores_the_way_back(server):
    page = open_page("01_simple_llm")
    page.selectbox(key="language-into").set_value("Hindi").run()
    page.text_area(key="text").set_value("Good {x.__class__} morning").run()
    button(page, "Translate").click().run()
    assert "translates English to Hindi" in sent(server)[0][0][1]
    assert sent(server)[0][1] == ("user", "Good {x.__class__} morning")
    button(page, "Translate it back and compare").click().run()
    assert "translates Hindi to English" in sent(server)[1][0][1]
    assert page.metric[0].label == "chrF of the way there and back"


def test_a_text_too_long_to_translate_is_refused_and_stays_in_its_box(server):
    page = open_page("01_simple_llm")
    box = page.text_area(key="text")
    assert box.proto.max_chars == 0  # the box would drop a longer paste without a word
    box.set_value("word " * 4_001).run()
    button(page, "Translate").click().run()
    assert "That is 20,005 characters, and a message may have 20,000." in words(page)
    assert len(page.text_area(key="text").value) == 20_005 and server.requests == []


def picture_bytes() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), "red").save(buffer, "PNG")
    return buffer.getvalue()


def test_stage_02_sends_the_picture_once_and_the_follow_up_with_its_history(server):
    page = open_page("02_multimodal", model_key="model-that-sees")
    page.file_uploader(key="pictures").set_value(("a.png", picture_bytes(), "image/png")).run()
    button(page, "Alt text").click().run()
    first = server.requests[-1].json["messages"][-1]["content"]
    assert [part["type"] for part in first] == ["image_url", "text"]
    ask(page, "Is it red?")
    messages = server.requests[-1].json["messages"]
    assert messages[-1] == {"role": "user", "content": "Is it red?"}
    assert [part["type"] for part in messages[1]["content"]] == ["image_url", "text"]


def test_what_a_photo_says_of_its_camera_and_place_does_not_go_over_the_wire(server):
    photo = with_position(halves(), orientation=6)
    assert b"SECRETCAMERA" in photo
    page = open_page("02_multimodal", model_key="model-that-sees")
    page.file_uploader(key="pictures").set_value(("SECRETNAME.jpg", photo, "image/jpeg")).run()
    ask(page, "Where was it taken?")
    request = server.requests[-1]
    url = request.json["messages"][-1]["content"][0]["image_url"]["url"]
    went = base64.b64decode(url.partition(",")[2])
    for secret in (b"SECRETCAMERA", b"SECRETNAME", b"Exif"):
        assert secret not in request.body and secret not in went
    with Image.open(io.BytesIO(went)) as image:
        assert not image.getexif() and image.size == (48, 64)  # upright without being told


def test_what_is_no_picture_is_refused_with_a_sentence(server):
    page = open_page("02_multimodal", model_key="model-that-sees")
    page.file_uploader(key="pictures").set_value(("a.png", b"%PDF-1.7 hello", "image/png")).run()
    assert "PDF" in words(page)
    assert not page.exception


def test_a_model_that_cannot_see_says_so_before_sending_and_names_those_that_can(server):
    page = open_page("02_multimodal", model_key="model-that-sees", model="test-blind")
    assert "test-blind cannot see pictures. These can: " in words(page) and SCRIPTED in words(page)


@pytest.mark.parametrize("script", ["navigation.py", "pages/06_models.py"])
def test_the_other_pages_open(server, script):
    page = AppTest.from_file(str(ROOT / script), default_timeout=60).run()
    assert not page.exception
    assert "SmolLM2 135M" in words(page)
