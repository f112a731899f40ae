"""A question never fetches gigabytes: that is asked for by itself, from the model's card."""

from __future__ import annotations

from pathlib import Path

import pytest

from llm.catalog import get_model
from llm.local_engines import engine_for
from tests.pages.test_stages import ask, open_page, words


def test_a_question_to_a_model_that_is_not_here_fetches_nothing(
        tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    catalog = tmp_path / "models.toml"
    catalog.write_text('[[model]]\nid = "far"\nlabel = "Far"\nprovider = "local"\n'
                       'engine = "llama.cpp"\nweights = "org/far-GGUF"\nfile = "far.gguf"\n'
                       'model = "org/far"\nopen = true\ndownload_bytes = 5_000_000_000\n')
    monkeypatch.setenv("PARLEY_MODELS", str(catalog))
    page = open_page("03_chatbot", model="far")
    ask(page, "Hello?")
    assert "not on this machine yet. Fetch them first" in words(page)
    assert engine_for(get_model("far")).state == "absent"
    assert [found.label for found in page.button if "Fetch the weights" in found.label] == [
        "Fetch the weights (5.0 GB)"]
