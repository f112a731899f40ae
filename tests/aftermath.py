"""What must hold once many people have used the app, whatever was killed meanwhile.

Each function says what does not, as sentences. The people's model is `tests.servers.echoing`,
so that whose words something is can be read from it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from pathlib import Path

from llm.transcript import Turn
from storage import Store, open_store
from tests.servers.echoing import TAG, is_answered

SIGNS = ("A page failed", "A turn was not kept", "Task exception",
         "Exception in ASGI application", "Uncaught app execution")
"""Of a fault, in the app's log."""


def wrong_in_logs(logs: Iterable[Path]) -> list[str]:
    """The faults that the app's logs tell of."""
    wrong = []
    for log in logs:
        text = log.read_text("utf-8", errors="replace")
        wrong += [f"{log.name} says: {text[(start := text.index(sign)):start + 800]}"
                  for sign in SIGNS if sign in text]
    return wrong


def wrong_requests(mixed: Path) -> list[str]:
    """Whether the model was ever sent several people's words at once."""
    if not mixed.exists():
        return []
    return [f"The model was sent a mixture: {mixed.read_text('utf-8')[:500]}"]


def wrong_in_database(url: str, owners: Mapping[str, str],
                      finished: Mapping[str, Sequence[str]]) -> list[str]:
    """What the database lacks or has too much of.

    `owners` are by their tags; `finished` holds for each the questions whose whole answer that
    person has seen.
    """
    with closing(open_store(url)) as store:
        return [wrong for tag, owner in owners.items()
                for wrong in _wrong_with(tag, kept_turns(store, owner), finished[tag])]


def kept_turns(store: Store, owner: str) -> list[Turn]:
    """Every turn that the owner has."""
    return [turn for summary in store.list(owner, limit=1000)
            for turn in store.load(owner, summary.id).turns.values()]


def _wrong_with(tag: str, kept: Sequence[Turn], finished: Sequence[str]) -> list[str]:
    wrong, answers = [], [turn.text for turn in kept if turn.role == "ai"]
    for question in finished:
        times = sum(is_answered(question, answer) for answer in answers)
        if times != 1:
            wrong.append(f"The answer to {question}, which was seen, is kept {times} times")
    if strangers := {found for turn in kept for found in TAG.findall(turn.text)} - {tag}:
        wrong.append(f"{tag} owns what {strangers} said")
    questions = Counter(turn.text for turn in kept if turn.role == "human")
    if doubled := [text for text, times in questions.items() if times > 1]:
        wrong.append(f"{tag} has questions twice: {doubled}")
    return wrong
