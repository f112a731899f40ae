"""Tokens are counted by the model's own tokenizer where it is at hand, and else estimated."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace

from llm import chat_templates, tokens, weights
from llm.catalog import ModelSpec
from llm.chat_templates import ChatTemplate
from llm.tokens import (
    MESSAGE_OVERHEAD,
    TokenCount,
    count_message_tokens,
    count_request_tokens,
    count_tokens,
)
from tests.transcripts import PICTURES


@pytest.fixture
def looked(monkeypatch):
    """The specs whose tokenizer was looked for, in a process that has just started."""
    looked = []
    monkeypatch.setattr(tokens, "_readings", {})
    monkeypatch.setattr(tokens, "_counts", {})
    monkeypatch.setattr(weights, "tokenizer_file", lambda spec: looked.append(spec))
    tokens._look_for_reading.cache_clear()
    yield looked
    tokens._look_for_reading.cache_clear()


@pytest.fixture
def by_words(looked, monkeypatch, tmp_path):
    """A tokenizer to which each word is one token."""
    file = tmp_path / "tokenizer.json"
    tokenizer = Tokenizer(WordLevel({"[UNK]": 0}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.save(str(file))
    monkeypatch.setattr(weights, "tokenizer_file", lambda spec: looked.append(spec) or file)


def spec(id="m", **more):
    return ModelSpec(id=id, label="M", provider="huggingface", model="org/m", open=True, **more)


def test_without_a_tokenizer_a_count_is_an_estimate_and_says_so(looked):
    count = count_tokens(spec(), "x" * 400)
    assert 100 <= count.tokens <= 102 and not count.measured


def test_with_one_it_is_measured(by_words):
    assert count_tokens(spec(), "one two three") == TokenCount(3, measured=True)


@pytest.mark.parametrize("at_hand", ["by_words", "looked"])
def test_half_a_character_is_counted_as_what_is_sent_for_it(request, at_hand):
    request.getfixturevalue(at_hand)
    assert count_tokens(spec(), "one \ud83d two") == count_tokens(spec(), "one \ufffd two")


def test_a_message_costs_its_words_and_the_templates_share(by_words):
    messages = [HumanMessage("one two"), AIMessage("three")]
    assert count_message_tokens(spec(), messages) == TokenCount(3 + 2 * MESSAGE_OVERHEAD, True)


def test_a_picture_is_always_an_estimate(by_words):
    message = HumanMessage([{"type": "image_url", "image_url": {"url": PICTURES[0].data_url}},
                            {"type": "text", "text": "one"}])
    count = count_message_tokens(spec(), [message])
    assert count.tokens > 50 and not count.measured


def test_a_picture_costs_what_the_models_maker_publishes_where_that_is_known(by_words):
    pictures = [HumanMessage([{"type": "image_url", "image_url": {"url": picture.data_url}}])
                for picture in PICTURES]
    counts = [count_message_tokens(spec(image_tokens="gemma3"), [message]).tokens
              for message in pictures]
    assert set(counts) == {256 + MESSAGE_OVERHEAD}
    assert count_message_tokens(spec(image_tokens="none"), pictures[:1]).tokens == MESSAGE_OVERHEAD


def test_a_tokenizer_is_looked_for_once_however_many_messages_are_counted(by_words, looked):
    count_message_tokens(spec(), [HumanMessage(f"message {number}") for number in range(100)])
    assert len(looked) == 1


def test_a_tokenizer_that_comes_with_the_weights_is_used_from_then_on(
        looked, monkeypatch, request):
    assert not count_tokens(spec(), "one two three").measured
    request.getfixturevalue("by_words")
    monkeypatch.setattr(tokens, "LOOK_AGAIN_SECONDS", 1e-9)
    assert count_tokens(spec(), "one two three") == TokenCount(3, measured=True)


def test_what_the_template_adds_is_still_known_when_the_weights_are_gone(
        by_words, monkeypatch):
    template = ChatTemplate(
        "{% for m in messages %}turn {{ m.content }} end {% endfor %}reply begins now", {})
    monkeypatch.setattr(chat_templates, "find_template", lambda spec: template)
    said = [HumanMessage("one two three")]
    assert count_tokens(spec(), "one two three").tokens == 3  # before a template is asked for
    monkeypatch.setattr(chat_templates, "find_template", lambda spec: None)
    assert count_request_tokens(spec(), said) == TokenCount(3 + 2 + 3, measured=True)


def test_counts_of_one_model_are_not_taken_for_anothers(by_words, monkeypatch):
    assert count_tokens(spec("a"), "one two three").tokens == 3
    monkeypatch.setattr(weights, "tokenizer_file", lambda spec: None)
    assert not count_tokens(spec("b"), "one two three").measured


def test_what_was_counted_is_not_held_on_to(by_words):
    count_tokens(spec(), "secret-canary")
    assert "secret-canary" not in repr(tokens._counts)


def test_what_is_remembered_stays_within_its_bound(looked, monkeypatch):
    monkeypatch.setattr(tokens, "MAX_COUNTS", 10)
    for number in range(100):
        count_tokens(spec(), str(number))
    assert len(tokens._counts) <= 10


def test_half_a_character_is_counted_too(looked):
    assert count_tokens(spec(), "\ud800").tokens >= 0
