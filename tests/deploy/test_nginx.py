"""deploy/: what a real nginx and systemd make of the files, with two real replicas behind."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from llm.catalog import get_model
from tests.app import ROOT, RunningApp, end, free_port, start_app, wait_until
from tests.servers.gated import as_default_model
from web.owner import COOKIE

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
SECRETS = {"PARLEY_COOKIE_SECRET": "c" * 40, "STREAMLIT_SERVER_COOKIE_SECRET": "s" * 40}


@contextmanager
def nginx(folder: Path, ports: list[int]) -> Iterator[tuple[str, Path]]:
    """nginx with deploy/nginx.conf, its ports alone changed. Yields its address and its log."""
    site, port = (ROOT / "deploy" / "nginx.conf").read_text("utf-8"), free_port()
    site = re.sub(r"listen 80;", f"listen 127.0.0.1:{port};", site)
    for written, real in zip((8501, 8502), ports, strict=True):
        site = site.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    log, kept = folder / "access.log", "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in
        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log; events {{}}\n"
        f"http {{ log_format who '$cookie_{COOKIE} $upstream_addr $status';\n"
        f"access_log {log} who; {kept}\n{site} }}\n", "utf-8")
    command = [NGINX, "-c", configuration, "-e", folder / "error.log", "-p", folder]
    accepted = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert accepted.returncode == 0, accepted.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (folder / "pid").exists(), "nginx has started")
        yield f"http://127.0.0.1:{port}", log
    finally:
        end(process)


@dataclass
class Site:
    url: str
    log: Path
    replicas: dict[str, RunningApp]

    def visit(self, cookie: str = "") -> httpx2.Response:
        headers = {"accept": "text/html", **({"cookie": f"{COOKIE}={cookie}"} if cookie else {})}
        return httpx2.get(self.url, headers=headers, trust_env=False)

    def open_socket(self, cookie: str) -> None:
        with connect(self.url.replace("http", "ws", 1) + "/_stcore/stream", origin=self.url,
                     subprotocols=["streamlit"], proxy=None,
                     additional_headers={"Cookie": f"{COOKIE}={cookie}"}):
            pass

    def who_served(self, cookie: str) -> set[str]:
        """The replicas that answered requests with this cookie, successfully."""
        return {replica.split(", ")[-1] for known, replica, status in re.findall(
            r"^(\S+) (.+) (\d+)$", self.log.read_text("utf-8"), re.MULTILINE)
            if known == cookie and int(status) < 400}


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if NGINX is None:
        pytest.skip("no nginx: apt install nginx-light")
    with ExitStack() as running:
        env = {**SECRETS, "PARLEY_MODELS": str(as_default_model("http://127.0.0.1:9/v1", tmp_path))}
        apps = [running.enter_context(start_app(tmp_path / name, env=env)) for name in "ab"]
        folder = tmp_path / "nginx"
        folder.mkdir()
        url, log = running.enter_context(nginx(folder, [app.port for app in apps]))
        yield Site(url, log, {f"127.0.0.1:{app.port}": app for app in apps})


@pytest.mark.slow
def test_each_person_stays_at_one_replica_and_moves_when_it_is_gone(site: Site) -> None:
    people = [site.visit().cookies[COOKIE] for _ in range(12)]
    assert len(set(people)) == 12
    for person in people:
        # Each replica knows a cookie that the other has signed, and hands out no new one.
        assert site.visit(person).cookies[COOKIE] == person
        site.open_socket(person)
    served = {person: site.who_served(person) for person in people}
    assert all(len(replicas) == 1 for replicas in served.values()), served
    assert set().union(*served.values()) == set(site.replicas)

    gone, app = next(iter(site.replicas.items()))
    app.process.kill()
    app.process.wait()
    for person, replicas in served.items():
        site.open_socket(person)
        if replicas == {gone}:
            assert site.who_served(person) == set(site.replicas)
        else:
            assert site.who_served(person) == replicas


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="no systemd here")
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / "parley@8501.service"
    shutil.copy(ROOT / "deploy" / "parley@.service", unit)
    found = subprocess.run(["systemd-analyze", "verify", "--man=no", unit], capture_output=True,
                           text=True)
    said = [line for line in found.stderr.splitlines() if unit.name in line]
    assert not said, said


def test_the_example_catalog_is_one_that_the_app_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARLEY_MODELS", str(ROOT / "deploy" / "models.example.toml"))
    assert get_model("our-model").base_url == "http://model:8000/v1"
