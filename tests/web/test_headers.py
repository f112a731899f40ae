"""Every response of the app carries the headers that keep a page from calling anybody."""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import closing

import pytest
from starlette.types import Receive, Scope, Send

from tests.app import RunningApp, start_app
from web.headers import SecurityHeaders, inline_script_hashes


@pytest.fixture(scope="module")
def app(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningApp]:
    with start_app(tmp_path_factory.mktemp("headers") / "home") as running:
        yield running


def ask(app: RunningApp, path: str, *, method: str = "GET", body: bytes | None = None,
        **headers: str) -> http.client.HTTPResponse:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    with closing(http.client.HTTPConnection("127.0.0.1", app.port, timeout=10)) as connection:
        connection.request(method, path, body=body, headers=named)
        answer = connection.getresponse()
        answer.content = answer.read()
        return answer


def script_of(app: RunningApp) -> str:
    page = ask(app, "/").content.decode()
    return page.split('<script type="module" crossorigin src=".')[1].split('"')[0]


PATHS = ["/", "/chat", "/no/such/page", "/favicon.png", "/_stcore/health",
         "/_stcore/host-config", "/_stcore/no-such-thing", "/media/none", "/component/none/x.js",
         "/_stcore/bidi-components/none/x.js", "/static/js/none.js", "//evil.example/",
         "/%2e%2e/%2e%2e/etc/passwd", "/_stcore/agent/openapi.json", "/chat/"]


@pytest.mark.parametrize("path", PATHS)
def test_every_answer_has_the_headers_errors_included(app: RunningApp, path: str) -> None:
    answer = ask(app, path)
    policy = answer.getheader("Content-Security-Policy")
    assert "default-src 'self'" in policy or "sandbox" in policy
    assert answer.getheader("X-Content-Type-Options") == "nosniff"
    assert answer.getheader("Referrer-Policy") == "no-referrer"
    assert answer.getheader("X-Frame-Options") == "DENY"
    assert answer.getheader("X-DNS-Prefetch-Control") == "off"
    assert "camera=(self)" in answer.getheader("Permissions-Policy")
    assert answer.getheader("Strict-Transport-Security") is None


def test_a_script_of_streamlits_has_them_too(app: RunningApp) -> None:
    answer = ask(app, script_of(app))
    assert answer.status == 200
    assert answer.getheader("Content-Security-Policy")


def test_the_policy_names_nobody_but_the_app(app: RunningApp) -> None:
    policy = ask(app, "/").getheader("Content-Security-Policy")
    sources = {word for rule in policy.split("; ") for word in rule.split()[1:]}
    hashes = {source for source in sources if source.startswith("'sha256-")}
    assert len(hashes) == 1
    assert sources - hashes == {"'self'", "'none'", "'unsafe-inline'", "data:", "blob:",
                                f"ws://127.0.0.1:{app.port}"}
    rules = {rule.split()[0]: rule.split()[1:] for rule in policy.split("; ")}
    assert set(rules["script-src"]) == {"'self'", *hashes}
    assert rules["frame-ancestors"] == rules["frame-src"] == rules["object-src"] == ["'none'"]


def test_a_host_that_is_no_host_stays_out_of_the_policy(app: RunningApp) -> None:
    with closing(http.client.HTTPConnection("127.0.0.1", app.port)) as connection:
        connection.putrequest("GET", "/", skip_host=True)
        connection.putheader("Host", "localhost; script-src *")
        connection.endheaders()
        policy = connection.getresponse().getheader("Content-Security-Policy")
    assert "*" not in policy


def test_over_tls_the_browser_is_told_to_stay_there(app: RunningApp) -> None:
    answer = ask(app, "/", X_Forwarded_Proto="https", Accept="text/html")
    assert answer.getheader("Strict-Transport-Security") == "max-age=31536000"
    assert "wss://127.0.0.1" in answer.getheader("Content-Security-Policy")
    assert "Secure" in answer.getheader("Set-Cookie")


def test_an_upload_without_the_xsrf_token_is_refused(app: RunningApp) -> None:
    answer = ask(app, "/_stcore/upload_file/session/file", method="PUT", body=b"x")
    assert answer.status == 403
    assert answer.getheader("Content-Security-Policy")


def test_an_upload_to_a_session_that_was_guessed_is_refused(app: RunningApp) -> None:
    cookie = ask(app, "/_stcore/health").getheader("Set-Cookie").split(";")[0]
    answer = ask(app, "/_stcore/upload_file/session/file", method="PUT", body=b"x",
                 Cookie=cookie, X_Xsrftoken=cookie.split("=", 1)[1])
    assert answer.status == 400
    assert b"session" in answer.content


def test_programs_cannot_drive_the_app_without_a_page(app: RunningApp) -> None:
    answer = ask(app, "/_stcore/agent/interact", method="POST", body=b"{}",
                 Content_Type="application/json")
    assert answer.status in (403, 404)


async def test_a_failure_of_the_app_itself_is_answered_with_the_headers() -> None:
    async def failing(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("what somebody wrote")

    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "path": "/", "scheme": "http", "headers": []}
    await SecurityHeaders(failing)(scope, None, send)
    assert sent[0]["status"] == 500
    assert b"content-security-policy" in dict(sent[0]["headers"])
    assert b"what somebody wrote" not in sent[1]["body"]


def test_who_may_frame_the_app_can_be_said() -> None:
    guard = SecurityHeaders(None, frame_ancestors="https://school.example")
    headers = guard.headers_for({"scheme": "http", "path": "/", "headers": []})
    assert "frame-ancestors https://school.example" in headers["Content-Security-Policy"]
    assert "X-Frame-Options" not in headers


def test_scripts_written_out_in_the_page_are_named_by_their_hash() -> None:
    html = "<script>\n a = 1\n</script><script type='module' src='./x.js'></script>"
    assert inline_script_hashes(html) == ["'sha256-HGhYatulGgL/ZLTGXJR7yhMjGpABuXcl0CcsqyflceA='"]
