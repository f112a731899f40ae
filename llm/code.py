"""A reply as the shortest LangChain program that asks for it again, whole and ready to run.

    made = program_of(reply, spec)
    print(made.text)            # made.pictures are the files that it reads beside it

Keys are read from the environment. A model that runs on this machine is reached through
`llm` itself, from Parley's folder; every other program needs LangChain alone. This module
does not know pages; the models' expressions are shared with `llm.transcript_notebook`.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import BaseMessage

from llm.catalog import ModelSpec, list_models
from llm.errors import InvalidCatalogError
from llm.keys import SERVICES, base_url, key_variable, needs_key
from llm.message_text import without_surrogates
from llm.replies import Reply
from llm.wire import without_secrets


@dataclass(frozen=True)
class Program:
    """Python, and the files that must stand beside it."""

    text: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    """File name -> the picture as it was sent."""


def program_of(reply: Reply, spec: ModelSpec | None) -> Program:
    """The program for one reply. Without a `spec` (the model is gone from the list) it asks
    ChatOpenAI for the reply's model id, wherever OPENAI_BASE_URL says."""
    pictures: dict[str, bytes] = {}
    sent = _as_sent(reply, pictures)
    imports, lines = set(), []
    if pictures:
        imports |= {"from base64 import b64encode", "from pathlib import Path"}
    imports.add("from langchain_core.output_parsers import StrOutputParser")
    settings: dict[str, Any] = settings_sent(reply, spec)
    if spec is not None and spec.runs_locally:
        if "mode" in reply.settings and spec.supports("mode"):
            settings["mode"] = reply.settings["mode"]
        lines += _here(spec, settings, imports)
    elif spec is not None and spec.provider == "huggingface":
        lines += _chat_hugging_face(spec, settings, imports)
    else:
        lines += _chat_openai(reply.model_id, spec, settings, imports)
    lines += [f"{_variable(name)} = {_data_url(name)}" for name in pictures]
    template = _template_of(reply, sent)
    if template is not None:
        imports.add("from langchain_core.prompts import ChatPromptTemplate")
        pairs = ", ".join(f"({quoted(role)}, {quoted(text)})" for role, text in template)
        lines += [f"prompt = ChatPromptTemplate([{pairs}])",
                  "chain = prompt | model | StrOutputParser()", "", "print(chain.invoke({"]
        lines += [f"    {quoted(name)}: {quoted(without_surrogates(str(value)))},"
                  for name, value in reply.inputs.items()]
        lines.append("}))")
    else:
        lines += ["chain = model | StrOutputParser()", "", "print(chain.invoke(["]
        lines += [f"    ({quoted(role)}, {_content(content)})," for role, content in sent]
        lines.append("]))")
    head = ["# Run this in Parley's folder: there llm starts the model on this machine."] \
        if spec is not None and spec.runs_locally else []
    return Program("\n".join([*head, *_sorted(imports), "", *lines, ""]), pictures)


def settings_sent(reply: Reply, spec: ModelSpec | None) -> dict[str, int | float]:
    """Of the settings that a reply was asked for with, those that went out."""
    return {name: value for name, value in reply.settings.items()
            if name in ("temperature", "top_p", "max_tokens", "seed")
            and isinstance(value, int | float) and (spec is None or spec.supports(name))}


# ── The model ────────────────────────────────────────────────────────────────────────


def openai_arguments(model_id: str, spec: ModelSpec | None, *,
                     must_have_key: bool = False) -> list[str]:
    """The arguments with which ChatOpenAI reaches a model. See `key_expression`."""
    if spec is None:
        return [f"model={quoted(model_id)}"]
    url = base_url(spec) or ""
    if spec.base_url is None and url == SERVICES["openai"].base_url:
        return [f"model={quoted(spec.model)}"]  # it reads OpenAI's own variables by itself
    return [f"model={quoted(spec.model)}", f"base_url={quoted(without_secrets(url))}",
            f"api_key={key_expression(spec, must_have_key=must_have_key)}"]


