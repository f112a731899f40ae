"""Data from outside with anything at all in any one place: taken in, or refused in a sentence.

For files, one value anywhere in a sound one is replaced, taken out or put in. What a server
streams is damaged likewise, cut anywhere, and comes through both kinds of chat model. The
tests beside each parser throw plain bytes at it; these get past its first line.
"""

import copy
import json

import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from langchain_core.output_parsers import StrOutputParser

from llm.catalog import ModelSpec, parse_catalog
from llm.errors import ImportRefusedError, InvalidCatalogError
from llm.prompt_sets import parse_prompt_set
from llm.providers import create_chat_model
from llm.replies import Ending, Limits, start_reply
from llm.transcript_import import read_conversations
from llm.transcript_json import write_conversations
from llm.votes import import_votes
from tests.llm.test_votes import vote
from tests.servers import recording
from tests.transcripts import everything

PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""For a machine that has other things to do."""

ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from(["\ud800", "\0", "../x", "http://169.254.169.254/", "{x.__class__}", 10**400,
                       {"lc": 1, "type": "constructor", "id": ["os", "system"], "kwargs": {}}]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.text(max_size=8), inner, max_size=3), max_leaves=5)


def places(document, path=()):
    """Every place in a JSON document, as the keys that lead there."""
    if path:
        yield path
    entries = document.items() if isinstance(document, dict) else \
        enumerate(document) if isinstance(document, list) else ()
    for key, value in entries:
        yield from places(value, (*path, key))


@st.composite
def damaged(draw, sound):
    """The document with one or two of its places otherwise."""
    document = copy.deepcopy(sound)
    for _ in range(draw(st.integers(1, 2))):
        found = list(places(document))
        if not found:
            break
        *way, last = draw(st.sampled_from(found))
        holder = document
        for key in way:
            holder = holder[key]
        match draw(st.sampled_from(["replace", "replace", "remove", "add"])):
            # Copied: what is put in may be damaged in its turn.
            case "replace":
                holder[last] = copy.deepcopy(draw(ANYTHING))
            case "remove":
                del holder[last]
            case "add" if isinstance(holder, dict):
                holder[draw(st.text(max_size=8))] = copy.deepcopy(draw(ANYTHING))
            case "add":
                holder.insert(last, copy.deepcopy(draw(ANYTHING)))
    return document


def read_or_refuse(read, error) -> None:
    """`read()` raises nothing but that error, and that with a sentence."""
    try:
        read()
    except error as refused:
        sentence = str(refused)
        event("refused")
        assert sentence.strip()[-1] in ".?!”)" and "Traceback" not in sentence, sentence
    else:
        event("taken in")


# ── Files ─────────────────────────────────────────────────────────────────────────────

ENTRY = {"id": "ours", "label": "Ours", "provider": "openai", "model": "m", "open": True,
         "base_url": "http://127.0.0.1:8000/v1", "vision": False, "context_window": 8192,
         "license": "MIT", "notes": "Slow."}


def as_toml(value) -> str:
    """A value written in TOML, which is JSON but for its tables."""
    if isinstance(value, dict):
        return "{" + ", ".join(f"{json.dumps(key)} = {as_toml(held)}"
                               for key, held in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_toml, value)) + "]"
    return "nan" if value != value else json.dumps(value)


@given(damaged({"model": [ENTRY]}))
@settings(PATIENT)
def test_a_catalog_gives_models_or_its_error(document):
    text = "\n".join(f"{json.dumps(key)} = {as_toml(value)}" for key, value in document.items())
    read_or_refuse(lambda: parse_catalog(text.encode("utf-8", "surrogatepass"), source="x"),
               InvalidCatalogError)


@given(damaged(json.loads(write_conversations([everything()]))))
@settings(PATIENT, max_examples=200)
def test_an_import_is_whole_or_refused(document):
    read_or_refuse(lambda: [chat.path() for chat in read_conversations(json.dumps(document))],
               ImportRefusedError)


@given(damaged({"prompt": "Say {word}.", "word": "yes", "expected": ["yes"], "tag": "t",
                "checks": [{"kind": "contains", "value": "yes"}]}))
@settings(PATIENT)
def test_a_prompt_set_is_read_or_refused(row):
    read_or_refuse(lambda: parse_prompt_set(json.dumps(row).encode(), name="x", form="jsonl"),
               ImportRefusedError)


@given(damaged(json.loads(vote().model_dump_json())))
@settings(PATIENT)
def test_votes_are_read_or_refused(cast):
    read_or_refuse(lambda: import_votes(json.dumps(cast).encode()), ImportRefusedError)


# ── Streams ───────────────────────────────────────────────────────────────────────────

def piece(text: str, finish: str | None = None) -> dict:
    return {"id": "1", "object": "chat.completion.chunk", "created": 1, "model": "m",
            "choices": [{"index": 0, "finish_reason": finish,
                         "delta": {"role": "assistant", "content": text}}], "usage": None}


SOUND = [piece("Good"), piece(" morning."), piece("", "stop"),
         {**piece(""), "choices": [], "usage": recording.USAGE}]


@st.composite
def streams(draw) -> list[bytes]:
    """The body of an answer, in the pieces in which it comes."""
    lines = [json.dumps(event, allow_nan=True) for event in draw(damaged(SOUND))]
    if draw(st.booleans()):
        lines.insert(draw(st.integers(0, len(lines))), draw(st.text(max_size=30)))
    line_end = draw(st.sampled_from(["\n\n", "\r\n\r\n", "\n"]))
    body = "".join(f"data: {line}{line_end}" for line in [*lines, "[DONE]"])
    data = body.encode("utf-8", "surrogatepass") + draw(st.binary(max_size=5))
    cuts = sorted(draw(st.lists(st.integers(0, len(data)), max_size=3)))
    if draw(st.booleans()):
        data = data[:draw(st.integers(0, len(data)))]
    return [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]


class Streaming(recording.Answer):
    pieces: list[bytes] = []

    def answer(self, request: recording.Request) -> None:
        self.begin_stream()
        for data in self.pieces:
            self.raw(data)


@pytest.fixture(scope="module")
def base_url():
    with recording.running(Streaming) as server:
        yield server.base_url


@pytest.mark.filterwarnings("ignore:Unexpected type for content:UserWarning")
@pytest.mark.parametrize("provider", ["openai", "huggingface"])
@given(pieces=streams())
@settings(PATIENT, max_examples=60)
def test_whatever_is_streamed_the_reply_ends_and_says_how(base_url, provider, pieces):
    Streaming.pieces = pieces
    spec = ModelSpec(id="any", label="Any", provider=provider, model="m", open=True,
                     base_url=base_url)
    chain = create_chat_model(spec, api_key="sk-any") | StrOutputParser()
    reply = start_reply(chain, "Hello", spec, limits=Limits(seconds=20)).wait(30)
    assert not reply.is_running and isinstance(reply.text, str)
    event(reply.error_type or reply.ending)
    if reply.ending is Ending.FAILED:
        assert reply.error_type.endswith("Error") and reply.error.endswith(".")
        assert "Traceback" not in reply.error and "Exception" not in reply.error
    else:
        assert reply.error is None and reply.text.strip()
