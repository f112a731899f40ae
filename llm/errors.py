"""Every error that Parley shows to a person, as one tree.

    ParleyError
    ├── CatalogError                  the list of models
    │   ├── UnknownModelError           no model of that id
    │   └── InvalidCatalogError         a catalog file that cannot be used
    ├── ModelServiceError             somebody's server: no answer, or a bad one
    │   ├── MissingKeyError             no key to send
    │   ├── InvalidKeyError             401
    │   ├── PermissionDeniedError       403
    │   ├── ModelNotFoundError          404
    │   ├── InvalidRequestError         400, 422
    │   │   ├── ContextTooLongError       the prompt does not fit the context window
    │   │   └── RequestTooLargeError      413
    │   ├── RateLimitError              429, with the wait where it is known
    │   ├── QuotaExceededError          429 for want of credit: waiting does not help
    │   ├── ServiceUnavailableError     500 and above
    │   ├── ServiceUnreachableError     DNS, refused, TLS
    │   ├── ServiceTimeoutError         silence before or within a reply
    │   └── BrokenReplyError            what came was not a whole, readable reply
    │       ├── CutReplyError             the connection or the stream ended early
    │       └── EmptyReplyError           it ended well and said nothing
    ├── LocalModelError               a model on this machine
    │   ├── WeightsMissingError         not fetched yet
    │   ├── WeightsDamagedError         half a file, or another one
    │   ├── UnsupportedModelError       an architecture the engine does not know
    │   ├── NoRoomError                 the disk is too small or full
    │   ├── HubUnreachableError         the hub does not answer
    │   ├── FetchCancelledError         the person stopped a download
    │   ├── OutOfMemoryError            the model does not fit in memory
    │   └── EngineError                 the engine did not start, or died
    ├── PictureError                  a picture that cannot be used
    │   ├── UnreadablePictureError      not a picture, or a damaged one
    │   ├── PictureTooLargeError        over the policy's bytes, pixels, sides or number
    │   └── CannotSeeError              the model at hand takes no pictures
    └── StorageError                  what is kept: conversations, votes, imports
        ├── UnknownConversationError    no conversation of that id is kept for this owner
        ├── DamagedConversationError    one that cannot be read any more
        ├── ImportRefusedError          a file that is not taken in, and why
        └── QuotaFullError              the owner's share is used up

Each is raised with one plain sentence that says what happened and what to do
next; pages show that sentence and nothing else. It is a constant with gaps, so
that it can be shown in other languages: see `llm.wording`. It never holds a key, a
traceback or what people wrote. Anything that is not a `ParleyError` is a bug,
and is left to raise.

This module does not know any vendor: `llm.vendor_errors` turns theirs into these.
"""

from __future__ import annotations

from typing import Any

from llm.wording import WordedError


class ParleyError(WordedError):
    """The root: `NoRoomError("{folder} is full.", folder=path)`.

    `str(error)` is the sentence that a person reads, in English.

    `is_retryable` says whether the very same request may go through later.
    """

    is_retryable = False


class CatalogError(ParleyError):
    """The list of models cannot serve what was asked."""


class UnknownModelError(CatalogError):
    """No catalog entry has this id."""


class InvalidCatalogError(CatalogError):
    """A catalog file is not TOML, or an entry in it is wrong."""


class ModelServiceError(ParleyError):
    """A model's server refused, failed, or could not be reached."""


class MissingKeyError(ModelServiceError):
    """The model needs an API key and none was given."""


class InvalidKeyError(ModelServiceError):
    """The service did not accept the key (401)."""


class PermissionDeniedError(ModelServiceError):
    """The key is valid, but not for this model or from here (403)."""


class ModelNotFoundError(ModelServiceError):
    """The service has no model of this name (404)."""


class InvalidRequestError(ModelServiceError):
    """The service found the request itself wrong (400, 422)."""


class ContextTooLongError(InvalidRequestError):
    """The prompt and the room for a reply do not fit the context window."""


class RequestTooLargeError(InvalidRequestError):
    """The request has more bytes than the service takes (413)."""


class RateLimitError(ModelServiceError):
    """Too many requests (429). `retry_after` is the wait in seconds, or None."""

    is_retryable = True

    def __init__(self, template: str, /, *, retry_after: float | None = None, **values: Any):
        super().__init__(template, **values)
        self.retry_after = retry_after


class QuotaExceededError(ModelServiceError):
    """The account's credit or quota is used up: waiting does not help."""


class ServiceUnavailableError(ModelServiceError):
    """The service says that it cannot answer now (500, 502, 503, 529)."""

    is_retryable = True


class ServiceUnreachableError(ModelServiceError):
    """No connection: the name, the port or the certificate is wrong, or no network."""

    is_retryable = True


class ServiceTimeoutError(ModelServiceError):
    """The service was silent for too long, before or within a reply."""

    is_retryable = True


class BrokenReplyError(ModelServiceError):
    """What came back was not a whole, readable reply."""

    is_retryable = True


class CutReplyError(BrokenReplyError):
    """The connection or the stream ended before the reply did."""


class EmptyReplyError(BrokenReplyError):
    """The reply ended in good order and held no text."""


class LocalModelError(ParleyError):
    """A model on this machine cannot be used as things stand."""


class WeightsMissingError(LocalModelError):
    """The weights have not been fetched to this machine."""


class WeightsDamagedError(LocalModelError):
    """The weights are incomplete, or not what they should be."""


class UnsupportedModelError(LocalModelError):
    """The engine does not know the model's architecture or file format."""


class NoRoomError(LocalModelError):
    """The disk has no room for the weights."""


class HubUnreachableError(LocalModelError):
    """The Hugging Face Hub does not answer from here."""

    is_retryable = True


class FetchCancelledError(LocalModelError):
    """The person stopped the download."""

    is_retryable = True


class OutOfMemoryError(LocalModelError):
    """The model, or the conversation in it, does not fit in memory."""


class EngineError(LocalModelError):
    """The local engine did not start, or died."""

    is_retryable = True


class PictureError(ParleyError):
    """A picture cannot be used."""


class UnreadablePictureError(PictureError):
    """The bytes are no picture of a kind that is taken, or a damaged one."""


class PictureTooLargeError(PictureError):
    """Over the policy's limit of bytes, pixels, sides or number."""


class CannotSeeError(PictureError):
    """The model at hand takes no pictures."""


class StorageError(ParleyError):
    """What is kept cannot be read or written now."""


class UnknownConversationError(StorageError):
    """The owner has no conversation of this id; whether somebody else has is not told."""


class DamagedConversationError(StorageError):
    """What is kept of one conversation cannot be read; the others can."""


class ImportRefusedError(StorageError):
    """A file was not taken in: all or nothing, and the reason."""


class QuotaFullError(StorageError):
    """The owner's share of the storage is used up."""
