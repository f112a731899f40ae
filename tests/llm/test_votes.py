"""Blind votes: when one counts, and files of them that come from anywhere."""

import json
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from llm.catalog import get_model, list_models
from llm.errors import ImportRefusedError
from llm.replies import Ending, Reply
from llm.votes import MAX_IMPORT_BYTES, Vote, export_votes, import_votes, shown_order, void_reason
from llm.wording import Wording


def vote(**changes) -> Vote:
    return Vote(**{"race_id": "race-1", "prompt": "Why is the sky blue?", "choice": "left",
                   "models": ("smollm2-135m", "gpt-6-luna"), **changes})


def side(model_id: str, text: str, ending: Ending = Ending.STOP):
    return get_model(model_id), Reply(model_id, text=text, ending=ending)


FAIR = side("smollm2-135m", "Air scatters blue light.")


# ── Void races ────────────────────────────────────────────────────────────────────────


def test_two_answers_that_say_nothing_of_themselves_can_be_voted_on():
    assert void_reason([FAIR, side("gpt-6-luna", "Because of scattering.")], "Why?") is None


def test_a_side_that_the_vote_itself_stopped_still_counts():
    assert void_reason([FAIR, side("gpt-6-luna", "Because of", Ending.STOPPED)], "Why?") is None
    assert void_reason([FAIR, side("gpt-6-luna", "Because of", Ending.RUNNING)], "Why?") is None


@pytest.mark.parametrize(("ending", "text", "said"), [
    (Ending.FAILED, "Because", "GPT-6 Luna failed"),
    (Ending.CONTENT_FILTER, "Because", "GPT-6 Luna's answer was withheld"),
    (Ending.STOPPED, " \n", "GPT-6 Luna had said nothing yet"),
])
def test_a_race_in_which_one_side_did_not_answer_is_void_and_says_why(ending, text, said):
    assert said in str(void_reason([FAIR, side("gpt-6-luna", text, ending)], "Why?"))


@pytest.mark.parametrize(("model_id", "answer", "question", "name"), [
    ("smollm2-135m", "As SmolLM2 I am small.", "Hi", "SmolLM2"),
    ("smollm2-135m", "Try smollm2-135m-instruct!", "Hi", "smollm2-135m-instruct"),
    ("gpt-6-luna", "gpt6 luna says hello.", "Hi", "gpt6 luna"),
    ("llama-3.3-70b", "Meta Llama 3.3 speaking.", "Hi", "Llama 3.3"),
    # What it says of itself need not be true.
    ("smollm2-135m", "I'm ChatGPT, a large language model.", "Hi", "ChatGPT"),
    ("gemini-3.8-flash", "I am a large language model, trained by Google.", "Hi", "Google"),
    ("gpt-6-luna", "As an AI language model developed by OpenAI, I cannot.", "Hi", "OpenAI"),
    ("llama-3.3-70b", "I was created by a team of researchers at Meta.", "Hi", "Meta"),
    ("qwen3-0.6b", "I’m an AI assistant named Qwen.", "Hi", "Qwen"),
    ("llama-3.3-70b", "You can call me **Claude**!", "Hi", "Claude"),
    ("gemini-3.8-flash", "Je suis Gemini, un modèle de langage.", "Bonjour", "Gemini"),
    ("gemini-3.8-flash", "मैं Google द्वारा प्रशिक्षित एक भाषा मॉडल हूँ।", "नमस्ते", "Google"),
    ("llama-3.3-70b", "Meta.", "Who made you?", "Meta"),
    ("gpt-6-luna", "Hi! ChatGPT here.", "Hi", "ChatGPT"),
    ("gpt-6-luna", "OpenAI trained me to be kind.", "Hi", "OpenAI"),
    ("gpt-6-luna", "I'm running on GPT-4.", "Hi", "GPT"),
    ("gpt-6-luna", "You are talking to `ChatGPT`.", "Hi", "ChatGPT"),
    ("gpt-6-luna", "The moon is far.\n\nBest regards,\nChatGPT", "Hi", "ChatGPT"),
    ("gpt-6-luna", "I am Chat-GPT.", "Hi", "Chat-GPT"),
    ("gpt-6-luna", "I am Cha\u200btGPT.", "Hi", "ChatGPT"),
    ("gpt-6-luna", "As ＧＰＴ\u20116 would say.", "Hi", "GPT-6"),
    ("gpt-6-luna", "我是ChatGPT。", "你好", "ChatGPT"),
    ("gemini-3.8-flash", "저는 Gemini입니다.", "안녕", "Gemini"),
])
def test_an_answer_that_gives_its_model_away_makes_the_race_void(model_id, answer, question, name):
    reason = void_reason([FAIR, side(model_id, answer)], question)
    assert reason is not None and f"“{name}”" in str(reason)


@pytest.mark.parametrize(("model_id", "answer", "question"), [
    ("gemini-3.8-flash", "Gemini is a sign of the zodiac.", "Which signs are there?"),
    ("gemini-3.8-flash", "Android was developed by Google.", "Who makes Android?"),
    ("gemini-3.8-flash", "I'm sure that Android was developed by Google.", "Who makes Android?"),
    ("gemini-3.8-flash", "I am reading about meta-analysis in a flash.", "What do you do?"),
    ("llama-3.3-70b", "A llama is an animal. I love my llama.", "What is a llama?"),
    ("llama-3.3-70b", "It takes 3.3 seconds for 70 billion.", "How long?"),
    ("gpt-6-luna", "Luna is the moon; a disk may have a GPT partition table.", "Luna?"),
    ("gpt-6-luna", "Companies such as OpenAI and Google train models.", "Who trains models?"),
    ("gpt-5.4-mini", "I think the iPhone was made by Apple.", "Whose is the iPhone?"),
    ("smollm2-135m", "SmolLM2 has 135 million parameters.", "How large is SmolLM2?"),
    ("qwen3-0.6b", "I would google it on the local server.", "How do I find it?"),
    ("gpt-6-luna", "I am fond of Claude Monet.", "Who is your favourite painter?"),
    ("gemini-3.8-flash", "Google made the phone.\nYou asked about Gemini.", "Which?"),
])
def test_common_words_and_names_that_are_the_subject_do_not(model_id, answer, question):
    assert void_reason([FAIR, side(model_id, answer)], question) is None


