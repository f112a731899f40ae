"""What Parley says, as a template and what goes into its gaps: so it can be put into any language.

    str(Wording("{count} of {most} pictures", count=3, most=8))      "3 of 8 pictures"

The templates are English and are written where they are used, as constants: there
`translations.texts` finds them. This module knows no other language:
`components.language.say` does. What is stored is the English sentence; `Templates` finds
the wording that it was.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from string import Formatter
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pydantic import ValidationError


class Wording:
    """A sentence, or a part of one.

    What goes into a gap is text, a number, or a wording of its own, and is never formatted
    again: braces in it are braces. An error of ours stands for its wording; anything else,
    such as a path or somebody else's error, for its text.
    """

    def __init__(self, template: str, /, **values: Any):
        self.template = template
        self.values = {name: _kept(value) for name, value in values.items()}

    def __str__(self) -> str:
        return self.template.format(**self.values)


Say = Callable[[Wording], str]
"""Puts a wording into some language. `str` is the one that puts it into English."""


def _kept(value: Any) -> Wording | str | int | float:
    value = getattr(value, "wording", value)
    return value if isinstance(value, Wording | str | int | float) else str(value)


class WordedError(Exception):
    """An error that says what is wrong in a wording: `str(error)` is that in English."""

    def __init__(self, template: str, /, **values: Any):
        super().__init__(template)  # With it and what is in __dict__ it can be pickled.
        self.wording = Wording(template, **values)

    @classmethod
    def of(cls, wording: Wording) -> Self:
        """The error that says what somebody else has worded."""
        return cls(wording.template, **wording.values)

    def __str__(self) -> str:
        return str(self.wording)


class WrongValueError(WordedError, ValueError):
    """A value that is not taken, with the reason as a part of a sentence."""


def first_fault(error: ValidationError) -> tuple[str, Wording | str]:
    """What pydantic found first: the field's place, such as "prompts.0.text", and the reason.

    The reason is worded, and in pydantic's English only where it is none of `_REASONS`.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    # Between the fields stand pydantic's own names of types, such as constrained-str. A field
    # that there is not stands last, and a file may call it as it likes.
    unknown = first["loc"][-1:] if first["type"] == "extra_forbidden" else ()
    place = ".".join(str(part) for part in first["loc"]
                     if isinstance(part, int) or part.isidentifier() or part in unknown)[:100]
    details = first.get("ctx", {})
    if isinstance(ours := details.get("error"), WrongValueError):
        return place, ours.wording
    if first["type"] not in _REASONS:
        return place, first["msg"][:200]
    return place, Wording(_REASONS[first["type"]], **{
        name: value if isinstance(value, int | float) else str(value)[:200]
        for name, value in details.items()})


_REASONS = {
    "missing": "it is missing",
    "extra_forbidden": "there is nothing of this name",
    "string_type": "it must be text",
    "string_too_short": "it needs {min_length} characters or more",
    "string_too_long": "it has more than {max_length} characters",
    "string_pattern_mismatch": "it is not written as it must be",
    "int_type": "it must be a whole number",
    "int_parsing": "it must be a whole number",
    "int_from_float": "it must be a whole number",
    "float_type": "it must be a number",
    "float_parsing": "it must be a number",
    "finite_number": "it must be a number",
    "bool_type": "it must be true or false",
    "bool_parsing": "it must be true or false",
    "none_required": "it must be null",
    "greater_than_equal": "it must be {ge} or more",
    "less_than_equal": "it must be {le} or less",
    "literal_error": "it must be one of {expected}",
    "enum": "it must be one of {expected}",
    "union_tag_invalid": "“{tag}” is not one of {expected_tags}",
    "union_tag_not_found": "it does not say of what kind it is",
    "list_type": "it must be a list",
    "tuple_type": "it must be a list",
    "too_short": "it holds fewer than {min_length}",
    "too_long": "it holds more than {max_length}",
    "dict_type": "it must be an object of names and values",
    "model_type": "it must be an object of names and values",
    "model_attributes_type": "it must be an object of names and values",
    "json_invalid": "it is not JSON ({error})",
}
"""pydantic's kinds of fault, as far as they come of what people type and bring."""


# ── What was stored ──────────────────────────────────────────────────────────────────

_LONGEST = 2_000
"""Characters. Nothing that is said here is longer, and a file from elsewhere may hold anything."""
_FEWEST_LETTERS = 8
"""Of its own, so that a template is known by them: "{name}: {reason}" says what anything says."""


class Templates:
    """Known templates, among which the one is found that a ready English sentence was made of."""

    def __init__(self, templates: Iterable[str]):
        self._ready: dict[str, str] = {}
        found = []
        for template in templates:
            own, gaps = _parts(template)
            if not gaps:
                self._ready[own[0]] = template
            elif sum(map(str.isalpha, "".join(own))) >= _FEWEST_LETTERS:
                found.append((-len("".join(own)), _pattern(own), gaps, template))
        # The one with the most words of its own first: it leaves the least to the gaps.
        self._with_gaps = sorted(found, key=lambda one: one[0])

    def wording_of(self, text: str) -> Wording | None:
        """The wording that says `text`, and so for what is in its gaps; None if none does."""
        template = self._ready.get(text)
        if template is not None:
            return Wording(template)
        if len(text) > _LONGEST:
            return None
        for _length, pattern, gaps, template in self._with_gaps:
            if match := pattern.fullmatch(text):
                return Wording(template, **{
                    name: self.wording_of(value) or _AsWritten(value)
                    for name, value in zip(gaps, match.groups(), strict=True)})
        return None


def _parts(template: str) -> tuple[list[str], list[str]]:
    """Its own words before, between and after the gaps, and the gaps' names."""
    own, gaps = [""], []
    for words, name, _form, _as in Formatter().parse(template):
        own[-1] += words
        if name is not None:
            own.append("")
            gaps.append(name)
    return own, gaps


def _pattern(own: list[str]) -> re.Pattern[str]:
    """Matches what a template with these words says. A gap ends where the next of them come.

    It does not look for another end then: what was made to keep it looking would do so for
    as long as it liked.
    """
    first, *middle, last = map(re.escape, own)
    return re.compile("".join([first, *(f"(?>(.*?){words})" for words in middle), "(.*)", last]),
                      re.DOTALL)


class _AsWritten(str):
    """What stood in a gap, formatted already."""

    def __format__(self, form: str) -> str:
        return str(self)

    def __repr__(self) -> str:
        return str(self)
