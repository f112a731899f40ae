"""What every test stands on: no network, nobody's keys, a folder of its own, no process left.

The network: pytest-socket (see pyproject.toml) refuses every connection but to loopback
and Unix sockets, and here every name but loopback's fails to resolve, as without a network.
Both hold within this process. A child process, such as the app itself, is outside them:
the browser tests watch what the page asks for.
"""

from __future__ import annotations

import os
import socket
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.app import MARK, is_personal, processes_of_this_run, wait_until

LOOPBACK = (None, "", "localhost", "localhost.localdomain", "ip6-localhost", socket.gethostname())


@pytest.fixture(scope="session", autouse=True)
def no_process_left() -> Iterator[None]:
    """The run ends with every process that it started gone, orphans included."""
    os.environ[MARK] = uuid.uuid4().hex
    yield
    try:
        wait_until(lambda: not processes_of_this_run(), "no process is left", seconds=10)
    except AssertionError:
        left = processes_of_this_run()
        lines = [f"{process.pid}: {' '.join(process.cmdline())[:200]}" for process in left]
        for process in left:
            process.kill()
        pytest.fail("Still running at the end, now killed:\n" + "\n".join(lines), pytrace=False)


@pytest.fixture(scope="session", autouse=True)
def names_do_not_resolve() -> Iterator[None]:
    """As on a machine without a network, and as fast: only loopback has an address."""
    resolve = socket.getaddrinfo

    def only_loopback(host, *args, **kwargs):
        name = host.decode() if isinstance(host, bytes) else host
        if name in LOOPBACK or name.replace(".", "").isdigit() or ":" in name:
            return resolve(host, *args, **kwargs)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", only_loopback)
        yield


@pytest.fixture(scope="session")
def parley_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The PARLEY_HOME that all `model` tests share, so that weights are converted once."""
    return tmp_path_factory.mktemp("parley-home")


@pytest.fixture(autouse=True)
def own_environment(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch,
                    tmp_path: Path) -> None:
    """No key of the person who runs the tests, and a PARLEY_HOME of the test's own.

    Tests marked `model` share one instead: `parley_home`.
    """
    for name in filter(is_personal, list(os.environ)):
        monkeypatch.delenv(name)
    # Streamlit's AppTest leaves its script there, which a process started later would run.
    monkeypatch.setitem(sys.modules, "__main__", sys.modules["__main__"])
    shares = request.node.get_closest_marker("model")
    home = request.getfixturevalue("parley_home") if shares else tmp_path / "parley-home"
    monkeypatch.setenv("PARLEY_HOME", str(home))
