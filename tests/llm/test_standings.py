"""Statistics of votes, against published figures, another library, and voters made for it."""

import math
from itertools import combinations
from types import SimpleNamespace

import evalica
import numpy as np
import pytest
from scipy.stats import binomtest

from llm.catalog import get_model
from llm.standings import MIN_VOTES, Verdict, contenders, share, standings, standings_by_tag

CATALOG = [get_model(name) for name in ("smollm2-135m", "llama-3.3-70b", "gpt-6-luna",
                                        "gemini-3.8-flash")]


def vote(left, right, choice, *, tag="", settings=({}, {})):
    return SimpleNamespace(models=(left, right), choice=choice, tag=tag, settings=settings)


def times(count, *args, **kwargs):
    return [vote(*args, **kwargs)] * count


# ── Published figures ─────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("wins", "votes", "low", "high"), [
    (81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
])
def test_win_rates_have_the_wilson_intervals_of_newcombe_1998(wins, votes, low, high):
    """Two-sided confidence intervals for the single proportion, Statistics in Medicine 17,
    table I, method 3."""
    found = share(wins, votes)
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


BASEBALL = {
    "Milwaukee": (0, 7, 9, 7, 7, 9, 11), "Detroit": (6, 0, 7, 5, 11, 9, 9),
    "Toronto": (4, 6, 0, 7, 7, 8, 12), "New York": (6, 8, 6, 0, 6, 7, 10),
    "Boston": (6, 2, 6, 7, 0, 7, 12), "Cleveland": (4, 4, 5, 6, 6, 0, 6),
    "Baltimore": (2, 4, 1, 3, 1, 7, 0),
}
"""American League East 1987, wins of the row's team over the column's: Agresti, Categorical
Data Analysis, second edition, 2002, page 438."""

PUBLISHED = {"Milwaukee": 1.5814, "Detroit": 1.4364, "Toronto": 1.2945, "New York": 1.2476,
             "Boston": 1.1077, "Cleveland": 0.6839, "Baltimore": 0.0}
"""Its Bradley-Terry strengths on the log scale, Baltimore's being 0, as the vignette of the R
package BradleyTerry2 (Turner and Firth, Journal of Statistical Software 48, 2012) prints them."""


def baseball():
    return [game for team, wins in BASEBALL.items()
            for other, count in zip(BASEBALL, wins, strict=True)
            for game in times(count, team, other, "left")]


def log_strengths(table):
    return {model.name: math.log(model.strength.value / (1 - model.strength.value))
            for model in table.models}


def test_strengths_are_those_published_for_baseball():
    found = log_strengths(standings(baseball()))
    assert {name: round(found[name] - found["Baltimore"], 4) for name in found} == PUBLISHED
    assert list(found) == list(PUBLISHED), "the strongest first"


def test_strengths_are_those_of_a_logistic_regression():
    """Bradley-Terry is a logistic regression on differences of indicators: statsmodels' own."""
    import statsmodels.api as sm

    teams = list(BASEBALL)
    rows, wins = [], []
    for (i, left), (j, right) in combinations(enumerate(teams), 2):
        row = np.zeros(len(teams))
        row[i], row[j] = 1, -1
        rows.append(row[:-1])
        wins.append((BASEBALL[left][j], BASEBALL[right][i]))
    model = sm.GLM(np.array(wins), np.array(rows), family=sm.families.Binomial()).fit()
    found = log_strengths(standings(baseball()))
    for team, coefficient in zip(teams, model.params, strict=False):
        assert found[team] - found["Baltimore"] == pytest.approx(coefficient, abs=1e-4)


# ── Voters of known strength ──────────────────────────────────────────────────────────


def cast(rng, strengths, count):
    """Votes of people who judge twice by Bradley-Terry and call it a tie if they disagree,
    so that the expected result, ties counted half, is exactly Bradley-Terry's."""
    names = list(strengths)
    votes = []
    for _ in range(count):
        left, right = rng.choice(names, 2, replace=False)
        chance = strengths[left] / (strengths[left] + strengths[right])
        first, second = rng.random(2) < chance
        votes.append(vote(left, right, "tie" if first != second else "left" if first else "right"))
    return votes


@pytest.mark.timeout(400)
@pytest.mark.parametrize(("count", "tables"), [
    (40, 20), pytest.param(200, 80, marks=pytest.mark.slow),
    pytest.param(800, 80, marks=pytest.mark.slow)])
