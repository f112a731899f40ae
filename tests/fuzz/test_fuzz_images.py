"""Damaged pictures: none crashes the process, none takes over 2 s or 500 MB.

A thousand here; ten thousand by `python -m tests.fuzz.images --count 10000`.
"""

import pytest

from tests.fuzz.images import ALL_SEEDS, fuzz, keep, mutated


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_thousand_damaged_pictures_do_no_harm():
    report = fuzz(1000)
    keep(report, "images-short")
    assert report.faults == []
    assert report.outcomes.total() == 1000
    # Were all refused, or none, the damage would be of the wrong kind.
    assert 100 < report.outcomes["taken"] < 900


def test_every_sound_picture_is_taken_and_damage_can_be_repeated():
    from llm.images import read_image

    for _, data in ALL_SEEDS:
        read_image(data)
    assert mutated(5) == mutated(5) != mutated(6)
