"""What tokens cost: the dated price list of the package genai-prices.

It knows no page and no currency but the US dollar. A model that runs on this
machine has no price by the token; what it costs is the machine's time.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal

from llm.catalog import ModelSpec
from llm.keys import SERVICES, base_url

PRICE_LIST_DATES = {"0.2.3": "November 2026"}
"""When each release of genai-prices that Parley has shipped with was made: the package
itself does not say."""


@dataclass(frozen=True)
class Price:
    """US dollars per million tokens, and the list they come from."""

    input: float
    output: float
    source: str

    def usd(self, input_tokens: int, output_tokens: int) -> float:
        """What so many tokens cost, in US dollars."""
        return (input_tokens * self.input + output_tokens * self.output) / 1_000_000


@dataclass(frozen=True)
class Cost:
    """What one reply cost. `kind` "local": the machine's time, nothing by the token."""

    kind: Literal["priced", "local"]
    usd: float = 0.0
    source: str = ""


_PRICE_PROVIDERS = {"openai": ("openai",), "google": ("google",),
                    "huggingface": ("huggingface_together", "huggingface_novita",
                                    "huggingface_fireworks-ai", "huggingface_nebius",
                                    "huggingface_cerebras", "huggingface_groq")}
"""Our provider -> genai-prices' ids. Hugging Face routes a request to one of several hosts,
each with its own price: the first that has one stands for it."""


def price_of(spec: ModelSpec) -> Price | None:
    """The list price of a hosted model, None where there is none to be known.

    Lists are for the provider's own address: whatever else answers to a model's name, by its
    catalog entry or by OPENAI_BASE_URL, asks its own price.
    """
    if spec.runs_locally or base_url(spec) != SERVICES[spec.provider].base_url:
        return None
    return _listed(spec.provider, spec.model)


@functools.lru_cache(maxsize=64)
def _listed(provider: str, model: str) -> Price | None:
    from genai_prices import Usage, calc_price

    for provider_id in _PRICE_PROVIDERS[provider]:
        try:
            price = calc_price(Usage(input_tokens=1000, output_tokens=1000),
                               model_ref=model, provider_id=provider_id)
        except LookupError:
            continue
        if price.input_price is None or price.output_price is None:
            continue
        release = version("genai-prices")
        dated = PRICE_LIST_DATES.get(release)
        return Price(
            input=float(price.input_price) * 1000, output=float(price.output_price) * 1000,
            source=f"genai-prices {release}" + (f", {dated}" if dated else ""),
        )
    return None


def cost_of(spec: ModelSpec, input_tokens: int | None, output_tokens: int | None) -> Cost | None:
    """What so many tokens cost; None where no price or no count is known."""
    if spec.runs_locally:
        return Cost("local")
    price = price_of(spec)
    if price is None or input_tokens is None or output_tokens is None:
        return None
    return Cost("priced", price.usd(input_tokens, output_tokens), price.source)
