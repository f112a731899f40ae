"""What two answers have in common and what not, as the race page shows it."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from llm.differences import MAX_WORDS, Segment, compare, similarity, steadiness


def changes(left: str, right: str) -> list[tuple[str, str]]:
    return [(segment.left, segment.right) for segment in compare(left, right).segments
            if not segment.same]


def test_only_the_words_that_differ_are_marked():
    assert compare("Paris is big.", "Paris is small.").segments == (
        Segment(True, "Paris is ", "Paris is "),
        Segment(False, "big", "small"),
        Segment(True, ".", "."),
    )


def test_a_word_is_the_same_with_and_without_a_full_stop_after_it():
    assert changes("It is Paris", "It is Paris.") == [("", ".")]


def test_other_white_space_is_no_difference_but_is_kept():
    difference = compare("one  two\n", "one two")
    assert [segment.same for segment in difference.segments] == [True]
    assert (difference.segments[0].left, difference.segments[0].right) == ("one  two\n", "one two")


def test_a_comma_that_both_share_does_not_break_a_change_in_two():
    assert changes("a red, big dog", "a blue, small dog") == [("red, big ", "blue, small ")]


def test_hindi_words_stay_whole_and_chinese_ones_are_compared_by_character():
    assert changes("हिन्दी अच्छी है", "हिन्दी बुरी है") == [("अच्छी ", "बुरी ")]
    assert changes("我爱北京", "我爱南京") == [("北", "南")]


def test_lengths_count_words_and_characters():
    difference = compare("Don't panic, Ada!", "")
    assert (difference.left_words, difference.left_characters) == (3, 17)
    assert (difference.right_words, difference.right_characters) == (0, 0)


@given(st.text(), st.text())
def test_the_segments_hold_both_texts_exactly(left, right):
    segments = compare(left, right).segments
    assert "".join(segment.left for segment in segments) == left
    assert "".join(segment.right for segment in segments) == right
    assert all(before.same != after.same for before, after in pairwise(segments))


@given(st.text())
def test_a_text_is_wholly_the_same_as_itself(text):
    difference = compare(text, text)
    assert all(segment.same for segment in difference.segments)
    assert difference.similarity == 1


def test_a_reply_that_loops_without_end_is_still_compared():
    looping = "the the end of " * (MAX_WORDS // 4 - 1)
    assert changes(looping, looping + "it ") == [("", "it ")]
    assert len(compare(looping * 3, looping * 2).segments) == 1


def test_similarity_runs_from_nothing_in_common_to_the_same():
    assert similarity("abc", "xyz") == 0
    assert similarity("", "") == similarity("Paris", "Paris") == 1
    # Indel distance of kitten and sitting is 5 of 13 characters.
    assert similarity("kitten", "sitting") == 1 - 5 / 13


def test_steadiness_of_runs_that_agree_and_of_runs_that_do_not():
    same = steadiness(["Paris.", "Paris. ", "\nParis."])
    assert (same.runs, same.distinct, same.most_common, same.mean_similarity) == (3, 1, 3, 1)
    mixed = steadiness(["aa", "aa", "zz"])
    assert (mixed.distinct, mixed.most_common) == (2, 2)
    assert mixed.mean_similarity == 1 / 3


def test_one_run_alone_says_nothing_about_steadiness():
    assert steadiness(["Paris."]).mean_similarity is None
    assert steadiness([]).runs == 0
