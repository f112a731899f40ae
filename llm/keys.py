"""Whose service a model is, which key opens it, and where what people type goes.

A key is sent to the service that it was made for and to nobody else: the keys of
OpenAI, Google and Hugging Face stay at home when an entry names a server of its own.
Such a server may have a key too, in the variable `PARLEY_KEY_<ID>`.

This module does not know HTTP, nor Streamlit's secrets: whoever has a key from
elsewhere passes it as `api_key`.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from llm.catalog import ModelSpec
from llm.errors import InvalidKeyError, MissingKeyError


@dataclass(frozen=True)
class Service:
    """Somebody's models behind one address."""

    name: str
    base_url: str
    key_variable: str
    keys_page: str
    """Where a key is had."""
    hosts: tuple[str, ...]
    """Hosts that are the service's own; one that begins with a dot stands for all under it."""

    def owns(self, url: str) -> bool:
        parts = urlsplit(url)
        host = parts.hostname or ""
        return parts.scheme == "https" and any(
            host == own or own.startswith(".") and host.endswith(own) for own in self.hosts)


SERVICES = {
    "openai": Service(
        "OpenAI", "https://api.openai.com/v1", "OPENAI_API_KEY",
        "https://platform.openai.com/api-keys", ("api.openai.com", ".api.openai.com"),
    ),
    "google": Service(
        "Google", "https://generativelanguage.googleapis.com/v1beta/openai", "GOOGLE_API_KEY",
        "https://aistudio.google.com/apikey", ("generativelanguage.googleapis.com",),
    ),
    # Its own Inference Endpoints take the same token; its Spaces run other people's code.
    "huggingface": Service(
        "Hugging Face", "https://router.huggingface.co/v1", "HF_TOKEN",
        "https://huggingface.co/settings/tokens",
        ("huggingface.co", ".huggingface.co", ".endpoints.huggingface.cloud"),
    ),
}


def base_url(spec: ModelSpec) -> str | None:
    """Where the model's service is, without a slash at the end; None for local models."""
    service = SERVICES.get(spec.provider)
    if service is None:
        return None
    redirected = os.environ.get("OPENAI_BASE_URL", "").strip() if spec.provider == "openai" else ""
    return (spec.base_url or redirected or service.base_url).rstrip("/")


def key_variable(spec: ModelSpec) -> str | None:
    """The environment variable that holds the model's key; None for local models."""
    service = SERVICES.get(spec.provider)
    if service is None:
        return None
    # Whoever sets OPENAI_BASE_URL sets OPENAI_API_KEY for it.
    if spec.base_url is None or service.owns(spec.base_url):
        return service.key_variable
    return "PARLEY_KEY_" + re.sub(r"\W", "_", spec.id).upper()


def needs_key(spec: ModelSpec) -> bool:
    """Whether nothing can be sent without a key. A server of one's own may do without."""
    service, url = SERVICES.get(spec.provider), base_url(spec)
    return service is not None and url is not None and service.owns(url)


def find_key(spec: ModelSpec, api_key: str | None = None) -> str | None:
    """The key to send: `api_key`, else the environment's, else None.

    Raises `MissingKeyError` where the service needs one, and `InvalidKeyError` for
    characters that cannot be sent.
    """
    variable = key_variable(spec)
    key = (api_key or "").strip() or (os.environ.get(variable, "").strip() if variable else "")
    if not key:
        if needs_key(spec):
            service = SERVICES[spec.provider]
            raise MissingKeyError(
                "{label} needs a key from {service}: get one at {keys_page}, "
                "then type it in here or set {variable}.",
                label=spec.label, service=service.name, keys_page=service.keys_page,
                variable=service.key_variable,
            )
        return None
    if not re.fullmatch(r"[!-~]+", key):
        raise InvalidKeyError(
            "The key for {label} holds spaces or characters that no key has. "
            "Copy it again, alone and whole.",
            label=spec.label,
        )
    return key


WHERE_TEXT_GOES = {
    "here": "stays on this machine",
    "host": "goes to {host}",
    "service": "goes to {host} ({service})",
    "hugging face": "goes to {host} (Hugging Face), and from there to one of its inference "
                    "providers",
}
"""What becomes of what is typed, to follow "What you type"."""


def destination(spec: ModelSpec) -> tuple[str, dict[str, str]]:
    """Which of WHERE_TEXT_GOES holds for a model, and what fills its gaps."""
    url = base_url(spec)
    host = (urlsplit(url).hostname or url) if url is not None else None
    if url is None or is_loopback(host):
        return "here", {}
    service = SERVICES[spec.provider]
    if not service.owns(url):
        return "host", {"host": host}
    if url == SERVICES["huggingface"].base_url:
        return "hugging face", {"host": host}
    return "service", {"host": host, "service": service.name}


def where_text_goes(spec: ModelSpec) -> str:
    """What becomes of what is typed, to follow "What you type": "stays on this machine"."""
    where, gaps = destination(spec)
    return WHERE_TEXT_GOES[where].format(**gaps)


def is_loopback(host: str | None) -> bool:
    """Whether a host name means this machine."""
    return host in ("localhost", "::1") or (host or "").startswith("127.")
