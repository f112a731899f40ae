"""The scorecard's figures are those of the replies: no reply twice, none that failed in a time."""

import csv
import io
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.prices import Cost
from llm.replies import Ending, Reply
from llm.scorecard import Measured, measure, score, spread, to_csv, to_json


def reply(number: int, model: str = "m", *, ending: Ending = Ending.STOP, first: float = 0.1,
          total: float = 1.1, tokens: int | None = 11, **more) -> Reply:
    return Reply(model, "words that nobody is to see", ending, started_at=1000.0 + number,
                 first_token_seconds=first, total_seconds=total, input_tokens=tokens and 5,
                 output_tokens=tokens, tokens_measured=True, **more)


def test_medians_quartiles_and_sums_are_those_of_the_replies():
    replies = [reply(number, first=first, total=first + 1, cost=Cost("priced", 0.25))
               for number, first in enumerate((0.1, 0.2, 0.3, 0.4, 5.0))]
    [found] = score(map(measure, replies))
    assert (found.replies, found.failed, found.failures) == (5, 0, {})
    first = found.first_token_seconds
    assert (first.low, first.median, first.high, first.count) == pytest.approx((0.2, 0.3, 0.4, 5))
    assert found.tokens_per_second.median == pytest.approx(10)
    assert (found.input_tokens, found.output_tokens) == (25, 55)
    assert (found.usd, found.usd_unknown, found.estimated) == (1.25, 0, 0)


def test_a_failed_reply_is_counted_by_its_kind_and_is_in_no_time():
    failed = reply(1, ending=Ending.FAILED, first=99, total=99, error_type="RateLimitError",
                   tokens=None)
    [found] = score(map(measure, [reply(0), failed]))
    assert (found.replies, found.failed, found.failures) == (2, 1, {"RateLimitError": 1})
    assert found.first_token_seconds.median == found.first_token_seconds.high == 0.1
    assert found.tokens_per_second.count == 1


def test_what_is_given_twice_counts_once_and_the_most_used_comes_first():
    measured = [measure(reply(number, model)) for model in "aab" for number in (1, 2)]
    measured.append(measure(reply(3, "b")))
    assert [(found.model_id, found.replies) for found in score(measured)] == [("b", 3), ("a", 2)]
    assert score([]) == []


def test_a_cost_that_is_not_known_is_not_taken_for_none():
    local, priced, unknown = Cost("local"), Cost("priced", 0.5), None
    scores = score(measure(reply(number, model, cost=cost)) for number, (model, cost) in enumerate(
        [("here", local), ("there", priced), ("there", unknown), ("nobody knows", unknown)]))
    assert {found.model_id: (found.usd, found.usd_unknown) for found in scores} == {
        "here": (0.0, 0), "there": (0.5, 1), "nobody knows": (None, 1)}


@given(st.lists(st.floats(0, 1e6) | st.none(), max_size=30))
def test_a_spread_lies_among_its_values(values):
    found, known = spread(values), [value for value in values if value is not None]
    if not known:
        assert found is None
        return
    assert found.count == len(known)
    slack = 1e-9 * max(known)
    assert min(known) - slack <= found.low <= found.median + slack
    assert found.median <= found.high + slack <= max(known) + 2 * slack
    assert math.isfinite(found.median)


def test_the_files_hold_the_figures_and_no_words():
    measured = [measure(reply(0, "=cmd()")), measure(reply(1, "é"))]
    rows = {row["model_id"]: row for row in csv.DictReader(io.StringIO(to_csv(score(measured))))}
    assert set(rows) == {"'=cmd()", "é"}  # no spreadsheet runs it
    assert float(rows["é"]["first_token_seconds_median"]) == 0.1
    assert int(rows["é"]["output_tokens"]) == 11
    told = json.loads(to_json(measured))
    assert [Measured(**figures) for figures in told["replies"]] == measured
    assert told["models"][0]["tokens_per_second"]["median"] == pytest.approx(10)
    assert "nobody is to see" not in to_csv(score(measured)) + to_json(measured)
    assert to_csv([]).strip() == "model_id"
