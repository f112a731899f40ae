"""The prompt that is shown is the one the model reads: filled and cut as the engine does it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from llm import get_model
from llm.catalog import ModelSpec
from llm.chat_templates import ChatTemplate, find_template, read_tokens
from llm.errors import UnsupportedModelError
from llm.local_engines import engine_for

HELLO = [{"role": "user", "content": "Hello"}]
TALK = [{"role": "system", "content": "Be brief."},
        {"role": "user", "content": "नमस्ते 🎉, 12 + 345?"},
        {"role": "assistant", "content": "  357\n"},
        {"role": "user", "content": "<\u200b|im_end|> {{ x }} {% y %}"}]


def fill(source: str, messages=HELLO, **special: str) -> str:
    return ChatTemplate(source, special).fill(messages, when=86_400 * 365)


def test_special_tokens_are_at_hand_and_a_reply_is_begun():
    assert fill("{{ bos_token }}{% for m in messages %}{{ m.content }}{% endfor %}"
                "{% if add_generation_prompt %}[reply]{% endif %}", bos_token="<s>") \
        == "<s>Hello[reply]"


def test_whitespace_loops_and_marks_for_training_are_as_in_transformers():
    assert fill("{% for m in messages %}\n"
                "  {% generation %}{{ m.content }}{% endgeneration %}\n"
                "  {% break %}\n"
                "{% endfor %}", messages=HELLO * 2) == "Hello"
    assert fill("{{ {'a': 'é<'} | tojson }}") == '{"a": "é<"}'


def test_the_date_is_that_of_the_reply():
    assert fill("{{ strftime_now('%Y') }}") == "1971"


def test_a_picture_becomes_the_templates_own_mark():
    seeing = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:…"}},
                                           {"type": "text", "text": "What?"}]}]
    assert fill("{% for part in messages[0].content %}"
                "{% if part.type == 'image' %}<image>{% else %}{{ part.text }}{% endif %}"
                "{% endfor %}", seeing) == "<image>What?"


def test_what_is_typed_is_no_template():
    assert "{{ 7 * 7 }}" in fill("{{ messages[0].content }}",
                                 [{"role": "user", "content": "{{ 7 * 7 }}"}])


@pytest.mark.parametrize("source", [
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages.append(1) }}",
    "{{ raise_exception('no system message') }}",
    "{% for a in range(10**9) %}x{% endfor %}",
    "{% for a in range(99999) %}{{ 'x' * 100 }}{% endfor %}",
    "{% if %}",
])
def test_a_template_that_cannot_or_must_not_be_filled_is_a_sentence(source):
    with pytest.raises(UnsupportedModelError):
        fill(source)


def folder_with(tmp_path: Path, **files) -> ModelSpec:
    folder = tmp_path / "model"
    folder.mkdir()
    header = json.dumps({"a": {"dtype": "BF16", "shape": [1], "data_offsets": [0, 2]}}).encode()
    (folder / "model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + b"ab")
    for name, content in {"config.json": {}, **files}.items():
        (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
    return ModelSpec(id="m", label="M", provider="local", model="org/m", open=True,
                     engine="transformers", weights=str(folder))


@pytest.mark.parametrize("files", [
    {"tokenizer_config.json": {"chat_template": "T {{ eos_token }}", "eos_token": "</s>"}},
    {"tokenizer_config.json": {"eos_token": {"content": "</s>"}},
     "chat_template.jinja": "T {{ eos_token }}"},
    {"chat_template.json": {"chat_template": "T {{ eos_token }}"},
     "special_tokens_map.json": {"eos_token": "</s>"}},
    {"tokenizer_config.json": {"eos_token": "</s>", "chat_template": [
        {"name": "tool_use", "template": "no"},
        {"name": "default", "template": "T {{ eos_token }}"}]}},
])
def test_a_checkpoint_keeps_its_template_in_one_of_several_places(tmp_path, files):
    template = find_template(folder_with(tmp_path, **files))
    assert template.fill(HELLO, when=0) == "T </s>"


def test_a_checkpoint_without_one_and_a_model_elsewhere_have_none(tmp_path):
    spec = folder_with(tmp_path, **{"tokenizer_config.json": "[" * 10_000})
    assert find_template(spec) is None
    assert read_tokens(spec, "Hello") is None
    assert find_template(get_model("llama-3.3-70b")) is None


@pytest.fixture
def engine() -> Iterator[httpx2.Client]:
    """The built-in model's engine, to be asked what it makes of messages."""
    engine = engine_for(get_model("smollm2-135m"))
    endpoint = engine.wait_ready()
    with httpx2.Client(headers={"authorization": f"Bearer {endpoint.api_key}"}, trust_env=False,
                       base_url=endpoint.base_url.removesuffix("/v1")) as http:
        yield http
    engine.stop()


@pytest.mark.model
@pytest.mark.parametrize("messages", [HELLO, TALK])
def test_prompt_and_tokens_are_those_that_the_engine_itself_makes(engine, messages):
    spec = get_model("smollm2-135m")
    prompt = find_template(spec).fill(messages, when=0)
    assert prompt == engine.post("/apply-template", json={"messages": messages}).json()["prompt"]
    tokens = read_tokens(spec, prompt)
    assert [token.id for token in tokens] == engine.post("/tokenize", json={
        "content": prompt, "add_special": True, "parse_special": True}).json()["tokens"]
    special = [token.text for token in tokens if token.special]
    assert set(special) == {"<|im_start|>", "<|im_end|>"}
    # Each message is opened and closed, the system message that the model brings along too.
    told = len(messages) + (messages[0]["role"] != "system")
    assert special.count("<|im_end|>") == told
    assert special.count("<|im_start|>") == told + 1


def test_neither_torch_nor_transformers_is_loaded_for_it():
    code = ("import sys, llm.chat_templates, llm.what_ran; "
            "print([m for m in ('streamlit', 'torch', 'transformers') if m in sys.modules])")
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
