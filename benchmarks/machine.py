"""The machine that was measured on, and how fast its memory is.

This module does not know what is run on it.
"""

from __future__ import annotations

import os
import platform
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy
import psutil

from llm import compiled_engine

PACKAGES = ("streamlit", "xllamacpp", "torch", "transformers", "langchain-core",
            "langchain-openai", "langchain-huggingface", "rapidocr", "onnxruntime", "sqlalchemy")


def describe() -> dict[str, Any]:
    """Cores, processor, memory (GB), system and versions, as plain data."""
    return {
        "date": datetime.now(UTC).date().isoformat(),
        "cores": os.cpu_count(),
        "processor": _processor(),
        "instructions": _instructions(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "versions": {name: found for name in PACKAGES if (found := _version(name))},
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    names = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(names, "") or platform.processor() or "unknown"


def _instructions() -> list[str]:
    """Those that matter for a model's arithmetic."""
    wanted = ("avx2", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")
    return [name for name in wanted if name in compiled_engine.instructions()]


def read_gigabytes_per_second(*, megabytes: int = 1024) -> float:
    """How fast all cores together read memory, which no token can come faster than.

    The best of several looks at an array much larger than the caches, each core reading its
    own part of it.
    """
    cores = os.cpu_count() or 1
    part = numpy.ones(megabytes * 1_000_000 // 4 // cores, numpy.float32)
    parts = [part.copy() for _ in range(cores)]
    with ThreadPoolExecutor(cores) as pool:
        return max(_rate(pool, parts) for _ in range(8))


def _rate(pool: ThreadPoolExecutor, parts: list[numpy.ndarray]) -> float:
    started = time.perf_counter()
    list(pool.map(numpy.max, parts))
    return sum(part.nbytes for part in parts) / (time.perf_counter() - started) / 1e9
