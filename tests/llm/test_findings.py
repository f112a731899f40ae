"""The picture reader says what it knows, how sure it is, and what it cannot tell."""

import re
from string import Formatter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.findings import ALT_LIMIT, NOT_KNOWN, Finding, Findings, conclude, with_article
from llm.text_layout import TextLine
from llm.wording import Wording

PHOTO = {"colours": {"green": 0.5, "brown": 0.3, "black": 0.12, "red": 0.03}, "flat": 0.1,
         "shades": 40, "paper": 0.1, "paper_brightness": 90.0, "second": 0.05}
FLAT = PHOTO | {"flat": 0.95, "shades": 2, "paper": 0.9, "paper_brightness": 240.0,
                "second": 0.02}


def found(*, objects=(), lines=(), measures=PHOTO, size=(800, 600), turned=0, left_out=0,
          unread=0):
    return conclude({"width": size[0], "height": size[1], "objects": objects, "lines": lines,
                     "measures": measures, "turned": turned, "lines_left_out": left_out,
                     "lines_unread": unread})


def text_lines(*texts, confidence=0.99):
    return [(text, confidence, 10.0, 10.0 + 30 * row, 10.0 + 11 * len(text), 32.0 + 30 * row)
            for row, text in enumerate(texts)]


@pytest.mark.parametrize(("probability", "word"), [
    (0.95, "very likely"), (0.80, "very likely"), (0.79, "likely"), (0.60, "likely"),
    (0.59, "maybe"), (0.35, "maybe"),
])
def test_how_sure_it_is_is_a_word_beside_the_figure(probability, word):
    findings = found(objects=[("teapot", probability, False)])
    assert f"teapot ({word}, {probability:.0%})" in findings.as_text()
    assert f"teapot ({word}, {probability:.0%})" in findings.description()


def test_what_is_hardly_likely_is_not_named_at_all():
    findings = found(objects=[("teapot", 0.34, False), ("dog", 0.2, True)])
    assert findings.objects == ()
    assert "teapot" not in findings.as_text() + findings.description() + findings.alt_text()
    assert "none with any confidence" in findings.as_text()
    assert "cannot tell what it shows" in findings.description()


def test_of_equally_sure_names_the_more_exact_comes_first():
    exact = found(objects=[("cup or glass", 0.89, True), ("espresso", 0.86, False)])
    assert exact.objects[0].label == "espresso"
    vague = found(objects=[("cat", 0.87, True), ("Egyptian cat", 0.69, False)])
    assert [thing.label for thing in vague.objects] == ["cat", "Egyptian cat"]
    unsure = found(objects=[("lampshade", 0.37, False), ("light or lamp", 0.5, True)])
    assert unsure.objects[0].label == "light or lamp"


@pytest.mark.parametrize(("measures", "probability"), [
    (FLAT, 0.99), (PHOTO | {"flat": 0.55}, 0.79), (FLAT | {"flat": 0.7}, 0.79)])
def test_things_are_named_in_photos_only(measures, probability):
    assert found(objects=[("envelope", probability, False)], measures=measures).objects == ()


@pytest.mark.parametrize("flat", [0.55, 0.62])
def test_what_may_be_a_photo_is_one_of_what_is_very_likely_on_it(flat):
    seen = [("wild cat", 0.94, True), ("cheetah", 0.91, False), ("leopard", 0.79, False)]
    findings = found(objects=seen, measures=PHOTO | {"flat": flat})
    assert findings.alt_text() == "Picture, very likely of a cheetah, mostly green and brown."
    assert findings.kind is None and "leopard" not in findings.as_text()


def test_a_photographed_page_is_a_document_and_nothing_else():
    page = text_lines(*["a line of a photographed letter that goes on and on"] * 19)
    assert found(objects=[("menu", 0.95, False)], lines=page, size=(600, 849)).objects == ()


@pytest.mark.parametrize(("measures", "lines", "size", "kind"), [
    (PHOTO, (), (800, 600), "photo"),
    (FLAT, (), (800, 600), "drawing"),
    (FLAT, text_lines("Save", "Close", "Undo"), (1920, 1080), "screenshot"),
    (FLAT | {"second": 0.2}, text_lines("Save", "Close", "Undo"), (800, 600), "screenshot"),
    (FLAT, text_lines(*["a line of a letter that goes on"] * 19), (600, 849), "document"),
    (PHOTO, text_lines(*["a line of a photographed letter that goes on and on"] * 19),
     (600, 849), "document"),
    (PHOTO | {"flat": 0.55}, (), (800, 600), None),
])
def test_the_kind_follows_from_flatness_text_and_proportions(measures, lines, size, kind):
    findings = found(measures=measures, lines=lines, size=size)
    assert (findings.kind.label if findings.kind else None) == kind
    assert (kind or "cannot tell") in findings.as_text()


@pytest.mark.parametrize(("objects", "lines", "alt"), [
    ([("cat", 0.87, True)], (), "Photo, very likely of a cat, mostly green and brown."),
    ([("sunglasses", 0.7, False)], (), "Photo, probably of sunglasses, mostly green and brown."),
    ([("espresso maker", 0.4, False)], (),
     "Photo, perhaps of an espresso maker, mostly green and brown."),
    ([], (), "Photo, mostly green and brown; what it shows could not be recognised."),
    ([], text_lines("No entry"), "Photo, with the text “No entry”."),
])
def test_alt_text_is_one_sentence_of_what_is_known(objects, lines, alt):
    assert found(objects=objects, lines=lines).alt_text() == alt


