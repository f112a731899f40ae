"""Whether a request that failed is sent once more: where another try can help, or another form.

This module does not send anything, and knows no models.
"""

from __future__ import annotations

import json
import ssl
from dataclasses import dataclass

import httpx2

from llm.failed_request import is_about_quota, retry_after


@dataclass(frozen=True)
class Patience:
    """How long to wait, and how often to try, in seconds and times."""

    connect: float = 5
    silence: float = 60
    """Before the first byte and between two: any byte is a sign of life."""
    retries: int = 2
    pause: float = 0.5
    """Before the first retry; twice as long before the second."""
    longest_pause: float = 10
    """A server that asks for a longer wait is not tried again: the person is told."""


def pause_after_error(error: BaseException, attempt: int, patience: Patience) -> float | None:
    """Seconds until the next try after `attempt` others, or None: there is to be none."""
    # Silence has been waited for long enough, and a wrong certificate stays wrong.
    if not isinstance(error, httpx2.TransportError) or isinstance(
            error, httpx2.ReadTimeout | httpx2.WriteTimeout | httpx2.UnsupportedProtocol
            | httpx2.ProxyError):
        return None
    if isinstance(error, httpx2.ConnectError) and _is_about_tls(error):
        return None
    return patience.pause * 2**attempt if attempt < patience.retries else None


def pause_after_status(response: httpx2.Response, content: bytes, attempt: int,
                       patience: Patience) -> float | None:
    """The same, after an answer with a status that is no success, and its content."""
    status = response.status_code
    if attempt >= patience.retries or not (status in (408, 429) or status >= 500):
        return None
    text = content.decode("utf-8", "replace")
    if status == 429 and is_about_quota(text):
        return None
    asked = retry_after(response.headers, text)
    if asked is None:
        return patience.pause * 2**attempt
    return asked if asked <= patience.longest_pause else None


def without_usage(request: httpx2.Request, response: httpx2.Response, content: bytes
                  ) -> httpx2.Request | None:
    """The request without its wish for a count of tokens, if the server refused it for that.

    Older servers know no `stream_options`. Their replies are counted here, as estimates.
    """
    if response.status_code not in (400, 422) or b"stream_options" not in content:
        return None
    body = json.loads(request.read())
    if body.pop("stream_options", None) is None:
        return None
    headers = {name: value for name, value in request.headers.items() if name != "content-length"}
    return httpx2.Request(request.method, request.url, headers=headers, json=body,
                          extensions=request.extensions)


def _is_about_tls(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLError):
            return True
        error = error.__cause__ or error.__context__
    return False
