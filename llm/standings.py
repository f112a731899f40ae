"""What votes say about models, and when they say nothing yet.

Every figure comes with the 95% interval that its library computes, and with a verdict:
where the interval covers one half, or there are fewer than `MIN_VOTES` votes, the honest
answer is that nothing can be said yet, and that answer is a value of its own.

- Win rates: Wilson score intervals (statsmodels).
- Strengths: Bradley-Terry (evalica), with bootstrap intervals (scipy).
- Position bias: an exact binomial test (scipy).

A tie counts as half a win for both sides, and so does "both bad". Intervals are for one
figure at a time: of twenty that say something, one may be wrong.

It works on votes and on anything else that was judged pair by pair (`Judged`). It does
not know where they come from.
"""

from __future__ import annotations

import math
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

from llm.catalog import ModelSpec, list_models
from llm.wording import Wording

if TYPE_CHECKING:
    import numpy as np

Tally = Counter[tuple[str, str, str]]
"""How often each (left, right, choice) was cast."""

MIN_VOTES = 10
"""Fewer tell nothing: four votes of four for one side happen by chance once in eight times."""
CONFIDENCE = 0.95
RESAMPLES = 2_000
"""Another seed then moves an interval's ends by less than the whole percents that are shown."""
MAX_RANKED = 50
"""Contenders whose strengths are worked out. Resamples cost the square of their number: with
this many two seconds, with 200 minutes and a gigabyte, and a file may name thousands."""
MAX_BCA_VOTES = 500
"""Up to here the bootstrap is bias-corrected and accelerated, which fits once more for each
vote; simulated, its intervals hold the true strength in 94% of cases where the plain
percentiles do in 91% (40 votes). Beyond, the two agree."""
PRIOR = 0.1
"""Weight of one tie added to each pair in a resample, so that one in which somebody lost
nothing has a finite strength too."""


class Judged(Protocol):
    """One comparison of two sides: a `Vote`, or a judge model's finding."""

    @property
    def models(self) -> tuple[str, str]: ...
    @property
    def settings(self) -> tuple[dict[str, Any], dict[str, Any]]: ...
    @property
    def choice(self) -> str: ...
    @property
    def tag(self) -> str: ...


class Verdict(StrEnum):
    ABOVE = "above one half"
    BELOW = "below one half"
    NOTHING_YET = "nothing can be said yet"


@dataclass(frozen=True)
class Estimate:
    """A share between 0 and 1, its 95% interval, and how many votes it rests on."""

    value: float
    low: float
    high: float
    votes: int

    @property
    def verdict(self) -> Verdict:
        if self.votes >= MIN_VOTES and self.low > 0.5:
            return Verdict.ABOVE
        if self.votes >= MIN_VOTES and self.high < 0.5:
            return Verdict.BELOW
        return Verdict.NOTHING_YET


@dataclass(frozen=True)
class Record:
    """How often somebody won, lost, tied, and was as bad as the other."""

    wins: int
    losses: int
    ties: int
    both_bad: int

    @property
    def votes(self) -> int:
        return self.wins + self.losses + self.ties + self.both_bad

    @property
    def rate(self) -> Estimate:
        """The win rate, ties counted half, with its Wilson interval. Needs a vote."""
        return share(self.wins + (self.ties + self.both_bad) / 2, self.votes)


@dataclass(frozen=True)
class PairStanding:
    """`left` against `right`, seen from `left`. Which side each was shown on plays no part."""

    left: str
    right: str
    record: Record


@dataclass(frozen=True)
class ModelStanding:
    """One model, or one model with certain settings, against all others it met."""

    name: str
    record: Record
    strength: Estimate | None
    """The chance to beat an opponent of average strength (the geometric mean of all).
    None: not to be had, see `Standings.no_strengths`."""


@dataclass(frozen=True)
class PositionBias:
    """Whether votes favour a side of the screen. Ties play no part."""

    left_wins: int
    right_wins: int
    left_rate: Estimate
    p_value: float
    """Of so uneven a split, or more, if the side made no difference (two-sided, exact)."""


@dataclass(frozen=True)
class Standings:
    votes: int
    """How many there were to count."""
    left_out: int
    """Votes between a model and itself with the same settings: they compare nothing."""
    models: tuple[ModelStanding, ...]
    """The strongest first."""
    pairs: tuple[PairStanding, ...]
    no_strengths: Wording | None
    """A sentence that says why there are no Bradley-Terry strengths; None if there are."""
    position: PositionBias | None
    """None without a vote for either side."""
    closed_against_open: Record | None
    """Closed models against open ones, seen from the closed; None if they never met."""


