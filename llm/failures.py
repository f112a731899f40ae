"""The sentences that say why a request failed.

Each function makes one kind of `ParleyError` of a `Failure`: one exception with what its
server wrote. An excerpt of that stands in a sentence only where the request itself was at
fault. Which exception means which kind is in `llm.vendor_errors`.
"""

from __future__ import annotations

import errno
import logging
import re
import socket
import ssl

from llm import errors
from llm.catalog import ModelSpec
from llm.errors import ParleyError
from llm.failed_request import Failure, is_about_quota
from llm.keys import SERVICES, key_variable, needs_key
from llm.wording import Wording

logger = logging.getLogger(__name__)

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


def by_status(failure: Failure) -> ParleyError:
    status, who, text = failure.status, failure.who, failure.text
    if status in (400, 415, 422, 500) and _ABOUT_SIGHT.search(text):
        return errors.CannotSeeError(
            "{who} takes no pictures. Take the picture out, or choose a model that sees.",
            who=who,
        )
    if status in (400, 409, 422) or (status == 500 and _ABOUT_CONTEXT.search(text)):
        return bad_request(failure)
    if status == 401:
        return invalid_key(failure)
    if status == 402:
        return quota(failure)
    if status == 403:
        return errors.PermissionDeniedError(
            "{who} may not be used with this key, or not from here. "
            "Look up what the key is allowed to do, or choose another model.",
            who=who,
        )
    if status in (404, 405, 410):
        return errors.ModelNotFoundError(
            "The service has no model named {name} at this address. "
            "Check the model's name and the base URL.",
            name=_name(failure.spec),
        )
    if status == 408:
        return silent(failure)
    if status == 413:
        return errors.RequestTooLargeError(
            "This is more than {who} takes in one request. "
            "Send fewer or smaller pictures, or less text.",
            who=who,
        )
    if status == 429:
        return quota(failure) if is_about_quota(text) else rate_limit(failure)
    if status is not None and 300 <= status < 400:
        return errors.ServiceUnreachableError(
            "{who} wants the request sent to another address; it was not. Check the base URL.",
            who=who,
        )
    if status is not None and status >= 500:
        if _ABOUT_MEMORY.search(text) and failure.is_local:
            return no_memory(failure)
        return errors.ServiceUnavailableError(
            "{who} cannot answer now (its server says {status}). "
            "Try again in a minute, or choose another model.",
            who=who, status=status,
        )
    if status is not None and status >= 400:
        return errors.InvalidRequestError(
            "{who} refused the request (status {status}).{excerpt} "
            "Change the request, or choose another model.",
            who=who, status=status, excerpt=failure.excerpt,
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
            "{who} does not take {parameter} as it was sent.{excerpt} "
            "Change or unset {parameter}, then send again.",
            who=failure.who, parameter=parameter, excerpt=failure.excerpt,
        )
    return errors.InvalidRequestError(
        "{who} could not use the request.{excerpt} "
        "Change the message or the settings, then send again.",
        who=failure.who, excerpt=failure.excerpt,
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
            "{who} broke off with an error of its own. What came is kept; ask again.",
            who=failure.who,
        )
    return errors.BrokenReplyError(
        "{who} broke off with an error.{excerpt} What came is kept; ask again.",
        who=failure.who, excerpt=failure.excerpt,
    )


def context(failure: Failure) -> ParleyError:
    window = failure.spec.context_window if failure.spec is not None else None
    size = Wording(" of {window:,} tokens", window=window) if window else ""
    return errors.ContextTooLongError(
        "This is too long for {who}: the messages and the room for a reply must fit into "
        "its context window{size}. Shorten them, lower max tokens, or start a new chat.",
        who=failure.who, size=size,
    )


def invalid_key(failure: Failure) -> ParleyError:
    spec = failure.spec
    if spec is None or spec.provider not in SERVICES:
        return errors.InvalidKeyError(
            "{who} did not accept the key. Check it, then send again.",
            who=failure.who,
        )
    if not needs_key(spec):
        return errors.InvalidKeyError(
            "{label} asks for a key, or did not accept the one it got. "
            "Type its key in here, or set {variable}.",
            label=spec.label, variable=key_variable(spec),
        )
    service = SERVICES[spec.provider]
    return errors.InvalidKeyError(
        "{service} did not accept the key. Check it, or get a new one at {keys_page}.",
        service=service.name, keys_page=service.keys_page,
    )


def quota(failure: Failure) -> ParleyError:
    return errors.QuotaExceededError(
        "The quota or credit behind the key for {who} is used up; waiting does not help. "
        "Add credit to the account, use another key, or choose another model.",
        who=failure.who,
    )


def rate_limit(failure: Failure) -> ParleyError:
    return errors.RateLimitError(
        "{who} has had too many requests. Try again {when}, or choose another model.",
        who=failure.who, when=_when(failure.wait),
        retry_after=failure.wait,
    )


