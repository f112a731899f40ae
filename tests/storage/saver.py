"""Children that save turns as fast as they can and are killed -9 at random moments.

    python -m tests.storage.saver URL KILLS SEED

Each child is forked from here, so that none needs to import anything, opens the
database for itself, goes on with the conversation that is there, and says of each turn
when its save begins and when it is done. The parent kills it, and prints as JSON which
turns the children knew to be saved, and how many kills fell within a save.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import sys
import time

from llm.errors import UnknownConversationError
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn
from storage import open_store
from tests.transcripts import PICTURES

OWNER = "browser:saver"
KILLS_EACH = 20
"""Of the children that go on with one conversation, before the next is begun."""


def words_of(turn_id: str) -> str:
    """What the turn of this id says: long, and wrong if any of it is missing."""
    return hashlib.sha256(turn_id.encode()).hexdigest() * 20


def save_until_killed(url: str, conversation_id: str, pipe: int) -> None:
    store = open_store(url)
    try:
        chat = store.load(OWNER, conversation_id)
    except UnknownConversationError:
        chat = Transcript(conversation_id)
    while True:
        # Now and then from further up, so that versions and what is shown change too.
        above = random.choice(chat.path()[-4:]) if chat.turns else None
        question = Turn("human", parent_id=above.id if above else None)
        question.content = words_of(question.id)
        question.pictures = [random.choice(PICTURES)]
        save(store, chat, chat.add(question), pipe)
        answer = Turn("ai", parent_id=question.id, reply=Reply("m"))
        chat.add(answer)
        answer.reply.text, answer.reply.ending = words_of(answer.id), Ending.STOP
        save(store, chat, answer, pipe)


def save(store, chat: Transcript, turn: Turn, pipe: int) -> None:
    os.write(pipe, f"< {turn.id}\n".encode())
    store.save_turn(OWNER, chat, turn)
    os.write(pipe, f"> {turn.id}\n".encode())


def kill_one(url: str, conversation_id: str, saves: int, seconds: float) -> list[str]:
    """Start a child and kill it so long after so many saves. Returns what it said."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        try:
            save_until_killed(url, conversation_id, writing)
        finally:
            os._exit(1)
    os.close(writing)
    said = more = os.read(reading, 65_536)
    while more and said.count(b">") < saves:
        said += (more := os.read(reading, 65_536))
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    if not os.WIFSIGNALED(status):
        raise RuntimeError(f"a child ended by itself, having said {said!r}")
    while more := os.read(reading, 65_536):
        said += more
    os.close(reading)
    return said.decode().splitlines()


def main(url: str, kills: int, seed: int) -> None:
    moments = random.Random(seed)
    saved, within = [], 0
    for number in range(kills):
        conversation_id = str(number // KILLS_EACH)
        said = kill_one(url, conversation_id, moments.randrange(5), moments.uniform(0, 0.01))
        saved += [line[2:] for line in said if line.startswith(">")]
        within += said[-1].startswith("<")
    print(json.dumps({"saved": saved, "within": within}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