def key_expression(spec: ModelSpec, *, must_have_key: bool = False) -> str:
    """Python that reads the model's key from the environment.

    `must_have_key`: it fails at once where a service that needs one gets none.
    """
    variable = quoted(key_variable(spec) or "")
    return f"os.environ[{variable}]" if must_have_key and needs_key(spec) \
        else f'os.environ.get({variable}, "none")'


def _here(spec: ModelSpec, settings: Mapping[str, Any], imports: set[str]) -> list[str]:
    try:
        is_listed = spec in list_models()
    except InvalidCatalogError:
        is_listed = False
    if is_listed:
        imports.add("from llm import create_chat_model, get_model")
        made = f"get_model({quoted(spec.id)})"
    else:  # somebody's own, which no catalog file holds
        imports.add("from llm import ModelSpec, create_chat_model")
        about = spec.model_dump(exclude_defaults=True)
        made = f"ModelSpec({', '.join(f'{name}={value!r}' for name, value in about.items())})"
    bound = f".bind({_arguments(settings)})" if settings else ""
    return [f"model = create_chat_model({made}){bound}"]


def _chat_openai(model_id: str, spec: ModelSpec | None, settings: Mapping[str, Any],
                 imports: set[str]) -> list[str]:
    imports.add("from langchain_openai import ChatOpenAI")
    arguments = openai_arguments(model_id, spec, must_have_key=True)
    if any("os.environ" in argument for argument in arguments):
        imports.add("import os")
    settings = dict(settings)
    url = base_url(spec) if spec is not None else None
    if url and "max_tokens" in settings and not SERVICES["openai"].owns(url):
        # ChatOpenAI sends it under the name that OpenAI alone knows.
        arguments.append(f'extra_body={{"max_tokens": {settings.pop("max_tokens")}}}')
    if settings:
        arguments.append(_arguments(settings))
    return _call("model = ChatOpenAI", arguments)


def _chat_hugging_face(spec: ModelSpec, settings: Mapping[str, Any],
                       imports: set[str]) -> list[str]:
    imports |= {"import os",
                "from langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint"}
    key = key_expression(spec, must_have_key=True)
    return [
        *_call("endpoint = HuggingFaceEndpoint", [
            f"endpoint_url={quoted(base_url(spec) or '')}",
            f'model_kwargs={{"extra_body": {{"model": {quoted(spec.model)}}}}}',
            f'server_kwargs={{"headers": {{"authorization": "Bearer " + {key}}}}}']),
        "model = ChatHuggingFace(llm=endpoint)"
        + (f".bind({_arguments(settings)})" if settings else ""),
    ]


def _call(function: str, arguments: Sequence[str]) -> list[str]:
    line = f"{function}({', '.join(arguments)})"
    if len(line) <= 88:
        return [line]
    return [f"{function}(", *(f"    {argument}," for argument in arguments), ")"]


def _arguments(settings: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in settings.items())


# ── The messages ─────────────────────────────────────────────────────────────────────

_ROLES = {"system": "system", "developer": "system", "user": "human", "assistant": "ai"}


def _as_sent(reply: Reply, pictures: dict[str, bytes]) -> list[tuple[str, Any]]:
    """(role, content) of each message, texts to the letter as they went out.

    Content is a text, or a list of texts and of the names under which `pictures` has what
    was sent.
    """
    told = [(message.type, _parts(message, pictures)) for message in reply.messages]
    went_out = _texts_of_request(reply)
    if [(role, len(_texts(content))) for role, content in told] == \
            [(role, len(texts)) for role, texts in went_out]:
        return [(role, _with_texts(content, texts)) for (role, content), (_, texts)
                in zip(told, went_out, strict=True)]
    return told


def _texts_of_request(reply: Reply) -> list[tuple[str, list[str]]]:
    """What the last request said. A special token that somebody typed is broken in it."""
    if not reply.exchanges:
        return []
    try:
        messages = json.loads(reply.exchanges[-1].request_body)["messages"]
        return [(_ROLES[message["role"]],
                 [message["content"]] if isinstance(message["content"], str) else
                 [part["text"] for part in message["content"] if part["type"] == "text"])
                for message in messages]
    except (ValueError, KeyError, TypeError):
        return []  # too long to have been kept whole


