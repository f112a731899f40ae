"""A score of people at two replicas behind nginx, one killed in mid-reply.

With a hundred: `python -m tests.replicas`.
"""

from pathlib import Path

import pytest

from tests import reports
from tests.replicas import run
from tests.servers.nginx import NGINX


@pytest.mark.slow
@pytest.mark.skipif(NGINX is None, reason="no nginx: apt install nginx-light")
def test_a_killed_replica_loses_the_replies_in_flight_and_the_other_takes_its_people(
        tmp_path: Path) -> None:
    outcome = run(tmp_path, people=20, questions=2)
    reports.write("replicas-short", outcome.report())
    assert outcome.wrong == []
    figures = outcome.figures
    # Of everything there was some, or nothing was tried.
    assert figures["of_these_seen_to_grow"] > 0 and figures["people_of_the_other"] > 0
    assert outcome.done["reconnected"] == figures["people_of_the_killed_replica"]
    assert sum(len(each.finished) for each in outcome.visitors) == 40
