"""What a shared Parley lets people add, and how much one person may ask for."""

from __future__ import annotations

import io
import re
from pathlib import Path

import pytest
import streamlit as st
from PIL import Image
from streamlit.testing.v1 import AppTest

from components import limits, picker, pictures, sharing
from components.text import as_label
from tests.app import ROOT
from tests.servers.fixed_rate import fixed_rate
from tests.servers.recording import running

BY_URL = {"openai", "huggingface"}
LOCAL = {"llama.cpp", "transformers"}


@pytest.fixture(autouse=True)
def config(monkeypatch: pytest.MonkeyPatch):
    """Streamlit's options as set here, else as on a machine of one's own. Counting starts anew."""
    options = {"server.address": "localhost"}
    original = st.config.get_option
    monkeypatch.setattr(st.config, "get_option", lambda key: options.get(key, original(key)))
    limits._limiter.cache_clear()
    return options


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    with fixed_rate("Yes.") as answering:
        catalog = tmp_path / "models.toml"
        catalog.write_text(
            '[[model]]\nid = "scripted"\nlabel = "Scripted"\nprovider = "openai"\nmodel = "m"\n'
            f'base_url = "{answering.base_url}"\nopen = false\nvision = true\n')
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield answering


def open_page(name: str) -> AppTest:
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    kinds = ("markdown", "caption", "info", "error", "warning", "success")
    return "\n".join(str(element.value) for kind in kinds for element in page.get(kind))


# Who can reach it

@pytest.mark.parametrize(("address", "environment", "shared"), [
    ("localhost", {}, False),
    ("127.0.0.1", {}, False),
    ("::1", {}, False),
    ("0.0.0.0", {}, True),
    (None, {}, True),
    ("192.168.1.7", {}, True),
    ("localhost", {"PARLEY_HOSTS": "chat.example.org"}, True),
    ("localhost", {"PARLEY_SHARED": "1"}, True),
    ("localhost", {"PARLEY_SHARED": "true"}, True),
    ("0.0.0.0", {"PARLEY_SHARED": "0"}, False),
    ("0.0.0.0", {"PARLEY_SHARED": "No"}, False),
    ("0.0.0.0", {"PARLEY_SHARED": " "}, True),
])
def test_it_is_shared_where_others_can_reach_it(config, monkeypatch, address, environment, shared):
    config["server.address"] = address
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sharing.is_shared() is shared


# What may be added

def kinds(page: AppTest) -> set[str]:
    names = {label: kind for kind, label in picker._OWN_KINDS.items()}
    return {names[label] for label in page.selectbox(key="own-kind").options}


@pytest.mark.parametrize(("environment", "offered"), [
    ({}, BY_URL | LOCAL | {"providers"}),
    ({"PARLEY_SHARED": "1"}, {"providers"}),
    ({"PARLEY_SHARED": "1", "PARLEY_ALLOW_OWN_SERVERS": "1"}, BY_URL | {"providers"}),
])
def test_servers_files_and_hub_ids_are_for_machines_of_ones_own(monkeypatch, environment, offered):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    page = open_page("06_models")
    assert kinds(page) == offered
    assert ("This Parley is shared" in words(page)) is ("PARLEY_SHARED" in environment)


def test_a_models_name_is_shown_to_the_letter():
    page = open_page("06_models")
    [address, name] = [field for field in page.text_input if field.label in (
        "Address, up to and including /v1", "The model's name there")]
    address.set_value("http://127.0.0.1:9/v1")
    name.set_value("![a](http://evil.example/) **b** :material/home:")
    [add] = [button for button in page.button if button.label == "Add"]
    add.click().run()
    assert not page.exception
    assert "is now in the list" in words(page)
    assert "**" + as_label(name.value) + "**" in words(page)
    assert "![a](" not in words(page)


@pytest.mark.parametrize("kind", sorted(BY_URL | LOCAL))
def test_what_is_not_offered_is_not_taken_either(monkeypatch, kind):
    monkeypatch.setenv("PARLEY_SHARED", "1")
    added = {}
    monkeypatch.setattr("components.session.own_models", lambda: added)
    picker._add(kind, "/etc/passwd", "http://127.0.0.1:1/v1" if kind in BY_URL else None, None,
                False)
    assert added == {}