def standings(votes: Iterable[Judged], *, tag: str | None = None,
              catalog: Iterable[ModelSpec] | None = None, seed: int = 0) -> Standings:
    """What these votes say, or those of one `tag`. `seed`: for the bootstrap.

    Whether a model is open comes from the catalog (default: all models there are); one
    that is not in it counts for neither class. Takes a second for 10,000 votes.
    """
    is_open = {spec.id: spec.open for spec in (list_models() if catalog is None else catalog)}
    votes = [vote for vote in votes if tag is None or vote.tag == tag]
    cast: list[tuple[str, str, str]] = []
    classes: Tally = Counter()
    for vote in votes:
        left, right = contenders(vote)
        if left != right:
            cast.append((left, right, vote.choice))
        opens = [is_open.get(model) for model in vote.models]
        if set(opens) == {True, False}:
            first, second = ("open" if one else "closed" for one in opens)
            classes[first, second, vote.choice] += 1
    counted: Tally = Counter(sorted(cast))  # The same table in whatever order they came.
    strengths, no_strengths = _strengths(counted, seed)
    models = [ModelStanding(name, record, strengths.get(name))
              for name, record in _records(counted).items()]
    models.sort(key=lambda model: (model.strength or model.record.rate).value, reverse=True)
    place = {model.name: number for number, model in enumerate(models)}
    met = sorted((place[left], place[right], left, right, record) for (left, right), record
                 in _records_of_pairs(counted).items() if place[left] < place[right])
    pairs = [PairStanding(left, right, record) for _, _, left, right, record in met]
    return Standings(
        votes=counted.total(), left_out=len(votes) - counted.total(), models=tuple(models),
        pairs=tuple(pairs), no_strengths=no_strengths, position=_position(counted),
        closed_against_open=_records(classes).get("closed"),
    )


def standings_by_tag(votes: Sequence[Judged], *, catalog: Iterable[ModelSpec] | None = None,
                     seed: int = 0) -> dict[str, Standings]:
    """The standings of each tag alone, the tags in alphabetical order. No tag is ""."""
    catalog = list_models() if catalog is None else list(catalog)
    return {tag: standings(votes, tag=tag, catalog=catalog, seed=seed)
            for tag in sorted({vote.tag for vote in votes})}


def share(successes: float, trials: int) -> Estimate:
    """A proportion with its Wilson score interval. `successes` may hold halves."""
    from statsmodels.stats.proportion import proportion_confint

    low, high = proportion_confint(successes, trials, alpha=1 - CONFIDENCE, method="wilson")
    return Estimate(successes / trials, float(low), float(high), trials)


def contenders(vote: Judged) -> tuple[str, str]:
    """Who stood on the left and who on the right: the models' ids, and where it was the same
    model twice, those settings too in which the sides differ."""
    left, right = vote.models
    if left != right:
        return left, right
    first, second = vote.settings
    differing = [name for name in sorted({*first, *second}) if first.get(name) != second.get(name)]
    return _with_settings(left, first, differing), _with_settings(right, second, differing)


def _with_settings(model: str, settings: dict[str, Any], names: Sequence[str]) -> str:
    return ", ".join([model, *(f"{name} {settings.get(name, 'not set')}" for name in names)])


def _names(votes: Tally) -> list[str]:
    return list(dict.fromkeys(name for left, right, _ in votes for name in (left, right)))


def _records(votes: Tally) -> dict[str, Record]:
    """Everybody's record, in the order of `_names`."""
    counts: Tally = Counter()
    for (name, _against, came), count in _seen_from_both(votes):
        counts[name, "", came] += count
    return {name: _record(name, "", counts) for name in _names(votes)}


def _records_of_pairs(votes: Tally) -> dict[tuple[str, str], Record]:
    """The record of one against another, for all who met, both ways."""
    counts: Tally = Counter()
    for key, count in _seen_from_both(votes):
        counts[key] += count
    return {(name, against): _record(name, against, counts) for name, against, _ in counts}


def _seen_from_both(votes: Tally) -> Iterator[tuple[tuple[str, str, str], int]]:
    """((somebody, the other, "win", "loss", "tie" or "both_bad"), how often), from either side."""
    seen = {"left": ("win", "loss"), "right": ("loss", "win")}
    for (left, right, choice), count in votes.items():
        from_left, from_right = seen.get(choice, (choice, choice))
        yield (left, right, from_left), count
        yield (right, left, from_right), count


