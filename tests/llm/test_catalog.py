"""The catalog is data: shipped entries are right, a person's own add to and override them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm import get_model, list_models
from llm.catalog import MAX_FILE_BYTES, ModelSpec, parse_catalog
from llm.errors import InvalidCatalogError, UnknownModelError

OWN = """
[[model]]
id = "my-server"
label = "Llama on our server"
provider = "huggingface"
model = "meta-llama/Llama-3.1-8B-Instruct"
base_url = "http://127.0.0.1:8000/v1/"
open = true
"""


@pytest.fixture
def own_catalog(tmp_path, monkeypatch):
    def write(text: str | bytes):
        path = tmp_path / "models.toml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        monkeypatch.setenv("PARLEY_MODELS", str(path))
    return write


def test_the_first_model_needs_nothing_but_this_machine():
    first = list_models()[0]
    assert first.runs_locally and first.weights == "builtin" and first.open


def test_there_are_open_and_closed_models_and_ones_that_see():
    models = list_models()
    assert {m.open for m in models} == {True, False}
    assert any(m.vision and m.open for m in models) and any(m.vision and not m.open for m in models)


def test_every_open_model_says_its_licence():
    assert [m.id for m in list_models() if m.open and not m.license] == []


def test_windows_and_sight_agree_with_langchains_profiles():
    from langchain_huggingface.data._profiles import _PROFILES as open_profiles
    from langchain_openai.data._profiles import _PROFILES as closed_profiles

    compared = 0
    for spec in list_models():
        profile = {**open_profiles, **closed_profiles}.get(spec.model)
        if profile is None or spec.runs_locally:
            continue
        compared += 1
        assert spec.context_window == profile["max_input_tokens"], spec.id
        assert spec.vision == profile["image_inputs"], spec.id
        assert spec.supports("temperature") == profile.get("temperature", True), spec.id
    assert compared >= 5


def test_a_persons_own_models_are_added(own_catalog):
    own_catalog(OWN)
    assert get_model("my-server").base_url == "http://127.0.0.1:8000/v1"
    assert get_model("smollm2-135m")


def test_a_persons_own_entry_replaces_the_shipped_one_in_its_place(own_catalog):
    own_catalog(OWN.replace("my-server", "smollm2-135m"))
    assert [m.label for m in list_models()][0] == "Llama on our server"


def test_an_unknown_model_names_those_there_are():
    with pytest.raises(UnknownModelError, match="smollm2-135m"):
        get_model("gpt-nonesuch")


@pytest.mark.parametrize(("change", "says"), [
    (("open = true", ""), "open"),
    (('provider = "huggingface"', 'provider = "nobody"'), "provider"),
    (("open = true", "open = true\nsecret = 1"), "secret"),
    (("http://127.0.0.1:8000/v1/", "ftp://host/v1"), "base_url"),
    (("http://127.0.0.1:8000/v1/", "http://me:pass@host/v1"), "base_url"),
    (("http://127.0.0.1:8000/v1/", "http://["), "base_url"),
    (("http://127.0.0.1:8000/v1/", "http://host:99999/v1"), "base_url"),
    (('provider = "huggingface"', 'provider = "local"'), "engine"),
    (('id = "my-server"', 'id = "../up"'), "id"),
])
def test_a_wrong_entry_is_named(own_catalog, change, says):
    own_catalog(OWN.replace(*change))
    with pytest.raises(InvalidCatalogError, match=says):
        list_models()


def test_two_entries_of_one_id_are_refused(own_catalog):
    own_catalog(OWN + OWN)
    with pytest.raises(InvalidCatalogError, match="another entry"):
        list_models()


def test_a_missing_file_says_where_it_was_looked_for(monkeypatch, tmp_path):
    monkeypatch.setenv("PARLEY_MODELS", str(tmp_path / "none.toml"))
    with pytest.raises(InvalidCatalogError, match="none.toml"):
        list_models()


@pytest.mark.parametrize("text", [b"\xff\xfe", b"model = 3", b"[[", b"a = " + b"[" * 100_000,
                                  b"#" * (MAX_FILE_BYTES + 1), b""])
def test_what_is_no_catalog_is_refused(own_catalog, text):
    own_catalog(text)
    with pytest.raises(InvalidCatalogError):
        list_models()


@given(st.binary(max_size=300))
def test_any_bytes_give_models_or_the_typed_error(data):
    try:
        assert all(isinstance(spec, ModelSpec) for spec in parse_catalog(data, source="x"))
    except InvalidCatalogError:
        pass
