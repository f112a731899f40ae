"""Only the app's own page opens a WebSocket, and only under the app's own name."""

from __future__ import annotations

import http.client
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.app import RunningApp, free_port, start_app
from web.origins import OwnOriginOnly


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("origins") / "home") as running:
        yield running


def open_socket(app: RunningApp, origin: str, host: str | None = None) -> None:
    """Shake hands as a page of `origin` would that knows the app as `host`."""
    reached = socket.create_connection(("127.0.0.1", app.port))
    with reached, connect(f"ws://{host or f'127.0.0.1:{app.port}'}/_stcore/stream", sock=reached,
                          origin=origin, subprotocols=["streamlit"], open_timeout=10):
        pass


def test_the_apps_own_page_is_let_in(app: RunningApp) -> None:
    open_socket(app, app.url)


@pytest.mark.parametrize("origin", [
    "http://evil.example", "https://127.0.0.1", "null", "http://localhost:1", "http://0.0.0.0:1",
    "http://127.0.0.1.evil.example", "file://", "http://127.0.0.1:99999999", "http://[",
])
def test_another_origin_is_refused(app: RunningApp, origin: str) -> None:
    with pytest.raises(InvalidStatus) as refused:
        open_socket(app, origin)
    assert refused.value.response.status_code == 403


def test_another_app_on_this_machine_is_refused(app: RunningApp) -> None:
    with pytest.raises(InvalidStatus):
        open_socket(app, f"http://127.0.0.1:{free_port()}")


def test_a_name_that_was_pointed_here_is_refused(app: RunningApp) -> None:
    with pytest.raises(InvalidStatus):
        open_socket(app, f"http://evil.example:{app.port}", host=f"evil.example:{app.port}")
    with closing(http.client.HTTPConnection("127.0.0.1", app.port)) as connection:
        connection.request("GET", "/", headers={"Host": "evil.example"})
        answer = connection.getresponse()
        assert answer.status == 421
        assert b"PARLEY_HOSTS" in answer.read()
        assert answer.getheader("Content-Security-Policy")


@pytest.mark.parametrize(("hosts", "name", "came_in_at", "is_ours"), [
    ([], "localhost:8501", "127.0.0.1", True),
    ([], "127.0.0.1", "127.0.0.1", True),
    ([], "[::1]:8501", "::1", True),
    ([], "parley.localhost", "127.0.0.1", True),
    ([], "parley.example", "127.0.0.1", False),
    ([], "parley.example", "::ffff:127.0.0.1", False),
    ([], "", "127.0.0.1", False),
    ([], "parley.example", "192.0.2.7", True),
    (["parley.example"], "Parley.Example:443", "127.0.0.1", True),
    (["parley.example"], "other.example", "192.0.2.7", False),
    (["parley.example", ""], "", "192.0.2.7", False),
])
def test_the_names_that_the_app_answers_to(hosts: list[str], name: str, came_in_at: str,
                                           is_ours: bool) -> None:
    assert OwnOriginOnly(None, hosts=hosts).is_ours(name, (came_in_at, 8501)) is is_ours