def unreachable(failure: Failure) -> ParleyError:
    who = failure.who
    if failure.is_local:
        return engine_gone(failure)
    if failure.caused_by(ssl.SSLError):
        return errors.ServiceUnreachableError(
            "No safe connection to {who}: its certificate does not hold. Nothing was sent. "
            "Check the base URL and this machine's clock; an office network may step in between.",
            who=who,
        )
    if failure.caused_by(socket.gaierror):
        return errors.ServiceUnreachableError(
            "The address of {who} is not known. Check the network and the base URL.",
            who=who,
        )
    if failure.caused_by(ConnectionRefusedError):
        return errors.ServiceUnreachableError(
            "Nothing answers at the address of {who}. Check the base URL and that the server runs.",
            who=who,
        )
    return errors.ServiceUnreachableError(
        "{who} could not be reached. Check the network and the base URL, then send again.",
        who=who,
    )


def connection(failure: Failure) -> ParleyError:
    """openai has one class for a connection that was not had and for one that was lost."""
    names = {type(cause).__name__ for cause in failure.causes}
    if names & {"ReadError", "WriteError", "CloseError", "RemoteProtocolError", "EndOfStream"}:
        return cut(failure)
    return broken(failure) if "DecodingError" in names else unreachable(failure)


def silent(failure: Failure) -> ParleyError:
    return errors.ServiceTimeoutError(
        "{who} was silent for too long. What came is kept; try again, "
        "or choose another model.",
        who=failure.who,
    )


def cut(failure: Failure) -> ParleyError:
    if failure.is_local:
        return engine_gone(failure)
    return errors.CutReplyError(
        "The connection to {who} ended before the reply did. What came is kept; ask again.",
        who=failure.who,
    )


def engine_gone(failure: Failure) -> ParleyError:
    return errors.EngineError(
        "The engine of {who} stopped. What came is kept; ask again, and it starts anew.",
        who=failure.who,
    )


def broken(failure: Failure) -> ParleyError:
    return errors.BrokenReplyError(
        "{who} sent something that is not a readable reply. What came is kept; ask again, "
        "and if it stays so check the base URL.",
        who=failure.who,
    )


def empty(failure: Failure) -> ParleyError:
    return errors.EmptyReplyError("{who} answered without a word. Ask again.",
                                  who=failure.who)


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
        "{who} sent something that could not be understood. "
        "Ask again; if it stays so, choose another model.",
        who=failure.who,
    )


def no_memory(failure: Failure) -> ParleyError:
    return errors.OutOfMemoryError(
        "{who} does not fit in this machine's memory. "
        "Close other programs, shorten the conversation, or choose a smaller model.",
        who=failure.who,
    )


def os_error(failure: Failure) -> ParleyError:
    if getattr(failure.error, "errno", None) in (errno.ENOSPC, errno.EDQUOT):
        return errors.NoRoomError("The disk is full. Make room, then try again.")
    return cut(failure)


def setup(failure: Failure) -> ParleyError:
    if re.search(r"credentials|api_key", str(failure.error)):
        return errors.MissingKeyError("{who} needs a key. Type it in, then send again.",
                                      who=failure.who)
    return broken(failure)


def address(failure: Failure) -> ParleyError:
    return errors.ServiceUnreachableError(
        "The address of {who} cannot be used. Check the base URL.",
        who=failure.who,
    )


def hub(failure: Failure) -> ParleyError:
    return errors.HubUnreachableError(
        "The Hugging Face Hub does not answer from here. Check the network, then try again; "
        "models that are on this machine work without it."
    )


def no_repository(failure: Failure) -> ParleyError:
    return errors.ModelNotFoundError(
        "The Hugging Face Hub has no {name} that may be had from here. Check the "
        "name; if its owner grants access, ask for it there and set HF_TOKEN.",
        name=_name(failure.spec),
    )


def no_weights(failure: Failure) -> ParleyError:
    return errors.WeightsMissingError(
        "The weights of {who} are not on this machine. Fetch them first.",
        who=failure.who,
    )


def bad_weights(failure: Failure) -> ParleyError:
    return errors.WeightsDamagedError(
        "The weights of {who} are damaged. Delete them and fetch them again.",
        who=failure.who,
    )


def _name(spec: ModelSpec | None) -> Wording:
    return Wording("“{model}”", model=spec.model) if spec is not None else Wording("of this name")


def _when(seconds: float | None) -> Wording:
    if seconds is None:
        return Wording("in a minute")
    seconds = max(1, round(seconds))
    if seconds == 1:
        return Wording("in 1 second")
    if seconds < 120:
        return Wording("in {count} seconds", count=seconds)
    if seconds < 7200:
        return Wording("in {count} minutes", count=round(seconds / 60))
    return Wording("in {count} hours", count=round(seconds / 3600))
