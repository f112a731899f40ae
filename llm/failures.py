"""What can be learned about a failed request, and the sentence that says it.

A `Failure` is one exception with what its server wrote; each function after it makes
one kind of `ParleyError` of that. Of what a server wrote, a sentence holds at most a
short excerpt, and only where the request itself was at fault: without keys and without
markup. Which exception means which kind is in `llm.vendor_errors`.
"""

from __future__ import annotations

import email.utils
import errno
import json
import logging
import re
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from llm import errors
from llm.catalog import ModelSpec
from llm.errors import ParleyError
from llm.keys import SERVICES, key_variable, needs_key

logger = logging.getLogger(__name__)

MASK = "•••"
_KEY_SHAPES = re.compile(
    r"(?:sk|hf|gsk|xai|pk|rk)[-_][\w-]{6,}|AIza[\w-]{10,}|(?<=Bearer )\S+"
    r"|[\w-]{2,}\*{3,}[\w-]*"  # how services print a key that they half hide
)
_ABOUT_QUOTA = re.compile(
    r"insufficient.?quota|exceeded your current quota|billing.?(hard.?)?limit|billing_not_active"
    r"|credit balance|out of credits|insufficient (credits|funds|balance)"
    r"|exceeded your monthly included credits|payment required", re.IGNORECASE)
_ABOUT_CONTEXT = re.compile(
    r"context.{0,12}(length|size|window)|maximum (number of )?(input )?tokens|too many tokens"
    r"|token count .{0,40}exceeds|prompt is too long|input is too large|max_new_tokens` must be"
    r"|exceed_context_size|too long for the model", re.IGNORECASE)
_ABOUT_KEY = re.compile(r"api.?key not valid|invalid.{0,3}api.?key|API_KEY_INVALID", re.IGNORECASE)
_ABOUT_SIGHT = re.compile(
    r"(image|vision|multimodal).{0,30}(not supported|unsupported|only supported by)"
    r"|not support.{0,20}(image|vision)|not a (multimodal|vision)", re.IGNORECASE)
_ABOUT_MEMORY = re.compile(r"out of memory|failed to allocate", re.IGNORECASE)
_PARAMETERS = re.compile(
    r"\b(temperature|top_p|max_tokens|max_completion_tokens|seed|stop|stream_options|image_url)\b")
_RETRY_DELAY = re.compile(r'"?retry.?delay"?\s*:\s*"?(\d+(?:\.\d+)?)s', re.IGNORECASE)


def redact(text: str, secrets: Iterable[str] = ()) -> str:
    """`text` without the secrets and without whatever looks like a key."""
    for secret in secrets:
        if secret:
            text = text.replace(secret, MASK)
    return _KEY_SHAPES.sub(MASK, text)


def retry_after(headers: Mapping[str, str], text: str = "") -> float | None:
    """The seconds that a server asks to wait, by its headers or (Google) its body; or None."""
    told = headers.get("retry-after-ms", "")
    if _is_number(told):
        return float(told) / 1000
    told = headers.get("retry-after", "").strip()
    if _is_number(told):
        return float(told)
    if told and (date := email.utils.parsedate_tz(told)) is not None:
        return max(0.0, email.utils.mktime_tz(date) - time.time())
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
        return cls(error, causes, spec, status, redact(text or str(error), [sent])[:20_000],
                   retry_after(headers, text))

    @property
    def who(self) -> str:
        return self.spec.label if self.spec is not None else "The model's server"

    @property
    def is_local(self) -> bool:
        return self.spec is not None and self.spec.runs_locally

    @property
    def excerpt(self) -> str:
        """A little of what the server wrote, as a sentence of its own, in plain characters."""
        try:
            text = _message_within(json.loads(self.text))
        except (ValueError, RecursionError):
            text = self.text
        text = " ".join(re.sub(r"[^\w\s.,;:'\"/+=%#@?&•-]|://", " ", text).split())[:200].strip()
        return f" It says: “{text}”" if text else ""

    def caused_by(self, *types: type[BaseException]) -> bool:
        return any(isinstance(cause, types) for cause in self.causes)


