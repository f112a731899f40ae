"""What each way of running the weights does to the answers: a hundred short prompts, greedily.

Held against the same weights in float32 on PyTorch. Nothing here is timed, so it may be
measured on a busy machine, and kept (`--from`).
"""

from __future__ import annotations

import json
import math
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import product
from typing import Any

from benchmarks.asking import user
from benchmarks.rows import Options, Row, could_not, row
from benchmarks.ways import WAYS, Way, folder
from tests.app import ROOT, clean_environment, end

TOKENS = 40
FIRST = 20
AT_ONCE = 8

COUNTRIES = ("France", "Germany", "Japan", "Italy", "Spain", "Greece", "Norway", "Egypt", "China",
             "Russia", "England", "Canada", "Brazil")
QUESTIONS = ("What colour is the sky?", "How many days are in a week?", "What do bees make?",
             "Which planet is the largest?", "What is water made of?", "Who wrote Hamlet?",
             "What is the opposite of hot?", "Which animal barks?", "What is frozen water called?",
             "How many legs has a spider?", "What gas do plants take in?",
             "What is the boiling point of water?")
NUMBERS = tuple(product((2, 7, 12, 25, 90), (3, 5, 8, 14, 31)))
WISHES = ("Name {}.", "Write one sentence about {}.", "List three words that describe {}.",
          "Explain in one sentence what is special about {}.", "Ask me a question about {}.")
THINGS = ("a bird", "the sea", "a bicycle", "winter", "bread")
SIGNS = ("The quick brown fox jumps over the lazy dog.", "alpha beta gamma delta",
         "1 2 3 5 8 13 21", "Mr. Smith paid $14.50 on May 3rd.", "to be, or not to be")
ORDERS = ("Repeat this exactly: {}", "Copy the following text: {}", "Say only these words: {}",
          "Write this again, word for word: {}", "Echo: {}")

PROMPTS: dict[str, list[str]] = {
    "facts": [f"What is the capital of {name}?" for name in COUNTRIES] + list(QUESTIONS),
    "arithmetic": [f"What is {one} {'plus' if one % 2 else 'times'} {other}?"
                   for one, other in NUMBERS],
    "instructions": [wish.format(thing) for wish, thing in product(WISHES, THINGS)],
    "copying": [order.format(signs) for order, signs in product(ORDERS, SIGNS)],
}
"""Twenty-five of each kind."""


def measure(options: Options) -> Iterable[Row]:
    prompts = [prompt for kind in PROMPTS.values() for prompt in kind]
    prompts = prompts[::options.sized(1, 20)]
    with _reference() as ask:
        wanted = ask(prompts=prompts, max_tokens=TOKENS)
        scored = ask(prompts=prompts, answers=wanted)
        own, expected = _likelihood(scored), [tokens for tokens, _sum in scored]
        yield row("float32: log-likelihood a token", own, "")
        for name, start in WAYS.items():
            try:
                with start() as way:
                    answers = list(_answers(way, prompts))
            except Exception as error:
                yield could_not(name, error)
                continue
            yield from _told(name, answers, wanted, ask(prompts=prompts, answers=answers), expected,
                             own)


def _answers(way: Way, prompts: list[str]) -> Iterator[str]:
    for start in range(0, len(prompts), AT_ONCE):
        asked = [user(prompt) for prompt in prompts[start:start + AT_ONCE]]
        for reply in way.ask_at_once(asked, TOKENS):
            yield reply.text


def _told(name: str, answers: list[str], wanted: list[str], scored: list[Any],
          expected: list[list[int]], own: float) -> Iterable[Row]:
    same = [answer.strip() == other.strip() for answer, other in zip(answers, wanted, strict=True)]
    begin = [tokens[:FIRST] == other[:FIRST]
             for (tokens, _sum), other in zip(scored, expected, strict=True)]
    mean = _likelihood(scored)
    yield row(f"{name}: answers just as float32's", 100 * sum(same) / len(same), "%")
    yield row(f"{name}: first {FIRST} tokens just as float32's", 100 * sum(begin) / len(begin), "%")
    yield row(f"{name}: log-likelihood a token, as float32 sees it", mean, "")
    yield row(f"{name}: points lost of float32's mean likelihood of a token",
              100 * (math.exp(own) - math.exp(mean)), "points",
              **({"at_most": 1} if name == "built-in" else {}))


def _likelihood(scored: list[Any]) -> float:
    """The logarithm of a token's likelihood, the mean over all tokens."""
    return (sum(total for _tokens, total in scored)
            / sum(len(tokens) for tokens, _total in scored))


@contextmanager
def _reference() -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.reference", str(folder())], cwd=ROOT, text=True,
        env=clean_environment(HF_HUB_OFFLINE="1"), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL)

    def ask(**asked: Any) -> Any:
        process.stdin.write(json.dumps(asked) + "\n")
        process.stdin.flush()
        told = process.stdout.readline()
        if not told:
            raise RuntimeError("the reference ended")
        return json.loads(told)

    try:
        yield ask
    finally:
        end(process)
