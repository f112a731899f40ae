"""The kinds of local engine: how each is started, and what its last words mean.

Adding one is a module whose `main` serves chat completions (see llm.llama_server), an
entry in LOCAL_ENGINES, and its name in `ModelSpec.engine`.

This module does not know processes, or when an engine is wanted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import psutil

from llm import compiled_engine, gguf_file
from llm.catalog import ModelSpec
from llm.errors import (
    LocalModelError,
    OutOfMemoryError,
    UnsupportedModelError,
    WeightsDamagedError,
)
from llm.llama_server import Tuning
from llm.weights import Weights
from llm.wording import Wording


@dataclass(frozen=True)
class LocalEngine:
    """How one kind of engine is started, and what its last words mean."""

    module: str
    """The child's main module."""
    order: Callable[[ModelSpec, Weights], dict[str, Any]]
    """What its `main` is told beside name, port and key; "memory" (bytes) is for the parent."""
    environment: Mapping[str, str] = field(default_factory=dict)
    model_name: Callable[[ModelSpec, Weights], str] = lambda spec, found: spec.model
    to_repeat: Mapping[str, Any] = field(default_factory=dict)
    """What a request says besides that is to get the same reply each time."""
    said: Callable[[], Wording | None] = lambda: None
    """What there is to know of it on this machine."""


def _llama_order(spec: ModelSpec, found: Weights) -> dict[str, Any]:
    context = spec.context_window or 4096
    per_slot = context * gguf_file.read_header(found.path).context_bytes()
    tuning = Tuning()
    if per_slot:
        # A slot's context is set aside as a whole, so that eight long chats at once never
        # run out of it in mid-reply. Where memory is short there are fewer slots instead.
        share = min(tuning.context_bytes, psutil.virtual_memory().available // 8)
        tuning = replace(tuning, slots=max(1, min(tuning.slots, share // per_slot)))
    compiled = compiled_engine.find()
    return {"model": str(found.path), "mmproj": found.mmproj and str(found.mmproj),
            "compiled": compiled and str(compiled), "context": context, "tuning": asdict(tuning),
            "memory": found.bytes + tuning.slots * per_slot}


def _transformers_order(spec: ModelSpec, found: Weights) -> dict[str, Any]:
    return {"model": str(found.path), "context": spec.context_window,
            "memory": found.bytes + 1_300_000_000}  # PyTorch itself, and its cache.


_HUGE_PAGES = {"GLIBC_TUNABLES": ":".join(
    filter(None, (os.environ.get("GLIBC_TUNABLES"), "glibc.malloc.hugetlb=1")))}
"""Has Linux give an engine its memory in pages of 2 MB. Each token reads all weights, and to look
up where 4 kB pages lie took llama.cpp a quarter of the time. Elsewhere nothing reads this."""

LOCAL_ENGINES: dict[str, LocalEngine] = {
    "llama.cpp": LocalEngine("llm.llama_server", _llama_order, environment=_HUGE_PAGES,
                             # A prompt found read rounds otherwise than one that is read. That
                             # made another answer of four in ten at temperature 0.
                             to_repeat={"cache_prompt": False},
                             said=compiled_engine.said),
    "transformers": LocalEngine(
        "llm.transformers_server", _transformers_order,
        environment=_HUGE_PAGES | {
            "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
            # PyTorch's threads otherwise spin for long while they wait for each other: with the app
            # and a browser on the same two cores that left 1 token a second of 22. Not at all,
            # and they are a third slower where nobody else wants the cores.
            "GOMP_SPINCOUNT": "5000",
        },
        # A server pinned to a folder answers to that name alone.
        model_name=lambda spec, found: str(found.path)),
}
"""By `ModelSpec.engine`."""

LAST_WORDS: tuple[tuple[str, type[LocalModelError], str], ...] = (
    (r"No module named '(torch|transformers|xllamacpp)'",
     UnsupportedModelError,
     "{engine} was left out when Parley was set up. Run `python3 parley.py setup`, which adds "
     "it, and open Parley again; or choose a model on another engine."),
    (r"unknown model architecture|unknown (projector|pre-tokenizer) type"
     r"|does not recognize this architecture|requires you to execute"
     r"|trust_remote_code|Unrecognized configuration class|Unrecognized model",
     UnsupportedModelError,
     "{engine} does not know the kind of model that {label} is. Choose another model, or a "
     "newer version of {engine}."),
    (r"chat.template is not set|does not have a chat template",
     UnsupportedModelError,
     "{label} cannot chat: it comes without a chat template. Choose its instruct version."),
    (r"out of memory|(unable to|failed to|can't|cannot) allocate|bad_alloc|MemoryError"
     r"|failed to map segment|failed to initialize the context",
     OutOfMemoryError,
     "{label} does not fit into this machine's memory. Close other programs, or choose a "
     "smaller model."),
    (r"error loading model|failed to load (model|CLIP model)|SafetensorError|size mismatch",
     WeightsDamagedError,
     "The weights of {label} are damaged. Delete {path} and fetch them again."),
)
"""What in a dead engine's log means what. Looked for in this order."""


def why_it_died(log: str, exit_code: int | None, spec: ModelSpec, found: Weights
                ) -> LocalModelError | None:
    """The error for an engine that ended while it loaded, or None if its log does not tell."""
    if exit_code == -9:
        log += "\nout of memory"  # Nobody else kills a process of ours with SIGKILL.
    for pattern, error, sentence in LAST_WORDS:
        if re.search(pattern, log, re.IGNORECASE):
            return error(sentence, engine=spec.engine, label=spec.label, path=found.path)
    return None
