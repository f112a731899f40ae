"""deploy/nginx.conf: what a real nginx makes of it, with two real replicas behind."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from websockets.sync.client import connect

from tests.app import RunningApp, start_app
from tests.servers.gated import as_default_model
from tests.servers.nginx import NGINX, SECRETS, Proxy, nginx
from web.owner import COOKIE


@dataclass
class Site:
    proxy: Proxy
    replicas: dict[str, RunningApp]

    @property
    def url(self) -> str:
        return self.proxy.url

    def visit(self, cookie: str = "") -> httpx2.Response:
        headers = {"accept": "text/html", **({"cookie": f"{COOKIE}={cookie}"} if cookie else {})}
        return httpx2.get(self.url, headers=headers, trust_env=False)

    def open_socket(self, cookie: str) -> None:
        with connect(self.url.replace("http", "ws", 1) + "/_stcore/stream", origin=self.url,
                     subprotocols=["streamlit"], proxy=None,
                     additional_headers={"Cookie": f"{COOKIE}={cookie}"}):
            pass


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    if NGINX is None:
        pytest.skip("no nginx: apt install nginx-light")
    with ExitStack() as running:
        env = {**SECRETS, "PARLEY_MODELS": str(as_default_model("http://127.0.0.1:9/v1", tmp_path))}
        apps = [running.enter_context(start_app(tmp_path / name, env=env)) for name in "ab"]
        folder = tmp_path / "nginx"
        folder.mkdir()
        proxy = running.enter_context(nginx(folder, [app.port for app in apps]))
        yield Site(proxy, {f"127.0.0.1:{app.port}": app for app in apps})


@pytest.mark.slow
def test_each_person_stays_at_one_replica_and_moves_when_it_is_gone(site: Site) -> None:
    people = [site.visit().cookies[COOKIE] for _ in range(12)]
    assert len(set(people)) == 12
    for person in people:
        # Each replica knows a cookie that the other has signed, and hands out no new one.
        assert site.visit(person).cookies[COOKIE] == person
        site.open_socket(person)
    served = {person: site.proxy.who_served(person) for person in people}
    assert all(len(replicas) == 1 for replicas in served.values()), served
    assert set().union(*served.values()) == set(site.replicas)

    gone, app = next(iter(site.replicas.items()))
    app.process.kill()
    app.process.wait()
    for person, replicas in served.items():
        site.open_socket(person)
        if replicas == {gone}:
            assert site.proxy.who_served(person) == set(site.replicas)
        else:
            assert site.proxy.who_served(person) == replicas
