"""What an evaluation may cost: an estimate before it starts, and a limit while it runs.

Tokens are counted by the model's own tokenizer where it is at hand, else estimated, and
priced by the dated list (`llm.prices`). A local model costs nothing by the token. For a
hosted model without a known price nothing can be estimated or limited; it is named.

This module does not know how rows are run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage, HumanMessage, SystemMessage

from llm.catalog import ModelSpec, get_model
from llm.journal import Contents, Key, Pair, Plan
from llm.judge import JUDGE_PROMPT
from llm.prices import price_of
from llm.tokens import count_request_tokens, count_tokens
from llm.wording import Wording

ASSUMED_OUTPUT_TOKENS = 500
"""For a reply without `max_tokens`. Most are shorter."""
JUDGE_OUTPUT_TOKENS = 300


@dataclass(frozen=True)
class ModelEstimate:
    """What one model, or the judge, may come to. Tokens in all."""

    model_id: str
    label: str
    is_judge: bool
    calls: int
    input_tokens: int
    output_tokens: int
    """At most, where the settings say `max_tokens`; else `ASSUMED_OUTPUT_TOKENS` a reply."""
    usd: float | None
    """None: no price is known."""
    source: str
    """Of the price; "" for a local model or where there is none."""


@dataclass(frozen=True)
class Estimate:
    models: tuple[ModelEstimate, ...]

    @property
    def calls(self) -> int:
        return sum(model.calls for model in self.models)

    @property
    def usd(self) -> float:
        """Of the models whose price is known."""
        return sum(model.usd or 0 for model in self.models)

    @property
    def unpriced(self) -> tuple[str, ...]:
        """The labels of the models that a limit on spending does not cover."""
        return tuple(model.label for model in self.models if model.usd is None)


def estimate(plan: Plan, *, find: Callable[[str], ModelSpec] = get_model) -> Estimate:
    """What a whole plan may cost. Nothing is sent. `find`: the entry of an id.

    Raises `UnknownModelError`.
    """
    models = [_model_estimate(plan, find(model)) for model in plan.models]
    if plan.judge:
        models.append(_judge_estimate(plan, find(plan.judge)))
    return Estimate(tuple(models))


class Budget:
    """What is spent and what is set aside for calls under way, against a limit.

    The limit holds exactly where `max_tokens` is set; otherwise replies longer than
    `ASSUMED_OUTPUT_TOKENS` that are under way together may pass it.
    """

    def __init__(self, plan: Plan, max_usd: float | None, spent: float):
        self.plan, self.max_usd, self.spent = plan, max_usd, spent
        self.reserved = 0.0

    @property
    def told(self) -> Wording:
        """That the limit is reached, as a sentence to show."""
        return Wording("The next call could pass the limit of ${limit:.2f}; ${spent:.4f} is spent. "
                       "Raise the limit to go on.", limit=self.max_usd, spent=self.spent)

    def ahead(self, spec: ModelSpec, item: Key | Pair, contents: Contents) -> float:
        """What the next piece of work may cost, in US dollars; 0 without a limit."""
        price = price_of(spec) if self.max_usd is not None else None
        if price is None:
            return 0.0
        if isinstance(item, Key):
            messages = _messages(self.plan, item.prompt)
            output = _output_tokens(self.plan.settings[item.settings])
            return price.usd(count_request_tokens(spec, messages).tokens, output)
        answers = [contents.rows[Key(item.prompt, side.model, side.settings, item.run)].answer
                   for side in (item.left, item.right)]
        question = self.plan.prompts[item.prompt - 1].prompt
        tokens = count_tokens(spec, "\n".join([question, *answers])).tokens
        return 2 * price.usd(tokens + _judge_overhead(spec), JUDGE_OUTPUT_TOKENS)

    def reserve(self, usd: float) -> bool:
        """Set so much aside; False if the limit forbids it."""
        # Work that costs nothing goes on when the money is gone.
        if usd and self.max_usd is not None and self.spent + self.reserved + usd > self.max_usd:
            return False
        self.reserved += usd
        return True

    def release(self, usd: float) -> None:
        left = self.reserved - usd
        # Sums of floats: what is left of nothing must be nothing.
        self.reserved = left if left > 1e-12 else 0.0


def _model_estimate(plan: Plan, spec: ModelSpec) -> ModelEstimate:
    times = plan.runs * len(plan.settings)
    inputs = times * sum(count_request_tokens(spec, _messages(plan, prompt.number)).tokens
                         for prompt in plan.prompts)
    outputs = plan.runs * len(plan.prompts) * sum(map(_output_tokens, plan.settings))
    return _told(spec, False, times * len(plan.prompts), inputs, outputs)


def _judge_estimate(plan: Plan, spec: ModelSpec) -> ModelEstimate:
    calls = 2 * plan.pair_count
    pairs_a_prompt = calls // len(plan.prompts)
    questions = sum(count_tokens(spec, prompt.prompt).tokens for prompt in plan.prompts)
    answers = sum(map(_output_tokens, plan.settings)) / len(plan.settings)
    inputs = pairs_a_prompt * questions + calls * (round(2 * answers) + _judge_overhead(spec))
    return _told(spec, True, calls, inputs, calls * JUDGE_OUTPUT_TOKENS)


def _told(spec: ModelSpec, is_judge: bool, calls: int, inputs: int, outputs: int) -> ModelEstimate:
    price = price_of(spec)
    usd = 0.0 if spec.runs_locally else None if price is None else price.usd(inputs, outputs)
    return ModelEstimate(spec.id, spec.label, is_judge, calls, inputs, outputs, usd,
                         price.source if price else "")


def _messages(plan: Plan, number: int) -> list[BaseMessage]:
    prompt = plan.prompts[number - 1]
    system = prompt.system or plan.system
    return [*([SystemMessage(system)] if system.strip() else []), HumanMessage(prompt.prompt)]


def _output_tokens(settings: Mapping[str, Any]) -> int:
    return int(settings.get("max_tokens") or ASSUMED_OUTPUT_TOKENS)


def _judge_overhead(spec: ModelSpec) -> int:
    empty = {"request": "", "reference": "", "first": "", "second": ""}
    return count_request_tokens(spec, JUDGE_PROMPT.invoke(empty).to_messages()).tokens
