"""A page that fails tells nobody what it was working on, neither in the browser nor in a log."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.app import ROOT, start_app
from tests.web.session import read_page

SECRETS = ("sk-proj-planted0123456789abcdef", "dear diary", "failing_page_of_mine")

PAGE = f'''
def failing_page_of_mine(written):
    raise ValueError(f"cannot read {{written!r}}")

try:
    failing_page_of_mine("dear diary")
except ValueError as error:
    raise RuntimeError("refused key {SECRETS[0]}") from error
'''


def test_what_failed_stays_between_the_page_and_its_places_in_the_log(tmp_path: Path) -> None:
    shutil.copy(ROOT / "app.py", tmp_path)
    shutil.copytree(ROOT / ".streamlit", tmp_path / ".streamlit",
                    ignore=shutil.ignore_patterns("secrets.toml"))
    (tmp_path / "navigation.py").write_text(PAGE)
    with start_app(tmp_path / "home", script=tmp_path / "app.py",
                   env={"PYTHONPATH": str(ROOT)}) as app:
        sent = "\n".join(str(message) for message in read_page(app))
    log = (app.home / "logs" / "parley.log").read_text("utf-8")
    for secret in SECRETS[:2]:
        assert secret not in sent
        assert secret not in app.printed
        assert secret not in log
    assert "error" in sent
    assert SECRETS[2] not in sent, "the browser gets no traceback"
    for told in ("builtins.RuntimeError", "builtins.ValueError", SECRETS[2], "navigation.py"):
        assert told in log
        assert told in app.printed
