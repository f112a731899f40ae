"""A real PostgreSQL for a test run, from Debian's package: a folder of its own, gone at the end.

    with postgres(tmp_path) as url:
        open_store(url)

It listens on a Unix socket in the folder, and on loopback at a free port for programs
that want one. PostgreSQL refuses to run as root, so there it runs as the user postgres.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

BINARIES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_SETTINGS = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off",
             "listen_addresses": "127.0.0.1", "max_connections": "60",
             "shared_buffers": "32MB", "autovacuum": "off"}


@contextmanager
def postgres(folder: Path | None = None) -> Iterator[str]:
    """Start a server with one empty database. Yields its URL.

    `folder` gets the server's log; the data is in a folder of its own under /tmp, where
    the user postgres may enter.
    """
    binaries = BINARIES[-1]
    data = Path(tempfile.mkdtemp(prefix="parley-postgres-"))
    as_user = []
    if os.getuid() == 0:
        shutil.chown(data, "postgres", "postgres")
        as_user = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"]
    try:
        subprocess.run([*as_user, binaries / "initdb", "--no-sync", "--auth=trust", "-U", "parley",
                        "--encoding=UTF8", "--locale=C", "-D", data / "db"],
                       check=True, stdout=subprocess.DEVNULL, cwd="/")
        port = _free_port()
        settings = [f"-c{name}={value}" for name, value in _SETTINGS.items()]
        with ((folder or data) / "postgres.log").open("ab") as log:
            server = subprocess.Popen(
                [*as_user, binaries / "postgres", "-D", data / "db", "-k", data, "-p", str(port),
                 *settings], stdout=log, stderr=log, cwd="/")
        try:
            _wait_until_ready(binaries, data, port, server)
            yield f"postgresql://parley@127.0.0.1:{port}/postgres"
        finally:
            # SIGINT is its "fast shutdown": connections are closed, not waited for.
            server.send_signal(signal.SIGINT)
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                # SIGQUIT ends it and its children at once; the data are thrown away anyway.
                server.send_signal(signal.SIGQUIT)
                server.wait(20)
    finally:
        shutil.rmtree(data, ignore_errors=True)


def new_database(url: str, name: str) -> str:
    """Make an empty database beside the one of `url`. Returns its URL."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return f"{url.rpartition('/')[0]}/{name}"


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def _wait_until_ready(binaries: Path, data: Path, port: int, server: subprocess.Popen) -> None:
    deadline = time.monotonic() + 30
    while subprocess.run([binaries / "pg_isready", "-q", "-h", data, "-p", str(port)],
                         check=False).returncode != 0:
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"PostgreSQL did not start; it ended with {server.poll()}")
        time.sleep(0.05)
