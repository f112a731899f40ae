"""Checks of one answer: contains, regex, equals, JSON schema, chrF against a reference.

    Contains(text="Paris").check("It is Paris.")   # Finding(passed=True, score=1.0, ...)

Checks come out of files that anybody may have written, and answers out of models: both
are bounded. A pattern gets half a second, can neither recurse nor multiply without end,
and a schema fetches nothing.

A check is plain data (`{"kind": "contains", "text": "Paris"}`) and does not know models
or prompts. Comparing two answers by a judge model is `llm.judge`.
"""

from __future__ import annotations

import functools
import json
import math
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import regex
from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, field_validator

from llm.wording import WrongValueError

MAX_PATTERN = 1_000
MAX_REPEATS = 100_000
"""Of all counts in a pattern multiplied: what `((a{100}){100}){100}` unfolds to. A million
take a gigabyte."""
PATTERN_SECONDS = 0.5
MAX_SCHEMA = 20_000
MAX_JSON_ANSWER = 30_000
"""Characters. Comparing every item of a list with every other one takes its square."""
MAX_REFERENCES = 10_000
"""`$ref`s followed for one answer: a schema that refers to itself twice doubles at each step."""

_AROUND = " \"'“”‘’„«»`*_#"
"""What models put around a word to set it off."""

Text = Annotated[str, Field(min_length=1, max_length=20_000)]
Texts = Text | Annotated[tuple[Text, ...], Field(min_length=1, max_length=100)]


@dataclass(frozen=True)
class Finding:
    """What one check found. `score` is 0 to 1; `passed` is None where there is no bar to pass."""

    kind: str
    passed: bool | None
    score: float
    detail: str = ""
    """Why it did not pass, in a sentence."""


class _Check(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, validate_by_name=True)


class Contains(_Check):
    """The answer holds this text, or one of these. Case and width of letters play no part."""

    kind: Literal["contains"] = "contains"
    text: Texts
    whole_words: bool = True
    """"Paris" is not in "Parisian", nor 4 in 14."""

    def check(self, answer: str) -> Finding:
        answer = _folded(answer)
        found = any(_holds(answer, _folded(text), self.whole_words) for text in _each(self.text))
        return _finding(self.kind, found, f"It does not hold {_named(self.text)}.")


class Equals(_Check):
    """The answer is this text, or one of these: case, white space and the quotes, asterisks
    and punctuation around it play no part."""

    kind: Literal["equals"] = "equals"
    text: Texts

    def check(self, answer: str) -> Finding:
        same = _bare(answer) in {_bare(text) for text in _each(self.text)}
        return _finding(self.kind, same, f"It is not {_named(self.text)}.")


class Regex(_Check):
    """The pattern is found somewhere in the answer. The syntax is that of the package regex,
    which is Python's and more; less the verbose flag and patterns that call themselves."""

    kind: Literal["regex"] = "regex"
    pattern: Annotated[str, Field(min_length=1, max_length=MAX_PATTERN)]

    @field_validator("pattern")
    @classmethod
    def _is_safe(cls, pattern: str) -> str:
        compiled_safely(pattern)
        return pattern

    def check(self, answer: str) -> Finding:
        try:
            found = _search(self.pattern, answer.strip())
        except TimeoutError:
            return Finding(self.kind, False, 0.0, "The pattern took too long on this answer.")
        return _finding(self.kind, found, "The pattern is not in it.")


class FitsSchema(_Check):
    """The answer is JSON, alone or in a code block, and fits a JSON schema (2020-12)."""

    kind: Literal["json_schema"] = "json_schema"
    json_schema: dict[str, Any] = Field(alias="schema")

    @field_validator("json_schema")
    @classmethod
    def _is_safe(cls, schema: dict[str, Any]) -> dict[str, Any]:
        from jsonschema import Draft202012Validator, SchemaError

        try:
            too_long = len(json.dumps(schema)) > MAX_SCHEMA
            Draft202012Validator.check_schema(schema)
            for keyword, value in _keywords(schema):
                if keyword in ("patternProperties", "$dynamicRef"):
                    raise WrongValueError("{keyword} is not supported", keyword=keyword)
                if keyword == "$ref" and isinstance(value, str) and not value.startswith("#"):
                    raise WrongValueError("a $ref must stay within the schema: nothing is fetched")
                if keyword == "pattern" and isinstance(value, str):
                    compiled_safely(value)
        except SchemaError as error:
            raise WrongValueError("no JSON schema: {reason}",
                                  reason=error.message[:200]) from error
        except RecursionError as error:
            raise WrongValueError("the schema is nested too deeply") from error
        if too_long:
            raise WrongValueError("the schema has more than {most} characters",
                                  most=MAX_SCHEMA)
        return schema

    def check(self, answer: str) -> Finding:
        from referencing.exceptions import Unresolvable

        try:
            value = _json_in(answer)
        except (ValueError, RecursionError):
            return Finding(self.kind, False, 0.0, "It is not JSON, or far too much of it.")
        try:
            fault = _first_fault(self.json_schema, value)
        except (RecursionError, TimeoutError, Unresolvable, ArithmeticError):
            return Finding(self.kind, False, 0.0, "The schema cannot be applied to this answer.")
        return _finding(self.kind, fault is None, f"It does not fit the schema: {fault}.")