def by_status(failure: Failure) -> ParleyError:
    status, who, text = failure.status, failure.who, failure.text
    if status in (400, 415, 422, 500) and _ABOUT_SIGHT.search(text):
        return errors.CannotSeeError(
            f"{who} takes no pictures. Take the picture out, or choose a model that sees."
        )
    if status in (400, 409, 422) or (status == 500 and _ABOUT_CONTEXT.search(text)):
        return bad_request(failure)
    if status == 401:
        return invalid_key(failure)
    if status == 402:
        return quota(failure)
    if status == 403:
        return errors.PermissionDeniedError(
            f"{who} may not be used with this key, or not from here. "
            "Look up what the key is allowed to do, or choose another model."
        )
    if status in (404, 405, 410):
        return errors.ModelNotFoundError(
            f"The service has no model named {_name(failure.spec)} at this address. "
            "Check the model's name and the base URL."
        )
    if status == 408:
        return silent(failure)
    if status == 413:
        return errors.RequestTooLargeError(
            f"This is more than {who} takes in one request. "
            "Send fewer or smaller pictures, or less text."
        )
    if status == 429:
        return quota(failure) if is_about_quota(text) else rate_limit(failure)
    if status is not None and 300 <= status < 400:
        return errors.ServiceUnreachableError(
            f"{who} wants the request sent to another address; it was not. Check the base URL."
        )
    if status is not None and status >= 500:
        if _ABOUT_MEMORY.search(text) and failure.is_local:
            return no_memory(failure)
        return errors.ServiceUnavailableError(
            f"{who} cannot answer now (its server says {status}). "
            "Try again in a minute, or choose another model."
        )
    if status is not None and status >= 400:
        return errors.InvalidRequestError(
            f"{who} refused the request (status {status}).{failure.excerpt} "
            "Change the request, or choose another model."
        )
    return broken(failure)


def bad_request(failure: Failure) -> ParleyError:
    if _ABOUT_KEY.search(failure.text):
        return invalid_key(failure)
    if _ABOUT_CONTEXT.search(failure.text):
        return context(failure)
    parameter = getattr(failure.error, "param", None)
    if not isinstance(parameter, str) or not _PARAMETERS.fullmatch(parameter):
        match = _PARAMETERS.search(failure.text)
        parameter = match[1] if match else None
    if parameter is not None:
        return errors.InvalidRequestError(
            f"{failure.who} does not take {parameter} as it was sent.{failure.excerpt} "
            f"Change or unset {parameter}, then send again."
        )
    return errors.InvalidRequestError(
        f"{failure.who} could not use the request.{failure.excerpt} "
        "Change the message or the settings, then send again."
    )


def by_event(failure: Failure) -> ParleyError:
    """An error that the server reports within its stream, after it said all was well."""
    if failure.status is not None:
        return by_status(failure)
    text = failure.text
    if is_about_quota(text):
        return quota(failure)
    if re.search(r"rate.?limit|too many requests", text, re.IGNORECASE):
        return rate_limit(failure)
    if _ABOUT_CONTEXT.search(text):
        return context(failure)
    if re.search(r"overloaded|unavailable|server.?error|internal|capacity", text, re.IGNORECASE):
        return errors.ServiceUnavailableError(
            f"{failure.who} broke off with an error of its own. What came is kept; ask again."
        )
    return errors.BrokenReplyError(
        f"{failure.who} broke off with an error.{failure.excerpt} What came is kept; ask again."
    )


def context(failure: Failure) -> ParleyError:
    window = failure.spec.context_window if failure.spec is not None else None
    size = f" of {window:,} tokens" if window else ""
    return errors.ContextTooLongError(
        f"This is too long for {failure.who}: the messages and the room for a reply must fit into "
        f"its context window{size}. Shorten them, lower max tokens, or start a new chat."
    )


def invalid_key(failure: Failure) -> ParleyError:
    spec = failure.spec
    if spec is None or spec.provider not in SERVICES:
        return errors.InvalidKeyError(
            f"{failure.who} did not accept the key. Check it, then send again."
        )
    if not needs_key(spec):
        return errors.InvalidKeyError(
            f"{spec.label} asks for a key, or did not accept the one it got. "
            f"Type its key in here, or set {key_variable(spec)}."
        )
    service = SERVICES[spec.provider]
    return errors.InvalidKeyError(
        f"{service.name} did not accept the key. Check it, or get a new one at {service.keys_page}."
    )


def quota(failure: Failure) -> ParleyError:
    return errors.QuotaExceededError(
        f"The quota or credit behind the key for {failure.who} is used up; waiting does not help. "
        "Add credit to the account, use another key, or choose another model."
    )


def rate_limit(failure: Failure) -> ParleyError:
    wait = failure.wait
    when = "in a minute" if wait is None else f"in {_duration(wait)}"
    return errors.RateLimitError(
        f"{failure.who} has had too many requests. Try again {when}, or choose another model.",
        retry_after=wait,
    )


def unreachable(failure: Failure) -> ParleyError:
    who = failure.who
    if failure.is_local:
        return engine_gone(failure)
    if failure.caused_by(ssl.SSLError):
        return errors.ServiceUnreachableError(
            f"No safe connection to {who}: its certificate does not hold. Nothing was sent. "
            "Check the base URL and this machine's clock; an office network may step in between."
        )
    if failure.caused_by(socket.gaierror):
        return errors.ServiceUnreachableError(
            f"The address of {who} is not known. Check the network and the base URL."
        )
    if failure.caused_by(ConnectionRefusedError):
        return errors.ServiceUnreachableError(
            f"Nothing answers at the address of {who}. Check the base URL and that the server runs."
        )
    return errors.ServiceUnreachableError(
        f"{who} could not be reached. Check the network and the base URL, then send again."
    )


