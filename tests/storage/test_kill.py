"""A process that is killed in the middle of saving loses at most the turn it was saving."""

import json
import subprocess
import sys

import pytest

from llm.replies import Ending
from llm.transcript import Transcript
from storage import open_store
from tests.app import ROOT, clean_environment
from tests.storage.saver import KILLS_EACH, OWNER, words_of

KILLS = 200


@pytest.mark.timeout(300)
@pytest.mark.parametrize("url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)],
                         indirect=True)
def test_over_200_kills_no_finished_turn_is_lost_and_no_half_turn_is_shown(url):
    run = subprocess.run([sys.executable, "-m", "tests.storage.saver", url, str(KILLS), "0"],
                         cwd=ROOT, env=clean_environment(), capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    told = json.loads(run.stdout)
    assert told["within"] > KILLS / 2, "too few of the kills fell within a save"

    store = open_store(url)
    try:
        chats = [store.load(OWNER, summary.id) for summary in store.list(OWNER)]
        assert {chat.id for chat in chats} == {str(n) for n in range(KILLS // KILLS_EACH)}
        turns = {turn.id: turn for chat in chats for turn in chat.turns.values()}
        assert set(told["saved"]) <= set(turns)
        assert len(turns) <= len(told["saved"]) + KILLS
        for chat in chats:
            check(chat)
        assert sum(summary.turn_count for summary in store.list(OWNER)) == len(turns)
        assert store.search(OWNER, turns[told["saved"][-1]].text)
        with store._write() as db:
            if db.dialect.name == "sqlite":
                assert db.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
                db.exec_driver_sql("INSERT INTO words (words) VALUES ('integrity-check')")
            assert db.exec_driver_sql(
                "SELECT count(*) FROM turns WHERE shown GROUP BY conversation, parent "
                "HAVING count(*) > 1").all() == []
            indexed = db.exec_driver_sql("SELECT count(*) FROM words").scalar()
            assert indexed == len(turns) + len(chats)
    finally:
        store.close()


def check(chat: Transcript) -> None:
    """Every turn is whole and in its place, and one version of each is shown."""
    for turn in chat.turns.values():
        assert turn.text == words_of(turn.id)
        assert turn.parent_id is None or turn.parent_id in chat.turns
        assert len(turn.pictures) == (turn.role == "human")
        assert turn.reply is None or turn.reply.ending is Ending.STOP
        assert chat.shown[turn.parent_id] in {version.id for version in chat.siblings(turn)}
