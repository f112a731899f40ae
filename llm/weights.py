"""The files of local models: whether they are here and whole, how large, and how to get them.

    weights.is_here(spec)                 no network, no waiting
    weights.size_of(spec)                 bytes still to fetch, asked of the Hub
    weights.fetch(spec, progress, cancelled)
    weights.find(spec)                    where they are; raises if they are not, or damaged

A spec's weights are "builtin", the id of a repository on the Hugging Face Hub, or a path
(one that begins with "/", ".", "~" or a drive letter). Fetched files are kept in
PARLEY_HOME/hub (llm.hub says why), the built-in model's in PARLEY_HOME/weights. Fetching
and rewriting happen in a child process: cancelling is killing it, and what has come stays
for the next try.

Only safetensors and GGUF files are fetched: data, never code.

This module does not know engines or pages.
"""

from __future__ import annotations

import functools
import json
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from llm import builtin_weights, hub, paths
from llm.catalog import ModelSpec
from llm.child import Child, error_in
from llm.errors import (
    EngineError,
    FetchCancelledError,
    LocalModelError,
    NoRoomError,
    UnsupportedModelError,
    WeightsDamagedError,
    WeightsMissingError,
)
from llm.gguf_file import read_header


@dataclass(frozen=True)
class Weights:
    """Files on this machine."""

    path: Path
    """A GGUF file for llama.cpp; a folder for transformers."""
    mmproj: Path | None = None

    @property
    def bytes(self) -> int:
        """What an engine will read into memory."""
        files = [self.path] if self.path.is_file() else list(self.path.glob("*.safetensors"))
        if match := _PART.search(self.path.name):
            files = list(self.path.parent.glob(f"{self.path.name[:match.start()]}-*.gguf"))
        return sum(file.stat().st_size for file in (*files, self.mmproj) if file)


@dataclass(frozen=True)
class Progress:
    stage: str
    """"fetching" or "converting"."""
    done: int
    total: int
    """Bytes."""

    @property
    def share(self) -> float | None:
        """From 0 to 1, or None where the total is not known."""
        return min(1.0, self.done / self.total) if self.total else None


SPARE_BYTES = 200_000_000
"""Left free on the disk for everything else."""

_PART = re.compile(r"-00001-of-(\d{5})\.gguf$")
_PATH = re.compile(r"[./~\\]|[A-Za-z]:[\\/]")


def is_path(weights: str) -> bool:
    """Whether a spec's weights are named by a path, and not by a Hub id."""
    return _PATH.match(weights) is not None


def is_here(spec: ModelSpec) -> bool:
    """Whether the files are on this machine and look whole: `find` would not raise."""
    try:
        find(spec)
    except LocalModelError:
        return False
    return True


def find(spec: ModelSpec) -> Weights:
    """Where the files are, once it is sure that each is there and of its full length.

    Raises `WeightsMissingError`, `WeightsDamagedError` or `UnsupportedModelError`.
    """
    try:
        return _found(spec)
    except (OSError, ValueError, RuntimeError) as error:
        # No file can have such a name: it is too long, holds NUL, is at "~nobody".
        raise WeightsMissingError(
            "The weights of {label} cannot be looked for there. Check their path, and the folder "
            "in PARLEY_HOME.", label=spec.label,
        ) from error


def _found(spec: ModelSpec) -> Weights:
    missing = WeightsMissingError(
        "The weights of {label} are not on this machine yet. Fetch them first.",
        label=spec.label,
    )
    if spec.weights == "builtin":
        folder = builtin_weights.folder(spec.engine)
        if not folder.is_dir():
            raise missing
        found = Weights(
            folder / builtin_weights.GGUF_FILE if spec.engine == "llama.cpp" else folder)
    elif is_path(spec.weights):
        found = _find_path(spec)
    else:
        folder = hub.cached_folder(spec.weights)
        if folder is None:
            raise missing
        found = _within(folder, spec)
        files = [found.path, found.mmproj] if spec.engine == "llama.cpp" \
            else [found.path / "config.json", *_shards(found.path)]
        if len(files) < 2 or not all(file is None or file.is_file() for file in files):
            raise missing
    _check(found)
    return found


