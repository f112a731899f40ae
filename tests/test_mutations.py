"""Without its guards Parley fails its own tests; `python -m tests.mutations` tries more of them."""

import pytest

from tests.mutations import MUTATIONS, NAMED, check, keep


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_guard_that_is_gone_is_missed():
    chosen = [mutation for mutation in MUTATIONS if mutation.guard in NAMED]
    assert len(chosen) == len(NAMED)
    outcomes = check(chosen)
    keep(outcomes, "mutations-short")
    assert [outcome.guard for outcome in outcomes if not outcome.failed] == []
