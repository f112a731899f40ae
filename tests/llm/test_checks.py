"""What each check of an answer takes for right, and that no check can be made to hang."""

import json

import pytest
import sacrebleu
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from llm.checks import CHECKS, ChrF, Contains, Equals, FitsSchema, Regex


def passes(check, answer: str) -> bool:
    finding = check.check(answer)
    assert finding.score == float(finding.passed)
    assert bool(finding.detail) != finding.passed, "only a failure needs a word"
    return finding.passed


@pytest.mark.parametrize(("text", "answer", "passed"), [
    ("Paris", "The capital is PARIS.", True),
    ("Paris", "The Parisian way", False),
    ("4", "It is 4.", True),
    ("4", "It is 14.", False),
    ("carbon  dioxide", "It is carbon\ndioxide", True),
    ("北京", "首都是北京。", True),
    ("दिल्ली", "राजधानी दिल्ली है।", True),
    ("दिल", "राजधानी दिल्ली है।", False),
    ("C++", "I write C++, mostly", True),
    ("(a|b)*", "a text about (a|b)*", True),
    (("two", "2"), "There are 2 of them", True),
    (("two", "2"), "There are three", False),
])
def test_contains_looks_for_whole_words_in_any_case(text, answer, passed):
    assert passes(Contains(text=text), answer) is passed


def test_many_long_texts_are_looked_for_quickly():
    # Ends, or the suite's time limit says that it does not.
    for text, answer in (("x" * 19_990, "x" * 100_000), ("ab " * 6_000 + "c", "ab " * 30_000)):
        many = Contains(text=tuple(text + str(number) for number in range(100)))
        assert not passes(many, answer)
        assert not passes(Contains(text=(text,) * 100), answer)


def test_contains_can_look_within_words():
    assert passes(Contains(text="paris", whole_words=False), "Parisian")


@pytest.mark.parametrize(("text", "answer", "passed"), [
    ("Paris", " **Paris.**\n", True), ("Paris", "“paris”", True), ("Paris", "It is Paris", False),
    ("-5", "5", False), ("5", "5!", True), ("ﬁne", "fine", True), (("no", "never"), "NO.", True),
    ("...", "...", True),
])
def test_equals_looks_past_case_and_what_is_around_the_words(text, answer, passed):
    assert passes(Equals(text=text), answer) is passed


def test_regex_searches_the_answer_without_the_space_around_it():
    assert passes(Regex(pattern=r"^\d{4}-\d{2}-\d{2}$"), " 1969-07-20\n")
    assert not passes(Regex(pattern=r"^\S+$"), "two words")
    assert passes(Regex(pattern=r"(?i)^(?!.*\be\b)\w+$"), "Word")


@pytest.mark.parametrize("pattern", [r"(a|aa)+$", r"(x+x+)+y", r"((a{1,9}){1,9}){1,9}b"])
def test_a_pattern_that_would_run_for_years_is_given_up(pattern):
    finding = Regex(pattern=pattern).check("a" * 50_000 + "x" * 50_000)
    assert not finding.passed


@pytest.mark.parametrize("pattern", [
    "a{1000000000}", "(((a{1000}){1000}){1000}){1000}", "(a?){1000000}", "(?R)*a", "(?:(?1)|b)(c)",
    "(?<n>a)(?&n)", "(?P>n)(?P<n>a)", "(?x)a{1 000000000}", "(?ix:a{ 1000000000 })", "(",
    "(" * 900, "a" * 1001, "", r"\p{Nonsense}",
])
def test_a_pattern_that_is_none_or_could_fill_the_memory_is_refused(pattern):
    with pytest.raises(ValidationError):
        Regex(pattern=pattern)


PERSON = {"type": "object", "required": ["name", "born"], "additionalProperties": False,
          "properties": {"name": {"type": "string", "pattern": "^[A-Z]"},
                         "born": {"type": "integer", "minimum": 0}}}


@pytest.mark.parametrize(("answer", "passed"), [
    ('{"name": "Ada", "born": 1815}', True),
    ('Here you are:\n```json\n{"name": "Ada", "born": 1815}\n```\nAnything else?', True),
    ('{"name": "ada", "born": 1815}', False),
    ('{"name": "Ada", "born": "1815"}', False),
    ('{"name": "Ada"}', False),
    ('{"name": "Ada", "born": NaN}', False),
    ("Ada was born in 1815.", False),
    ("[" * 20_000, False),
    ('{"name": "Ada", "born": 1815}' + " " * 40_000, False),
    ("", False),
])
def test_json_schema_takes_json_alone_or_in_a_code_block(answer, passed):
    assert passes(FitsSchema(schema=PERSON), answer) is passed