def test_a_server_that_is_not_public_is_refused_in_the_chat_and_never_called(monkeypatch):
    monkeypatch.setenv("PARLEY_SHARED", "1")
    monkeypatch.setenv("PARLEY_ALLOW_OWN_SERVERS", "1")
    with running() as inside:
        page = open_page("06_models")
        url, name = page.text_input[0], page.text_input[1]
        assert "Address" in url.label
        url.set_value(inside.base_url)
        name.set_value("m")
        next(button for button in page.button if button.label == "Add").click().run()
        assert "m is now in the list of models." in words(page)
        own = page.session_state["own_models"]
        chat = AppTest.from_file(str(ROOT / "pages" / "03_chatbot.py"), default_timeout=60)
        chat.session_state["own_models"] = own
        chat.run().selectbox(key="model").set_value(next(iter(own))).run()
        chat.chat_input[0].set_value("Hello").run()
        assert not chat.exception
        assert "127.0.0.1 is not on the public internet" in words(chat).replace("\\", "")
        assert inside.requests == []


# How much one person may ask for

def chat_page() -> AppTest:
    page = open_page("03_chatbot")
    page.selectbox(key="model").set_value("scripted").run()
    return page


def test_who_asks_too_much_is_told_the_wait_and_others_are_not(server, monkeypatch):
    monkeypatch.setenv("PARLEY_MESSAGES_A_MINUTE", "2")
    page = chat_page()
    for _question in range(3):
        page.chat_input[0].set_value("Is it so?").run()
        assert not page.exception
    assert len(server.requests) == 2
    found = re.search(r"asked for 2 replies within a minute.* can come in (\d+) seconds",
                      words(page))
    assert found
    assert 1 <= int(found[1]) <= 60
    other = chat_page()
    other.chat_input[0].set_value("Is it so?").run()
    assert len(server.requests) == 3


def test_the_refused_message_goes_out_once_the_wait_is_over(server, monkeypatch):
    monkeypatch.setenv("PARLEY_MESSAGES_A_MINUTE", "1")
    page = chat_page()
    for _question in range(2):
        page.chat_input[0].set_value("Is it so?").run()
    assert len(server.requests) == 1
    limits._limiter.cache_clear()
    [*_, again] = [button for button in page.button if button.label == "Try again"]
    again.click().run()
    assert len(server.requests) == 2
    assert not page.exception


@pytest.mark.parametrize(("environment", "most"), [
    ({}, 0),
    ({"PARLEY_SHARED": "1"}, sharing.MESSAGES_A_MINUTE),
    ({"PARLEY_SHARED": "1", "PARLEY_MESSAGES_A_MINUTE": "0"}, 0),
    ({"PARLEY_MESSAGES_A_MINUTE": "7"}, 7),
    ({"PARLEY_SHARED": "1", "PARLEY_MESSAGES_A_MINUTE": "many"}, sharing.MESSAGES_A_MINUTE),
    ({"PARLEY_SHARED": "1", "PARLEY_MESSAGES_A_MINUTE": "9" * 5000}, sharing.MESSAGES_A_MINUTE),
])
def test_the_limit_is_the_operators_and_there_is_none_on_ones_own_machine(
        monkeypatch, environment, most):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert sharing.messages_a_minute() == most


def picture(shade: int) -> tuple[str, bytes, str]:
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), (shade, 0, 0)).save(buffer, "PNG")
    return f"{shade}.png", buffer.getvalue(), "image/png"


def picture_page() -> AppTest:
    page = open_page("02_multimodal")
    page.selectbox(key="model-that-sees").set_value("scripted").run()
    return page


def test_pictures_are_counted_once_each_and_the_wait_is_said(server, monkeypatch):
    monkeypatch.setenv("PARLEY_PICTURES_A_MINUTE", "2")
    page = picture_page()
    uploader = page.file_uploader(key="pictures")
    uploader.set_value([picture(1), picture(2)]).run()
    page.run()
    assert not page.error
    page.file_uploader(key="pictures").set_value([picture(1), picture(2), picture(3)]).run()
    assert re.search(r"2 pictures within a minute.* in \d+ seconds", words(page))
    page.file_uploader(key="pictures").set_value([picture(2)]).run()
    assert not page.error


def test_a_picture_is_unpacked_once_however_often_the_page_is_drawn(server, monkeypatch):
    read, real = [], pictures.read_images
    monkeypatch.setattr(pictures, "read_images", lambda files: read.append(1) or real(files))
    page = picture_page()
    page.file_uploader(key="pictures").set_value([picture(1)]).run()
    page.run()
    page.run()
    assert len(read) == 1


def test_a_tab_holds_so_many_pictures_and_a_new_conversation_makes_room(server, monkeypatch):
    monkeypatch.setenv("PARLEY_PICTURES_HELD", "2")
    page = picture_page()
    page.file_uploader(key="pictures").set_value([picture(1), picture(2)]).run()
    page.chat_input[0].set_value("What are they?").run()
    assert len(server.requests) == 1
    page.file_uploader[0].set_value([picture(3)]).run()
    assert "hold 2 pictures, and 2 is the most" in words(page)
    next(button for button in page.button if button.label == "New conversation").click().run()
    assert not page.error
    assert not page.exception
