"""The Hugging Face Hub: which files of a repository a model needs, and fetching them.

Fetched files are kept in PARLEY_HOME/hub/OWNER/NAME, each under its own name once it is
whole and its checksum right; until then it grows as NAME.part, so that a fetch broken off
by a person, a crash or the network goes on where it stopped. (huggingface_hub's own cache
throws the broken part away.) What another program has fetched into the standard cache is
used from there. `main` is the child process that fetches.

Only data is fetched: safetensors and GGUF, JSON, text. Never pickles, never Python.
HF_ENDPOINT and HF_TOKEN are honoured. This module does not know engines or pages.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePosixPath
from typing import Any, BinaryIO

from llm import paths
from llm.errors import (
    HubUnreachableError,
    LocalModelError,
    NoRoomError,
    UnsupportedModelError,
    WeightsDamagedError,
    WeightsMissingError,
)

_BESIDE_WEIGHTS = ("*.json", "*.jinja", "*.txt", "*.model", "*.tiktoken")
"""What transformers reads beside safetensors: configuration, tokenizer, chat template."""
_PART_OF_GGUF = re.compile(r"-(\d{5})-of-(\d{5})\.gguf$")
_MANIFEST = ".parley.json"


@dataclass(frozen=True)
class HubFile:
    size: int
    """Bytes."""
    sha256: str | None
    """None for small files, which git keeps itself."""


@dataclass(frozen=True)
class Listing:
    commit: str
    files: Mapping[str, HubFile]


def list_files(repository: str) -> Listing:
    """The files of a model repository, by name.

    Raises `HubUnreachableError`, or `WeightsMissingError` if it is not there for us.
    """
    api = _library().HfApi(endpoint=_endpoint(), token=os.environ.get("HF_TOKEN"))
    try:
        info = api.model_info(repository, files_metadata=True, timeout=10)
    except Exception as error:
        raise _translated(error, repository) from error
    return Listing(info.sha, {
        sibling.rfilename: HubFile(sibling.size or 0, sibling.lfs.sha256 if sibling.lfs else None)
        for sibling in info.siblings if _is_plain(sibling.rfilename)
    })


def choose(names: Iterable[str], engine: str, file: str | None, mmproj: str | None,
           repository: str) -> list[str]:
    """Which of a repository's files the engine needs, the large ones last.

    Raises `UnsupportedModelError` if there are none of a kind that is fetched, and
    `WeightsMissingError` if the named ones are not among them.
    """
    names = list(names)
    if engine == "llama.cpp":
        wanted = [file or only_gguf(names, repository), *([mmproj] if mmproj else [])]
        if part := _PART_OF_GGUF.search(wanted[0]):
            start = wanted[0][:part.start()]
            wanted[:1] = sorted(name for name in names if name.startswith(start + "-")
                                and name.endswith(f"-of-{part[2]}.gguf"))
        for name in wanted:
            if name not in names:
                raise WeightsMissingError(
                    "{repository} has no file {name}. It has: {files}.",
                    repository=repository, name=name, files=_listed(names, '.gguf'))
        return wanted
    here = [name for name in names if "/" not in name]
    weights = [name for name in here if fnmatch(name, "model*.safetensors")]
    if "model.safetensors.index.json" in here:
        weights = [name for name in weights if "-of-" in name]
    elif "model.safetensors" in here:
        weights = ["model.safetensors"]
    if not weights or "config.json" not in here:
        raise UnsupportedModelError(
            "{repository} has no safetensors weights that transformers can load. Other formats "
            "can run code and are not fetched. Look for a newer upload, or a GGUF file.",
            repository=repository,
        )
    beside = [name for name in here if any(fnmatch(name, kind) for kind in _BESIDE_WEIGHTS)]
    return [*beside, *weights]


def only_gguf(names: Iterable[str], repository: str) -> str:
    """The one GGUF model among the names, where there is only one to choose.

    Raises `UnsupportedModelError`, naming those that there are.
    """
    models = [name for name in sorted(names) if name.endswith(".gguf")
              and "mmproj" not in name.lower()
              and (_PART_OF_GGUF.search(name) is None or "-00001-of-" in name)]
    if not models:
        raise UnsupportedModelError(
            "{repository} holds no GGUF file, which is what llama.cpp loads.",
            repository=repository)
    if len(models) > 1:
        raise UnsupportedModelError(
            "{repository} holds several models; name one of its files: {files}.",
            repository=repository, files=_listed(models))
    return models[0]


def folder(repository: str) -> Path:
    """Where files fetched from this repository are kept."""
    return paths.home().joinpath("hub", *repository.split("/"))


def cached_folder(repository: str) -> Path | None:
    """The folder with files of this repository, ours or the standard cache's, or None.

    Files may be missing from it; those under their own names are whole.
    """
    ours = folder(repository)
    if (ours / _MANIFEST).is_file():
        return ours
    cache = _standard_cache() / f"models--{repository.replace('/', '--')}"
    try:
        commit = (cache / "refs" / "main").read_text().strip()
    except OSError:
        return None
    snapshot = cache / "snapshots" / commit
    return snapshot if commit and snapshot.is_dir() else None


def missing_bytes(repository: str, files: Mapping[str, HubFile]) -> int:
    """How much of these files is not in our folder yet, broken-off parts counted as there."""
    missing = 0
    for name, file in files.items():
        target = folder(repository) / name
        here = _size(target) if _size(target) == file.size else _size(_part(target, file))
        missing += max(0, file.size - here)
    return missing


def main(order: dict[str, Any], report) -> None:
    """Fetch `order["files"]` (name: size and sha256) of `order["repository"]`.

    Reports {"event": "progress", "stage": "fetching", "done", "total"}, in bytes. Raises
    `HubUnreachableError`, `WeightsMissingError`, `WeightsDamagedError`, `NoRoomError`.
    """
    from filelock import FileLock

    repository, commit = order["repository"], order["commit"]
    files = {name: HubFile(**file) for name, file in order["files"].items()}
    place = folder(repository)
    total = sum(file.size for file in files.values())
    try:
        place.mkdir(parents=True, exist_ok=True)
        with FileLock(place / ".lock"):
            before = total - missing_bytes(repository, files)
            tell = _paced(lambda done: report({
                "event": "progress", "stage": "fetching", "done": done, "total": total}))
            for name, file in files.items():
                before += _fetch(repository, commit, name, file, place / name,
                                 lambda done, before=before: tell(before + done))
            _write_manifest(place, commit)
    except LocalModelError:
        raise
    except Exception as error:
        raise _translated(error, repository) from error


def order(repository: str, listing: Listing, chosen: Iterable[str]) -> dict[str, Any]:
    """What `main` is to do."""
    return {"repository": repository, "commit": listing.commit,
            "files": {name: asdict(listing.files[name]) for name in chosen}}


def _fetch(repository: str, commit: str, name: str, file: HubFile, target: Path,
           tell: Callable[[int], None]) -> int:
    """Fetch one file, or the rest of it. Returns and tells the bytes that came."""
    library = _library()
    from huggingface_hub.file_download import http_get

    if _size(target) == file.size:
        return 0
    target.parent.mkdir(parents=True, exist_ok=True)
    part = _part(target, file)
    resumed = _size(part)
    url = library.hf_hub_url(repository, name, revision=commit, endpoint=_endpoint())
    headers = library.utils.build_hf_headers(token=os.environ.get("HF_TOKEN"))
    with part.open("ab") as opened:
        http_get(url, _Watched(opened, lambda size: tell(size - resumed)), resume_size=resumed,
                 headers=headers, expected_size=file.size)
    if file.sha256:
        with part.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        if digest != file.sha256:
            part.unlink()
            raise WeightsDamagedError(
                "{name} of {repository} came damaged: its checksum is wrong. Fetch it again.",
                name=name, repository=repository,
            )
    os.replace(part, target)
    return file.size - resumed


class _Watched:
    """A file that tells its length after each write."""

    def __init__(self, file: BinaryIO, tell: Callable[[int], None]):
        self._file, self._tell = file, tell

    def write(self, data: bytes) -> None:
        self._file.write(data)
        self._tell(self._file.tell())

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def _paced(tell: Callable[[int], None]) -> Callable[[int], None]:
    """`tell`, ten times a second at most."""
    last = 0.0

    def paced(done: int) -> None:
        nonlocal last
        if time.monotonic() - last > 0.1:
            last = time.monotonic()
            tell(done)

    return paced


def _part(target: Path, file: HubFile) -> Path:
    """Where the file grows: named after its content, so that two versions are never mixed."""
    version = (file.sha256 or str(file.size))[:12]
    return target.with_name(f"{target.name}.{version}.part")


def _write_manifest(place: Path, commit: str) -> None:
    unfinished = place / f"{_MANIFEST}.{os.getpid()}"
    unfinished.write_text(json.dumps({"commit": commit}))
    os.replace(unfinished, place / _MANIFEST)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _is_plain(name: str) -> bool:
    """Whether a name that a server sent stays within the folder it is put in."""
    path = PurePosixPath(name)
    return not (path.is_absolute() or ".." in path.parts or "\\" in name or ":" in name)


def _listed(names: Iterable[str], suffix: str = "") -> str:
    matching = sorted(name for name in names if name.endswith(suffix))
    more = f" and {len(matching) - 12} more" if len(matching) > 12 else ""
    # The sentence is drawn as Markdown, and the names are whatever somebody called their files.
    said = [re.sub(r"[^\w./ +-]", "?", name)[:100] for name in matching[:12]]
    return ", ".join(said) + more if matching else "none such"


def _library() -> Any:
    """huggingface_hub, imported when first needed, with two of its settings changed."""
    import huggingface_hub
    from huggingface_hub import constants

    # Otherwise each call tells the Hub what else is installed, and asks it for a list of
    # programs to look for.
    constants.HF_HUB_DISABLE_TELEMETRY = True
    # Theirs is 10 MB: on a slow line nothing would move for long, and a break cost as much.
    constants.DOWNLOAD_CHUNK_SIZE = 1 << 18
    return huggingface_hub


def _endpoint() -> str:
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def _standard_cache() -> Path:
    if named := os.environ.get("HF_HUB_CACHE"):
        return Path(named).expanduser()
    base = os.environ.get("HF_HOME") or Path(
        os.environ.get("XDG_CACHE_HOME") or "~/.cache", "huggingface")
    return Path(base).expanduser() / "hub"


def _translated(error: Exception, repository: str) -> LocalModelError:
    """The hub library's exceptions as ours."""
    import httpx
    from huggingface_hub import errors as theirs

    status = getattr(getattr(error, "response", None), "status_code", None)
    unreachable = HubUnreachableError(
        "The Hugging Face Hub ({endpoint}) does not answer from here. Check the connection; "
        "what has come is kept. Models that are on this machine work without it.",
        endpoint=_endpoint(),
    )
    if isinstance(error, theirs.GatedRepoError):
        return WeightsMissingError(
            "{repository} is only for those who accepted its terms. Accept them on its page on "
            "the Hub, and set HF_TOKEN to a token of yours.",
            repository=repository,
        )
    if isinstance(error, theirs.RepositoryNotFoundError | theirs.HFValidationError
                  ) or status in (401, 404):
        return WeightsMissingError(
            "The Hub has no repository {repository}, or it is private. Check the id; for a "
            "private one set HF_TOKEN.",
            repository=repository,
        )
    if status is not None:
        return HubUnreachableError(
            "The Hugging Face Hub answered with an error ({status}). Try again later.",
            status=status,
        )
    if isinstance(error, theirs.OfflineModeIsEnabled):
        return HubUnreachableError(
            "HF_HUB_OFFLINE is set, so that nothing is fetched from the Hub. Unset it to fetch."
        )
    if isinstance(error, httpx.HTTPError):
        return unreachable
    if isinstance(error, OSError):
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            return NoRoomError("The disk is full. Make room in {folder} and try again.",
                               folder=paths.home())
        if error.errno is not None:
            return NoRoomError("{folder} cannot be written to ({reason}).",
                               folder=paths.home(), reason=error.strerror)
    # http_get's own words for a body that ended early.
    return unreachable
