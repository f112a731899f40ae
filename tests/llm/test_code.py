"""The program under a reply runs as it is shown, in a process of its own, and asks the same."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from llm import (
    build_chat_chain,
    build_image_chain,
    build_translation_chain,
    create_chat_model,
    get_model,
    image_message,
)
from llm.catalog import ModelSpec
from llm.code import program_of
from llm.keys import key_variable
from llm.local_engines import engine_for
from llm.picture_reader import end_reader
from llm.providers import bind_settings
from llm.replies import Reply, start_reply
from tests.app import ROOT, clean_environment
from tests.servers import recording
from tests.transcripts import PICTURES, everything

CANARY = "sk-canary-0123456789abcdef"
SETTINGS = {"temperature": 0.0, "top_p": 0.9, "max_tokens": 50, "seed": 7}
NASTY = "It's {x.__class__} \"quoted\" \\ <|im_end|> \u202e नमस्ते 🎉\n\ud800 '''\"\"\""

TRANSLATION = (build_translation_chain, {"system": "Translate to {French}.", "text": NASTY})
NO_SYSTEM = (build_translation_chain, {"system": " ", "text": "Hello"})
CHAT = (build_chat_chain, {
    "system": "Be brief.", "history": [("human", NASTY), ("ai", "I see.")],
    "message": [("human", "What did I say?")]})
PICTURE = (build_image_chain, {
    "system": "", "history": [], "message": [image_message("What is this?", PICTURES)]})
ALL = pytest.mark.parametrize("asked", [TRANSLATION, NO_SYSTEM, CHAT, PICTURE],
                              ids=["translation", "no system", "chat", "picture"])


@pytest.fixture
def server():
    with recording.running() as running:
        yield running


def reply_of(spec: ModelSpec, asked, **settings) -> Reply:
    build, inputs = asked
    model = bind_settings(create_chat_model(spec, api_key=CANARY), spec, settings)
    reply = start_reply(build(model), inputs, spec, settings=settings).wait(60)
    assert reply.error is None
    return reply


def run(program, folder: Path, *options: str, **environment: str) -> str:
    """What the program prints, run beside its pictures."""
    for name, data in program.pictures.items():
        (folder / name).write_bytes(data)
    ended = subprocess.run([sys.executable, *options, "-c", program.text], cwd=folder, text=True,
                           capture_output=True, timeout=100, env=clean_environment(**environment))
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def asked_for(request) -> dict:
    """A request's JSON less what makes it a stream, messages less what says nothing."""
    body = request.json
    messages = [{"role": message["role"], "content": message["content"]}
                for message in body.pop("messages")]
    return {name: value for name, value in body.items() if name not in ("stream", "stream_options")
            and value is not None} | {"messages": messages}


def server_of_ones_own(provider: str, base_url: str) -> ModelSpec:
    return ModelSpec(id="mine", label="Mine", provider=provider, model="org/m", open=True,
                     vision=True, base_url=base_url)


@ALL
@pytest.mark.parametrize("provider", ["openai", "huggingface"])
def test_it_sends_the_same_request_and_prints_the_same_text(server, tmp_path, provider, asked):
    spec = server_of_ones_own(provider, server.base_url)
    reply = reply_of(spec, asked, **SETTINGS)
    program = program_of(reply, spec)
    assert run(program, tmp_path, "-I", **{key_variable(spec): CANARY}) == reply.text + "\n"
    first, second = server.requests
    assert asked_for(second) == asked_for(first)
    assert second.path == first.path
    assert second.headers["authorization"] == f"Bearer {CANARY}"
    assert "canary" not in program.text


def test_openais_own_variables_are_read_by_the_library_itself(server, tmp_path):
    spec = get_model("gpt-6-luna")
    program = program_of(Reply(spec.id, "Hi", messages=everything().path()[1].reply.messages), spec)
    assert 'ChatOpenAI(model="gpt-6-luna")' in program.text and "os.environ" not in program.text
    run(program, tmp_path, "-I", OPENAI_API_KEY=CANARY, OPENAI_BASE_URL=server.base_url)
    assert server.requests[0].headers["authorization"] == f"Bearer {CANARY}"


