"""What is kept comes back as it was, on either database, and from two processes at once."""

import json
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from sqlalchemy import event

from llm.errors import QuotaFullError, StorageError, UnknownConversationError
from llm.replies import Ending, Reply
from llm.transcript import Transcript, Turn
from llm.transcript_import import read_conversations
from llm.transcript_json import write_conversations
from storage import store as store_module
from tests.app import ROOT, clean_environment
from tests.transcripts import PICTURES, everything, picture, reply_to, say, transcripts

ME = "browser:me"


def save_all(store, chat, owner=ME):
    for turn in chat.turns.values():
        store.save_turn(owner, chat, turn)
    return chat


def same(kept: Transcript, chat: Transcript) -> bool:
    return (kept.id, kept.turns, kept.shown, kept.stage, kept.created_at) == (
        chat.id, chat.turns, chat.shown, chat.stage, chat.created_at)


def texts(chat):
    return [turn.text for turn in chat]


# ── Turns ────────────────────────────────────────────────────────────────────────────


def test_a_conversation_with_everything_in_it_comes_back_as_it_was(store, opened):
    chat = save_all(store, everything())
    store.save_shown(ME, chat)
    assert same(opened().load(ME, chat.id), chat)
    assert store.load(ME, chat.id).title == "Trains"


@given(chat=transcripts())
@settings(max_examples=25, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_conversation_comes_back_as_it_was(store, chat):
    save_all(store, chat)
    if chat.turns:
        store.save_shown(ME, chat)
        assert same(store.load(ME, chat.id), chat)


def test_saving_a_turn_again_changes_nothing(store):
    chat = save_all(store, say(Transcript(), "Hello", "Hi"))
    save_all(store, chat)
    assert same(store.load(ME, chat.id), chat)
    assert store.list(ME)[0].turn_count == 2


def test_a_rating_and_a_summary_are_kept_by_saving_the_turn_again(store):
    chat = save_all(store, say(Transcript(), "Hello", "Hi"))
    chat.last.rating, chat.last.summary = -1, "They greeted."
    store.save_turn(ME, chat, chat.last)
    kept = store.load(ME, chat.id).last
    assert (kept.rating, kept.summary) == (-1, "They greeted.")


def test_a_running_reply_is_not_kept(store):
    chat = say(Transcript(), "Hello")
    turn = chat.append("ai", reply=Reply("m", "Half a sen"))
    with pytest.raises(ValueError):
        store.save_turn(ME, chat, turn)
    assert store.list(ME) == []


def test_a_question_asked_while_a_reply_still_runs_shows_no_half_of_it(store):
    chat = say(Transcript(), "Hello")
    running = chat.append("ai", reply=Reply("m", "Half a sen"))
    question = chat.append("human", "And?")
    store.save_turn(ME, chat, question)
    assert texts(store.load(ME, chat.id)) == ["Hello", "", "And?"]
    running.reply.text, running.reply.ending = "The whole sentence.", Ending.STOP
    store.save_turn(ME, chat, running)
    assert texts(store.load(ME, chat.id)) == ["Hello", "The whole sentence.", "And?"]
    assert store.search(ME, "sentence")


def test_what_could_not_be_saved_earlier_is_saved_with_the_next_turn(store):
    chat = say(Transcript(), "Hello", "Hi", "Who are you?", "A model.")
    store.save_turn(ME, chat, chat.last)
    assert same(store.load(ME, chat.id), chat)


def test_editing_and_moving_between_versions_is_kept(store):
    chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
    ada = chat.last
    chat.branch(chat.path()[0], "I am Bob.")
    store.save_turn(ME, chat, chat.last)
    assert texts(store.load(ME, chat.id)) == ["I am Bob."]
    chat.show(ada)
    store.save_shown(ME, chat)
    assert texts(store.load(ME, chat.id)) == ["I am Ada.", "Hello Ada."]


def test_which_version_is_shown_is_kept_with_every_turn_that_is_saved(store):
    chat = save_all(store, say(Transcript(), "I am Ada.", "Hello Ada."))
    ada = chat.last
    chat.branch(chat.path()[0], "I am Bob.")
    store.save_turn(ME, chat, chat.last)
    chat.show(ada)
    ada.rating = 1
    store.save_turn(ME, chat, ada)
    assert texts(store.load(ME, chat.id)) == ["I am Ada.", "Hello Ada."]


def test_text_that_databases_dislike_is_kept(store):
    awkward = "NUL \0, ' \" \\ % ; --, \u202e, 😀, \ud800, <|im_end|>, नमस्ते"
    chat = save_all(store, say(Transcript(title="a\0b\ud800"), awkward))
    assert texts(store.load(ME, chat.id)) == [awkward.replace("\ud800", "?")]
    assert store.list(ME)[0].title == "ab?"


def test_an_id_that_no_database_takes_is_only_unknown(store):
    for id in ("", "\0", "\ud800", "x" * 100_000, "' OR 1=1 --"):
        with pytest.raises(UnknownConversationError):
            store.load(ME, id)


def test_what_was_sent_is_kept_without_growing_with_the_square(store):
    chat = Transcript()
    for number in range(30):
        chat.append("human", f"Question {number}")
        chat.append("ai", reply=reply_to(chat, "An answer. " * 20))
    save_all(store, chat)
    with store._read() as db:
        bodies = db.exec_driver_sql("SELECT body FROM turns").scalars().all()
    assert sum(map(len, bodies)) < 60 * 1_000
    assert store.load(ME, chat.id).last.reply.messages == chat.last.reply.messages


def test_the_replies_of_all_conversations_come_with_their_figures_and_without_their_messages(
        store):
    chat, gone = save_all(store, everything()), save_all(store, say(Transcript(), "One?", "1."))
    store.delete(ME, gone.id)
    replies = sorted((turn.reply for turn in chat.turns.values() if turn.reply is not None),
                     key=lambda reply: reply.started_at)
    kept = store.replies(ME)
    assert [(reply.text, reply.ending, reply.cost, reply.first_token_seconds, reply.input_tokens)
            for reply in kept] == \
        [(reply.text, reply.ending, reply.cost, reply.first_token_seconds, reply.input_tokens)
         for reply in replies]
    assert all(not reply.messages for reply in kept)
    assert len(store.replies(ME, limit=2)) < len(kept)


# ── The list ─────────────────────────────────────────────────────────────────────────


def test_a_conversation_is_titled_from_its_first_message(store):
    save_all(store, say(Transcript(), "  Tell me\nabout trains, " + "and more " * 50, "Gladly."))
    title = store.list(ME)[0].title
    assert title.startswith("Tell me about trains, and more") and title.endswith("…")
    assert len(title) <= 80


def test_a_title_of_one_endless_word_is_cut(store):
    save_all(store, say(Transcript(), "x" * 1_000_000))
    assert store.list(ME)[0].title == "x" * 80


def test_the_latest_come_first_and_pinned_ones_before_them(store):
    first, second, third = (save_all(store, say(Transcript(), word)) for word in "abc")
    store.pin(ME, first.id)
    assert [summary.id for summary in store.list(ME)] == [first.id, third.id, second.id]
    store.pin(ME, first.id, False)
    save_all(store, say(second, "again"))
    assert [summary.id for summary in store.list(ME)] == [second.id, third.id, first.id]


def test_the_list_can_be_of_one_stage_and_in_pages(store):
    chats = [save_all(store, say(Transcript(stage=stage), "Hi")) for stage in ("a", "b", "a")]
    assert [summary.id for summary in store.list(ME, stage="a")] == [chats[2].id, chats[0].id]
    assert [summary.id for summary in store.list(ME, limit=1, offset=1)] == [chats[1].id]
    assert store.list(ME)[0].stage == "a"


def test_a_new_name_stays_when_the_conversation_goes_on(store):
    chat = save_all(store, say(Transcript(), "Hello"))
    store.rename(ME, chat.id, " My \n trip ")
    save_all(store, say(chat, "Hi"))
    assert store.list(ME)[0].title == store.load(ME, chat.id).title == "My trip"
    with pytest.raises(StorageError, match="at least one letter"):
        store.rename(ME, chat.id, " \n")


def test_what_is_deleted_is_out_of_sight_and_can_be_brought_back(store):
    chat = save_all(store, say(Transcript(), "Hello trains"))
    store.delete(ME, chat.id)
    assert store.list(ME) == store.search(ME, "trains") == []
    for act in (store.load, store.delete, store.pin):
        with pytest.raises(UnknownConversationError):
            act(ME, chat.id)
    store.undelete(ME, chat.id)
    assert same(store.load(ME, chat.id), chat)
    assert store.search(ME, "trains")


def test_a_reply_that_ends_after_its_conversation_was_deleted_does_not_bring_it_back(store):
    chat = save_all(store, say(Transcript(), "Hello"))
    store.delete(ME, chat.id)
    say(chat, "Hi")
    with pytest.raises(StorageError, match="deleted, so what is said in it now"):
        store.save_turn(ME, chat, chat.last)
    assert store.list(ME) == []
    store.undelete(ME, chat.id)
    assert texts(store.load(ME, chat.id)) == ["Hello", "Hi"]


def test_what_does_not_begin_a_conversation_is_not_written_where_there_is_none(store):
    chat = save_all(store, say(Transcript(), "Hello"))
    store.delete_everything(ME)
    say(chat, "Hi")
    with pytest.raises(UnknownConversationError):
        store.save_turn(ME, chat, chat.last, begins=False)
    assert count_of_all_rows(store) == 0


def test_what_was_deleted_a_day_ago_is_gone_for_good(store, opened, monkeypatch):
    chat = Transcript()
    chat.append("human", "Look", pictures=[PICTURES[0]])
    save_all(store, chat)
    store.delete(ME, chat.id)
    opened()
    assert store.picture_bytes(ME) > 0
    monkeypatch.setattr(store_module, "PURGE_SECONDS", -1)
    opened()
    assert store.picture_bytes(ME) == 0
    with pytest.raises(UnknownConversationError):
        store.undelete(ME, chat.id)
    assert count_of_all_rows(store) == 0


def count_of_all_rows(store) -> int:
    with store._read() as db:
        return sum(db.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar() for table in (
            "conversations", "turns", "pictures", "picture_uses", "records", "words"))


def test_delete_everything_leaves_nothing_of_the_owner_and_all_of_the_others(store):
    mine, theirs = save_all(store, everything()), save_all(store, everything(), "browser:you")
    store.put_record(ME, "lesson", "1", True)
    store.put_record("browser:you", "lesson", "1", True)
    before = count_of_all_rows(store)
    store.delete_everything(ME)
    assert count_of_all_rows(store) * 2 == before
    assert store.list(ME) == [] and store.records(ME, "lesson") == {}
    assert same(store.load("browser:you", theirs.id), theirs)
    assert mine.id != theirs.id


def test_what_is_deleted_for_good_is_not_in_the_file_either(tmp_path):
    from storage import open_store

    store = open_store(f"sqlite:///{tmp_path}/parley.db")
    save_all(store, say(Transcript(), "Xylophonquartz", "Yes."))
    save_all(store, say(Transcript(), "Another's words"), "browser:you")
    assert any(b"xylophonquartz" in file.read_bytes().lower() for file in tmp_path.iterdir())
    store.delete_everything(ME)
    store.close()
    assert not any(b"xylophonquartz" in file.read_bytes().lower() for file in tmp_path.iterdir())


# ── Pictures ─────────────────────────────────────────────────────────────────────────


def with_pictures(*held) -> Transcript:
    chat = Transcript()
    for one in held:
        chat.append("human", "Look", pictures=[one])
    return chat


def test_a_picture_is_kept_once_for_each_owner(store):
    save_all(store, with_pictures(PICTURES[0], PICTURES[0]))
    save_all(store, with_pictures(PICTURES[0]))
    assert store.picture_bytes(ME) == len(PICTURES[0].data)
    assert store.picture_bytes("browser:you") == 0
    save_all(store, with_pictures(PICTURES[0]), "browser:you")
    assert store.picture_bytes("browser:you") == len(PICTURES[0].data)


def test_over_the_quota_the_words_are_kept_and_it_is_said(opened):
    store = opened(picture_quota=len(PICTURES[0].data))
    chat = with_pictures(PICTURES[0], PICTURES[1])
    store.save_turn(ME, chat, chat.path()[0])
    with pytest.raises(QuotaFullError, match="the words are kept and the picture is not"):
        store.save_turn(ME, chat, chat.last)
    kept = store.load(ME, chat.id)
    assert texts(kept) == ["Look", "Look"]
    assert [turn.pictures for turn in kept] == [[PICTURES[0]], []]
    assert [turn.pictures_lost for turn in kept] == [0, 1]
    say(chat, "Nice.")
    store.save_turn(ME, chat, chat.last)
    assert store.picture_bytes(ME) == len(PICTURES[0].data)


def test_one_owners_pictures_take_no_room_from_another(opened):
    store = opened(picture_quota=len(PICTURES[0].data))
    save_all(store, with_pictures(PICTURES[0]))
    save_all(store, with_pictures(PICTURES[0]), "browser:you")


def test_what_was_deleted_gives_up_its_room_when_it_is_needed(opened):
    old, new = with_pictures(PICTURES[0]), with_pictures(picture("green"))
    store = opened(picture_quota=len(new.last.pictures[0].data))
    save_all(store, old)
    store.delete(ME, old.id)
    save_all(store, new)
    assert store.load(ME, new.id).last.pictures
    with pytest.raises(UnknownConversationError):
        store.undelete(ME, old.id)


def test_a_picture_stays_while_another_conversation_holds_it(store, monkeypatch):
    first, second = with_pictures(PICTURES[0]), with_pictures(PICTURES[0])
    save_all(store, first)
    save_all(store, second)
    monkeypatch.setattr(store_module, "PURGE_SECONDS", -1)
    store.delete(ME, first.id)
    assert store.load(ME, second.id).last.pictures == [PICTURES[0]]


# ── Taking in an export ──────────────────────────────────────────────────────────────


def test_an_export_is_taken_in_beside_what_is_there(store):
    chat = save_all(store, everything())
    text = write_conversations([store.load(ME, chat.id)])
    taken = read_conversations(text)
    store.add(ME, taken)
    assert {summary.id for summary in store.list(ME)} == {chat.id, taken[0].id}
    assert same(store.load(ME, taken[0].id), taken[0])
    again = write_conversations([store.load(ME, taken[0].id)])
    assert json.loads(again)["pictures"] == json.loads(text)["pictures"]


def test_a_file_of_many_is_listed_as_it_was(store):
    for title in ("Old", "New"):
        save_all(store, say(Transcript(title=title), "Hm?"))
    text = write_conversations(store.load(ME, summary.id) for summary in store.list(ME))
    store.add("browser:you", read_conversations(text))
    assert [summary.title for summary in store.list("browser:you")] == ["New", "Old"]


def test_an_import_without_room_for_its_pictures_is_not_taken_in_at_all(opened):
    store = opened(picture_quota=len(PICTURES[0].data))
    small, large = say(Transcript(), "Hi"), with_pictures(*PICTURES)
    with pytest.raises(QuotaFullError, match="nothing was taken in"):
        store.add(ME, [small, large])
    assert store.list(ME) == [] and store.picture_bytes(ME) == 0


# ── Searching ────────────────────────────────────────────────────────────────────────


@pytest.fixture
def library(store):
    """Three conversations, by the names of what they are about."""
    return {name: save_all(store, say(Transcript(title=name), *said)).id for name, said in {
        "trains": ("Which train goes to Zürich?", "The 8:15, foo_bar-baz.", "Thanks, Straße."),
        "tea": ("How is tea made?", "With hot water; trains are not involved."),
        "東京": ("東京の天気は？", "晴れです。", "नमस्ते दुनिया", "สวัสดีชาวโลก"),
    }.items()}


@pytest.mark.parametrize("asked, found", {
    "train": {"trains", "tea"}, "TRAINS": {"trains", "tea"}, "trains involved": {"tea"},
    "zurich": {"trains"}, "Zürich": {"trains"}, "strasse": {"trains"}, "8:15": {"trains"},
    "foo_bar-baz": {"trains"}, "bar": {"trains"}, "thanks zürich": {"trains"},
    "tr": {"trains", "tea"},
    "天気": {"東京"}, "京の": {"東京"}, "नमस्ते": {"東京"}, "ชาวโลก": {"東京"}, "東京": {"東京"},
    "rain": set(), "nobody": set(), "train nobody": set(), "": set(), " ?!* ": set(),
}.items())
def test_a_search_finds_the_conversations_that_hold_every_word(store, library, asked, found):
    assert {summary.id for summary in store.search(ME, asked)} == {library[name] for name in found}


def test_a_search_shows_the_place_it_found(store, library):
    assert store.search(ME, "zürich")[0].excerpt == "Which train goes to Zürich?"
    assert "trains are not involved" in store.search(ME, "trains involved")[0].excerpt


def test_a_long_message_is_shown_around_the_word(store):
    save_all(store, say(Transcript(), "a " * 500 + "needle" + " b" * 500))
    excerpt = store.search(ME, "needle")[0].excerpt
    assert "needle" in excerpt and excerpt.startswith("…") and excerpt.endswith("…")
    assert len(excerpt) < 150


@pytest.mark.parametrize("asked", [
    '"', "'", '" OR "', "tea*", "NEAR(tea)", "written:tea", "-tea", "tea AND", "(", ")",
    "a" * 10**6,
    " ".join(["tea"] * 10**5), "\0", "\ud800", "' | !'", "<->", ":*", "tea:*B", "%", "\\", "𝕋𝕖𝕒",
    "²", "１２", "e\u0301", "x" * 3_000, "ﷺ", "\u0301",
])
def test_any_text_can_be_asked_for(store, library, asked):
    assert isinstance(store.search(ME, asked), list)


@given(chat=transcripts())
@settings(max_examples=20, deadline=None,
          suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_was_said_is_found_by_its_own_words(store, chat):
    save_all(store, chat)
    for turn in chat.turns.values():
        asked = " ".join(word for word in turn.text.split()[:3] if word.isalnum())
        if asked.strip():
            assert chat.id in {summary.id for summary in store.search(ME, asked, limit=10**6)}


def test_a_new_title_is_found_and_the_old_one_no_longer(store):
    chat = save_all(store, say(Transcript(title="Oldish"), "Hello"))
    store.rename(ME, chat.id, "Newish")
    assert [summary.title for summary in store.search(ME, "newish")] == ["Newish"]
    assert store.search(ME, "oldish") == []


def test_a_megabyte_of_different_words_is_kept_and_found(store):
    long = " ".join(f"word{number}" for number in range(100_000))
    chat = save_all(store, say(Transcript(), long))
    assert store.load(ME, chat.id).last.text == long
    assert store.search(ME, "word77")


# ── Small records ────────────────────────────────────────────────────────────────────


def test_records_are_kept_by_kind_and_key_in_the_order_of_their_making(store):
    for key in ("c", "a", "b"):
        store.put_record(ME, "votes", key, {"winner": key, "text": "\0\ud800 नमस्ते"})
    store.put_record(ME, "votes", "c", [1, None, 2.5])
    store.put_record(ME, "lessons", "a", True)
    assert list(store.records(ME, "votes")) == ["c", "a", "b"]
    assert store.records(ME, "votes")["c"] == [1, None, 2.5]
    assert store.records(ME, "votes")["a"]["text"] == "\0\ud800 नमस्ते"
    assert store.records(ME, "lessons") == {"a": True}
    assert store.records(ME, "nothing") == {}


def test_several_records_are_kept_at_once_and_deleted_by_key_or_all(store):
    store.put_records(ME, "rows", {str(number): number for number in range(2_000)})
    assert len(store.records(ME, "rows")) == 2_000
    store.delete_records(ME, "rows", ["1", "nobody"])
    assert len(store.records(ME, "rows")) == 1_999
    store.delete_records(ME, "rows")
    assert store.records(ME, "rows") == {}
    store.put_records(ME, "rows", {})


# ── Several at once ──────────────────────────────────────────────────────────────────


def test_a_conversation_begun_in_one_process_goes_on_in_another(opened):
    one, other = opened(), opened()
    chat = save_all(one, say(Transcript(), "I am Ada.", "Hello Ada."))
    there = other.load(ME, chat.id)
    save_all(other, say(there, "Who am I?", "Ada."))
    assert texts(one.load(ME, chat.id)) == ["I am Ada.", "Hello Ada.", "Who am I?", "Ada."]


def test_two_tabs_that_write_to_one_conversation_lose_nothing(opened):
    one, other = opened(), opened()
    chat = save_all(one, say(Transcript(), "Hello", "Hi"))
    here, there = one.load(ME, chat.id), other.load(ME, chat.id)
    save_all(one, say(here, "From here"))
    save_all(other, say(there, "From there"))
    kept = one.load(ME, chat.id)
    assert texts(kept) == ["Hello", "Hi", "From there"]
    assert [turn.text for turn in kept.siblings(kept.last)] == ["From here", "From there"]


def test_many_threads_of_two_stores_save_at_once(opened):
    stores = [opened(), opened()]
    shared = save_all(stores[0], say(Transcript(), "Hello", "Hi"))
    root = shared.last.id

    def work(number):
        store = stores[number % 2]
        own = save_all(store, say(Transcript(), f"Own {number}", "Yes."), f"owner {number}")
        turn = Turn("human", f"Shared {number}", parent_id=root)
        copy = store.load(ME, shared.id)
        store.save_turn(ME, copy, copy.add(turn))
        return same(store.load(f"owner {number}", own.id), own)

    with ThreadPoolExecutor(16) as threads:
        assert all(threads.map(work, range(60)))
    kept = stores[0].load(ME, shared.id)
    assert {turn.text for turn in kept.siblings(kept.last)} == {f"Shared {n}" for n in range(60)}
    assert len(kept.path()) == 3


def test_two_processes_that_write_at_once_to_one_conversation_lose_nothing(url, opened):
    store = opened()
    chat = save_all(store, say(Transcript(), "Hello", "Hi"))
    code = """if True:
        import sys
        from llm.transcript import Turn
        from storage import open_store
        url, id, name = sys.argv[1:]
        store = open_store(url)
        sys.stdin.readline()
        for number in range(40):
            chat = store.load("browser:me", id)
            turn = chat.add(Turn("human", f"{name} {number}", parent_id=chat.path()[1].id))
            store.save_turn("browser:me", chat, turn)
            store.put_record("browser:me", "said", turn.content, True)
    """
    processes = [subprocess.Popen([sys.executable, "-c", code, url, chat.id, name], cwd=ROOT,
                                  env=clean_environment(), stdin=subprocess.PIPE, text=True,
                                  stderr=subprocess.PIPE) for name in ("one", "other")]
    for process in processes:
        process.stdin.write("go\n")
        process.stdin.flush()
    assert [process.communicate(timeout=60)[1] for process in processes] == ["", ""]
    kept = store.load(ME, chat.id)
    said = {f"{name} {number}" for name in ("one", "other") for number in range(40)}
    assert {turn.text for turn in kept.siblings(kept.last)} == said
    assert set(store.records(ME, "said")) == said
    assert store.list(ME)[0].turn_count == len(kept.turns) == 82


def test_a_reader_sees_a_turn_whole_or_not_at_all(opened):
    store, other = opened(), opened()
    chat = save_all(store, say(Transcript(), "Start", "0"))
    stop, seen = threading.Event(), []

    def read():
        while not stop.is_set():
            seen.append(texts(other.load(ME, chat.id)))
            time.sleep(0.001)

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for number in range(1, 40):
            chat.branch(chat.path()[0], f"Start {number}")
            chat.append("ai", reply=reply_to(chat, str(number)))
            store.save_turn(ME, chat, chat.last)
    finally:
        stop.set()
        reader.join()
    assert {tuple(path) for path in seen} <= {
        ("Start", "0"), *((f"Start {number}", str(number)) for number in range(1, 40))}


def test_a_save_asks_the_database_few_things_however_long_the_chat(store):
    chat = Transcript()
    for number in range(400):
        say(chat, f"Message {number}")
    store.add(ME, [chat])
    statements = []
    event.listen(store._writer, "before_cursor_execute",
                 lambda *args: statements.append(args[2]))
    store.save_turn(ME, chat, say(chat, "One more").last)
    assert len(statements) < 15