def test_known_strengths_lie_within_their_intervals_at_the_stated_rate(
        count, tables, monkeypatch: pytest.MonkeyPatch):
    # Fewer rounds make an interval's ends less smooth, and no wider.
    monkeypatch.setattr("llm.standings.RESAMPLES", 250)
    strengths = {"a": 4.0, "b": 2.0, "c": 1.0, "d": 0.5}
    mean = math.prod(strengths.values()) ** (1 / 4)
    rng = np.random.default_rng(20)
    hits = {"strength": 0, "rate": 0}
    tries = {"strength": 0, "rate": 0}
    for seed in range(tables):
        table = standings(cast(rng, strengths, count), catalog=[], seed=seed)
        for model in table.models:
            if model.strength is not None:
                true = strengths[model.name] / (strengths[model.name] + mean)
                hits["strength"] += model.strength.low <= true <= model.strength.high
                tries["strength"] += 1
        for pair in table.pairs:
            true = strengths[pair.left] / (strengths[pair.left] + strengths[pair.right])
            hits["rate"] += pair.record.rate.low <= true <= pair.record.rate.high
            tries["rate"] += 1
    assert tries["strength"] >= 3 * tables
    # 95% is stated. The intervals of one table hang together, hence the fourth of the tries.
    for figure in hits:
        few = binomtest(round(hits[figure] / 4), round(tries[figure] / 4), 0.95, "less")
        assert few.pvalue > 0.01, f"{figure}: {hits[figure]} of {tries[figure]}"


def test_there_are_rounds_enough_that_chance_in_them_is_not_seen():
    votes = cast(np.random.default_rng(3), {"a": 3.0, "b": 2.0, "c": 1.0}, 100)
    one, other = (standings(votes, catalog=[], seed=seed).models for seed in (1, 2))
    for first, second in zip(one, other, strict=True):
        assert first.strength.low == pytest.approx(second.strength.low, abs=0.01)
        assert first.strength.high == pytest.approx(second.strength.high, abs=0.01)


def test_ten_thousand_votes_cost_a_fit_no_more_than_a_hundred(monkeypatch):
    """What is fitted, thousands of times, is how often each kind of vote was cast."""
    rows, fit = [], evalica.bradley_terry
    monkeypatch.setattr("evalica.bradley_terry", lambda xs, *args, **kwargs: (
        rows.append(len(xs)), fit(xs, *args, **kwargs))[1])
    table = standings(cast(np.random.default_rng(5), {"a": 3.0, "b": 2.0, "c": 1.0}, 10_000),
                      catalog=[])
    assert table.votes == 10_000 and table.no_strengths is None
    assert len(rows) > 1_000 and max(rows) <= 3 * 2 * 3 + 3


def test_a_file_that_names_thousands_of_models_is_counted_and_not_ranked():
    # Ends, or the suite's time limit says that it does not.
    table = standings([one for number in range(4_000)
                       for one in times(1, f"a{number}", f"b{number}", "left")], catalog=[])
    assert (len(table.models), len(table.pairs)) == (8_000, 4_000)
    assert "50 models at most" in str(table.no_strengths)


def test_voters_without_a_preference_seldom_make_anything_said():
    rng = np.random.default_rng(4)
    wins = rng.binomial(40, 0.5, 2000)
    said = sum(share(int(won), 40).verdict is not Verdict.NOTHING_YET for won in wins)
    assert said / 2000 <= 0.06


# ── What is said ──────────────────────────────────────────────────────────────────────


def test_without_votes_there_are_no_standings():
    table = standings([])
    assert (table.votes, table.models, table.pairs, table.position) == (0, (), (), None)
    assert "at least 10 votes" in str(table.no_strengths)


def test_few_votes_say_nothing_yet_however_one_sided():
    table = standings(times(MIN_VOTES - 1, "a", "b", "left"))
    assert table.pairs[0].record.rate.low > 0.5
    assert table.pairs[0].record.rate.verdict is Verdict.NOTHING_YET
    assert "at least 10 votes" in str(table.no_strengths)


def test_an_interval_that_covers_one_half_says_nothing_yet():
    table = standings(times(8, "a", "b", "left") + times(6, "a", "b", "right"))
    assert table.pairs[0].record.rate.verdict is Verdict.NOTHING_YET
    assert [model.strength.verdict for model in table.models] == [Verdict.NOTHING_YET] * 2


