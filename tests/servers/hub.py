"""A Hugging Face Hub on loopback: enough of its protocol to list, size and download from.

    with serve_hub({"someone/model": {"config.json": b"{}"}}) as hub:
        os.environ["HF_ENDPOINT"] = hub.url

Files of 1 kB and more are large files with a checksum, as on the Hub. What makes a fetch
fail can be set while it runs: see `Hub`.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from socketserver import ThreadingTCPServer
from urllib.parse import urlsplit

COMMIT = "a" * 40
LARGE = 1_000
"""Bytes from which on a file is a large one, with a checksum."""


class Hub(ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, repositories: Mapping[str, Mapping[str, bytes]]):
        super().__init__(("127.0.0.1", 0), _Answer)
        self.repositories = repositories
        self.ranges: list[tuple[str, str | None]] = []
        """Each download so far: the file's name, and the Range that was asked for."""
        self.tokens: list[str | None] = []
        """The authorization header of each request."""
        self.bytes_a_second: float | None = None
        self.cut_after: int | None = None
        """Break each download's connection after so many bytes, if it has more."""
        self.damage = False
        """Send large files with one bit turned."""
        self.status: int | None = None
        """Answer everything with this error."""
        self.gated = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


@contextmanager
def serve_hub(repositories: Mapping[str, Mapping[str, bytes]]) -> Iterator[Hub]:
    """A running hub with these repositories: id to file name to content."""
    hub = Hub(repositories)
    thread = threading.Thread(target=hub.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        hub.shutdown()
        thread.join()
        hub.server_close()


class _Answer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Hub

    def do_GET(self) -> None:
        self.server.tokens.append(self.headers.get("authorization"))
        path = urlsplit(self.path).path.strip("/").split("/")
        try:
            if self.server.status:
                self._error(self.server.status, "error")
            elif self.server.gated:
                self._error(403, "GatedRepo")
            elif path[:2] == ["api", "models"]:
                self._describe("/".join(path[2:4]))
            elif len(path) > 4 and path[2] == "resolve":
                self._download("/".join(path[:2]), "/".join(path[4:]))
            else:
                self._error(404, "EntryNotFound")
        except OSError:
            pass  # the client left, as some tests mean it to

    do_HEAD = do_GET

    def _describe(self, repository: str) -> None:
        files = self.server.repositories.get(repository)
        if files is None:
            self._error(401, "RepoNotFound")
            return
        siblings = [
            {"rfilename": name, "size": len(content), "blobId": "b" * 40,
             **({"lfs": {"sha256": _sha256(content), "size": len(content), "pointerSize": 134}}
                if len(content) >= LARGE else {})}
            for name, content in files.items()
        ]
        self._send(200, json.dumps({
            "id": repository, "modelId": repository, "sha": COMMIT, "private": False,
            "tags": [], "downloads": 0, "siblings": siblings}).encode())

    def _download(self, repository: str, name: str) -> None:
        content = self.server.repositories.get(repository, {}).get(name)
        if content is None:
            self._error(404, "EntryNotFound")
            return
        asked = self.headers.get("range")
        start = int(asked.removeprefix("bytes=").split("-")[0]) if asked else 0
        headers = {"etag": f'"{_sha256(content)}"', "x-repo-commit": COMMIT,
                   "accept-ranges": "bytes"}
        if asked:
            headers["content-range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        if self.command == "GET":
            self.server.ranges.append((name, asked))
        if self.server.damage and len(content) >= LARGE:
            content = content[:-1] + bytes([content[-1] ^ 1])
        self._send(206 if asked else 200, content[start:], headers)

    def _send(self, status: int, body: bytes, headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command == "HEAD":
            return
        step = 64_000
        for sent in range(0, len(body), step):
            cut = self.server.cut_after
            if cut is not None and sent + step > cut and len(body) > cut:
                self.wfile.write(body[sent:cut])
                self.close_connection = True
                return
            self.wfile.write(body[sent:sent + step])
            if self.server.bytes_a_second:
                time.sleep(step / self.server.bytes_a_second)

    def _error(self, status: int, code: str) -> None:
        self._send(status, json.dumps({"error": code}).encode(), {"x-error-code": code})

    def log_message(self, *args) -> None:
        pass


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