def _record(name: str, against: str, counts: Tally) -> Record:
    return Record(*(counts[name, against, came] for came in ("win", "loss", "tie", "both_bad")))


def _position(votes: Tally) -> PositionBias | None:
    from scipy.stats import binomtest

    counts: Counter[str] = Counter()
    for (_, _, choice), count in votes.items():
        counts[choice] += count
    left, right = counts["left"], counts["right"]
    if not left + right:
        return None
    p_value = float(binomtest(left, left + right).pvalue)
    return PositionBias(left, right, share(left, left + right), p_value)


def _strengths(votes: Tally, seed: int) -> tuple[dict[str, Estimate], Wording | None]:
    if votes.total() < MIN_VOTES:
        return {}, Wording("Strengths need at least {least} votes.", least=MIN_VOTES)
    if len(_names(votes)) > MAX_RANKED:
        return {}, Wording("Strengths are worked out for {most} models at most.", most=MAX_RANKED)
    if not _everybody_beat_somebody(votes):
        return {}, Wording("Strengths need every model to have won and lost, directly or through "
                           "others, against every other one.")
    import numpy as np
    from scipy.stats import bootstrap

    fit = _bradley_terry(votes)
    counts = list(votes.values())

    def fit_resample(drawn: np.ndarray) -> np.ndarray:
        # Votes alike are told apart by nothing: what matters is how often each kind is drawn.
        return fit(np.bincount(drawn, minlength=len(counts)), PRIOR)

    with warnings.catch_warnings():
        # Where no resample differs there is no interval: NaN, which is asked for below.
        warnings.simplefilter("ignore")
        interval = bootstrap(
            (np.repeat(np.arange(len(counts)), counts),), fit_resample, vectorized=False,
            n_resamples=RESAMPLES, confidence_level=CONFIDENCE, rng=np.random.default_rng(seed),
            method="BCa" if votes.total() <= MAX_BCA_VOTES else "percentile",
        ).confidence_interval
    strengths = {}
    for (name, record), score, low, high in zip(_records(votes).items(), fit(counts, 0.0),
                                                interval.low, interval.high, strict=True):
        if math.isnan(low) or math.isnan(high):
            low, high = 0.0, math.inf
        strengths[name] = Estimate(_chance(score), _chance(low), _chance(high),
                                   record.votes)
    return strengths, None


def _bradley_terry(votes: Tally) -> Callable[[Iterable[float], float], np.ndarray]:
    """What fits scores, in the order of `_names`, to how often each kind of vote was cast,
    and to a tie of the given weight between each two."""
    import evalica

    numbers = {name: number for number, name in enumerate(_names(votes))}
    ties = list(combinations(numbers.values(), 2))
    pairs = [*((numbers[left], numbers[right]) for left, right, _ in votes), *ties]
    # Numbers: an index of names would be built anew for each of thousands of fits.
    xs, ys = [left for left, _ in pairs], [right for _, right in pairs]
    choices = {"left": evalica.Winner.X, "right": evalica.Winner.Y}
    winners = [choices.get(choice, evalica.Winner.Draw) for _, _, choice in votes]
    winners += [evalica.Winner.Draw] * len(ties)

    def fit(counts: Iterable[float], tie: float) -> np.ndarray:
        weights = [*map(float, counts), *[tie] * len(ties)]
        found = evalica.bradley_terry(xs, ys, winners, weights=weights, limit=1000)
        return found.scores.sort_index().to_numpy()

    return fit


def _chance(score: float) -> float:
    # evalica's scores have a geometric mean of 1, so an average opponent's is 1.
    return 1.0 if math.isinf(score) else float(score / (score + 1))


def _everybody_beat_somebody(votes: Tally) -> bool:
    """Whether strengths are finite: each model reaches each other by a chain of wins or ties.

    Ford, L. R.: Solution of a Ranking Problem from Binary Comparisons. The American
    Mathematical Monthly 64 (1957). https://doi.org/10.2307/2308513
    """
    import numpy as np
    from scipy.sparse.csgraph import connected_components

    numbers = {name: number for number, name in enumerate(_names(votes))}
    beaten = np.zeros((len(numbers), len(numbers)), dtype=bool)
    for left, right, choice in votes:
        i, j = numbers[left], numbers[right]
        beaten[i, j] |= choice != "right"
        beaten[j, i] |= choice != "left"
    return connected_components(beaten, directed=True, connection="strong",
                                return_labels=False) == 1
