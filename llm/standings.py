"""What votes say about models, and when they say nothing yet.

Every figure comes with the 95% interval that its library computes, and with a verdict:
where the interval covers one half, or there are fewer than `MIN_VOTES` votes, the honest
answer is that nothing can be said yet, and that answer is a value of its own.

- Win rates: Wilson score intervals (statsmodels).
- Strengths: Bradley-Terry (evalica), with bootstrap intervals (scipy, through evalica).
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
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations
from typing import TYPE_CHECKING, Any, Protocol

from llm.catalog import ModelSpec, list_models

if TYPE_CHECKING:
    from evalica import BradleyTerryResult

MIN_VOTES = 10
"""Fewer tell nothing: four votes of four for one side happen by chance once in eight times."""
CONFIDENCE = 0.95
RESAMPLES = 500
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
    no_strengths: str | None
    """A sentence that says why there are no Bradley-Terry strengths; None if there are."""
    position: PositionBias | None
    """None without a vote for either side."""
    closed_against_open: Record | None
    """Closed models against open ones, seen from the closed; None if they never met."""


def standings(votes: Iterable[Judged], *, tag: str | None = None,
              catalog: Iterable[ModelSpec] | None = None, seed: int = 0) -> Standings:
    """What these votes say, or those of one `tag`. `seed`: for the bootstrap.

    Whether a model is open comes from the catalog (default: all models there are); one
    that is not in it counts for neither class. Takes about a second for 1,000 votes.
    """
    is_open = {spec.id: spec.open for spec in (list_models() if catalog is None else catalog)}
    votes = [vote for vote in votes if tag is None or vote.tag == tag]
    counted: list[tuple[str, str, str]] = []
    classes: list[tuple[str, str, str]] = []
    for vote in votes:
        left, right = contenders(vote)
        if left != right:
            counted.append((left, right, vote.choice))
        opens = [is_open.get(model) for model in vote.models]
        if set(opens) == {True, False}:
            classes.append(("open" if opens[0] else "closed", "open" if opens[1] else "closed",
                            vote.choice))
    strengths, no_strengths = _strengths(counted, seed)
    names = dict.fromkeys(name for left, right, _ in counted for name in (left, right))
    models = [ModelStanding(name, _record(name, counted), strengths.get(name)) for name in names]
    models.sort(key=lambda model: (model.strength or model.record.rate).value, reverse=True)
    order = [model.name for model in models]
    pairs = [PairStanding(left, right, record) for left, right in combinations(order, 2)
             if (record := _record(left, counted, against=right)).votes]
    return Standings(
        votes=len(counted), left_out=len(votes) - len(counted), models=tuple(models),
        pairs=tuple(pairs), no_strengths=no_strengths, position=_position(counted),
        closed_against_open=_record("closed", classes) if classes else None,
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


def _record(name: str, votes: Sequence[tuple[str, str, str]], against: str | None = None) -> Record:
    counts: Counter[str] = Counter()
    for left, right, choice in votes:
        if name not in (left, right) or against not in (left, right, None):
            continue
        if choice in ("left", "right"):
            choice = "win" if (choice == "left") == (name == left) else "loss"
        counts[choice] += 1
    return Record(counts["win"], counts["loss"], counts["tie"], counts["both_bad"])


def _position(votes: Sequence[tuple[str, str, str]]) -> PositionBias | None:
    from scipy.stats import binomtest

    counts = Counter(choice for _, _, choice in votes)
    left, right = counts["left"], counts["right"]
    if not left + right:
        return None
    p_value = float(binomtest(left, left + right).pvalue)
    return PositionBias(left, right, share(left, left + right), p_value)


def _strengths(votes: Sequence[tuple[str, str, str]], seed: int
               ) -> tuple[dict[str, Estimate], str | None]:
    if len(votes) < MIN_VOTES:
        return {}, f"Strengths need at least {MIN_VOTES} votes."
    import evalica

    choices = {"left": evalica.Winner.X, "right": evalica.Winner.Y}
    xs = [left for left, _, _ in votes]
    ys = [right for _, right, _ in votes]
    winners = [choices.get(choice, evalica.Winner.Draw) for _, _, choice in votes]
    if not _everybody_beat_somebody(xs, ys, winners):
        return {}, ("Strengths need every model to have won and lost, directly or through "
                    "others, against every other one.")
    with warnings.catch_warnings():
        # Where no resample differs there is no interval: NaN, which is asked for below.
        warnings.simplefilter("ignore")
        fit = evalica.bradley_terry(xs, ys, winners, limit=1000)
        bootstrap = evalica.bootstrap(
            _fit_resample, xs, ys, winners, n_resamples=RESAMPLES, confidence_level=CONFIDENCE,
            bootstrap_method="BCa" if len(votes) <= MAX_BCA_VOTES else "percentile",
            random_state=seed,
        )
    seen = Counter(xs) + Counter(ys)
    strengths = {}
    for name, score in fit.scores.items():
        low, high = bootstrap.low[name], bootstrap.high[name]
        if math.isnan(low) or math.isnan(high):
            low, high = 0.0, math.inf
        strengths[name] = Estimate(_chance(score), _chance(low), _chance(high), seen[name])
    return strengths, None


def _fit_resample(xs: Iterable[str], ys: Iterable[str], winners: Iterable[Any], index: Any,
                  weights: Any = None, **options: Any) -> BradleyTerryResult:
    import evalica

    pairs = list(combinations(index, 2))
    weights = [1.0] * len(list(xs)) if weights is None else list(weights)
    return evalica.bradley_terry(
        [*xs, *(left for left, _ in pairs)], [*ys, *(right for _, right in pairs)],
        [*winners, *[evalica.Winner.Draw] * len(pairs)], index,
        [*weights, *[PRIOR] * len(pairs)], limit=1000,
    )


def _chance(score: float) -> float:
    # evalica's scores have a geometric mean of 1, so an average opponent's is 1.
    return 1.0 if math.isinf(score) else float(score / (score + 1))


def _everybody_beat_somebody(xs: Sequence[str], ys: Sequence[str], winners: Sequence[Any]) -> bool:
    """Whether strengths are finite: each model reaches each other by a chain of wins or ties.

    Ford, L. R.: Solution of a Ranking Problem from Binary Comparisons. The American
    Mathematical Monthly 64 (1957). https://doi.org/10.2307/2308513
    """
    import evalica
    from scipy.sparse.csgraph import connected_components

    xs_numbers, ys_numbers, index = evalica.indexing(xs, ys)
    beaten = evalica.matrices(xs_numbers, ys_numbers, winners, index)
    wins = beaten.win_matrix + beaten.tie_matrix
    return connected_components(wins, directed=True, connection="strong",
                                return_labels=False) == 1
