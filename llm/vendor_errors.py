"""What other people's exceptions mean: the one place where they become Parley's.

`translate` takes whatever a chat model raised (openai, langchain, huggingface_hub,
httpx, httpx2, or Python itself on an answer that makes no sense) and gives the
`ParleyError` with its sentence. `MEANINGS` names every exception class of those
libraries; a test fails when a new one appears that is not in it.

This module imports none of the libraries it knows, and does not know pages or how a
reply is run.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from llm import failures
from llm.catalog import ModelSpec
from llm.errors import ParleyError
from llm.failed_request import Failure


def translate(error: BaseException, spec: ModelSpec | None = None) -> ParleyError:
    """The error to show for `error`, which `spec`'s model raised.

    A `ParleyError`, or one that caused `error`, is returned as it is. What no library
    is known to raise becomes a `BrokenReplyError`, and its place is logged.
    """
    causes = list(_causes(error))
    for each in causes:
        if isinstance(each, ParleyError):
            return each
    for each in causes:
        for cls in type(each).__mro__:
            meaning = MEANINGS.get(f"{cls.__module__.partition('.')[0]}.{cls.__name__}")
            if meaning is not None:
                return meaning(Failure.of(each, causes, spec))
    return failures.unknown(Failure.of(error, causes, spec))


Meaning = Callable[[Failure], ParleyError]


def _mean(library: str, meaning: Meaning, names: str) -> dict[str, Meaning]:
    return {f"{library}.{name}": meaning for name in names.split()}


def _status(status: int) -> Meaning:
    """LangChain's classes stand for an HTTP status, and need not carry one."""
    return lambda failure: failures.by_status(
        failure if failure.status else replace(failure, status=status))


def _http_client(library: str) -> dict[str, Meaning]:
    """httpx2 is httpx continued: the same classes in both."""
    return {
        **_mean(library, failures.unreachable,
                "ConnectError ConnectTimeout ProxyError NetworkError"),
        **_mean(library, failures.address, "UnsupportedProtocol InvalidURL TooManyRedirects"),
        **_mean(library, failures.silent, "TimeoutException ReadTimeout WriteTimeout PoolTimeout"),
        **_mean(library, failures.cut, "ReadError WriteError CloseError RemoteProtocolError"
                " ProtocolError TransportError RequestError HTTPError"),
        **_mean(library, failures.by_status, "HTTPStatusError"),
        **_mean(library, failures.broken, "DecodingError LocalProtocolError CookieConflict SSEError"
                " StreamError StreamConsumed StreamClosed ResponseNotRead RequestNotRead"),
    }


MEANINGS: dict[str, Meaning] = {
    **_http_client("httpx"),
    **_http_client("httpx2"),
    **_mean("openai", failures.by_status, "APIStatusError BadRequestError AuthenticationError"
            " OAuthError PermissionDeniedError NotFoundError ConflictError"
            " UnprocessableEntityError RateLimitError InternalServerError"),
    **_mean("openai", failures.by_event, "APIError"),
    **_mean("openai", failures.connection, "APIConnectionError"),
    **_mean("openai", failures.silent, "APITimeoutError"),
    **_mean("openai", failures.setup, "OpenAIError SubjectTokenProviderError"
            " _AmbiguousModuleClientUsageError"),
    **_mean("openai", failures.broken, "APIResponseValidationError LengthFinishReasonError"
            " ContentFilterFinishReasonError InvalidWebhookSignatureError"
            " WebSocketConnectionClosedError WebSocketQueueFullError"),
    **_mean("langchain_openai", failures.context,
            "OpenAIContextOverflowError OpenAIAPIContextOverflowError"),
    **_mean("langchain_openai", failures.silent, "StreamChunkTimeoutError"),
    **_mean("langchain_core", failures.context, "ContextOverflowError"),
    **_mean("langchain_core", _status(401), "ModelAuthenticationError"),
    **_mean("langchain_core", _status(403), "ModelPermissionDeniedError"),
    **_mean("langchain_core", _status(400), "ModelInvalidRequestError"),
    **_mean("langchain_core", _status(404), "ModelNotFoundError"),
    **_mean("langchain_core", _status(429), "ModelRateLimitError"),
    **_mean("langchain_core", _status(500), "ModelAPIError"),
    **_mean("langchain_core", failures.connection, "ModelConnectionError"),
    **_mean("langchain_core", failures.silent, "ModelTimeoutError"),
    **_mean("langchain_core", failures.broken, "ModelError ModelRefusalError LangChainException"
            " OutputParserException TracerException"),
    **_mean("llm", failures.by_event, "StreamedError"),
    **_mean("huggingface_hub", failures.by_status, "HfHubHTTPError BadRequestError"
            " JobNotFoundError BucketNotFoundError BucketBatchError"),
    **_mean("huggingface_hub", failures.by_event, "TextGenerationError ValidationError"
            " GenerationError OverloadedError IncompleteGenerationError UnknownError"),
    **_mean("huggingface_hub", failures.silent,
            "InferenceTimeoutError InferenceEndpointTimeoutError"),
    **_mean("huggingface_hub", failures.no_repository, "RepositoryNotFoundError GatedRepoError"
            " DisabledRepoError RevisionNotFoundError EntryNotFoundError RemoteEntryNotFoundError"
            " HFValidationError HfUriError"),
    **_mean("huggingface_hub", failures.no_weights, "LocalEntryNotFoundError CacheNotFound"
            " IncompleteSnapshotError CachedRepoTreeNotFoundError NotASafetensorsRepoError"),
    **_mean("huggingface_hub", failures.bad_weights, "CorruptedCacheException DDUFError"
            " SafetensorsParsingError DDUFCorruptedFileError DDUFExportError"
            " DDUFInvalidEntryNameError"),
    **_mean("huggingface_hub", failures.hub, "OfflineModeIsEnabled RevisionResolutionError"
            " DryRunError FileMetadataError XetDownloadError FileDuplicationError"),
    **_mean("huggingface_hub", failures.invalid_key,
            "LocalTokenNotFoundError OIDCError DeviceCodeError"),
    **_mean("huggingface_hub", failures.broken, "InferenceEndpointError StrictDataclassError"
            " StrictDataclassDefinitionError StrictDataclassFieldValidationError"
            " StrictDataclassClassValidationError CLIError ConfirmationError"
            " CLIExtensionInstallError SandboxError SandboxCommandError"),
    **_mean("ssl", failures.unreachable, "SSLError"),
    **_mean("socket", failures.unreachable, "gaierror"),
    **_mean("json", failures.broken, "JSONDecodeError"),
    **_mean("builtins", failures.broken, "UnicodeError"),
    **_mean("builtins", failures.value, "ValueError"),
    **_mean("builtins", failures.silent, "TimeoutError"),
    **_mean("builtins", failures.unreachable, "ConnectionRefusedError"),
    **_mean("builtins", failures.cut, "ConnectionError EOFError"),
    **_mean("builtins", failures.no_memory, "MemoryError"),
    **_mean("builtins", failures.os_error, "OSError"),
}
"""By library and class name, what an exception means; a subclass means what its base does."""


def _causes(error: BaseException) -> Iterator[BaseException]:
    """`error` and what led to it, outermost first.

    A context that was suppressed is followed too: httpcore raises its errors `from
    None`, and only there is it said that a connection was refused.
    """
    seen: set[int] = set()
    pending: list[BaseException | None] = [error]
    while pending:
        current = pending.pop()
        if current is not None and id(current) not in seen:
            seen.add(id(current))
            yield current
            pending += [current.__context__, current.__cause__]