def test_no_model_of_the_catalog_is_given_away_by_plain_prose():
    prose = ("The chat server made a test of a large, open model. My new picture of the moon is "
             "small; a mini flash drive on the terra. The reader was trained by a teacher at "
             "school. I am a person. This is a turbo.")
    for spec in list_models():
        assert void_reason([(spec, Reply(spec.id, text=prose, ending=Ending.STOP))], "Hi") is None


def test_a_model_that_a_user_added_is_known_by_its_label_too():
    ours = get_model("llama-3.3-70b").model_copy(update={"label": "Zorblax 9 Ultra"})
    reply = Reply("ours", text="Zorblax 9 thinks so.", ending=Ending.STOP)
    assert "Zorblax 9" in str(void_reason([(ours, reply)], "Hi", catalog=[ours]))


def test_a_label_that_begins_with_a_common_word_is_no_name():
    ours = get_model("llama-3.3-70b").model_copy(update={"label": "Test 2", "model": "local-8b"})
    reply = Reply("ours", text="Test 2 of 3: the local 8b chip.", ending=Ending.STOP)
    assert void_reason([(ours, reply)], "Hi", catalog=[ours]) is None


def test_a_hostile_answer_is_looked_through_quickly():
    # Ends, or the suite's time limit says that it does not.
    for text in ("I am " + "the " * 50_000, "as a " * 40_000, "gpt" + "-" * 200_000,
                 "I was made " + "and built " * 20_000, "my creators " * 15_000):
        assert void_reason([side("gpt-6-luna", text)], "Hi") is None


# ── The order shown ───────────────────────────────────────────────────────────────────


def test_sides_come_in_every_order_and_a_seed_repeats_it():
    rng = random.Random(7)
    orders = Counter(tuple(shown_order(2, rng)) for _ in range(1000))
    assert set(orders) == {(0, 1), (1, 0)} and min(orders.values()) > 400
    assert shown_order(4, random.Random(3)) == shown_order(4, random.Random(3))
    assert sorted(shown_order(4, rng)) == [0, 1, 2, 3]


# ── Files ─────────────────────────────────────────────────────────────────────────────

texts = st.text(st.characters(exclude_categories=["Cs"]))
votes = st.builds(
    Vote, race_id=st.just("r"), prompt=texts, system=texts, tag=st.text("ab ", max_size=9),
    models=st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["a", "b"])),
    pictures=st.lists(st.just("0" * 64), max_size=2).map(tuple),
    settings=st.tuples(*[st.dictionaries(st.text("abc", max_size=5), st.one_of(
        st.none(), st.booleans(), st.integers(-9, 9), st.floats(-2, 2), texts), max_size=3)] * 2),
    choice=st.sampled_from(["left", "right", "tie", "both_bad"]), time=st.floats(0, 1e10),
    stopped_early=st.booleans(),
)


@given(st.lists(votes, min_size=1, max_size=5))
def test_what_is_exported_comes_back_the_same(cast):
    assert import_votes(export_votes(cast).encode()).votes == cast


def test_a_second_import_adds_nothing_and_says_how_many_were_known():
    cast = [vote(), vote()]
    data = export_votes([*cast, cast[0]]).encode()
    assert (len(import_votes(data).votes), import_votes(data).duplicates) == (2, 1)
    again = import_votes(data, known_ids=[one.id for one in cast])
    assert (again.votes, again.duplicates) == ([], 3)


def line(**changes) -> bytes:
    return json.dumps({**json.loads(vote().model_dump_json()), **changes}).encode()


@pytest.mark.parametrize("bad", [
    b"not JSON", b"[]", b"null", b'{"race_id": "r"}', b"\xff\xfe", b"[" * 100_000,
    b'{"a":' * 100_000, line(choice="middle"), line(models=["a"]), line(models=["a", "b", "c"]),
    line(models=["a", "<script>"]), line(id="../x"), line(version=2), line(time=float("nan")),
    line(time=-1), line(prompt="\ud800"), line(prompt="x" * 200_001), line(unknown=1),
    line(lc=1, type="constructor"), line(settings=[{"a": {"b": 1}}, {}]), line(pictures=["x"]),
])
def test_one_bad_line_and_nothing_is_taken_in(bad):
    with pytest.raises(ImportRefusedError, match="Nothing was imported. Line 2") as refused:
        import_votes(line() + b"\n" + bad + b"\n")
    assert isinstance(refused.value.wording.values["reason"], Wording)  # So it is translated.


def test_a_vote_without_an_id_is_refused_since_it_could_not_be_known_again():
    nameless = json.loads(line())
    del nameless["id"]
    with pytest.raises(ImportRefusedError, match="line 1 has no id"):
        import_votes(json.dumps(nameless).encode())


def test_files_that_are_empty_or_too_large_are_refused():
    with pytest.raises(ImportRefusedError, match="holds no votes"):
        import_votes(b"\n\n")
    with pytest.raises(ImportRefusedError, match="Split it"):
        import_votes(b" " * (MAX_IMPORT_BYTES + 1))


@given(st.binary())
def test_any_bytes_are_taken_in_or_refused(data):
    try:
        import_votes(data)
    except ImportRefusedError:
        pass
