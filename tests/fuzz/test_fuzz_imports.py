"""Damaged files: none crashes the reader or takes over 2 s or 500 MB.

Some hundred here; ten thousand by `python -m tests.fuzz.imports`.
"""

import pytest

from tests.fuzz.imports import READERS, fuzz, keep, outcome_of


def test_every_sound_file_is_taken():
    assert {outcome_of(name, data) for name, (_, data) in READERS.items()} == {"taken"}


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_damaged_files_do_no_harm():
    report = fuzz(600)
    keep(report, "imports-short")
    assert report.faults == []
    assert 20 < report.outcomes["taken"] < 580