def test_a_schema_may_refer_to_its_own_parts():
    tree = {"$ref": "#/$defs/t", "$defs": {"t": {"type": "array", "items": {"$ref": "#/$defs/t"}}}}
    assert passes(FitsSchema(schema=tree), "[[[]], []]")
    assert not passes(FitsSchema(schema=tree), "[[1]]")


@pytest.mark.parametrize("schema", [
    {"type": "nonsense"}, {"$ref": "http://127.0.0.1:1/schema"}, {"$ref": "file:///etc/passwd"},
    {"anyOf": [{"properties": {"a": {"$ref": "other.json"}}}]}, {"patternProperties": {"a": {}}},
    {"$dynamicRef": "#a"}, {"pattern": "(a{1000}){1000}"}, {"enum": ["x" * 20_000]},
])
def test_a_schema_that_is_none_or_could_fetch_or_hang_is_refused(schema):
    with pytest.raises(ValidationError):
        FitsSchema(schema=schema)


def doubling(depth: int) -> dict:
    """A schema that looks at its value two to the power of `depth` times."""
    steps = {f"s{n}": {"allOf": [{"$ref": f"#/$defs/s{n + 1}"}] * 2} for n in range(depth)}
    return {"$ref": "#/$defs/s0", "$defs": {**steps, f"s{depth}": True}}


@pytest.mark.parametrize("schema", [{"$ref": "#"}, {"$ref": "#/nowhere"}, doubling(60),
                                    {"pattern": "(a|aa)+$"}])
def test_a_schema_that_cannot_be_applied_fails_the_answer(schema):
    assert not passes(FitsSchema(schema=schema), json.dumps("a" * 20_000 + "b"))


def test_a_number_too_large_for_a_schemas_arithmetic_fails_the_answer():
    assert not passes(FitsSchema(schema={"multipleOf": 0.1}), "1" + "0" * 400)


def test_chrf_is_sacrebleus_and_takes_the_closest_reference():
    answer, references = "The dog bit the man.", ("Nobody can name it.", "The dog had bit him.")
    score = ChrF(reference=references).check(answer).score
    assert score == pytest.approx(sacrebleu.sentence_chrf(answer, [references[1]]).score / 100)
    assert ChrF(reference=answer).check(answer).score == pytest.approx(1)
    assert ChrF(reference=answer).check("").score == 0
    assert ChrF(reference=answer).check(answer).passed is None


def test_chrf_can_be_given_a_bar():
    check = ChrF(reference="Bonjour, comment allez-vous ?", at_least=60)
    assert check.check("Bonjour, comment allez-vous?").passed
    below = check.check("Guten Tag")
    assert below.passed is False and "below 60" in below.detail and below.score < 0.3


def test_checks_are_plain_data():
    checks = CHECKS.validate_python([
        {"kind": "contains", "text": ["a", "b"]}, {"kind": "json_schema", "schema": {}},
        {"kind": "chrf", "reference": "x", "at_least": 50}])
    assert checks == (Contains(text=("a", "b")), FitsSchema(schema={}),
                      ChrF(reference="x", at_least=50))
    assert CHECKS.validate_json(CHECKS.dump_json(checks, by_alias=True)) == checks


@pytest.mark.parametrize("data", [
    [{"kind": "unknown"}], [{"kind": "contains"}], [{"kind": "contains", "text": ""}],
    [{"kind": "contains", "text": "a", "more": 1}], [{"kind": "contains", "text": "a"}] * 21,
    [{"kind": "chrf", "reference": "a", "at_least": 101}], "contains",
])
def test_what_is_no_check_is_refused(data):
    with pytest.raises(ValidationError):
        CHECKS.validate_python(data)


@given(st.sampled_from([Contains(text="a"), Equals(text="a"), Regex(pattern="a+b"),
                        FitsSchema(schema=PERSON), ChrF(reference="abc")]), st.text())
def test_any_answer_gets_a_finding(check, answer):
    assert 0 <= check.check(answer).score <= 1
