"""What may be wrong in an operator's setting: told in a sentence, and no page fails."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.app import ROOT, clean_environment, free_port, start_app
from tests.web.person import Person

MODEL = ('[[model]]\nid = "smollm2-135m"\nlabel = "M"\nprovider = "openai"\nmodel = "m"\n'
         'base_url = "http://127.0.0.1:9/v1"\nopen = true\n')
PAGES = ("", "translate", "picture", "chat", "memory", "compare", "evaluate", "models", "scorecard")


@pytest.mark.parametrize(("name", "value", "words"), [
    ("PARLEY_COOKIE_SECRET", "short", "at least 32 random characters"),
    ("PARLEY_COOKIE_SECRET", "", "at least 32 random characters"),
    ("PARLEY_HOME", "/tmp/\udcff", "cannot be made out"),
    ("PARLEY_HOME", "/tmp/" + "x" * 300, "cannot be made out"),
    ("PARLEY_HOME", "~nosuchuser/parley", "cannot be made out"),
    ("OPENAI_BASE_URL", "http://[", "must begin with http:// or https:// and name a host"),
    ("OPENAI_BASE_URL", "https://api.example:99999/v1", "must begin with http"),
    ("OPENAI_BASE_URL", "api.example/v1", "must begin with http"),
    ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "no whole number of seconds"),
    ("HF_HUB_ETAG_TIMEOUT", "", "no whole number of seconds"),
    ("PARLEY_FRAME_ANCESTORS", "日本", "no Content-Security-Policy can say"),
    ("PARLEY_FRAME_ANCESTORS", "'self'\nX: y", "no Content-Security-Policy can say"),
    ("PARLEY_FRAME_ANCESTORS", "'self'; script-src *", "no Content-Security-Policy can say"),
])
def test_what_would_fail_each_page_ends_the_start_with_a_sentence(
        tmp_path: Path, name: str, value: str, words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless=true",
         f"--server.port={free_port()}"], cwd=ROOT, capture_output=True, encoding="utf-8",
        timeout=60, env={**clean_environment(PARLEY_HOME=str(tmp_path)), name: value})
    assert done.returncode == 1
    assert done.stderr.startswith(name) and words in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("home", ["a-file/parley", "a-file"])
async def test_where_nothing_can_be_kept_it_starts_and_says_so(tmp_path: Path, home: str) -> None:
    (tmp_path / "a-file").touch()
    catalog = tmp_path / "models.toml"
    catalog.write_text(MODEL)
    with start_app(tmp_path / "home", env={"PARLEY_HOME": str(tmp_path / home),
                                           "PARLEY_MODELS": str(catalog)}) as app:
        async with Person(app.url, "ada") as person:
            for page in PAGES:
                await person.open(page)
                if page == "memory":
                    assert "so conversations are not kept for now" in "".join(person.warnings)
            await person.open("memory")
            await person.ask("Hello")
            assert "Nothing answers" in "".join(person.warnings)
        assert "so there is no log but this one" in app.printed
        assert "Traceback" not in app.printed


async def test_a_catalog_with_a_mistake_is_told_on_each_page_and_needs_no_restart(
        tmp_path: Path) -> None:
    catalog = tmp_path / "my_models.toml"
    catalog.write_text("[[model]\n")
    # An empty setting is none, as a file of settings for containers has it.
    env = {"PARLEY_MODELS": str(catalog), "PARLEY_FRAME_ANCESTORS": ""}
    with start_app(tmp_path / "home", env=env) as app:
        async with Person(app.url, "ada") as person:
            for page in PAGES:
                await person.open(page)
                if page != "scorecard":
                    [said] = person.warnings
                    assert r"my\_models.toml is not a TOML file" in said, page
            catalog.write_text(MODEL)
            await person.open("memory")
            assert person.warnings == []