def _parts(message: BaseMessage, pictures: dict[str, bytes]) -> str | list[Any]:
    if isinstance(message.content, str):
        return without_surrogates(message.content)
    parts: list[Any] = []
    for block in message.content:
        picture = _picture(block)
        if picture is not None:
            kind, data = picture
            name = f"picture-{len(pictures) + 1}.{kind}"
            pictures[name] = data
            parts.append({"picture": name})
        else:
            parts.append(without_surrogates(
                block if isinstance(block, str) else str(block.get("text", ""))))
    return parts


def _picture(block: Any) -> tuple[str, bytes] | None:
    """The file type and the bytes of a picture in LangChain's or OpenAI's form."""
    if not isinstance(block, dict) or block.get("type") not in ("image", "image_url"):
        return None
    kind, encoded = block.get("mime_type", ""), block.get("base64", "")
    if block["type"] == "image_url":
        url = block.get("image_url")
        head, _, encoded = str(url.get("url") if isinstance(url, dict) else url).partition(",")
        kind = head.removeprefix("data:").removesuffix(";base64")
    try:
        return kind.rpartition("/")[2] or "jpeg", base64.b64decode(encoded, validate=True)
    except binascii.Error:
        return None


def _texts(content: str | list[Any]) -> list[str]:
    return [part for part in ([content] if isinstance(content, str) else content)
            if isinstance(part, str)]


def _with_texts(content: str | list[Any], texts: list[str]) -> str | list[Any]:
    if isinstance(content, str):
        return texts[0]
    fresh = iter(texts)
    return [next(fresh) if isinstance(part, str) else part for part in content]


def _template_of(reply: Reply, sent: list[tuple[str, Any]]) -> list[tuple[str, str]] | None:
    """The chain's prompt template as pairs, where it says on its own just what was sent."""
    from langchain_core.prompts import (
        ChatPromptTemplate,
        HumanMessagePromptTemplate,
        SystemMessagePromptTemplate,
    )

    prompt = getattr(reply.chain, "first", None)
    if not isinstance(prompt, ChatPromptTemplate):
        return None
    kinds = {SystemMessagePromptTemplate: "system", HumanMessagePromptTemplate: "human"}
    pairs = []
    for part in prompt.messages:
        template = getattr(getattr(part, "prompt", None), "template", None)
        if type(part) not in kinds or not isinstance(template, str):
            return None
        pairs.append((kinds[type(part)], template))
    filled = [(message.type, without_surrogates(message.text))
              for message in prompt.invoke(dict(reply.inputs)).to_messages()]
    return pairs if filled == sent else None


# ── As Python ────────────────────────────────────────────────────────────────────────


def quoted(text: str) -> str:
    """A text as a Python string, in double quotes where that needs no more escaping."""
    written = repr(text)
    return f'"{written[1:-1]}"' if written[0] == "'" and '"' not in text else written


def _content(content: str | list[Any]) -> str:
    if isinstance(content, str):
        return quoted(content)
    parts = (f'{{"type": "text", "text": {quoted(part)}}}' if isinstance(part, str) else
             f'{{"type": "image_url", "image_url": {{"url": {_variable(part["picture"])}}}}}'
             for part in content)
    return "[\n" + "".join(f"        {part},\n" for part in parts) + "    ]"


def _variable(name: str) -> str:
    return name.partition(".")[0].replace("-", "_")


def _data_url(name: str) -> str:
    kind = name.rpartition(".")[2]
    return (f'"data:image/{kind};base64," + '
            f'b64encode(Path("{name}").read_bytes()).decode()')


def _sorted(imports: set[str]) -> Iterator[str]:
    """The standard library's, then the others, as they are written everywhere."""
    standard = {"import os", "from base64 import b64encode", "from pathlib import Path"}
    first = sorted(imports & standard, key=lambda line: (not line.startswith("import"), line))
    last = sorted(imports - standard, key=lambda line: line.split()[1])
    own = [line for line in last if line.startswith("from llm ")]
    others = [line for line in last if line not in own]
    groups = [group for group in (first, others, own) if group]
    yield from "\n\n".join("\n".join(group) for group in groups).split("\n")