class ChrF(_Check):
    """How close the answer comes to a reference, or to the closest of several: chrF2,
    the F-score of shared character sequences (sacrebleu), as 0 to 1.

    Popović, M.: chrF: character n-gram F-score for automatic MT evaluation. WMT 2015.
    https://aclanthology.org/W15-3049/
    """

    kind: Literal["chrf"] = "chrf"
    reference: Texts
    at_least: float | None = Field(default=None, ge=0, le=100)
    """The bar on chrF's own scale, 0 to 100; None: a score alone."""

    def check(self, answer: str) -> Finding:
        from sacrebleu.metrics import CHRF

        score = float(CHRF().sentence_score(answer.strip(), list(_each(self.reference))).score)
        passed = None if self.at_least is None else score >= self.at_least
        below = f"chrF is {score:.0f}, below {self.at_least:g}." if passed is False else ""
        return Finding(self.kind, passed, min(score / 100, 1.0), below)


Check = Annotated[Contains | Equals | Regex | FitsSchema | ChrF, Field(discriminator="kind")]
CHECKS: TypeAdapter[tuple[Check, ...]] = TypeAdapter(
    Annotated[tuple[Check, ...], Field(max_length=20)])
"""Validates what a file says: raises pydantic's ValidationError."""


def compiled_safely(pattern: str) -> regex.Pattern:
    """The pattern compiled, for matching with a timeout. Raises ValueError, saying why not."""
    if regex.search(r"\(\?(?:R\)|P>|&|[+-]?\d)", pattern):
        raise WrongValueError("a pattern must not call itself")
    if regex.search(r"\(\?[^:)<=!>&]*x", pattern):
        # White space and comments within a count would hide it from what follows.
        raise WrongValueError("the verbose flag is not supported")
    counts = regex.findall(r"\{(\d*)(?:,(\d*))?\}", pattern)
    digits = [max(map(len, count)) for count in counts]
    if max(digits, default=0) > 6 or math.prod(
            max(int(number or 1) or 1 for number in count) for count in counts) > MAX_REPEATS:
        raise WrongValueError("the pattern repeats too often")
    try:
        return _compiled(pattern)
    except (regex.error, RecursionError, OverflowError) as error:
        raise WrongValueError("no regular expression: {reason}",
                              reason=str(error)[:200]) from error


@functools.lru_cache(maxsize=256)
def _compiled(pattern: str) -> regex.Pattern:
    return regex.compile(pattern)


def _search(pattern: str, text: str) -> bool:
    """Raises TimeoutError. Other threads run meanwhile."""
    return compiled_safely(pattern).search(
        text, timeout=PATTERN_SECONDS, concurrent=True) is not None


def _finding(kind: str, passed: bool, otherwise: str) -> Finding:
    return Finding(kind, passed, float(passed), "" if passed else otherwise)


def _each(texts: str | tuple[str, ...]) -> tuple[str, ...]:
    return (texts,) if isinstance(texts, str) else texts


def _named(texts: str | tuple[str, ...]) -> str:
    return " or ".join(f"“{text[:80]}”" for text in _each(texts)[:3])


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


def _bare(text: str) -> str:
    return _folded(text).lstrip(_AROUND).rstrip(_AROUND + ".,;:!?…。！？।")


_OF_A_WORD = r"[\w--[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]]"
"""Where a script has no spaces between words there is no edge to look for."""
_WITHIN_A_WORD = regex.compile(rf"(?V1){_OF_A_WORD}{{2}}")
_REST_OF_A_WORD = regex.compile(rf"(?V1){_OF_A_WORD}+")


def _holds(answer: str, text: str, whole_words: bool) -> bool:
    # Not by a pattern: one made of a hundred long texts takes minutes, and nothing runs meanwhile.
    start = answer.find(text)
    while start >= 0:
        end = start + len(text)
        edges = answer[max(start - 1, 0):start + 1], answer[max(end - 1, 0):end + 1]
        if not whole_words or not any(map(_WITHIN_A_WORD.fullmatch, edges)):
            return True
        rest = _REST_OF_A_WORD.match(answer, start)
        start = answer.find(text, rest.end() if rest else start + 1)
    return False


def _json_in(answer: str) -> Any:
    """The JSON value that an answer is or that its first code block holds."""
    block = regex.search(r"```(?:json)?[ \t]*\n(.*?)```", answer, regex.DOTALL | regex.IGNORECASE)
    text = block.group(1) if block else answer
    if len(text) > MAX_JSON_ANSWER:
        raise ValueError("too long")
    return json.loads(text, parse_constant=_no_constant)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _keywords(schema: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(schema, dict):
        yield from schema.items()
    for part in schema.values() if isinstance(schema, dict) else schema:
        if isinstance(part, dict | list):
            yield from _keywords(part)


def _first_fault(schema: dict[str, Any], value: Any) -> str | None:
    """Raises RecursionError, TimeoutError, Unresolvable or ArithmeticError where the schema
    cannot be applied."""
    from jsonschema import Draft202012Validator, ValidationError
    from jsonschema.validators import extend
    from referencing import Registry

    followed = 0

    def follow(validator: Any, reference: str, instance: Any, schema: Any) -> Iterator[Any]:
        nonlocal followed
        followed += 1
        if followed > MAX_REFERENCES:
            raise RecursionError
        yield from Draft202012Validator.VALIDATORS["$ref"](validator, reference, instance, schema)

    def match(validator: Any, pattern: str, instance: Any, schema: Any) -> Iterator[Any]:
        if isinstance(instance, str) and not _search(pattern, instance):
            yield ValidationError(f"{instance[:80]!r} does not match {pattern[:80]!r}")

    bounded = extend(Draft202012Validator, {"$ref": follow, "pattern": match})
    # An empty registry fetches nothing.
    error = next(bounded(schema, registry=Registry()).iter_errors(value), None)
    return None if error is None else error.message.replace("\n", " ")[:200]
