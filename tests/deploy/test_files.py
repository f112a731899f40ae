"""deploy/: what systemd and Docker make of their files, and that all name the same model."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from llm.catalog import get_model
from tests.app import ROOT, clean_environment

DEPLOY = ROOT / "deploy"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
@pytest.mark.parametrize("file, name", [("parley@.service", "parley@8501.service"),
                                        ("vllm.service", "vllm.service")])
def test_systemd_accepts_the_unit(file: str, name: str, tmp_path: Path) -> None:
    unit = tmp_path / name
    # vLLM is not installed here, which systemd would say.
    unit.write_text((DEPLOY / file).read_text("utf-8").replace("/opt/vllm/bin/vllm", "/bin/true"),
                    "utf-8")
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                           text=True)
    said = [line for line in found.stderr.splitlines() if unit.name in line]
    assert not said, said


def _compose() -> list[str] | None:
    """Docker's compose, as its plugin or by itself; None: not here."""
    for command in (["docker", "compose"], ["docker-compose"]):
        if shutil.which(command[0]) and subprocess.run(
                [*command, "version"], capture_output=True).returncode == 0:
            return command
    return None


def test_docker_compose_accepts_its_file() -> None:
    command = _compose()
    if command is None:
        pytest.skip("no docker compose here")
    secrets = dict.fromkeys(("POSTGRES_PASSWORD", "PARLEY_COOKIE_SECRET",
                             "STREAMLIT_SERVER_COOKIE_SECRET"), "a-secret")
    found = subprocess.run(
        [*command, "--file", DEPLOY / "compose.yaml", "config", "--quiet"], text=True,
        capture_output=True, env={**clean_environment(), **secrets})
    assert found.returncode == 0, found.stderr
    assert "variable is not set" not in found.stderr  # one that the file's head does not name


def test_in_docker_nginx_passes_on_to_each_of_the_apps_services(tmp_path: Path) -> None:
    services = yaml.safe_load((DEPLOY / "compose.yaml").read_text("utf-8"))["services"]
    command = services["nginx"]["entrypoint"][-1]
    rewrite = command[:command.index(">")].replace(
        "/etc/nginx/templates/default.conf.template", str(DEPLOY / "nginx.conf"))
    written = subprocess.run(["sh", "-c", rewrite], capture_output=True, text=True, check=True)
    served = re.findall(r"^ *server (\S+):8501 ", written.stdout, re.MULTILINE)
    assert served == services["nginx"]["depends_on"] == ["app1", "app2"]


def test_the_example_catalog_is_one_that_the_app_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_MODELS", str(DEPLOY / "models.example.toml"))
    assert get_model("our-model").base_url == "http://model:8000/v1"


@pytest.mark.parametrize("file", ["compose.yaml", "ray_serve_llm.yaml", "vllm.service"])
def test_each_model_server_has_the_model_that_the_catalog_asks_for(
        file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_MODELS", str(DEPLOY / "models.example.toml"))
    spec, text = get_model("our-model"), (DEPLOY / file).read_text("utf-8")
    assert re.search(rf"""(model_id: |--served-model-name[", ]+){spec.model}\b""", text)
    assert "HuggingFaceTB/SmolLM3-3B" in text
    [window] = re.findall(r"""max[_-]model[_-]len[:", ]+(\d+)""", text)
    assert int(window) == spec.context_window
    assert "8000" in text or file == "compose.yaml"  # there by the image's default
