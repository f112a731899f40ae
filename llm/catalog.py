"""What models there are: data read from catalog.toml, and from PARLEY_MODELS if it is set.

A model is one TOML table. Adding one is a few lines there, and no code:

    [[model]]
    id = "my-vllm"
    label = "Llama on our server"
    provider = "huggingface"
    model = "meta-llama/Llama-3.1-8B-Instruct"
    base_url = "http://gpu.example:8000/v1"
    open = true

Entries of the file that PARLEY_MODELS names add to the shipped ones, and replace
those with the same id.

This module does not know how a model is reached (providers.py), what it costs
(prices.py) or whether its weights are on this machine (weights.py).
"""

from __future__ import annotations

import functools
import os
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from llm.errors import InvalidCatalogError, UnknownModelError
from llm.image_tokens import IMAGE_TOKEN_RULES
from llm.wording import WrongValueError, first_fault

SHIPPED = Path(__file__).with_name("catalog.toml")
MAX_FILE_BYTES = 1_000_000
"""A catalog is written by hand: more than this is some other file."""

Setting = Literal["temperature", "top_p", "max_tokens", "seed", "system"]
READERS_OWN = ("mode", "say")
"""Settings that the picture reader alone takes."""


def check_web_address(url: str) -> None:
    """Raise `WrongValueError` unless a server can be reached by this URL."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and parts.port != 0
    except ValueError:  # "http://[", or a port that there is not
        has_host = False
    if not has_host or parts.scheme not in ("http", "https"):
        raise WrongValueError("must begin with http:// or https:// and name a host")
    if parts.username or parts.password:
        raise WrongValueError("must not hold a user name or password")


class ModelSpec(BaseModel):
    """One model as the catalog describes it. Immutable; equal specs are the same model."""

    model_config = ConfigDict(extra="forbid", frozen=True, str_strip_whitespace=True)

    id: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:/-]*$", max_length=200)
    label: str = Field(min_length=1, max_length=200)
    provider: Literal["openai", "google", "huggingface", "local", "reader"]
    """Which function in `llm.providers.PROVIDERS` makes the chat model."""
    model: str = Field(min_length=1, max_length=500)
    """The name that the service knows it by, or the Hub id of local weights."""
    open: bool
    """Whether anyone can download the weights."""
    base_url: str | None = None
    """The service's address up to and including `/v1`; None: the provider's own."""
    public_only: bool = False
    """Whether its server must be on the public internet: so for what people add themselves
    where the app is shared, lest it lead them into the network that the app runs in."""
    vision: bool = False
    image_tokens: str | None = None
    """What a picture costs it: a key of `llm.image_tokens.IMAGE_TOKEN_RULES`; None: not known."""
    context_window: int | None = Field(default=None, gt=0)
    """Tokens, prompt and reply together."""
    license: str | None = None
    notes: str = ""
    """What a person should know before choosing it: good at, bad at."""

    engine: Literal["llama.cpp", "transformers"] | None = None
    """For `provider = "local"`: which local engine runs it."""
    weights: str | None = None
    """For `provider = "local"`: "builtin", a Hub id, or a path on this machine."""
    file: str | None = None
    """The GGUF file within a Hub repository."""
    mmproj: str | None = None
    """The projector file that lets a GGUF model see."""
    download_bytes: int | None = Field(default=None, gt=0)

    unsupported_settings: tuple[Setting, ...] = ()
    """Settings that the service refuses or ignores for this model."""
    default_temperature: float = Field(default=0.7, ge=0, le=2)

    @field_validator("image_tokens")
    @classmethod
    def _is_known_rule(cls, rule: str | None) -> str | None:
        if rule is not None and rule not in IMAGE_TOKEN_RULES:
            raise WrongValueError("must be one of {rules}", rules=", ".join(IMAGE_TOKEN_RULES))
        return rule

    @field_validator("base_url")
    @classmethod
    def _is_web_address(cls, url: str | None) -> str | None:
        if url is not None:
            check_web_address(url)
        return url and url.rstrip("/")

    @model_validator(mode="after")
    def _local_models_say_how_they_run(self) -> ModelSpec:
        if (self.provider == "local") != (self.engine is not None and self.weights is not None):
            raise WrongValueError(
                'provider = "local" goes with an engine and weights, and only it does')
        return self

    @property
    def runs_locally(self) -> bool:
        """Whether it runs on this machine, in a process that the app starts."""
        return self.provider in ("local", "reader")

    @property
    def is_language_model(self) -> bool:
        """Whether it reads and writes tokens; else it takes no prompt, and there is no rate."""
        return self.provider != "reader"

    def supports(self, setting: str) -> bool:
        """Whether it takes this setting: a `Setting`, or one of `READERS_OWN`."""
        if setting in READERS_OWN:
            return not self.is_language_model
        return setting not in self.unsupported_settings


def list_models() -> list[ModelSpec]:
    """Every model, the shipped ones first, in the order of the files.

    Raises `InvalidCatalogError`, naming the file and the entry.
    """
    models = {spec.id: spec for spec in _read(SHIPPED)}
    if further := os.environ.get("PARLEY_MODELS"):
        models.update((spec.id, spec) for spec in _read(Path(further)))
    return list(models.values())


def get_model(model_id: str) -> ModelSpec:
    """The model of this id.

    Raises `UnknownModelError`, naming the ids that there are.
    """
    models = list_models()
    for spec in models:
        if spec.id == model_id:
            return spec
    known = ", ".join(spec.id for spec in models)
    raise UnknownModelError(
        "There is no model called {model_id!r}. Choose one of these: {known}.",
        model_id=model_id[:80], known=known,
    )


def _read(path: Path) -> Sequence[ModelSpec]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        raise InvalidCatalogError(
            "The model catalog {path} cannot be read ({reason}). "
            "Check the path in PARLEY_MODELS.",
            path=path, reason=error.strerror,
        ) from error
    if len(text) > MAX_FILE_BYTES:
        raise InvalidCatalogError("{path} is too large to be a model catalog.", path=path)
    return _parsed(text, str(path))


@functools.lru_cache(maxsize=8)
def _parsed(text: bytes, source: str) -> tuple[ModelSpec, ...]:
    """Read once while the file stays the same: every run of a page asks for it."""
    return tuple(parse_catalog(text, source=source))


def parse_catalog(text: bytes, *, source: str) -> list[ModelSpec]:
    """The entries of a catalog file's bytes. `source` names it in errors.

    Raises `InvalidCatalogError`.
    """
    try:
        # The TOML parser recurses: a file of nothing but brackets exhausts the stack.
        table = tomllib.loads(text.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise InvalidCatalogError("{source} is not a TOML file: {reason}.",
                                  source=source, reason=error) from error
    entries = table.get("model")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidCatalogError("{source} holds no [[model]] tables.", source=source)
    specs: dict[str, ModelSpec] = {}
    for number, entry in enumerate(entries, start=1):
        name = f"{source}, model {number} ({entry.get('id', 'no id')!s:.80})"
        try:
            spec = ModelSpec.model_validate(entry)
        except ValidationError as error:
            field, reason = first_fault(error)
            raise InvalidCatalogError("{name}: {field}: {reason}.", name=name,
                                      field=field or "entry", reason=reason) from error
        if spec.id in specs:
            raise InvalidCatalogError("{name}: another entry has this id.", name=name)
        specs[spec.id] = spec
    return list(specs.values())
