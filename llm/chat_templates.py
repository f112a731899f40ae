"""The prompt as an open model reads it: its chat template filled with messages, and the tokens.

    template = find_template(spec)
    prompt = template.fill(messages, when=reply.started_at)
    for token in read_tokens(spec, prompt): ...

A template is Jinja that came with somebody's weights: it is filled in a sandbox, as
transformers and llama.cpp do it for the model itself. Nothing is fetched here, and neither
torch nor transformers is loaded. This module does not know replies or pages.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
import jinja2.ext
from jinja2.sandbox import ImmutableSandboxedEnvironment

from llm import gguf_file, weights
from llm.catalog import ModelSpec
from llm.errors import LocalModelError, UnsupportedModelError
from llm.tokens import tokenizer_of

MAX_CHARACTERS = 2_000_000
"""A filled template longer than this is no prompt for any model here."""


@dataclass(frozen=True)
class ChatTemplate:
    """A model's own template, and the names that it may use for special tokens."""

    source: str
    special_tokens: Mapping[str, str]
    """"bos_token" and the like -> the token."""

    def fill(self, messages: Sequence[Mapping[str, Any]], *, when: float) -> str:
        """The prompt for `messages` (chat completions' roles and contents), ready for a reply.

        `when`: seconds since the epoch, for a template that tells the model the date. A
        picture becomes the mark that stands for it. Raises `UnsupportedModelError`, with the
        template's own reason if it has one.
        """
        environment = _environment()
        environment.globals["strftime_now"] = datetime.fromtimestamp(when).strftime
        try:
            pieces, length = [], 0
            for piece in environment.from_string(self.source).generate(
                    messages=[_as_templates_have_it(message) for message in messages],
                    add_generation_prompt=True, tools=None, documents=None,
                    **self.special_tokens):
                pieces.append(piece)
                length += len(piece)
                if length > MAX_CHARACTERS:
                    raise UnsupportedModelError("The filled chat template is too long to show.")
            return "".join(pieces)
        except UnsupportedModelError:
            raise
        except Exception as error:
            # A template can fail in any way that an expression of Jinja's can.
            raise UnsupportedModelError(
                "The model's chat template does not take these messages: {reason}",
                reason=error) from error


@dataclass(frozen=True)
class Token:
    """One token of a prompt."""

    id: int
    text: str
    """What it stands for. A character made of several tokens stands with each of them."""
    special: bool = False
    """Whether it is the model's own mark, and no text."""


def find_template(spec: ModelSpec) -> ChatTemplate | None:
    """The template of a model whose weights are on this machine; None where there is none."""
    try:
        path = weights.find(spec).path
    except (LocalModelError, TypeError):
        return None
    return _read_template(path, (path if path.is_file() else path / "config.json").stat().st_mtime)


def read_tokens(spec: ModelSpec, prompt: str) -> list[Token] | None:
    """The tokens of a filled template; None where the model's tokenizer is no file here."""
    tokenizer = tokenizer_of(spec, at_once=True)
    if tokenizer is None:
        return None
    special = {number for number, token in tokenizer.get_added_tokens_decoder().items()
               if token.special}
    read = tokenizer.encode(prompt, add_special_tokens=False)
    return [Token(number, prompt[start:end], number in special)
            for number, (start, end) in zip(read.ids, read.offsets, strict=True)]


# ── Where templates are kept ─────────────────────────────────────────────────────────


@functools.lru_cache(maxsize=32)
def _read_template(path: Path, changed: float) -> ChatTemplate | None:
    return _from_gguf(path) if path.is_file() else _from_folder(path)


def _from_gguf(path: Path) -> ChatTemplate | None:
    metadata = gguf_file.read_header(path).metadata
    source = metadata.get("tokenizer.chat_template")
    if not isinstance(source, str):
        return None
    ids = {f"{name}_token": metadata.get(f"tokenizer.ggml.{name}_token_id")
           for name in ("bos", "eos")}
    tokens = gguf_file.read_tokens(path, {number for number in ids.values() if number is not None})
    return ChatTemplate(source, {name: tokens[number] for name, number in ids.items()
                                 if number in tokens})


def _from_folder(folder: Path) -> ChatTemplate | None:
    """From a checkpoint's files: the template alone in one, or within a configuration."""
    configuration = _read_json(folder / "tokenizer_config.json")
    source: Any = None
    if (file := folder / "chat_template.jinja").is_file():
        source = file.read_text("utf-8", errors="replace")
    for named in (_read_json(folder / "chat_template.json"), configuration):
        source = source or named.get("chat_template")
    if isinstance(source, list):  # several, by name
        named = {entry.get("name"): entry.get("template") for entry in source
                 if isinstance(entry, dict)}
        source = named.get("default")
    if not isinstance(source, str):
        return None
    tokens = {**_read_json(folder / "special_tokens_map.json"), **configuration}
    special = {name: token["content"] if isinstance(token, dict) else token
               for name, token in tokens.items()
               if name.endswith("_token") and (isinstance(token, str)
                                               or isinstance(token, dict) and "content" in token)}
    return ChatTemplate(source, special)


def _read_json(file: Path) -> dict[str, Any]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


# ── Jinja as transformers sets it up: transformers/utils/chat_template_utils.py ──────


class _Generation(jinja2.ext.Extension):
    """`{% generation %}` marks what an assistant said, for training: here just its body."""

    tags = {"generation"}

    def parse(self, parser: jinja2.parser.Parser) -> list[jinja2.nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_Generation, jinja2.ext.loopcontrols])
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _raise_exception
    return environment


def _to_json(value: Any, ensure_ascii: bool = False, **layout: Any) -> str:
    # Jinja's own filter escapes what HTML would read as markup.
    return json.dumps(value, ensure_ascii=ensure_ascii, **layout)


def _raise_exception(message: str) -> None:
    raise jinja2.TemplateError(message)


def _as_templates_have_it(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message in which a picture is told as templates know it: {"type": "image"}."""
    content = message.get("content")
    if isinstance(content, list):
        content = [{"type": "image"} if part.get("type") == "image_url" else part
                   for part in content if isinstance(part, dict)]
    return {**message, "content": content}
