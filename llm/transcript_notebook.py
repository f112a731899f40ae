"""A conversation as a Jupyter notebook that asks it again, with LangChain alone.

Each question on the shown path is a cell, and what was answered is that cell's output
until it is run again. Keys and the addresses of local models are read from the
environment. The format is nbformat 4.5 (https://nbformat.readthedocs.io), plain JSON.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from llm.catalog import ModelSpec
from llm.code import key_expression, openai_arguments, settings_sent
from llm.keys import SERVICES, base_url, key_variable
from llm.memory import was_said
from llm.message_text import without_surrogates
from llm.replies import Reply
from llm.transcript import Transcript, Turn
from llm.transcript_markdown import on_one_line

LOCAL_URL = "LOCAL_MODEL_URL"
"""The environment variable that a notebook reads a local model's address from."""
DEFAULT_LOCAL_URL = "http://127.0.0.1:8080/v1"
"""Where llama.cpp's own server listens unless told otherwise."""


def to_notebook(transcript: Transcript, specs: Mapping[str, ModelSpec]) -> str:
    """The notebook's JSON. `specs` are the models by id; one that is not there is asked
    through ChatOpenAI under its id, wherever OPENAI_BASE_URL says."""
    path = transcript.path()
    answered = [(number, turn) for number, turn in enumerate(path)
                if turn.reply is not None and number and not _is_reader(specs, turn.reply)]
    model_ids = list(dict.fromkeys(turn.reply.model_id for _, turn in answered))
    system = next((_system(turn.reply) for _, turn in answered), "")
    has_pictures = any(turn.pictures for turn in path)
    cells = [
        _text(f"# {on_one_line(transcript.title) or 'A conversation'}\n\n"
              "From Parley. Each cell below asks a question of it again; what was answered "
              "then stands under it until you run it.\n\n"
              "    pip install langchain-openai langchain-huggingface\n\n"
              + _needs(specs, model_ids)),
        _code(_models(specs, model_ids)),
        _code(_ASK_WITH_PICTURES if has_pictures else _ASK),
        _code(f"SYSTEM = {system!r}\nhistory = []"),
    ]
    if has_pictures:
        known = {picture.sha256[:12]: picture.data_url for turn in path
                 for picture in turn.pictures}
        cells.append(_code("pictures = {\n" + "".join(
            f"    {name!r}: {url!r},\n" for name, url in known.items()) + "}"))
    for number, turn in answered:
        cells.append(_code(_asking(path, number, turn, specs, system), output=turn.text))
    notebook = {
        "nbformat": 4, "nbformat_minor": 5,
        "metadata": {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        },
        "cells": [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)],
    }
    return json.dumps(notebook, indent=1)


def _is_reader(specs: Mapping[str, ModelSpec], reply: Reply) -> bool:
    # It is no language model: there is nothing that LangChain alone could ask.
    spec = specs.get(reply.model_id)
    return not reply.model_id or spec is not None and not spec.is_language_model


# ── The models ───────────────────────────────────────────────────────────────────────

_OPEN_MODEL = '''

def open_model(name, url, key="none"):
    """A model on any chat completions server: llama.cpp, vLLM, TGI, Ollama, Hugging Face."""
    endpoint = HuggingFaceEndpoint(
        endpoint_url=url, model_kwargs={"extra_body": {"model": name}},
        server_kwargs={"headers": {"authorization": f"Bearer {key}"}})
    return ChatHuggingFace(llm=endpoint)
'''


def _models(specs: Mapping[str, ModelSpec], model_ids: list[str]) -> str:
    made = {model_id: _model(model_id, specs.get(model_id)) for model_id in model_ids}
    code = ["import os\n\n"
            "from langchain_core.messages import AIMessage, HumanMessage, SystemMessage"]
    if any(line.startswith("open_model(") for line in made.values()):
        code.append("\nfrom langchain_huggingface import ChatHuggingFace, HuggingFaceEndpoint")
    if any(line.startswith("ChatOpenAI(") for line in made.values()):
        code.append("\nfrom langchain_openai import ChatOpenAI")
    if "HuggingFace" in "".join(code):
        code.append("\n" + _OPEN_MODEL)
    lines = "".join(f"    {model_id!r}: {line},\n" for model_id, line in made.items())
    return "".join(code).rstrip() + f"\n\nmodels = {{\n{lines}}}"