def size_of(spec: ModelSpec) -> int:
    """How many bytes must be fetched before the model can start; 0 if it is all here.

    For a Hub id this asks the Hub, for 10 s at most. Raises `HubUnreachableError`,
    `WeightsMissingError` (no such repository or file) or `UnsupportedModelError` (nothing
    in it that is fetched).
    """
    if spec.weights == "builtin":
        return 0 if builtin_weights.source() or is_here(spec) else builtin_weights.SOURCE_BYTES
    if is_path(spec.weights):
        return 0
    listing, chosen = _chosen(spec)
    return hub.missing_bytes(spec.weights, {name: listing.files[name] for name in chosen})


def fetch(spec: ModelSpec, progress: Callable[[Progress], None] = lambda _: None,
          cancelled: threading.Event | None = None) -> Weights:
    """Get what is missing, rewriting the built-in model where needed, and return `find(spec)`.

    Blocks until done. `progress` is called in this thread. Setting `cancelled` from another
    ends it within a fraction of a second with `FetchCancelledError`; the next call goes on
    where it stopped. Raises `HubUnreachableError`, `NoRoomError`, `WeightsMissingError`,
    `WeightsDamagedError` or `UnsupportedModelError`.
    """
    if is_path(spec.weights) or is_here(spec):
        return find(spec)
    if spec.weights == "builtin":
        unpacked = 0 if builtin_weights.source() else 2 * builtin_weights.SOURCE_BYTES
        _check_room(spec, builtin_weights.CONVERTED_BYTES + unpacked)
        _run("llm.builtin_weights", {"engine": spec.engine}, spec, progress, cancelled)
    else:
        listing, chosen = _chosen(spec)
        files = {name: listing.files[name] for name in chosen}
        _check_room(spec, hub.missing_bytes(spec.weights, files))
        _run("llm.hub", hub.order(spec.weights, listing, chosen), spec, progress, cancelled)
    return find(spec)


def _chosen(spec: ModelSpec) -> tuple[hub.Listing, list[str]]:
    listing = hub.list_files(spec.weights)
    return listing, hub.choose(listing.files, spec.engine, spec.file, spec.mmproj, spec.weights)


def _check_room(spec: ModelSpec, needed: int) -> None:
    place = paths.home()
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    if free < needed + SPARE_BYTES:
        raise NoRoomError(
            "{label} needs {needed:.1f} GB on disk and {place} has "
            "{free:.1f} GB free. Make room there, or set PARLEY_HOME to another disk.",
            label=spec.label, needed=needed / 1e9, place=place, free=free / 1e9,
        )


def tokenizer_file(spec: ModelSpec) -> Path | None:
    """The model's tokenizer.json on this machine, or None. Fetches nothing."""
    try:
        path = find(spec).path
    except (LocalModelError, TypeError):
        return None
    file = (path if path.is_dir() else path.parent) / "tokenizer.json"
    return file if file.is_file() else None


def _run(module: str, order: dict, spec: ModelSpec, progress: Callable[[Progress], None],
         cancelled: threading.Event | None) -> None:
    log = paths.logs() / "weights.log"
    log.unlink(missing_ok=True)
    child = Child(module, order, log=log)
    failure: Exception | None = None
    try:
        while (event := child.next_event(timeout=0.1)) is not None:
            if cancelled is not None and cancelled.is_set():
                raise FetchCancelledError(
                    "Fetching {label} was cancelled. What has come is kept for another try.",
                    label=spec.label,
                )
            if event.get("event") == "progress":
                progress(Progress(event["stage"], event["done"], event["total"]))
            elif event.get("event") == "failed":
                failure = error_in(event)
        code = child.end(patience=5)
    finally:
        child.end()
    if failure:
        raise failure
    if code:
        raise EngineError(
            "The weights of {label} could not be prepared. Try again; {log} says more.",
            label=spec.label, log=log,
        )


