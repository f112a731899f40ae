"""A real nginx with deploy/nginx.conf before processes of the app, its ports alone changed.

    with nginx(folder, [app.port for app in apps]) as proxy:
        httpx2.get(proxy.url)
        proxy.who_served(cookie)
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.app import ROOT, end, free_port, wait_until
from web.owner import COOKIE

NGINX = shutil.which("nginx") or shutil.which("nginx", path="/usr/sbin")
"""Where it is; None: not installed."""

SECRETS = {"PARLEY_COOKIE_SECRET": "c" * 40, "STREAMLIT_SERVER_COOKIE_SECRET": "s" * 40}
"""What all processes behind one nginx must share."""


@dataclass(frozen=True)
class Proxy:
    url: str
    log: Path

    def who_served(self, cookie: str) -> set[str]:
        """The processes ("127.0.0.1:port") that answered requests with this cookie, successfully.

        A WebSocket is written down when it is closed.
        """
        return {upstream.split(", ")[-1] for known, upstream, status in re.findall(
            r"^(\S+) (.+) (\d+)$", self.log.read_text("utf-8"), re.MULTILINE)
            if known == cookie and int(status) < 400}


@contextmanager
def nginx(folder: Path, ports: Sequence[int]) -> Iterator[Proxy]:
    """nginx before two processes of the app, until the block ends. `folder` must be there."""
    site, port = (ROOT / "deploy" / "nginx.conf").read_text("utf-8"), free_port()
    site = re.sub(r"listen 80;", f"listen 127.0.0.1:{port};", site)
    for written, real in zip((8501, 8502), ports, strict=True):
        site = site.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    log, kept = folder / "access.log", "\n".join(
        f"{kind}_temp_path {folder}/{kind};" for kind in
        ("client_body", "proxy", "fastcgi", "uwsgi", "scgi"))
    configuration = folder / "nginx.conf"
    configuration.write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;\n"
        "events { worker_connections 1024; }\n"
        f"http {{ log_format who '$cookie_{COOKIE} $upstream_addr $status';\n"
        f"access_log {log} who; {kept}\n{site} }}\n", "utf-8")
    command = [NGINX, "-c", configuration, "-e", folder / "error.log", "-p", folder]
    accepted = subprocess.run([*command, "-t"], capture_output=True, text=True)
    assert accepted.returncode == 0, accepted.stderr
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: (folder / "pid").exists(), "nginx has started")
        yield Proxy(f"http://127.0.0.1:{port}", log)
    finally:
        end(process)
