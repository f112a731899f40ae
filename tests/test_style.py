"""The code reads the same everywhere: what ruff checks holds in every file."""

import subprocess
import sys

from tests.app import ROOT


def test_ruff_has_nothing_to_say():
    checked = subprocess.run([sys.executable, "-m", "ruff", "check", "--output-format=concise",
                              "--no-cache", "."], cwd=ROOT, text=True, capture_output=True)
    assert checked.returncode == 0, checked.stdout