def _find_path(spec: ModelSpec) -> Weights:
    path = Path(spec.weights).expanduser()
    if not path.exists():
        raise WeightsMissingError("There is nothing at {path}. Check the path of {label}.",
                                  path=path, label=spec.label)
    if spec.engine == "llama.cpp":
        found = _within(path, spec) if path.is_dir() else Weights(
            path, path.parent / spec.mmproj if spec.mmproj else None)
        for file in (found.path, found.mmproj):
            if file and not file.is_file():
                raise WeightsMissingError("There is no file {file}. Check {label}'s entry.",
                                          file=file, label=spec.label)
        return found
    if not (path / "config.json").is_file():
        raise UnsupportedModelError(
            "{path} is no model folder that transformers can load: it has no config.json.",
            path=path,
        )
    if not list(path.glob("*.safetensors")):
        raise UnsupportedModelError(
            "{path} has no .safetensors files. Other formats can run code and are not loaded.",
            path=path,
        )
    return Weights(path)


def _within(folder: Path, spec: ModelSpec) -> Weights:
    """The spec's files in a folder that was fetched, whether or not they are there."""
    if spec.engine != "llama.cpp":
        return Weights(folder)
    if spec.file:
        file = folder / spec.file
    else:
        names = {str(path.relative_to(folder)): 0 for path in folder.rglob("*.gguf")}
        file = folder / hub.only_gguf(names, str(folder)) if names else folder / "missing.gguf"
    return Weights(file, folder / spec.mmproj if spec.mmproj else None)


def _shards(folder: Path) -> list[Path]:
    """The weight files that the folder's index names, or the one that needs no index."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        single = sorted(folder.glob("*.safetensors"))
        return single or [folder / "model.safetensors"]
    try:
        return [folder / name for name in
                sorted(set(json.loads(index.read_text())["weight_map"].values()))]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise WeightsDamagedError(
            "{index} is damaged. Delete that file and fetch it again.", index=index) from error


def _check(found: Weights) -> None:
    if found.path.is_file():
        files = [found.path, *([found.mmproj] if found.mmproj else [])]
        if match := _PART.search(found.path.name):
            start, count = str(found.path)[:-len(match[0])], int(match[1])
            files += [Path(f"{start}-{part:05d}-of-{match[1]}.gguf")
                      for part in range(2, count + 1)]
        for file in files:
            if not file.is_file():
                raise WeightsMissingError(
                    "{file} is missing beside the other parts of the weights. Fetch it.",
                    file=file.name)
            _check_file(file)
        return
    for file in _shards(found.path):
        _check_file(file)


def _check_file(path: Path) -> None:
    try:
        about = path.stat()
    except OSError:
        raise WeightsDamagedError(
            "{file} is missing among the weights in {folder}. Fetch them again.",
            file=path.name, folder=path.parent,
        ) from None
    _check_once(path, about.st_size, about.st_mtime_ns)


@functools.lru_cache(maxsize=256)
def _check_once(path: Path, size: int, changed: int) -> None:
    """Read the file's head, once for each version of the file: pages ask every second."""
    if path.suffix == ".safetensors":
        check_safetensors(path)
    else:
        read_header(path)


def check_safetensors(path: Path) -> None:
    """Raise `WeightsDamagedError` unless the file is as long as its own header says.

    Format: https://huggingface.co/docs/safetensors
    """
    damaged = WeightsDamagedError(
        "The weights in {file} are damaged or only half downloaded. "
        "Delete {path} and fetch it again.",
        file=path.name, path=path,
    )
    try:
        length = path.stat().st_size
        with path.open("rb") as file:
            header_length = int.from_bytes(file.read(8), "little")
            if header_length > min(length, 100_000_000):  # The format's own limit.
                raise damaged
            header = json.loads(file.read(header_length))
        ends = [entry["data_offsets"][1] for name, entry in header.items()
                if name != "__metadata__"]
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise damaged from error
    if not ends or 8 + header_length + max(ends) != length:
        raise damaged
