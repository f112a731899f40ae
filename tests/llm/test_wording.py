"""What Parley says: English as it is, and all that another language needs to say it too."""

from __future__ import annotations

import pickle
import time
from pathlib import Path

import pytest
from pydantic import BaseModel, Field, ValidationError, field_validator

from llm.errors import ImportRefusedError, ParleyError, RateLimitError, StorageError
from llm.wording import Templates, Wording, WrongValueError, first_fault


def test_an_error_is_its_english_sentence_and_keeps_the_template_and_what_fills_it():
    error = StorageError("{path} has more than {most:,} MB.", path=Path("/a"), most=2000)
    assert str(error) == "/a has more than 2,000 MB."
    assert error.wording.template == "{path} has more than {most:,} MB."
    assert error.wording.values == {"path": "/a", "most": 2000}


def test_braces_in_what_fills_a_gap_are_text():
    error = ParleyError("It says: {text}", text="{who} {0} {")
    assert str(error) == "It says: {who} {0} {"
    assert str(ParleyError("Refused: {reason}", reason=error)) == "Refused: It says: {who} {0} {"


def test_an_error_within_an_error_is_its_wording_and_holds_no_trace():
    inner = ImportRefusedError("{count} are too many", count=3)
    outer = StorageError("{reason}. Nothing was kept.", reason=inner)
    assert isinstance(outer.wording.values["reason"], Wording)
    assert str(outer) == "3 are too many. Nothing was kept."
    assert str(StorageError.of(inner.wording)) == "3 are too many"


def test_somebody_elses_error_is_its_text():
    assert StorageError("{reason}", reason=OSError("disk")).wording.values == {"reason": "disk"}


@pytest.mark.parametrize("error", [
    ParleyError("No gaps."),
    StorageError("{path}: {reason}", path=Path("/a"), reason=Wording("{n} of them", n=2)),
    RateLimitError("Again {when}.", when=Wording("in a minute"), retry_after=60.0),
])
def test_an_error_comes_through_pickle_as_it_was(error: ParleyError):
    came = pickle.loads(pickle.dumps(error))
    assert type(came) is type(error) and str(came) == str(error)
    assert came.wording.template == error.wording.template
    assert getattr(came, "retry_after", None) == getattr(error, "retry_after", None)


KNOWN = Templates([
    "a PDF document", "{reason}", "{count:,} of {most:,} pictures",
    "Picture {number} of these: {reason}", "This is {what}, not a picture.",
    "There is no model called {name!r}. Choose another.",
    "Its {size:.1f} MB {{are}} too many."])


@pytest.mark.parametrize(("said", "template"), [
    ("a PDF document", "a PDF document"),
    ("1,200 of 8 pictures", "{count:,} of {most:,} pictures"),
    ("There is no model called 'a b'. Choose another.",
     "There is no model called {name!r}. Choose another."),
    ("Its 2.5 MB {are} too many.", "Its {size:.1f} MB {{are}} too many."),
    ("This is {braces}\nof two lines, not a picture.", "This is {what}, not a picture."),
])
def test_a_sentence_that_was_stored_is_found_among_the_templates_and_says_the_same(said, template):
    wording = KNOWN.wording_of(said)
    assert wording.template == template and str(wording) == said


def test_so_is_a_sentence_within_a_sentence():
    wording = KNOWN.wording_of("Picture 2 of these: This is a PDF document, not a picture.")
    assert wording.values["number"] == "2"
    assert wording.values["reason"].values["what"].template == "a PDF document"


@pytest.mark.parametrize("said", ["", "Somebody else's sentence.", "this is a PDF document",
                                  "This is a PDF document, not a picture. Or is it?"])
def test_somebody_elses_sentence_is_none_of_ours(said):
    assert KNOWN.wording_of(said) is None


def test_no_sentence_keeps_the_search_busy():
    many = Templates([" and ".join(f"{{gap{number}}}" for number in range(12)) + ": it is over"])
    began = time.perf_counter()
    for said in (" and " * 400, "Picture 1 of these: " * 100, "x" * 10_000_000):
        many.wording_of(said)
        KNOWN.wording_of(said)
    assert time.perf_counter() - began < 1


class _Even(BaseModel):
    number: int = Field(le=100)

    @field_validator("number")
    @classmethod
    def _is_even(cls, number: int) -> int:
        if number % 2:
            raise WrongValueError("{number} is odd", number=number)
        return number


def test_the_first_fault_is_worded_be_it_ours_or_pydantics():
    for number, said, template in ((3, "3 is odd", "{number} is odd"),
                                   ("x", "it must be a whole number", None),
                                   (102, "it must be 100 or less", "it must be {le} or less")):
        with pytest.raises(ValidationError) as raised:
            _Even(number=number)
        place, reason = first_fault(raised.value)
        assert (place, str(reason)) == ("number", said)
        assert reason.template == (template or said)