def shouted(wording: Wording, times: int = 1) -> str:
    """Another language: English in capitals, so many times, but for what stands in the gaps."""
    values = {name: shouted(value, times) if isinstance(value, Wording) else value
              for name, value in wording.values.items()}
    return "".join(text.upper() * times + format(values.get(name, ""), form or "")
                   for text, name, form, _as in Formatter().parse(wording.template))


def shouted_thrice(wording: Wording) -> str:
    return shouted(wording, 3)


def test_people_are_told_in_their_language_and_a_model_in_english():
    findings = found(objects=[("cat", 0.87, True)], turned=180, left_out=3,
                     lines=[*text_lines("No entry"), *text_lines("blvrry", confidence=0.7)])
    own = {"cat", "entry", "blvrry"}
    for answer in (findings.as_text, findings.description, findings.alt_text, findings.plain_text):
        lower = set(re.findall("[a-z]{3,}", answer(shouted)))
        assert lower <= own, answer
        assert answer(shouted).upper() == answer().upper()
    assert found().as_markdown(shouted) == found().plain_text(shouted) \
        == found().plain_text().upper()
    assert found().alt_text(shouted).startswith("PHOTO, MOSTLY GREEN AND BROWN; WHAT IT SHOWS")


def test_a_kind_it_is_unsure_of_is_no_part_of_the_alt_text():
    assert found(measures=FLAT | {"flat": 0.7}).alt_text().startswith("Picture, mostly")


def test_text_it_is_unsure_of_is_marked():
    findings = found(lines=[*text_lines("Clear"), *text_lines("Blvrry", confidence=0.7)])
    assert "not sure: Blvrry" in findings.as_text()
    for answer in (findings.description(), findings.plain_text(), findings.as_markdown()):
        assert "Not sure of: Blvrry" in answer
    assert findings.alt_text() == "Photo, with the text “Clear”."


def test_it_says_what_it_does_not_know():
    for findings in (found(), found(lines=text_lines("Hello there"))):
        assert findings.as_text().endswith(NOT_KNOWN)
        assert findings.description().endswith(NOT_KNOWN)


def test_a_picture_without_text_has_none_to_read():
    assert found().plain_text() == found().as_markdown()
    assert found().plain_text().startswith("No text was found in this picture. ")
    assert "no other writing" in found().plain_text()


def test_text_that_was_turned_or_left_out_is_mentioned():
    findings = found(lines=text_lines("Hello there"), turned=180, left_out=12)
    for answer in (findings.as_text(), findings.description(), findings.plain_text(),
                   findings.as_markdown()):
        assert "stands upside down" in answer
        assert "12 further lines of text were not read" in answer


@pytest.mark.parametrize(("lines", "unread", "says"), [
    ((), 1, "In one place there may be writing that could not be read."),
    (text_lines("Central Library"), 3, "In 3 places there may be writing that could not be read."),
])
def test_what_looks_like_writing_and_was_not_read_is_mentioned(lines, unread, says):
    findings = found(lines=lines, unread=unread)
    for answer in (findings.as_text(), findings.description(), findings.plain_text(),
                   findings.as_markdown(), findings.in_prompt()):
        assert says in answer
        assert "No text was found" not in answer
        assert ("and no other writing" in answer) == (answer != findings.in_prompt())


def test_the_alt_text_of_a_page_that_could_not_be_read_says_so():
    assert found(measures=FLAT, unread=3).alt_text().endswith(
        "; it may hold writing that could not be read.")
    assert "writing" not in found(unread=3).alt_text(), "in a photo it is seldom writing"


def test_a_long_text_is_cut_for_a_prompt_and_that_is_said():
    prompt = found(lines=text_lines(*["words and more words"] * 400)).in_prompt(
        most_characters=1000)
    assert len(prompt) < 1700
    assert "It holds more text, which was left out here." in prompt


@given(st.text(min_size=1, max_size=300), st.floats(0, 1))
def test_no_line_of_a_pictures_text_stands_unquoted_in_a_prompt(text, confidence):
    empty = found(lines=text_lines("")).in_prompt().splitlines()
    for each in found(lines=[(text, confidence, 5, 5, 200, 23)]).in_prompt().splitlines():
        assert each.startswith(">") or not each or each in empty or each in (
            "Some lines may be wrong:",)


@pytest.mark.parametrize(("label", "phrase"), [
    ("cat", "a cat"), ("espresso maker", "an espresso maker"), ("sunglasses", "sunglasses"),
    ("school bus", "a school bus"), ("unicycle", "a unicycle"), ("umbrella", "an umbrella"),
    ("cattle", "cattle"), ("iPod", "an iPod"),
])
def test_labels_get_their_article(label, phrase):
    assert str(with_article(label)) == phrase


lines = st.builds(lambda text, confidence, top: TextLine(text, confidence, 5, top, 200, top + 18),
                  st.text(min_size=1, max_size=200), st.floats(0, 1), st.floats(0, 500))


@given(
    kind=st.none() | st.builds(Finding, st.sampled_from(["photo", "drawing"]), st.floats(0, 1)),
    objects=st.lists(st.builds(Finding, st.text(min_size=1, max_size=150), st.floats(0.35, 1)),
                     max_size=3),
    lines=st.lists(lines, max_size=8),
    colours=st.dictionaries(st.sampled_from(["red", "green", "turquoise"]), st.floats(0, 1)),
)
def test_alt_text_never_exceeds_its_limit(kind, objects, lines, colours):
    findings = Findings(640, 480, kind, tuple(objects), tuple(colours.items()), tuple(lines))
    for say in (str, shouted_thrice):
        assert 0 < len(findings.alt_text(say)) <= ALT_LIMIT
    findings.as_text()
    findings.in_prompt()
    findings.description()
    findings.as_markdown()
