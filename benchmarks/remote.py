"""Models elsewhere whose time is known, each a server in a process of its own, on loopback.

    python -m benchmarks.remote RATE TOKENS        prints its address, serves until stdin ends

So what an app takes longer than such a model is the app's own.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.app import ROOT, clean_environment, end
from tests.servers.fixed_rate import FixedRateServer, fixed_rate

LAST_WORD = "finis"


def text(tokens: int) -> str:
    """Of so many words, in paragraphs of a hundred as a model would write them."""
    words = [f"word{number}" + ("\n\n" if number % 100 == 99 else "")
             for number in range(tokens - 1)]
    return " ".join([*words, LAST_WORD])


@contextmanager
def remote(rate: float, tokens: int) -> Iterator[str]:
    """The base URL of a model that says `tokens` words, `rate` a second, to any number at once."""
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.remote", str(rate), str(tokens)], cwd=ROOT,
        env=clean_environment(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().strip()
    finally:
        process.stdin.close()
        end(process)


def catalog(folder: Path, models: Mapping[str, str]) -> Path:
    """A catalog file with these models (label -> base URL), the first of them the default."""
    file, ids = folder / "models.toml", ["smollm2-135m", "other"]
    file.write_text("\n".join(
        f'[[model]]\nid = "{model_id}"\nlabel = "{label}"\nprovider = "openai"\nmodel = "{label}"\n'
        f'base_url = "{base_url}"\nopen = true\n'
        for model_id, (label, base_url) in zip(ids, models.items(), strict=False)), "utf-8")
    return file


def main() -> None:
    rate, tokens = float(sys.argv[1]), int(sys.argv[2])
    FixedRateServer.request_queue_size = 256
    with fixed_rate(text(tokens), rate=rate) as server:
        print(server.base_url, flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    main()