def connection(failure: Failure) -> ParleyError:
    """openai has one class for a connection that was not had and for one that was lost."""
    names = {type(cause).__name__ for cause in failure.causes}
    if names & {"ReadError", "WriteError", "CloseError", "RemoteProtocolError", "EndOfStream"}:
        return cut(failure)
    return broken(failure) if "DecodingError" in names else unreachable(failure)


def silent(failure: Failure) -> ParleyError:
    return errors.ServiceTimeoutError(
        f"{failure.who} was silent for too long. What came is kept; try again, "
        "or choose another model."
    )


def cut(failure: Failure) -> ParleyError:
    if failure.is_local:
        return engine_gone(failure)
    return errors.CutReplyError(
        f"The connection to {failure.who} ended before the reply did. What came is kept; ask again."
    )


def engine_gone(failure: Failure) -> ParleyError:
    return errors.EngineError(
        f"The engine of {failure.who} stopped. What came is kept; ask again, and it starts anew."
    )


def broken(failure: Failure) -> ParleyError:
    return errors.BrokenReplyError(
        f"{failure.who} sent something that is not a readable reply. What came is kept; ask again, "
        "and if it stays so check the base URL."
    )


def empty(failure: Failure) -> ParleyError:
    return errors.EmptyReplyError(f"{failure.who} answered without a word. Ask again.")


def value(failure: Failure) -> ParleyError:
    # How langchain_core says that a stream ended before it began.
    no_chunk = "No generation chunks were returned" in str(failure.error)
    return empty(failure) if no_chunk else unknown(failure)


def unknown(failure: Failure) -> ParleyError:
    """What no library is known to raise: an answer that it choked on, or a bug here."""
    trace, place = failure.error.__traceback__, "?"
    while trace is not None:
        place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"
        trace = trace.tb_next
    # Its text may hold a key or what people wrote; where it was raised does not.
    logger.error("no meaning is known for %s, raised at %s",
                 type(failure.error).__qualname__, place)
    return errors.BrokenReplyError(
        f"{failure.who} sent something that could not be understood. "
        "Ask again; if it stays so, choose another model."
    )


def no_memory(failure: Failure) -> ParleyError:
    return errors.OutOfMemoryError(
        f"{failure.who} does not fit in this machine's memory. "
        "Close other programs, shorten the conversation, or choose a smaller model."
    )


def os_error(failure: Failure) -> ParleyError:
    if getattr(failure.error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return errors.NoRoomError("The disk is full. Make room, then try again.")
    return cut(failure)


def setup(failure: Failure) -> ParleyError:
    if re.search(r"credentials|api_key", str(failure.error)):
        return errors.MissingKeyError(f"{failure.who} needs a key. Type it in, then send again.")
    return broken(failure)


def address(failure: Failure) -> ParleyError:
    return errors.ServiceUnreachableError(
        f"The address of {failure.who} cannot be used. Check the base URL."
    )


def hub(failure: Failure) -> ParleyError:
    return errors.HubUnreachableError(
        "The Hugging Face Hub does not answer from here. Check the network, then try again; "
        "models that are on this machine work without it."
    )


def no_repository(failure: Failure) -> ParleyError:
    return errors.ModelNotFoundError(
        f"The Hugging Face Hub has no {_name(failure.spec)} that may be had from here. Check the "
        "name; if its owner grants access, ask for it there and set HF_TOKEN."
    )


def no_weights(failure: Failure) -> ParleyError:
    return errors.WeightsMissingError(
        f"The weights of {failure.who} are not on this machine. Fetch them first."
    )


def bad_weights(failure: Failure) -> ParleyError:
    return errors.WeightsDamagedError(
        f"The weights of {failure.who} are damaged. Delete them and fetch them again."
    )


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


def _message_within(body: Any) -> str:
    """The message in the shapes that services use: error.message, error, message, detail."""
    while isinstance(body, list) and body:
        body = body[0]
    if not isinstance(body, dict):
        return body if isinstance(body, str) else ""
    for name in ("error", "message", "detail", "msg"):
        if told := _message_within(body.get(name)):
            return told
    return ""


def _name(spec: ModelSpec | None) -> str:
    return f"“{spec.model}”" if spec is not None else "of this name"


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\s*\d+(\.\d+)?\s*", text) is not None


def _duration(seconds: float) -> str:
    seconds = max(1, round(seconds))
    if seconds < 120:
        return f"{seconds} second{'s' if seconds != 1 else ''}"
    return f"{round(seconds / 60)} minutes" if seconds < 7200 else f"{round(seconds / 3600)} hours"