def test_enough_votes_for_one_side_say_so_of_both():
    table = standings(times(30, "a", "b", "left") + times(5, "b", "a", "left"))
    assert [model.name for model in table.models] == ["a", "b"]
    assert [model.record.rate.verdict for model in table.models] == [Verdict.ABOVE, Verdict.BELOW]
    assert [model.strength.verdict for model in table.models] == [Verdict.ABOVE, Verdict.BELOW]
    assert table.pairs[0].record.wins == 30


def test_ties_and_both_bad_count_half_and_are_told_apart():
    record = standings(times(4, "a", "b", "left") + times(2, "a", "b", "tie")
                       + times(2, "b", "a", "both_bad")).pairs[0].record
    assert (record.wins, record.losses, record.ties, record.both_bad) == (4, 0, 2, 2)
    assert record.rate.value == 6 / 8


def test_one_that_never_lost_has_no_finite_strength_and_the_table_says_why():
    table = standings(times(20, "a", "b", "left") + times(6, "b", "c", "left")
                      + times(5, "c", "b", "left"))
    assert all(model.strength is None for model in table.models)
    assert "won and lost" in str(table.no_strengths)
    assert table.models[0].name == "a" and table.models[0].record.rate.verdict is Verdict.ABOVE


def test_models_that_never_met_even_through_others_are_not_ranked_by_strength():
    table = standings(times(9, "a", "b", "tie") + times(9, "c", "d", "tie"))
    assert table.no_strengths and {model.strength for model in table.models} == {None}


def test_nothing_but_ties_is_no_preference():
    table = standings(times(30, "a", "b", "tie"))
    assert [model.strength.verdict for model in table.models] == [Verdict.NOTHING_YET] * 2
    # No resample differs, so the bootstrap has no interval: anything is possible.
    assert [(model.strength.low, model.strength.high) for model in table.models] == [(0, 1)] * 2


def test_the_side_of_the_screen_is_tested():
    even = standings(times(30, "a", "b", "left") + times(30, "a", "b", "right")).position
    assert (even.left_wins, even.right_wins, even.p_value) == (30, 30, 1.0)
    assert even.left_rate.verdict is Verdict.NOTHING_YET
    # 1 of 2^20 one way, and as much the other.
    biased = standings(times(10, "a", "b", "left") + times(10, "b", "a", "left")).position
    assert biased.p_value == pytest.approx(2 / 2**20)
    assert biased.left_rate.verdict is Verdict.ABOVE
    assert standings(times(9, "a", "b", "tie")).position is None


def test_closed_models_stand_against_open_ones_as_classes():
    table = standings(
        times(12, "gpt-6-luna", "smollm2-135m", "left")
        + times(3, "llama-3.3-70b", "gemini-3.8-flash", "left")
        + times(50, "gpt-6-luna", "gemini-3.8-flash", "right")  # both closed
        + times(50, "gpt-6-luna", "gone-from-the-catalog", "right"),
        catalog=CATALOG)
    record = table.closed_against_open
    assert (record.wins, record.losses, record.votes) == (12, 3, 15)
    assert record.rate.verdict is Verdict.ABOVE
    assert standings(times(5, "gpt-6-luna", "gemini-3.8-flash", "left"),
                     catalog=CATALOG).closed_against_open is None


def test_each_tag_has_standings_of_its_own():
    tables = standings_by_tag(times(1, "a", "b", "tie") + times(12, "a", "b", "left", tag="facts")
                              + times(12, "a", "b", "right", tag="code"))
    assert list(tables) == ["", "code", "facts"]
    assert tables["facts"].models[0].name == "a" and tables["code"].models[0].name == "b"
    assert tables[""].votes == 1


def test_one_model_twice_is_told_apart_by_the_settings_that_differ():
    warm = vote("a", "a", "left", settings=({"temperature": 1.0, "seed": 1}, {"seed": 1}))
    assert contenders(warm) == ("a, temperature 1.0", "a, temperature not set")
    table = standings([warm, vote("a", "a", "left")])
    assert (table.votes, table.left_out) == (1, 1)


def test_the_same_votes_give_the_same_table():
    votes = cast(np.random.default_rng(0), {"a": 2.0, "b": 1.0, "c": 1.0}, 50)
    assert standings(votes) == standings(votes[::-1]) == standings(votes)
