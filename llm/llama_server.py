"""The llama.cpp engine: a child process that serves one GGUF file over HTTP on loopback.

Started by llm.local_engines through llm.child, and by nothing else. llama.cpp's own
server does all the work: chat completions with streaming and usage, slots, prefix
caching, `/health` and `/slots`. Here it is only told how to: as the library that the wheel
xllamacpp is, or as a program that was compiled for this processor.

This module does not know models, weights or the app.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from typing import Any

from llm.child import die_with_starter
from llm.endpoint import Endpoint
from llm.errors import EngineError


@dataclass(frozen=True)
class Tuning:
    """How llama.cpp runs a model. The figures were measured on SmolLM2 135M with two cores."""

    slots: int = 8
    """Replies at once; more wait their turn. Eight give twice the tokens per second of one."""
    context_bytes: int = 2_000_000_000
    """Memory at most for the slots' context; less where the machine has less (an eighth of
    what is free). Eight windows of SmolLM2 take 1.5 GB. Sharing a smaller pool among them
    (kv_unified) would end all replies with an error once it is full: that was tried."""
    threads: int = max(1, (os.cpu_count() or 2) - 1)
    """For the next token. The engine's threads wait for each other at every layer, so one
    that loses its core to the app or the browser stalls all: a core is left free."""
    batch_threads: int = os.cpu_count() or 2
    """For reading a prompt, where every core pays."""
    cache_mib: int = 512
    """Memory for prompts whose slot went to somebody else, so that a chat taken up again
    is not read again."""


def main(order: dict[str, Any], report) -> None:
    """Serve `order["model"]` until killed; report {"event": "ready", "port"} once it answers.

    order: model and mmproj (paths, mmproj or None), name, context (tokens a request), port
    (0: any), api_key, tuning, and compiled: the path of a llama.cpp made for this processor
    (see llm.compiled_engine), or None for the one of the wheel.
    """
    tuning = Tuning(**order["tuning"])
    # What the one cannot load, which may be older, the other is tried with, and has its say.
    if not order["compiled"] or not _serve_compiled(order, tuning, report):
        _serve(order, tuning, report)


def _serve(order: dict[str, Any], tuning: Tuning, report) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = order["model"]
    params.model_alias = {order["name"]}
    if order["mmproj"]:
        params.mmproj.path = order["mmproj"]

    params.n_parallel = tuning.slots
    # Read into memory of its own, which may lie in huge pages (see llm.engine_kinds): a mapped
    # file cannot.
    params.load_mode = xllamacpp.llama_load_mode.LLAMA_LOAD_MODE_NONE
    params.kv_unified = False
    params.n_ctx = order["context"] * tuning.slots
    params.ctx_shift = False  # A prompt too long is an error, never cut in silence.
    params.cache_prompt = True
    params.cache_ram_mib = tuning.cache_mib
    params.cpuparams.n_threads = tuning.threads
    params.cpuparams_batch.n_threads = tuning.batch_threads
    params.use_jinja = True
    # It would shrink the context to what fits, where the catalog has promised more.
    params.fit_params = False

    params.hostnames = ["127.0.0.1"]
    params.port = order["port"]
    params.api_keys = [order["api_key"]]
    # No web page may call it, whichever it comes from, and there is none of its own.
    params.cors_origins = ""
    params.cors_credentials = False
    params.ui = False
    params.endpoint_slots = True
    params.verbosity = 2  # Warnings and errors. More would log a dozen lines a reply.

    server = xllamacpp.Server(params)
    report({"event": "ready", "port": int(server.listening_address.rsplit(":", 1)[1])})
    threading.Event().wait()


def _serve_compiled(order: dict[str, Any], tuning: Tuning, report) -> bool:
    """The same by a program, with the same settings. Whether it ever answered."""
    port = order["port"] or _free_port()
    endpoint = Endpoint(f"http://127.0.0.1:{port}/v1", order["api_key"], order["name"])
    # A file without a name: any user of the machine can list a program's arguments.
    with tempfile.TemporaryFile() as key:
        key.write(order["api_key"].encode())
        key.seek(0)
        arguments = [
            order["compiled"], "--model", order["model"], "--alias", order["name"],
            *(["--mmproj", order["mmproj"]] if order["mmproj"] else []),
            "--load-mode", "none", "--parallel", tuning.slots, "--no-kv-unified",
            "--ctx-size", order["context"] * tuning.slots, "--no-context-shift",
            "--cache-ram", tuning.cache_mib,
            "--threads", tuning.threads, "--threads-batch", tuning.batch_threads,
            "--jinja", "--fit", "off", "--host", "127.0.0.1", "--port", port,
            "--api-key-file", f"/dev/fd/{key.fileno()}", "--cors-origins", "",
            "--no-cors-credentials", "--no-ui", "--slots", "--verbosity", 2]
        process = subprocess.Popen(
            [str(argument) for argument in arguments], stdin=subprocess.DEVNULL,
            pass_fds=(key.fileno(),),
            preexec_fn=die_with_starter if sys.platform == "linux" else None)
        answers = False
        while process.poll() is None and not answers:
            time.sleep(0.02)
            answers = _answers(endpoint)
    if answers:
        report({"event": "ready", "port": port})
        process.wait()
    return answers


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def _answers(endpoint: Endpoint) -> bool:
    """Whether the server there has loaded its model."""
    try:
        endpoint.get_json("/health")
    except EngineError:
        return False
    return True
