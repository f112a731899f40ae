"""Prompt sets: what people type or bring, filled in safely, refused with the row that is wrong."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.checks import ChrF, Contains, Regex
from llm.errors import ImportRefusedError
from llm.prompt_sets import (
    MAX_BYTES,
    MAX_PROMPTS,
    fill,
    form_of,
    list_shipped,
    load_prompt_set,
    parse_prompt_set,
    variables_in,
)


def read(text: str, form: str = "csv", **options):
    return parse_prompt_set(text.encode(), name="mine", form=form, **options)


def prompts(text: str, form: str = "csv", **options) -> list[str]:
    return [prompt.prompt for prompt in read(text, form, **options).prompts]


# ── Typed text ────────────────────────────────────────────────────────────────────────


def test_typed_text_is_one_prompt_a_line():
    typed = read("Why is the sky blue?\n\n  And {x.__class__}? \r\n", "text")
    assert [(prompt.number, prompt.prompt) for prompt in typed.prompts] == [
        (1, "Why is the sky blue?"), (2, "And {x.__class__}?")]


# ── Variables ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("template", "filled"), [
    ("{city}", "Paris"), ("{city}{city}", "ParisParis"), ("{ city }", "{ city }"),
    ("{{city}}", "{Paris}"), ("{city.__class__}", "{city.__class__}"), ("{city[0]}", "{city[0]}"),
    ("{city!r}", "{city!r}"), ("{city:>9}", "{city:>9}"), ("{0} {} {", "{0} {} {"),
    ("{unknown}", "{unknown}"), ('{"a": 1}', '{"a": 1}'), ("{evil}", "{city} {evil}"),
    ("{first name}, {शहर}", "Ada, दिल्ली"),
])
def test_only_names_in_braces_are_filled_and_only_once(template, filled):
    assert fill(template, {"city": "Paris", "evil": "{city} {evil}", "first name": "Ada",
                           "शहर": "दिल्ली"}) == filled


@given(st.text(), st.dictionaries(st.text("abc", min_size=1), st.text(max_size=20)))
def test_whatever_is_not_a_variable_stays(template, values):
    if not set(variables_in(template)) & set(values):
        assert fill(template, values) == template


def test_columns_fill_the_prompt_and_the_system_instruction():
    (one, two) = read("prompt,system,city,n\n"
                      "Where is {city}?,Use {n} words.,Paris,5\n"
                      "\"What, {city}\nagain?\",,Rome,6\n").prompts
    assert (one.prompt, one.system) == ("Where is Paris?", "Use 5 words.")
    assert (two.prompt, two.system) == ("What, Rome\nagain?", "")


def test_empty_lines_above_the_header_are_passed_over_and_still_counted():
    assert prompts("\r\n\r\nprompt;city\r\nWhere is {city}?;Paris\r\n") == ["Where is Paris?"]
    with pytest.raises(ImportRefusedError, match="Row 4: it has 2 cells"):
        read("\n\nprompt\nHello, you\n")


def test_one_template_serves_all_rows():
    assert prompts("city\nParis\nRome\n", template="Where is {city}?") == [
        "Where is Paris?", "Where is Rome?"]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
def test_a_spreadsheet_may_separate_by_its_own_sign_and_begin_with_a_mark(separator):
    text = "\ufeff" + separator.join(["prompt", "tag"]) + "\r\n" + separator.join(["Hi", "x"])
    assert read(text).prompts[0].tag == "x"


def test_what_a_spreadsheet_adds_and_how_it_writes_names_is_no_fault():
    (row,) = read("Prompt,EXPECTED,,\nHi,Paris,,\n,,,\n").prompts
    assert (row.prompt, row.expected) == ("Hi", ("Paris",))
    assert prompts("prompt,a\n{a}!,b,,\n{a}?\n") == ["b!", "{a}?"]


def test_json_lines_hold_variables_as_text_or_numbers_and_whatever_else_is_not_used():
    row = json.dumps({"prompt": "{a} and {b}", "a": "x", "b": 2, "tag": 7, "source": {"page": 1},
                      "checked": None})
    found = read(row + "\n\n" + row, "jsonl")
    assert [(one.prompt, one.tag) for one in found.prompts] == [("x and 2", "7")] * 2
    assert [str(note) for note in found.notes] == [
        f"The column “{name}” is not used in any prompt." for name in ("source", "checked")]


def test_one_json_list_is_taken_as_its_entries_are():
    assert prompts(json.dumps([{"prompt": "a"}, {"prompt": "b"}], indent=1), "jsonl") == ["a", "b"]
    for text, said in (("[]", "no prompts"),
                       ('[{"prompt": "a"}, 7]', "Entry 2 is not a JSON object"),
                       ('[{"prompt": "a"}, {"city": "b"}]', "Entry 2: it holds no prompt"),
                       ('[{"prompt": "a"}', "This list is not JSON")):
        with pytest.raises(ImportRefusedError, match=said):
            read(text, "jsonl")


def test_slips_are_noted():
    notes = read("prompt,city,color\nWhere is {town}?,Paris,red\nIn {city},Rome,red\n").notes
    assert tuple(map(str, notes)) == ("{town} in prompt 1 stays as it is: there is no such column.",
                     "The column “color” is not used in any prompt.")
    assert read("What is {x}?", "text").notes == ()


# ── Checks ────────────────────────────────────────────────────────────────────────────


def test_expected_answers_references_and_checks_become_checks():
    (row,) = read('prompt,expected,reference,checks\n'
                  'Hi,Paris,Bonjour,"[{""kind"": ""regex"", ""pattern"": ""^a""}]"\n').prompts
    assert row.checks == (Regex(pattern="^a"), Contains(text=("Paris",)),
                          ChrF(reference=("Bonjour",)))
    assert row.expected == ("Paris",)
    (row,) = read(json.dumps({"prompt": "Hi", "expected": ["two", 2]}), "jsonl").prompts
    assert row.checks == (Contains(text=("two", "2")),)


# ── Bad files ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("text", "form", "said"), [
    ("", "text", "no prompts"), ("\n \n", "text", "no prompts"), ("", "csv", "no prompts"),
    ("\n\n", "csv", "no prompts"), ("", "jsonl", "no prompts"),
    ("prompt\n", "csv", "no prompts"), ("prompt,prompt\na,b", "csv", "a name of its own"),
    ("prompt,,x\na,b,c", "csv", "a name of its own"),
    (",".join("abc") * 60, "csv", "1 to 100 columns"),
    ("prompt\nok\na,b,c\n", "csv", "Row 3: it has 3 cells, the header has 1"),
    ('prompt\n"open', "csv", "Row 2 is not CSV"),
    ("city\nParis\n", "csv", "Row 2: it holds no prompt: none of its columns is called “prompt”"),
    ("prompt,city\n,Paris\n", "csv", "Row 2: it holds no prompt."),
    ("Question\nHi\n", "csv", "none of its columns is called “prompt” (Question)"),
    ('prompt,checks\nHi,[', "csv", "Row 2: checks is not JSON"),
    ('prompt,checks\nHi,{}', "csv", "Row 2: checks is not a JSON list"),
    ('prompt,checks\nHi,"[{""kind"": ""nonsense""}]"', "csv", "Row 2: checks.0"),
    ('prompt,checks\nHi,"[{""kind"":""regex"",""pattern"":""(""}]"', "csv", "no regular expr"),
    ('{"prompt": "ok"}\n{"prompt": ""}', "jsonl", "Line 2: it holds no prompt"),
    ('{"prompt": "ok"}\n{"prompt": 7}', "jsonl", "Line 2: prompt and system must be text"),
    ('{"prompt": "ok"}\n[1]', "jsonl", "Line 2 is not a JSON object"),
    ('{"prompt": "ok"}\nnot JSON', "jsonl", "Line 2 is not JSON"),
    ("[" * 9999, "jsonl", "This list is not JSON"),
    ('{"prompt": "\\ud800"}', "jsonl", "Line 1 is not JSON"),
    ('{"prompt": "{x}", "x": {"lc": 1}}', "jsonl", "Line 1: “x” must be text or a number"),
    ('{"prompt": "a", "expected": {}}', "jsonl", "must be text, or lists of texts"),
    ('{"prompt": "a", "checks": "b"}', "jsonl", "Line 1: checks is not a JSON list"),
    ('{"prompt": "a", "checks": 5}', "jsonl", "Line 1: checks is not a JSON list"),
    ('{"prompt": "a", "tag": "' + "x" * 101 + '"}', "jsonl", "Line 1: tag"),
    ("a" * 100_001, "text", "Line 1: prompt"),
    (json.dumps({"prompt": "{a}" * 30_000, "a": "x" * 90_000}), "jsonl", "Line 1: filled in"),
    ("a\n" * (MAX_PROMPTS + 1), "text", "more than 10,000 prompts"),
])
def test_a_bad_file_is_refused_naming_the_row(text, form, said):
    with pytest.raises(ImportRefusedError, match="(?s)" + re.escape(said)):
        read(text, form)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_any_editor_is_read(encoding):
    data = "नमस्ते\nnaïve, now".encode(encoding)
    assert [prompt.prompt for prompt in parse_prompt_set(data, name="x", form="text").prompts] == [
        "नमस्ते", "naïve, now"]


def test_bytes_that_are_no_text_or_too_many_are_refused():
    for data in (*("naïve, now".encode(name) for name in ("utf-16-le", "cp1252")),
                 "plain".encode("utf-16-le"), b"\xff\xfe\x00"):
        with pytest.raises(ImportRefusedError, match="not UTF-8"):
            parse_prompt_set(data, name="x", form="text")
    with pytest.raises(ImportRefusedError, match="Split it"):
        parse_prompt_set(b"a" * (MAX_BYTES + 1), name="x", form="text")


@given(st.binary(max_size=200), st.sampled_from(["text", "csv", "jsonl"]))
def test_any_bytes_are_taken_in_or_refused(data, form):
    try:
        parse_prompt_set(data, name="x", form=form)
    except ImportRefusedError:
        pass


@given(st.text(max_size=200), st.sampled_from(["csv", "jsonl"]))
def test_any_text_is_taken_in_or_refused(text, form):
    try:
        read("prompt,checks\n" + text if form == "csv" else text, form)
    except (ImportRefusedError, UnicodeEncodeError):
        pass


def test_a_file_that_is_not_there_is_refused_naming_the_sets_there_are(tmp_path):
    for path in (tmp_path / "none.csv", tmp_path, "\0"):
        with pytest.raises(ImportRefusedError, match="translation"):
            load_prompt_set(path)


def test_the_end_of_a_name_tells_what_a_file_holds(tmp_path):
    assert [form_of(name) for name in ("A.CSV", "b.tsv", "c.jsonl", "d.json", "d.txt", "e")] == [
        "csv", "csv", "jsonl", "jsonl", "text", "text"]
    (tmp_path / "mine.csv").write_text("prompt\nHi\n", encoding="utf-8")
    loaded = load_prompt_set(tmp_path / "mine.csv")
    assert (loaded.name, loaded.prompts[0].prompt) == ("mine", "Hi")


def test_a_set_has_the_same_fingerprint_whatever_it_was_read_from():
    typed = read("Hi\nHo", "text")
    assert read("prompt\nHi\nHo").fingerprint == typed.fingerprint
    assert read("prompt\nHo\nHi").fingerprint != typed.fingerprint


# ── The sets that come with Parley ────────────────────────────────────────────────────

RIGHT = """Paris.|Its symbol is Au.|A spider has eight legs.|Mercury|William Shakespeare wrote it.
1969|The Pacific Ocean|At 100 degrees.|Portuguese|They take in CO2.|366|The heart
43|72|36|9|4.2|YELLOW|apple, pear, fig|The sea is very deep.
Monday\\nTuesday\\nWednesday\\nThursday\\nFriday\\nSaturday\\nSunday
The quick brown fox jumps over 13 lazy dogs.|maerts|Air scatters blue light more than red.|No.
apple fig pear|{"name": "Ada", "age": 36}|["red", "blue", "green", "yellow"]
```json\\n{"date": "2027-03-05", "room": 12}\\n```|Her brother drove her."""


def test_each_check_of_the_facts_passes_a_right_answer_and_no_empty_talk():
    facts = load_prompt_set("short-facts-and-instructions").prompts
    answers = [answer.replace("\\n", "\n") for answer in RIGHT.replace("\n", "|").split("|")]
    assert len(facts) == len(answers) == 30
    for prompt, answer in zip(facts, answers, strict=True):
        assert prompt.checks
        assert all(check.check(answer).passed for check in prompt.checks), (prompt, answer)
        talk = "I am sorry, but I cannot help you with this request; please ask me anything else!"
        assert not all(check.check(talk).passed for check in prompt.checks), prompt


def test_translations_score_full_marks_for_a_reference_and_few_for_another_language():
    translations = load_prompt_set("translation").prompts
    assert len(translations) == 32
    assert {prompt.tag for prompt in translations} == {
        f"English to {language}" for language in ("French", "Spanish", "German", "Hindi")}
    for prompt in translations:
        assert prompt.tag.split()[-1] in prompt.system
        (check,) = prompt.checks
        assert all(check.check(text).score == pytest.approx(1) for text in prompt.expected)
        assert check.check(prompt.prompt).score < 0.5, "the English text given back"


def test_the_shipped_sets_have_no_slips():
    assert list_shipped() == ["short-facts-and-instructions", "translation"]
    assert [load_prompt_set(name).notes for name in list_shipped()] == [(), ()]
