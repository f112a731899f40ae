"""The audit finds known faults, lets dated ones pass, and takes no silence for an all-clear."""

import datetime
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.app import ROOT, free_port
from tests.servers import recording

ADVISORY = {
    "id": "PYSEC-2026-1", "summary": "It is broken.", "modified": "2026-01-02T00:00:00Z",
    "published": "2026-01-01T00:00:00Z", "aliases": [],
    "affected": [{"package": {"name": "sniffio", "ecosystem": "PyPI"}, "ranges": [
        {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "9.9"}]}]}],
}


class Database(recording.Answer):
    """Stands in for OSV: it knows one fault."""

    def answer(self, request: recording.Request) -> None:
        name = request.json["package"]["name"]
        self.send(200, {"vulns": [ADVISORY]} if name == "sniffio" else {})


@pytest.fixture
def audit(tmp_path: Path):
    def run(service: str, *packages: str, allowed: str = "") -> subprocess.CompletedProcess[str]:
        (tmp_path / "pins.txt").write_text("\n".join(packages), "utf-8")
        (tmp_path / "allowed.toml").write_text(allowed, "utf-8")
        return subprocess.run(
            [sys.executable, str(ROOT / ".ci" / "audit"), str(tmp_path / "pins.txt"),
             str(tmp_path / "allowed.toml"), service], text=True, capture_output=True)
    return run


def let_pass(until: datetime.date) -> str:
    return (f'[[allowed]]\nid = "PYSEC-2026-1"\npackage = "sniffio"\nwhy = "Unused."\n'
            f"until = {until}\n")


def test_a_known_fault_is_named_until_it_is_let_pass_and_again_after_that_day(audit):
    today = datetime.date.today()
    with recording.running(Database) as server:
        service = f"{server.base_url}/query"
        fine = audit(service, "idna==3.10")
        assert (fine.returncode, "1 packages looked up, 0 faults" in fine.stdout) == (0, True)
        found = audit(service, "idna==3.10", "sniffio==1.3.1")
        assert found.returncode == 1
        assert "sniffio 1.3.1: PYSEC-2026-1, mended in 9.9" in found.stdout
        passed = audit(service, "sniffio==1.3.1", allowed=let_pass(today))
        assert (passed.returncode, "1 let pass" in passed.stdout) == (0, True)
        late = audit(service, "sniffio==1.3.1",
                     allowed=let_pass(today - datetime.timedelta(days=1)))
        assert late.returncode == 1 and "was let pass until" in late.stdout


def test_a_database_that_does_not_answer_is_no_all_clear(audit):
    silent = audit(f"http://127.0.0.1:{free_port()}/v1/query", "idna==3.10")
    assert silent.returncode == 2
    assert "nothing is known" in silent.stdout


def test_nothing_is_let_pass_for_ever_or_without_a_reason():
    text = (ROOT / ".ci" / "audit-allowed.toml").read_text("utf-8")
    today = datetime.date.today()
    for entry in tomllib.loads(text).get("allowed", []):
        assert set(entry) == {"id", "package", "why", "until"} and len(entry["why"]) > 20
        assert today <= entry["until"] <= today + datetime.timedelta(days=180), entry["id"]
