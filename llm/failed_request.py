"""What can be learned about a failed request, from an exception and what its server wrote.

Of what a server wrote, a sentence holds at most a short excerpt: without keys and without
markup. Which sentence that is, `llm.failures` knows.
"""

from __future__ import annotations

import email.utils
import json
import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm.catalog import ModelSpec
from llm.masking import MASK, writings
from llm.wording import Wording

_KEY_SHAPES = re.compile(
    r"(?:sk|hf|gsk|xai|pk|rk)[-_][\w-]{6,}|AIza[\w-]{10,}|(?<=Bearer )\S+"
    r"|(?<![\w-])[\w-]{2,}\*{3,}[\w-]*"  # how services print a key that they half hide
)
_ABOUT_QUOTA = re.compile(
    r"insufficient.?quota|exceeded your current quota|billing.?(hard.?)?limit|billing_not_active"
    r"|credit balance|out of credits|insufficient (credits|funds|balance)"
    r"|exceeded your monthly included credits|payment required", re.IGNORECASE)
_RETRY_DELAY = re.compile(r'"?retry.?delay"?\s*:\s*"?(\d+(?:\.\d+)?)s', re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the secrets and without whatever looks like a key."""
    for secret in secrets:
        for written in writings(secret):
            text = text.replace(written, MASK)
    return _KEY_SHAPES.sub(MASK, text)


LONGEST_WAIT = 31 * 24 * 3600.0
"""Seconds. Quotas begin anew each month at the latest: who asks for more does not mean it."""


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """The seconds that a server asks to wait, by its headers or (Google) its body; or None."""
    asked = _asked_wait(headers, text)
    return asked if asked is not None and asked <= LONGEST_WAIT else None


def _asked_wait(headers: Mapping[str, str], text: str) -> float | None:
    told = headers.get("retry-after-ms", "")
    if _is_number(told):
        return float(told) / 1000
    told = headers.get("retry-after", "").strip()
    if _is_number(told):
        return float(told)
    if told and (date := email.utils.parsedate_tz(told)) is not None:
        try:
            return max(0.0, email.utils.mktime_tz(date) - time.time())
        except (ValueError, OverflowError):  # no such year
            return None
    # Hugging Face: `"api";r=0;t=55`.
    if match := re.search(r";\s*r\s*=\s*0\s*;\s*t\s*=\s*(\d+)", headers.get("ratelimit", "")):
        return float(match[1])
    match = _RETRY_DELAY.search(text)
    return float(match[1]) if match else None


def is_about_quota(text: str) -> bool:
    """Whether an answer with status 429 means an empty account, not haste."""
    # Google says "quota" of haste too, and then how long to wait.
    return _ABOUT_QUOTA.search(text) is not None and _RETRY_DELAY.search(text) is None


@dataclass(frozen=True)
class Failure:
    """What could be learned about one exception."""

    error: BaseException
    causes: list[BaseException]
    spec: ModelSpec | None
    status: int | None
    text: str
    """What the server wrote, keys taken out."""
    wait: float | None
    key_letters: str = ""
    """The letters and digits of the key that was sent."""

    @classmethod
    def of(cls, error: BaseException, causes: list[BaseException],
           spec: ModelSpec | None) -> Failure:
        response = getattr(error, "response", None)
        status = getattr(error, "status_code", None) or getattr(response, "status_code", None)
        body = getattr(error, "body", None)
        text = _text(body) if body is not None else _response_text(response)
        headers = getattr(response, "headers", None) or {}
        # httpx keeps it in _request (and raises on `request` if there is none), openai in request.
        request = (getattr(error, "_request", None) or getattr(response, "_request", None)
                   or vars(error).get("request"))
        sent = getattr(request, "headers", {}).get("authorization", "").removeprefix("Bearer ")
        if status is None:
            status = _status_within(body)
        told = redact((text or str(error))[:30_000], [sent])[:20_000]
        return cls(error, causes, spec, status, told, retry_after(headers, text), _letters(sent))

    @property
    def who(self) -> str | Wording:
        return self.spec.label if self.spec is not None else Wording("The model's server")

    @property
    def is_local(self) -> bool:
        return self.spec is not None and self.spec.runs_locally

    @property
    def excerpt(self) -> str | Wording:
        """A little of what the server wrote, as a sentence of its own, in plain characters."""
        try:
            text = message_within(json.loads(self.text))
        except (ValueError, RecursionError):
            # Of a web page, what its title says.
            page = re.search(r"<title[^>]*>(.*?)</title", self.text, re.IGNORECASE | re.DOTALL)
            text = page[1] if page else "" if self.text.lstrip().startswith("<") else self.text
        # No link, address or icon is to come of it where it is drawn.
        text = re.sub(r"[^\w\s.,;:'\"/+=%#?&•-]|://|(?<=www)\.", " ", text, flags=re.IGNORECASE)
        text = " ".join(re.sub(r":(?=\S)", ": ", text).split())[:200].strip()
        if len(self.key_letters) >= 8 and self.key_letters in _letters(text):
            return ""  # the key in pieces, in capitals or with signs within it
        return Wording(" It says: “{text}”", text=text) if text else ""

    def caused_by(self, *types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in self.causes)


def _letters(text: str) -> str:
    return re.sub(r"[\W_]", "", text).lower()


def _text(body: Any) -> str:
    return body if isinstance(body, str) else json.dumps(body, default=str, ensure_ascii=False)


def _response_text(response: Any) -> str:
    try:
        return response.text
    except (AttributeError, RuntimeError):  # no response, or one that was never read
        return ""


def _status_within(body: Any) -> int | None:
    """The HTTP status that some servers write into an error event."""
    code = body.get("code") or body.get("status") if isinstance(body, dict) else None
    return int(code) if isinstance(code, int | str) and re.fullmatch(r"[45]\d\d", str(code)) \
        else None


def message_within(body: Any) -> str:
    """The message in the shapes that services use: error.message, error, message, detail; or ""."""
    while isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return body if isinstance(body, str) else ""
    for name in ("error", "errors", "message", "detail", "msg"):
        if told := message_within(body.get(name)):
            return told
    return ""


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None
