"""The longer run, guided by what code each input reaches: Atheris on pictures and on imports.

    .venv/bin/python -m pip install -r requirements-fuzz.txt
    python -m tests.fuzz.guided images -max_total_time=3600
    python -m tests.fuzz.guided imports -max_total_time=3600

It begins with the sound files of the other fuzzers and goes on until the time is over or
something other than the parser's own error comes out; that input is then written to a file
here, as libFuzzer does. Options that begin with a minus are libFuzzer's.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["llm", "PIL"]):
    from llm.errors import ImportRefusedError, InvalidCatalogError, PictureError
    from llm.images import read_image
    from tests.fuzz.images import ALL_SEEDS
    from tests.fuzz.imports import READERS


def read_a_picture(data: bytes) -> None:
    try:
        read_image(data)
    except PictureError:
        pass


def read_a_file(data: bytes) -> None:
    """The first byte says which kind of file the rest is."""
    readers = [reader for reader, _ in READERS.values()]
    try:
        readers[data[0] % len(readers) if data else 0](data[1:])
    except (ImportRefusedError, InvalidCatalogError):
        pass


TARGETS = {
    "images": (read_a_picture, [data for _, data in ALL_SEEDS if len(data) < 100_000]),
    "imports": (read_a_file, [bytes([number]) + data
                              for number, (_, data) in enumerate(READERS.values())]),
}


def main() -> None:
    """The command. It ends by itself only after libFuzzer's -max_total_time or -runs."""
    name, *options = sys.argv[1:] or ["images"]
    target, seeds = TARGETS[name]
    with tempfile.TemporaryDirectory() as folder:
        for number, data in enumerate(seeds):
            (Path(folder) / str(number)).write_bytes(data)
        atheris.Setup([sys.argv[0], "-timeout=10", "-rss_limit_mb=4000", *options, folder], target)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
