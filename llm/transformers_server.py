"""The transformers engine: `transformers serve` in a child process, made fit for strangers.

Started by llm.local_engines through llm.child, and by nothing else. It is what
`transformers serve DIR --dtype bfloat16 --continuous-batching` runs, with these differences:

- It listens on a port that the system chooses and answers to a key alone: the command
  itself lets any web page unload the model.
- Temperature and top p are each request's own. With continuous batching the command takes
  those of the first request for all that follow, and does not sample at all unless the
  checkpoint says so.
- A token is drawn for those requests alone that sample.
- A prompt that does not fit the context window is an error (400), not nonsense.
- `/slots` says how many replies are being made.

This module does not know models, weights or the app.
"""

from __future__ import annotations

import copy
import hmac
import json
import threading
import time
import urllib.request
from dataclasses import dataclass
from typing import Any

import torch
from fastapi import HTTPException
from transformers import ContinuousBatchingConfig, GenerationConfig
from transformers.cli.serve import Serve
from transformers.cli.serving import chat_completion, server, utils
from transformers.generation import TemperatureLogitsWarper, TopPLogitsWarper
from transformers.generation.continuous_batching import cb_logits_processors as processors
from transformers.generation.continuous_batching import continuous_api, model_runner

PAGE_TOKENS = 256


@dataclass(frozen=True)
class Bounds:
    """What continuous batching may take of a device, which else is most of it: transformers took
    14 GB of a machine's 24, and 107 GB of a GPU's 141."""

    cache_bytes: int
    """For the keys and values of all running replies. One that finds the cache full waits; there
    is always room for one whole context window."""
    batch_tokens: int
    """Read or written in one pass: a longer prompt is read in pieces, between others' tokens."""
    replies: int
    """Made at once. On a processor more would only be slower for each."""


BOUNDS = {"cpu": Bounds(800_000_000, 512, 16), "cuda": Bounds(3_000_000_000, 1024, 64)}
"""By the device's type."""


