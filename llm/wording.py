"""What Parley says, as a template and what goes into its gaps: so it can be put into any language.

    str(Wording("{count} of {most} pictures", count=3, most=8))      "3 of 8 pictures"

The templates are English and are written where they are used, as constants: there
`translations.texts` finds them. This module knows no other language:
`components.language.say` does.
"""

from __future__ import annotations

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

    The reason is worded where it is ours, and in pydantic's English where it is its own.
    """
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:100]
    ours = first.get("ctx", {}).get("error")
    if isinstance(ours, WrongValueError):
        return place, Wording("Value error, {reason}", reason=ours)
    return place, first["msg"][:200]