def _model(model_id: str, spec: ModelSpec | None) -> str:
    if spec is not None and spec.runs_locally:
        return (f"open_model({spec.model!r}, "
                f"os.environ.get({LOCAL_URL!r}, {DEFAULT_LOCAL_URL!r}))")
    if spec is not None and spec.provider == "huggingface":
        return f"open_model({spec.model!r}, {base_url(spec)!r}, {key_expression(spec)})"
    return f"ChatOpenAI({', '.join(openai_arguments(model_id, spec))})"


def _needs(specs: Mapping[str, ModelSpec], model_ids: list[str]) -> str:
    needs = []
    for model_id in model_ids:
        spec = specs.get(model_id)
        if spec is not None and spec.runs_locally:
            needs.append(f"`{LOCAL_URL}`: the address of a server with {on_one_line(spec.label)}, "
                         f"else {DEFAULT_LOCAL_URL}")
        else:
            variable = key_variable(spec) if spec else SERVICES["openai"].key_variable
            label = on_one_line(spec.label if spec else model_id)
            needs.append(f"`{variable}`: the key for {label}")
    return "It reads from the environment:\n\n" + "".join(
        f"- {need}\n" for need in dict.fromkeys(needs)) if needs else ""


# ── The questions ────────────────────────────────────────────────────────────────────

_ASK = '''def ask(message, model, system=None, last=None, **settings):
    """Ask with the last so many messages of the history (None: all of it), and keep both."""
    system = SYSTEM if system is None else system
    sent = history if last is None else history[max(len(history) - last, 0):]
    question = HumanMessage(message)
    reply = models[model].bind(**settings).invoke(
        [*([SystemMessage(system)] if system else []), *sent, question])
    history.extend([question, AIMessage(reply.text)])
    print(reply.text)'''

_ASK_WITH_PICTURES = _ASK.replace(
    "**settings):", "names=(), **settings):"
).replace(
    "    question = HumanMessage(message)\n",
    '''    shown = [{"type": "image_url", "image_url": {"url": pictures[name]}} for name in names]
    question = HumanMessage([*shown, {"type": "text", "text": message}] if shown else message)
''')


def _asking(path: list[Turn], number: int, turn: Turn, specs: Mapping[str, ModelSpec],
            system: str) -> str:
    reply, question = turn.reply, path[number - 1]
    sent = [message for message in reply.messages if message.type != "system"]
    words = sent[-1].text if sent else question.content
    given = [f"model={reply.model_id!r}"]
    if (own := _system(reply)) != system and reply.messages:
        given.append(f"system={own!r}")
    before = [other for other in path[:number - 1] if was_said(other)]
    if sent and len(sent) - 1 < len(before):
        given.append(f"last={len(sent) - 1}")
    if question.pictures:
        given.append(f"names={[picture.sha256[:12] for picture in question.pictures]!r}")
    settings = settings_sent(reply, specs.get(reply.model_id))
    given += [f"{name}={value!r}" for name, value in settings.items()]
    return f"ask({without_surrogates(words)!r},\n    {', '.join(given)})"


def _system(reply: Reply) -> str:
    return next((message.text for message in reply.messages if message.type == "system"), "")


# ── Cells ────────────────────────────────────────────────────────────────────────────


def _text(source: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": source.splitlines(keepends=True)}


def _code(source: str, output: str = "") -> dict[str, Any]:
    # Plain text, never Markdown or HTML: what a model wrote is only ever looked at.
    text = without_surrogates(output)
    outputs = [{"output_type": "stream", "name": "stdout",
                "text": text.splitlines(keepends=True)}] if text else []
    return {"cell_type": "code", "metadata": {}, "execution_count": None, "outputs": outputs,
            "source": source.splitlines(keepends=True)}
