"""The notebook of a conversation asks it again: the same messages reach the same kind of server."""

import io
import json
import subprocess
import sys
from contextlib import contextmanager, redirect_stdout
from pathlib import Path

import jsonschema
import pytest
from hypothesis import given, settings

from llm import build_chat_chain, create_chat_model, get_model, start_reply, weights
from llm.catalog import ModelSpec
from llm.child import Child
from llm.local_engines import LOCAL_ENGINES, engine_for
from llm.memory import STRATEGIES, Options, to_message
from llm.providers import bind_settings, key_variable
from llm.replies import Ending, Reply
from llm.transcript import Transcript
from llm.transcript_notebook import to_notebook
from tests.app import clean_environment
from tests.servers.recording import Answer, running
from tests.transcripts import PICTURES, everything, reply_to, transcripts

SCHEMA = json.loads(Path(__file__).with_name("nbformat.v4.5.schema.json").read_text())
LOCAL = ModelSpec(id="here", label="Here", provider="local", model="org/here", open=True,
                  engine="llama.cpp", weights="builtin")


class Counting(Answer):
    """Answers "Answer 1.", "Answer 2.", … as the conversation below was answered."""

    def answer(self, request):
        self.send(200, {"choices": [{"index": 0, "finish_reason": "stop", "message": {
            "role": "assistant", "content": f"Answer {len(self.server.requests)}."}}]},
            # Each connection is closed after its answer: whoever keeps them is told.
            {"connection": "close"})


def conversation(model_id: str, strategy: str = "everything", **kinds) -> Transcript:
    chat = Transcript(title="About \"\"\" trains\\")
    for number, question in enumerate(["I'm {Ada}.\n\"Hi\"", "What is this?", "Who am I?"], 1):
        chat.append("human", question, pictures=kinds.get("pictures") if number == 2 else None)
        reply = reply_to(chat, f"Answer {number}.", strategy=strategy)
        reply.model_id, reply.settings = model_id, {"temperature": 0.5, "system": "Be brief."}
        chat.append("ai", reply=reply)
    return chat


def code_of(notebook: str) -> str:
    return "\n\n".join("".join(cell["source"]) for cell in json.loads(notebook)["cells"]
                       if cell["cell_type"] == "code")


@contextmanager
def server_and_code(chat: Transcript, spec: ModelSpec | None, environment: dict[str, str]):
    with running(Counting) as server:
        if spec is not None and spec.base_url:
            spec = spec.model_copy(update={"base_url": server.base_url})
        given = {name: value.replace("SERVER", server.base_url)
                 for name, value in environment.items()}
        yield server, code_of(to_notebook(chat, {spec.id: spec} if spec else {})), given


def run_again(chat: Transcript, spec: ModelSpec | None, **environment: str) -> list[dict]:
    """Run the notebook's code. Returns the requests that reached the server."""
    with server_and_code(chat, spec, environment) as (server, code, given):
        printed = io.StringIO()
        with pytest.MonkeyPatch.context() as patch, redirect_stdout(printed):
            for name, value in given.items():
                patch.setenv(name, value)
            exec(compile(code, "notebook", "exec"), {})
        assert printed.getvalue() == "Answer 1.\nAnswer 2.\nAnswer 3.\n"
        return [{**request.json, "authorization": request.headers.get("authorization")}
                for request in server.requests]


def told(messages) -> list[dict]:
    roles = {"system": "system", "human": "user", "ai": "assistant"}
    return [{"role": roles[message.type], "content": message.content} for message in messages]


def sent_in_parley(chat: Transcript) -> list[list[dict]]:
    return [told(turn.reply.messages) for turn in chat if turn.reply]


def sent(requests) -> list[list[dict]]:
    return [[{"role": message["role"], "content": message["content"]}
             for message in request["messages"]] for request in requests]


def test_it_runs_in_a_process_that_has_nothing_of_parley():
    environment = {"LOCAL_MODEL_URL": "SERVER"}
    with server_and_code(conversation("here"), LOCAL, environment) as (server, code, given):
        run = subprocess.run([sys.executable, "-I", "-c", code], env=clean_environment(**given),
                             capture_output=True, text=True, timeout=60, cwd="/")
        assert run.stdout == "Answer 1.\nAnswer 2.\nAnswer 3.\n", run.stderr
        assert sent([request.json for request in server.requests]) == \
            sent_in_parley(conversation("here"))


@contextmanager
def server_of_ones_own(spec: ModelSpec, folder: Path):
    """The model on llama.cpp as somebody would start it by hand: no key. Yields its address."""
    kind = LOCAL_ENGINES[spec.engine]
    order = kind.order(spec, weights.find(spec))
    del order["memory"]
    child = Child(kind.module, order | {"name": spec.model, "api_key": "none", "port": 0},
                  log=folder / "server.log")
    try:
        yield f"http://127.0.0.1:{child.next_event(60)['port']}/v1"
    finally:
        child.end()


@pytest.mark.model
@pytest.mark.timeout(300)
def test_the_built_in_model_says_again_word_for_word_what_it_said(tmp_path):
    spec = get_model("smollm2-135m")
    settings = {"temperature": 0.0, "max_tokens": 40}
    chain = build_chat_chain(bind_settings(create_chat_model(spec), spec, settings))
    chat = Transcript()
    for question, strategy in {"My name is Maria.": "everything", "What is my name?": "everything",
                               "Who am I?": "nothing"}.items():
        view = STRATEGIES[strategy].see(chat.path(), Options())
        asked = chat.append("human", question)
        chat.append("ai", reply=start_reply(chain, {
            "system": "Be brief.", "history": view.messages, "message": [to_message(asked)],
        }, spec, settings=settings).wait(120))
    engine_for(spec).stop()
    with server_of_ones_own(spec, tmp_path) as url:
        code = code_of(to_notebook(chat, {spec.id: spec}))
        run = subprocess.run([sys.executable, "-I", "-c", code],
                             env=clean_environment(LOCAL_MODEL_URL=url), capture_output=True,
                             text=True, timeout=200, cwd="/")
    assert run.stdout == "".join(f"{turn.text}\n" for turn in chat if turn.reply), run.stderr


