"""The cookie by which a browser is known again: when it is set, and how."""

from __future__ import annotations

from http.cookies import SimpleCookie

import pytest
from starlette.types import Receive, Scope, Send

from web.owner import COOKIE, OwnerCookie
from web.owner_names import new_owner, owner_of, sign


async def answer(_scope: Scope, _receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 304, "headers": []})
    await send({"type": "http.response.body", "body": b""})


async def headers_for(cookie: str | None = None, *, accept: str = "text/html,*/*",
                      scheme: str = "http", method: str = "GET") -> dict[bytes, bytes]:
    sent = []

    async def send(message: dict) -> None:
        sent.append(message)

    headers = [(b"accept", accept.encode())]
    if cookie is not None:
        headers.append((b"cookie", f"other=1; {COOKIE}={cookie}".encode("latin-1")))
    await OwnerCookie(answer)({"type": "http", "method": method, "path": "/", "scheme": scheme,
                               "headers": headers}, None, send)
    return dict(sent[0]["headers"])


def owner_in(headers: dict[bytes, bytes]) -> str | None:
    return owner_of(SimpleCookie(headers[b"set-cookie"].decode())[COOKIE].value)


async def test_a_new_browser_becomes_an_owner_of_its_own() -> None:
    first, second = owner_in(await headers_for()), owner_in(await headers_for())
    assert first
    assert second
    assert first != second


async def test_a_known_browser_stays_who_it_is_and_longer() -> None:
    owner = new_owner()
    headers = await headers_for(sign(owner))
    assert owner_in(headers) == owner
    assert b"Max-Age=34560000" in headers[b"set-cookie"]


@pytest.mark.parametrize("forged", [
    "browser:0123456789abcdef0123456789abcdef", "", "x.y", "é", "a" * 5000, "browser:1.",
    "browser:0123456789abcdef0123456789abcdef.AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
])
async def test_a_cookie_that_was_not_signed_here_counts_as_none(forged: str) -> None:
    owner = owner_in(await headers_for(forged))
    assert owner
    assert owner not in forged


async def test_another_owners_signature_does_not_fit() -> None:
    mine, theirs = new_owner(), new_owner()
    signature = sign(mine).rsplit(".", 1)[1]
    assert owner_in(await headers_for(f"{theirs}.{signature}")) != theirs


async def test_scripts_and_other_sites_cannot_use_it() -> None:
    cookie = (await headers_for())[b"set-cookie"].decode()
    assert "HttpOnly" in cookie
    assert "SameSite=Lax" in cookie
    assert "Path=/" in cookie
    assert "Secure" not in cookie
    assert "Secure" in (await headers_for(scheme="https"))[b"set-cookie"].decode()


async def test_nobody_in_between_may_keep_the_page_that_sets_it() -> None:
    assert (await headers_for())[b"cache-control"] == b"private, no-cache"


@pytest.mark.parametrize("asked", [{"accept": "*/*"}, {"method": "POST"}])
async def test_what_is_no_page_sets_none(asked: dict[str, str]) -> None:
    assert b"set-cookie" not in await headers_for(**asked)
