"""Headers on every HTTP response, so that a page of ours loads nothing that is not ours.

    Middleware(SecurityHeaders, inline_scripts=inline_script_hashes(index_html))

Whatever a model writes, the browser then asks nobody but this app for a picture, a
script, a frame or a connection, and no other site can put the app in a frame.

This module does not know what the pages show.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

log = logging.getLogger(__name__)

CONTENT_SECURITY_POLICY = (
    "default-src 'self'",
    "script-src 'self' {inline_scripts}",
    # Streamlit's theme is a style sheet made in the browser, and its charts' are too.
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data: blob:",
    "media-src 'self' data: blob:",
    "font-src 'self' data:",
    # 'self' is the page's own WebSocket too, but not in every browser in use. data: is no
    # connection; the camera's picture is read from one.
    "connect-src 'self' {websocket} data:",
    "worker-src 'self' blob:",
    "frame-src 'none'",
    "object-src 'none'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors {frame_ancestors}",
)
"""What a page may load and where from: https://www.w3.org/TR/CSP3/"""

UPLOADED_FILES_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"
"""For files that people put in: opened by themselves, they are nobody's page."""

OTHER_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": (
        "camera=(self), clipboard-write=(self), microphone=(), geolocation=(), payment=(), "
        "usb=(), serial=(), midi=(), display-capture=(), browsing-topics=()"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Looking up the names in links ahead of a click would tell their owners what was said.
    "X-DNS-Prefetch-Control": "off",
}

STRICT_TRANSPORT_SECURITY = "max-age=31536000"

_HOST = re.compile(r"[A-Za-z0-9.-]+(:\d+)?|\[[0-9A-Fa-f:.]+\](:\d+)?")


def inline_script_hashes(html: str) -> list[str]:
    """The CSP sources for the scripts written out in an HTML page: 'sha256-…'.

    Made from the page itself, so that an update of Streamlit does not break it.
    """
    scripts = re.findall(r"<script(?![^>]*\ssrc=)[^>]*>(.*?)</script>", html, re.DOTALL)
    digests = (hashlib.sha256(script.encode()).digest() for script in scripts)
    return [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]


class SecurityHeaders:
    """ASGI middleware: adds the headers, and answers a failure of the app itself.

    `inline_scripts` are CSP sources. `frame_ancestors` says who may put the app in a
    frame: "'none'", "'self'" or origins. Over TLS, as the server or a proxy that it
    trusts says (uvicorn's FORWARDED_ALLOW_IPS), browsers are told to stay with it.
    """

    def __init__(self, app: ASGIApp, *, inline_scripts: Sequence[str] = (),
                 frame_ancestors: str = "'none'"):
        self.app = app
        self._inline_scripts = " ".join(inline_scripts)
        self._frame_ancestors = frame_ancestors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        has_begun = False

        async def send_with_headers(message: Message) -> None:
            nonlocal has_begun
            if message["type"] == "http.response.start":
                has_begun = True
                MutableHeaders(scope=message).update(self.headers_for(scope))
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        except Exception:
            # Starlette's own answer to an error is sent from outside of any middleware.
            if has_begun:
                raise
            log.exception("An error in answering %s", scope["method"])
            answer = PlainTextResponse("Internal Server Error", 500)
            await answer(scope, receive, send_with_headers)

    def headers_for(self, scope: Scope) -> dict[str, str]:
        """The headers to add to the response to the request of this scope."""
        over_tls = scope["scheme"] == "https"
        if "/media/" in scope["path"]:
            policy = UPLOADED_FILES_POLICY
        else:
            host = Headers(scope=scope).get("host", "")
            websocket = f"{'wss' if over_tls else 'ws'}://{host}" if _HOST.fullmatch(host) else ""
            policy = "; ".join(CONTENT_SECURITY_POLICY).format(
                inline_scripts=self._inline_scripts, websocket=websocket,
                frame_ancestors=self._frame_ancestors)
        headers = {"Content-Security-Policy": policy, **OTHER_HEADERS}
        if self._frame_ancestors == "'none'":
            headers["X-Frame-Options"] = "DENY"
        if over_tls:
            headers["Strict-Transport-Security"] = STRICT_TRANSPORT_SECURITY
        return headers
