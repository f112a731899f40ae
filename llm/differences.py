"""What differs between answers: word by word, by similarity, and from run to run.

    for segment in compare(left, right).segments:
        segment.left, segment.right, segment.same

It knows texts alone: no models, no replies and nothing of how differences are drawn.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import fmean

import regex
from rapidfuzz import fuzz
from rapidfuzz.distance import Indel

MAX_WORDS = 20_000
"""The alignment keeps one bit for each pair of words: 50 MB at this many on both sides.
Longer texts are not aligned, only compared as wholes."""

_WORDS = regex.compile(
    # Scripts written without spaces: each character is a word of its own.
    r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}]\p{M}*\s*"
    # The package regex counts marks to the letters they stand on, as in Hindi; re does not.
    r"|\w+(?:['’]\w+)*\s*|[^\w\s]\s*|\s+"
)


@dataclass(frozen=True)
class Segment:
    """A stretch of both texts, with the white space that follows its words.

    `same`: both say it (white space may still differ). Otherwise `left` is said only by
    the left text and `right` only by the right one; either may be empty.
    """

    same: bool
    left: str
    right: str


@dataclass(frozen=True)
class Difference:
    """Two texts compared. All `segment.left` joined are the left text exactly, and so right."""

    segments: tuple[Segment, ...]
    similarity: float
    """0 to 1, see `similarity`."""
    left_words: int
    right_words: int
    left_characters: int
    right_characters: int


@dataclass(frozen=True)
class Steadiness:
    """How alike the answers of several runs are."""

    runs: int
    distinct: int
    """How many different answers came, white space at the ends aside."""
    most_common: int
    """How many runs gave the most frequent one."""
    mean_similarity: float | None
    """The mean over all pairs of runs, 0 to 1; None for fewer than two runs."""


def compare(left: str, right: str) -> Difference:
    """The word-level difference of two texts: words are matched by a longest common subsequence.

    Texts over `MAX_WORDS` words come back as one segment.
    """
    left_pieces, right_pieces = _WORDS.findall(left), _WORDS.findall(right)
    if max(len(left_pieces), len(right_pieces)) > MAX_WORDS:
        segments = [Segment(left == right, left, right)]
    else:
        segments = _align(left_pieces, right_pieces)
    return Difference(
        tuple(segments), similarity(left, right),
        _count_words(left_pieces), _count_words(right_pieces), len(left), len(right),
    )


def similarity(left: str, right: str) -> float:
    """How alike two texts are, 0 to 1: rapidfuzz's ratio, which is the share of characters
    that stay when one is turned into the other by inserting and deleting. Two empty texts: 1.
    """
    return fuzz.ratio(left, right) / 100


def steadiness(answers: Sequence[str]) -> Steadiness:
    """How steady the answers to one prompt are from run to run.

    Each pair is compared: n answers cost n(n-1)/2 comparisons.
    """
    answers = [answer.strip() for answer in answers]
    counts = Counter(answers)
    pairs = [similarity(left, right) for left, right in combinations(answers, 2)]
    return Steadiness(
        runs=len(answers), distinct=len(counts), most_common=max(counts.values(), default=0),
        mean_similarity=fmean(pairs) if pairs else None,
    )


def _align(left: list[str], right: list[str]) -> list[Segment]:
    segments: list[Segment] = []
    opcodes = Indel.opcodes([piece.rstrip() for piece in left], [piece.rstrip() for piece in right])
    for number, step in enumerate(opcodes):
        same = step.tag == "equal"
        left_part = left[step.src_start:step.src_end]
        right_part = right[step.dest_start:step.dest_end]
        if 0 < number < len(opcodes) - 1 and _count_words(left_part) == 0:
            # A lone comma that both sides share does not hold two changes apart.
            same = False
        segment = Segment(same, "".join(left_part), "".join(right_part))
        if segments and segments[-1].same == same:
            last = segments.pop()
            segment = Segment(same, last.left + segment.left, last.right + segment.right)
        segments.append(segment)
    return segments


def _count_words(pieces: list[str]) -> int:
    return sum(any(character.isalnum() for character in piece) for piece in pieces)