def test_a_local_model_is_asked_again_at_the_address_from_the_environment():
    chat = conversation("here")
    requests = run_again(chat, LOCAL, LOCAL_MODEL_URL="SERVER", HF_TOKEN="hf_canary")
    assert sent(requests) == sent_in_parley(chat)
    assert {request["model"] for request in requests} == {"org/here"}
    assert {request["temperature"] for request in requests} == {0.5}
    assert "hf_canary" not in str(requests)


def test_an_openai_model_is_asked_again_with_the_key_from_the_environment():
    spec = ModelSpec(id="gpt", label="GPT", provider="openai", model="gpt-x", open=False)
    chat = conversation("gpt")
    requests = run_again(chat, spec, OPENAI_API_KEY="sk-canary", OPENAI_BASE_URL="SERVER")
    assert sent(requests) == sent_in_parley(chat)
    assert {request["authorization"] for request in requests} == {"Bearer sk-canary"}


def test_a_server_of_ones_own_gets_its_own_key_and_no_other():
    for provider in ("openai", "huggingface"):
        spec = ModelSpec(id="mine", label="Mine", provider=provider, model="llama", open=True,
                         base_url="http://127.0.0.1:9/v1")
        chat = conversation("mine")
        requests = run_again(chat, spec, HF_TOKEN="hf_canary", OPENAI_API_KEY="sk-canary",
                             **{key_variable(spec): "own-key"})
        assert sent(requests) == sent_in_parley(chat)
        assert {request["authorization"] for request in requests} == {"Bearer own-key"}


def test_a_model_that_is_no_longer_in_the_catalog_is_asked_by_its_id():
    chat = conversation("gone")
    requests = run_again(chat, None, OPENAI_API_KEY="sk-x", OPENAI_BASE_URL="SERVER")
    assert {request["model"] for request in requests} == {"gone"}


def test_what_a_strategy_left_out_is_left_out_again():
    for strategy in ("nothing", "last"):
        chat = conversation("here", strategy)
        assert sent(run_again(chat, LOCAL, LOCAL_MODEL_URL="SERVER")) == sent_in_parley(chat)


def test_a_summary_is_sent_again_as_it_was():
    chat = conversation("here")
    chat.path()[3].summary = "The user is Ada."
    view = STRATEGIES["summary"].see(chat.path()[:4], Options())
    last = chat.path()[5].reply
    last.messages = [last.messages[0].model_copy(update={"content": view.system("Be brief.")}),
                     to_message(chat.path()[4])]
    assert sent(run_again(chat, LOCAL, LOCAL_MODEL_URL="SERVER")) == sent_in_parley(chat)


def test_pictures_are_in_it_and_are_sent_again():
    chat = conversation("here", pictures=list(PICTURES))
    requests = run_again(chat, LOCAL, LOCAL_MODEL_URL="SERVER")
    assert sent(requests) == sent_in_parley(chat)
    assert PICTURES[0].data_url in json.dumps(requests)


def test_what_was_answered_stands_under_each_cell_as_plain_text():
    cells = json.loads(to_notebook(conversation("here"), {"here": LOCAL}))["cells"]
    outputs = [output for cell in cells for output in cell.get("outputs", ())]
    assert ["".join(output["text"]) for output in outputs] == [
        "Answer 1.", "Answer 2.", "Answer 3."]
    assert {output["output_type"] for output in outputs} == {"stream"}


def test_half_a_character_can_be_asked_and_the_notebook_saved():
    chat = Transcript()
    chat.append("human", "\ud83d?")
    reply = reply_to(chat, "Answer 1. \ude00")
    reply.model_id = "here"
    chat.append("ai", reply=reply)
    cells = json.loads(to_notebook(chat, {"here": LOCAL}))["cells"]
    assert json.dumps(cells, ensure_ascii=False).encode()
    assert "\ufffd?" in "".join(cells[-1]["source"])


def test_no_key_is_written_into_it(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    spec = ModelSpec(id="here", label="GPT", provider="openai", model="gpt-x", open=False)
    assert "sk-canary" not in to_notebook(conversation("here"), {"here": spec})


def test_a_reader_of_pictures_is_no_model_to_ask():
    reader = ModelSpec(id="reader", label="Reader", provider="reader", model="r", open=True)
    assert "Who am I?" not in code_of(to_notebook(conversation("reader"), {"reader": reader}))


def test_a_reply_that_never_came_is_asked_again():
    chat = Transcript()
    chat.append("human", "Hello?")
    chat.append("ai", reply=Reply("here", ending=Ending.FAILED, error="No connection."))
    assert "ask('Hello?'" in code_of(to_notebook(chat, {"here": LOCAL}))


@given(chat=transcripts())
@settings(max_examples=60, deadline=None)
def test_any_notebook_is_valid_by_jupyters_schema_and_its_code_is_python(chat):
    notebook = to_notebook(chat, {"scripted": LOCAL.model_copy(update={"id": "scripted"})})
    jsonschema.validate(json.loads(notebook), SCHEMA)
    compile(code_of(notebook), "notebook", "exec")


def test_a_conversation_with_everything_in_it_makes_a_valid_notebook():
    jsonschema.validate(json.loads(to_notebook(everything(), {})), SCHEMA)
