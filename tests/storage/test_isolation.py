"""Nobody can list, read, change or delete what is another's, not even knowing its id.

Each public method of the store has a row here that tries it as somebody else. A method
without a row fails the test, so a new one cannot be forgotten.
"""

import inspect

import pytest

from llm.errors import UnknownConversationError
from llm.transcript import Transcript, Turn
from storage import Store
from tests.transcripts import PICTURES, everything, say

OWNER, THIEF = "browser:owner", "browser:thief"

WITHOUT_AN_OWNER = {"close", "purge_deleted"}


def unknown(act):
    """The act gets the same answer as for an id that nobody has."""
    with pytest.raises(UnknownConversationError) as other:
        act()
    return str(other.value)


def overwrite(store, chat):
    """Save a turn under the other's ids: conversation, parent and turn."""
    forged = Transcript(chat.id, title="Forged")
    for turn in chat.turns.values():
        store.save_turn(THIEF, forged, forged.add(
            Turn("human", "Forged", parent_id=turn.parent_id, id=turn.id)))
    assert all(turn.text == "Forged" for turn in store.load(THIEF, chat.id))
    store.delete_everything(THIEF)


def import_over(store, chat):
    forged = say(Transcript(chat.id), "Forged")
    store.add(THIEF, [forged])
    store.delete_everything(THIEF)


def look_whether_pinned(store, chat):
    assert store.is_pinned(OWNER, chat.id)
    assert not store.is_pinned(THIEF, chat.id)


def put_records(store, chat):
    store.put_record(THIEF, "votes", "1", "forged")
    store.put_records(THIEF, "votes", {"1": "forged"})
    assert store.records(THIEF, "votes") == {"1": "forged"}


def delete_and_bring_back(store, chat):
    unknown(lambda: store.undelete(THIEF, chat.id))
    store.delete(OWNER, chat.id)
    unknown(lambda: store.undelete(THIEF, chat.id))
    store.undelete(OWNER, chat.id)


ATTEMPTS = {
    "save_turn": overwrite,
    "save_shown": lambda store, chat: unknown(
        lambda: store.save_shown(THIEF, Transcript(chat.id, shown={None: "x"}))),
    "add": import_over,
    "load": lambda store, chat: unknown(lambda: store.load(THIEF, chat.id)),
    "list": lambda store, chat: store.list(THIEF) == [] or pytest.fail("seen"),
    "search": lambda store, chat: store.search(THIEF, "Ada") == [] or pytest.fail("found"),
    "replies": lambda store, chat: store.replies(THIEF) == [] or pytest.fail("read"),
    "rename": lambda store, chat: unknown(lambda: store.rename(THIEF, chat.id, "Forged")),
    "pin": lambda store, chat: unknown(lambda: store.pin(THIEF, chat.id, False)),
    "is_pinned": look_whether_pinned,
    "delete": lambda store, chat: unknown(lambda: store.delete(THIEF, chat.id)),
    "undelete": delete_and_bring_back,
    "delete_everything": lambda store, chat: store.delete_everything(THIEF),
    "picture_bytes": lambda store, chat: store.picture_bytes(THIEF) == 0 or pytest.fail("counted"),
    "put_record": put_records,
    "put_records": put_records,
    "records": lambda store, chat: store.records(THIEF, "votes") == {} or pytest.fail("read"),
    "delete_records": lambda store, chat: (store.delete_records(THIEF, "votes"),
                                           store.delete_records(THIEF, "votes", ["1"])),
}


def public_methods() -> set[str]:
    return {name for name, _ in inspect.getmembers(Store, inspect.isfunction)
            if not name.startswith("_")}


def test_every_method_takes_the_owner_first_and_has_its_attempt_here():
    assert public_methods() == set(ATTEMPTS) | WITHOUT_AN_OWNER
    for name in ATTEMPTS:
        assert list(inspect.signature(getattr(Store, name)).parameters)[1] == "owner"


@pytest.fixture
def kept(store):
    chat = everything()
    for turn in chat.turns.values():
        store.save_turn(OWNER, chat, turn)
    store.put_record(OWNER, "votes", "1", "mine")
    return chat


@pytest.mark.parametrize("name", ATTEMPTS)
def test_as_somebody_else_it_reaches_and_changes_nothing(store, kept, name):
    ATTEMPTS[name](store, kept)
    after = store.load(OWNER, kept.id)
    assert (after.title, after.turns, after.shown) == (kept.title, kept.turns, kept.shown)
    [summary] = store.list(OWNER)
    assert (summary.title, summary.pinned) == ("Trains", True)
    assert store.search(OWNER, "Ada")[0].id == kept.id
    assert store.records(OWNER, "votes") == {"1": "mine"}
    assert store.picture_bytes(OWNER) == sum(len(picture.data) for picture in PICTURES)


def test_whether_somebody_else_has_an_id_cannot_be_told(store, kept):
    assert unknown(lambda: store.load(THIEF, kept.id)) == unknown(lambda: store.load(THIEF, "no"))


def test_two_owners_may_have_the_same_ids(store, kept):
    other = Transcript(kept.id, title="Other")
    turn = other.add(Turn("human", "Mine", id=next(iter(kept.turns))))
    store.save_turn(THIEF, other, turn)
    assert [turn.text for turn in store.load(THIEF, kept.id)] == ["Mine"]
    assert store.load(OWNER, kept.id).turns == kept.turns


@pytest.mark.parametrize("owner", ["", "browser:owner ", "BROWSER:OWNER", "%", "browser:owner%",
                                   "' OR '1'='1"])
def test_an_owner_is_who_he_is_to_the_letter(store, kept, owner):
    assert store.list(owner) == [] and store.search(owner, "Ada") == []
    unknown(lambda: store.load(owner, kept.id))
