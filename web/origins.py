"""Who may open a WebSocket to the app, and under which names the app answers.

Streamlit accepts a WebSocket from any port of localhost and of this machine's
addresses, and asks a service on the internet what those are. Here it must be the very
origin that the request goes to.

A page somewhere can also give its own name this machine's address (DNS rebinding).
So a connection that comes in over loopback must be for a loopback name. Whoever runs
a proxy on the same machine, or wants this for a name on the network, says the names.

This module does not know sessions or cookies.
"""

from __future__ import annotations

import ipaddress
import logging
from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

log = logging.getLogger(__name__)


class OwnOriginOnly:
    """ASGI middleware: refuses other origins' WebSockets, and names that are not the app's.

    `hosts`: the names, without ports, under which the app is reached, loopback aside. Empty:
    any name, but over loopback only loopback's own.
    """

    def __init__(self, app: ASGIApp, *, hosts: Collection[str] = ()):
        self.app = app
        self._hosts = frozenset(host.strip().lower() for host in hosts if host.strip())

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self.app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if not self.is_ours(headers.get("host", ""), scope.get("server")):
            refusal = "The app has another name. Its operator can add this one to PARLEY_HOSTS."
        elif scope["type"] == "websocket" and not is_same_origin(headers):
            refusal = "A WebSocket may only be opened by the app's own page."
        else:
            await self.app(scope, receive, send)
            return
        log.warning("Refused a %s: %s", scope["type"], refusal)
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await PlainTextResponse(refusal, 421)(scope, receive, send)

    def is_ours(self, host: str, server: tuple[str, int | None] | None) -> bool:
        """Whether a request to the name `host` that came in at `server` is meant for us."""
        name = _name(host)
        if is_loopback_name(name) or name in self._hosts:
            return True
        return not self._hosts and not (server and is_loopback_name(server[0]))


def is_same_origin(headers: Headers) -> bool:
    """Whether a browser sent this from a page of ours, or it was no browser.

    Browsers always say the origin of a WebSocket's page, and no page can change that.
    """
    origin = headers.get("origin")
    if origin is None:
        return True
    try:
        return urlsplit(origin).netloc.lower() == headers.get("host", "").lower() != ""
    except ValueError:
        return False


def _name(host: str) -> str:
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback_name(name: str) -> bool:
    """Whether a host name or address means this machine."""
    if name == "localhost" or name.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return (mapped or address).is_loopback