def cache_for(model, window: int | None) -> ContinuousBatchingConfig:
    """Continuous batching within the device's bounds, or as transformers has it elsewhere."""
    bounds = BOUNDS.get(model.device.type)
    settings: dict[str, Any] = {}
    if bounds:
        config = model.config.get_text_config()
        width = getattr(config, "head_dim", None) or \
            config.hidden_size // config.num_attention_heads
        token_bytes = config.num_hidden_layers * config.num_key_value_heads * width * 4
        tokens = max(window or config.max_position_embeddings, bounds.cache_bytes // token_bytes)
        if model.device.type == "cuda":  # where a window may be more than there is
            free, _ = torch.cuda.mem_get_info(model.device)
            tokens = min(tokens, int(0.8 * free) // token_bytes)
        settings = {"num_blocks": -(-tokens // PAGE_TOKENS) + 1, "page_size": PAGE_TOKENS,
                    "max_batch_tokens": bounds.batch_tokens,
                    "max_requests_per_batch": bounds.replies}
    return ContinuousBatchingConfig(per_request_processors=True, **settings)


class EachOwnTemperature(processors.ContinuousBatchingTemperatureLogitsWarper):
    """Divides each request's logits by its own temperature; 0 leaves the likeliest token alone."""

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        temperature = tensor_arg[:scores.size(0)].view(dtype=torch.float32).unsqueeze(-1)
        greedy = temperature == 0
        # A pass over eight vocabularies takes a processor 0.5 ms. Another device would be waited
        # for, to know whether there need be one.
        is_cpu = scores.device.type == "cpu"
        if is_cpu and not greedy.any():
            return scores / temperature
        # The first of equals, as without sampling: in bfloat16 two are often equal.
        likeliest = scores.argmax(dim=-1, keepdim=True)
        alone = torch.full_like(scores, -torch.inf).scatter_(-1, likeliest, 0.0)
        if is_cpu and greedy.all():
            return alone
        return torch.where(greedy, alone, scores / temperature.masked_fill(greedy, 1.0))


class EachOwnTopP(processors.ContinuousBatchingTopPLogitsWarper):
    """Each request's own top p, sorting the vocabulary only where some request wants it."""

    def __call__(self, scores: torch.Tensor, tensor_arg: torch.Tensor) -> torch.Tensor:
        top_p = tensor_arg[:scores.size(0)].view(dtype=torch.float32)
        if scores.device.type == "cpu" and bool((top_p >= 1).all()):
            return scores
        return super().__call__(scores, tensor_arg)


class EachOwnDraw(model_runner.ModelRunner):
    """Draws a token only for those requests that left more than one to draw from: to draw from a
    whole vocabulary takes a processor 1.3 ms for each."""

    def _sample(self, scores: torch.Tensor, output_ids: torch.Tensor) -> None:
        if scores.device.type != "cpu" or self.return_logprobs:
            super()._sample(scores, output_ids)
            return
        rows = scores[0]
        tokens = rows.argmax(dim=-1)
        draws = rows.isfinite().sum(dim=-1) > 1
        if draws.any():
            tokens[draws] = torch.multinomial(rows[draws].softmax(dim=-1), 1).squeeze(-1)
        output_ids[0, :len(tokens)].copy_(tokens)


class Window:
    """Keeps prompt and reply within the context window. Mixed into both ways to generate."""

    tokens: int | None = None

    def generate_streaming(self, model, processor, inputs, gen_config, request_id, **kwargs):
        self._fit(model, inputs, gen_config)
        return super().generate_streaming(
            model, processor, inputs, gen_config, request_id, **kwargs)

    async def generate_non_streaming(self, model, processor, inputs, gen_config, request_id):
        self._fit(model, inputs, gen_config)
        return await super().generate_non_streaming(
            model, processor, inputs, gen_config, request_id)

    def _fit(self, model, inputs, gen_config: GenerationConfig) -> None:
        ids = inputs["input_ids"]
        prompt = len(ids) if isinstance(ids, list) else ids.shape[-1]
        window = self.tokens or model.config.get_text_config().max_position_embeddings
        if prompt >= window:
            raise HTTPException(400, f"This model's maximum context length is {window} tokens. "
                                     f"However, your messages resulted in {prompt} tokens.")
        gen_config.max_new_tokens = min(gen_config.max_new_tokens, window - prompt)
        self._sampling = {
            "temperature": float(gen_config.temperature or 1.0) if gen_config.do_sample else 0.0,
            "top_p": float(gen_config.top_p or 1.0) if gen_config.do_sample else 1.0,
        }


class Batched(Window, utils.CBGenerateManager):
    """Continuous batching, each request with the sampling that it asked for."""

    def init_cb(self, model, gen_config: GenerationConfig) -> None:
        if self._cb is not None:
            return
        shared = copy.deepcopy(gen_config)
        # Any but the neutral values: they make transformers install the two above.
        shared.update(do_sample=True, temperature=0.7, top_p=0.9, top_k=0)
        self._cb_config = cache_for(model, self.tokens)
        super().init_cb(model, shared)
        add_request = self._cb.add_request
        # Called by the methods above before they wait for anything: the sampling is still theirs.
        self._cb.add_request = lambda ids, **kwargs: add_request(ids, **kwargs, **self._sampling)

    def count(self) -> int:
        """Replies that are being made or wait."""
        if self._cb is None or self._cb.batch_processor is None:
            return 0
        return len(self.scheduler.active_requests) + len(self.scheduler.waiting_requests)


class OneByOne(Window, utils.GenerateManager):
    """One reply after another, for models that see: continuous batching does not take them."""

    def __init__(self):
        super().__init__()
        self._lock, self._count = threading.Lock(), 0

    def submit(self, fn, *args, **kwargs):
        return super().submit(self._counted(fn), *args, **kwargs)

    def async_submit(self, fn, *args, **kwargs):
        return super().async_submit(self._counted(fn), *args, **kwargs)

    def count(self) -> int:
        return self._count

    def _counted(self, fn):
        def run(*args, **kwargs):
            try:
                return fn(*args, **kwargs)
            finally:
                self._add(-1)

        self._add(1)
        return run

    def _add(self, number: int) -> None:
        with self._lock:
            self._count += number


class Completions(chat_completion.ChatCompletionHandler):
    """Samples where a temperature above 0 was asked for, whatever the checkpoint's default."""

    def _build_generation_config(self, body: dict, model_generation_config, use_cb: bool = False):
        config = super()._build_generation_config(body, model_generation_config, use_cb=use_cb)
        if body.get("temperature"):
            config.do_sample = True
        return config


class Guard:
    """ASGI middleware: the key, or 401. `/health` alone is open."""

    def __init__(self, app, key: str):
        self.app, self.expected = app, f"Bearer {key}".encode()

    async def __call__(self, scope, receive, send) -> None:
        if scope["type"] == "http" and scope["path"] != "/health":
            given = dict(scope["headers"]).get(b"authorization", b"")
            if not hmac.compare_digest(given, self.expected):
                await send({"type": "http.response.start", "status": 401,
                            "headers": [(b"content-type", b"application/json")]})
                await send({"type": "http.response.body", "body": b'{"detail": "Wrong key."}'})
                return
        await self.app(scope, receive, send)


def main(order: dict[str, Any], report) -> None:
    """Serve the folder `order["model"]` until killed; report {"event": "ready", "port"}.

    order: model (a path, and the only name it answers to), context (tokens, or None: as
    the checkpoint says), port (0: any), api_key.
    """
    build_server = server.build_server

    def build_guarded(*args, generation_state, **kwargs):
        app = build_server(*args, generation_state=generation_state, **kwargs)
        app.add_middleware(Guard, key=order["api_key"])

        @app.get("/slots")
        def slots() -> list[dict[str, bool]]:
            managers = [*generation_state._generate_managers.values()]
            if generation_state._cb_manager is not None:
                managers.append(generation_state._cb_manager)
            return [{"is_processing": True}] * sum(manager.count() for manager in managers)

        return app

    Window.tokens = order["context"]
    utils.CBGenerateManager, utils.GenerateManager = Batched, OneByOne
    chat_completion.ChatCompletionHandler = Completions
    server.build_server = build_guarded
    processors.CLASSIC_TO_CB_PROCESSORS_MAP[TemperatureLogitsWarper] = EachOwnTemperature
    processors.CLASSIC_TO_CB_PROCESSORS_MAP[TopPLogitsWarper] = EachOwnTopP
    continuous_api.ModelRunner = EachOwnDraw

    serve = Serve(order["model"], continuous_batching=True, dtype="bfloat16", host="127.0.0.1",
                  port=order["port"], trust_remote_code=False, non_blocking=True)
    while not serve.server.started:
        if not serve._thread.is_alive():
            raise SystemExit("The server did not start; the line above says why.")
        time.sleep(0.02)
    port = serve.server.servers[0].sockets[0].getsockname()[1]
    _say_one_word(port, order)
    report({"event": "ready", "port": port})
    threading.Event().wait()


def _say_one_word(port: int, order: dict[str, Any]) -> None:
    """Have one token made: only then is memory for replies set aside, and may it be wanting."""
    body = {"model": order["model"], "max_tokens": 1,
            "messages": [{"role": "user", "content": "Hello"}]}
    urllib.request.urlopen(urllib.request.Request(
        f"http://127.0.0.1:{port}/v1/chat/completions", json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {order['api_key']}"},
    )).close()