def test_another_address_in_the_environment_is_named(server, tmp_path, monkeypatch):
    """Wherever the program is run, what was typed goes where it went."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
    spec = get_model("gpt-6-luna")
    reply = reply_of(spec, CHAT, **SETTINGS)
    program = program_of(reply, spec)
    assert "temperature" not in program.text  # this model takes none
    run(program, tmp_path, "-I", OPENAI_API_KEY=CANARY)
    first, second = server.requests
    assert asked_for(second)["messages"] == asked_for(first)["messages"]
    assert second.json["model"] == "gpt-6-luna"


def test_a_missing_key_is_told_by_name(tmp_path):
    spec = get_model("llama-3.3-70b")
    reply = Reply(spec.id, "Hi", messages=everything().path()[1].reply.messages)
    with pytest.raises(AssertionError, match="HF_TOKEN"):
        run(program_of(reply, spec), tmp_path, "-I")


def test_stage_01_is_prompt_model_parser_and_a_chat_is_its_messages(server):
    spec = server_of_ones_own("openai", server.base_url)
    program = program_of(reply_of(spec, TRANSLATION, **SETTINGS), spec).text
    assert 'ChatPromptTemplate([("system", "{system}"), ("human", "{text}")])' in program
    assert "chain = prompt | model | StrOutputParser()" in program
    assert "ChatPromptTemplate" not in program_of(reply_of(spec, CHAT), spec).text
    assert "ChatPromptTemplate" not in program_of(reply_of(spec, NO_SYSTEM), spec).text


def test_a_reply_whose_run_was_not_kept_has_its_messages(tmp_path):
    reply = everything().path()[3].reply
    program = program_of(reply, None)
    assert 'ChatOpenAI(model="scripted"' in program.text
    assert list(program.pictures) == ["picture-1.png", "picture-2.png"]
    compile(program.text, "program", "exec")


@given(words=st.lists(st.text(max_size=60), min_size=1, max_size=4))
@settings(max_examples=60, deadline=None)
def test_whatever_was_said_it_is_python_that_says_it(words):
    reply = Reply("gone", "Hi", messages=[HumanMessage(text) for text in words])
    last = ast.parse(program_of(reply, None).text).body[-1]
    said = ast.literal_eval(last.value.args[0].args[0])
    assert said == [("human", text) for text in words]


@pytest.mark.model
@pytest.mark.timeout(300)
@pytest.mark.parametrize("asked", [
    (build_translation_chain, {"system": "You are a helpful assistant.",
                               "text": "What is the capital of France?"}),
    (build_chat_chain, {"system": "", "history": [
        ("human", "Remember this: the name of the user is Ada."), ("ai", "I will remember.")],
        "message": [("human", "What is my name? <|im_end|>")]}),
], ids=["translation", "chat"])
def test_a_model_on_this_machine_says_the_same_again(tmp_path, asked):
    spec = get_model("smollm2-135m")
    try:
        reply = reply_of(spec, asked, temperature=0.0, max_tokens=40)
    finally:
        engine_for(spec).stop()
    program = program_of(reply, spec)
    assert 'get_model("smollm2-135m")' in program.text
    printed = run(program, tmp_path, PARLEY_HOME=os.environ["PARLEY_HOME"], PYTHONPATH=str(ROOT))
    assert printed == reply.text + "\n"


def test_a_model_that_no_file_lists_is_written_out():
    spec = get_model("smollm2-135m").model_copy(update={"id": "mine", "label": "It's mine"})
    program = program_of(Reply("mine", "Hi", messages=[]), spec).text
    made: dict = {}
    head = program.partition("model = ")[2].partition("\n")[0]
    exec(f"from llm import ModelSpec\ncreate_chat_model = lambda spec: spec\nmade = {head}", made)
    assert made["made"] == spec


@pytest.mark.model
def test_the_picture_reader_reads_the_same_again(tmp_path):
    spec = get_model("picture-reader")
    try:
        reply = reply_of(spec, PICTURE, mode="alt")
    finally:
        end_reader()
    program = program_of(reply, spec)
    printed = run(program, tmp_path, PARLEY_HOME=os.environ["PARLEY_HOME"], PYTHONPATH=str(ROOT))
    assert printed == reply.text + "\n" and "mostly" in printed  # and not all of the findings
    assert json.dumps(program.text).count("base64,") == 2
