"""A dozen people, their model killed again and again and the app once: nothing lost, none mixed up.

Longer, and with more people: `python -m tests.soak`.
"""

from pathlib import Path

import pytest

from tests import reports
from tests.soak import soak


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_minute_of_use_and_killing_loses_nothing_and_mixes_nothing_up(tmp_path: Path) -> None:
    outcome = soak(tmp_path, people=12, seconds=60)
    reports.write("soak-short", outcome.report())
    assert outcome.wrong == []
    # Of everything there was some, or nothing was tried.
    assert outcome.done["model killed"] > 3 and outcome.done["app killed"] == 1
    assert sum(map(len, outcome.finished.values())) > 5
