"""Who a browser belongs to: a random owner in a signed cookie, set with the first page.

The WebSocket's handshake carries the cookie, so `components.owner` can read it. It is
out of reach of scripts, and other sites' requests do not carry it. One that was not
signed here counts as none, and the next page sets a fresh one.

This module does not know what an owner owns, nor who signed in.
"""

from __future__ import annotations

from http.cookies import SimpleCookie

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from web.owner_names import new_owner, owner_of, sign

COOKIE = "parley_owner"

MAX_AGE = 400 * 24 * 3600
"""Seconds from the last visit. Browsers keep no cookie longer than 400 days."""


class OwnerCookie:
    """ASGI middleware: each page that a browser opens says, or learns, whose it is."""

    def __init__(self, app: ASGIApp):
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if not _opens_a_page(scope):
            await self.app(scope, receive, send)
            return
        known = HTTPConnection(scope).cookies.get(COOKIE)
        owner = owner_of(known) if known else None
        cookie = set_cookie(sign(owner or new_owner()), secure=scope["scheme"] == "https")

        async def send_with_cookie(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.append("Set-Cookie", cookie)
                # Nobody between us and the browser may hand it to somebody else.
                headers["Cache-Control"] = "private, no-cache"
            await send(message)

        await self.app(scope, receive, send_with_cookie)


def _opens_a_page(scope: Scope) -> bool:
    """Whether a browser asks for a page, rather than for something that a page needs."""
    return (scope["type"] == "http" and scope["method"] == "GET"
            and "text/html" in Headers(scope=scope).get("accept", ""))


def set_cookie(value: str, *, secure: bool) -> str:
    """The Set-Cookie header for an owner's signed `value`."""
    morsel = SimpleCookie({COOKIE: value})[COOKIE]
    morsel.update({"path": "/", "max-age": MAX_AGE, "httponly": True, "samesite": "Lax",
                   "secure": secure})
    return morsel.OutputString()
