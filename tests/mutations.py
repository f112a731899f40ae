"""What if a guard were gone? Each is taken out of a copy of the tree: some quick test must fail.

    python -m tests.mutations                 # all of them, in one to three minutes
    python -m tests.mutations --only owner    # those whose name holds the word

A guard that nothing misses when it is gone may be gone already. Takes the files as they are,
changes included. What came of all of them is kept for docs/reliability.md.
"""

from __future__ import annotations

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import reports
from tests.app import ROOT


@dataclass(frozen=True)
class Mutation:
    """A guard, the one place in the source that is it, what stands there without it, its tests."""

    guard: str
    file: str
    present: str
    absent: str
    tests: tuple[str, ...]


NAMED = ("Content-Security-Policy", "owner filter, reading", "image policy, pixels",
         "keys out of the log", "remote-image filter", "origin check")
"""Those that a run of the tests tries; the command tries all."""

MUTATIONS = (
    Mutation("Content-Security-Policy", "web/headers.py",
             '{"Content-Security-Policy": policy, **OTHER_HEADERS}', "{**OTHER_HEADERS}",
             ("tests/web/test_headers.py::test_a_script_of_streamlits_has_them_too",)),
    Mutation("pictures from the app alone (CSP)", "web/headers.py",
             "img-src 'self' data: blob:", "img-src * data: blob:",
             ("tests/web/test_headers.py::test_the_policy_names_nobody_but_the_app",)),
    Mutation("owner filter, reading", "storage/store.py",
             "and_(conversations.c.owner == clean(owner), conversations.c.deleted_at.is_(None))",
             "and_(conversations.c.deleted_at.is_(None))",
             ("tests/storage/test_isolation.py", "-k", "sqlite")),
    Mutation("owner filter, changing", "storage/store.py",
             ".where(conversations.c.owner == clean(owner),\n", ".where(\n",
             ("tests/storage/test_isolation.py", "-k", "sqlite")),
    Mutation("owner's cookie is signed", "web/owner_names.py",
             '_signer().unsign(cookie).decode("ascii")', 'cookie.rpartition(".")[0]',
             ("tests/web/test_owner_names.py::test_a_forged_cookie_names_nobody",)),
    Mutation("image policy, pixels", "llm/images.py",
             "        _refuse_too_large(image.width, image.height)\n", "",
             ("tests/llm/test_images.py::"
              "test_a_bomb_is_refused_before_its_pixels_are_unpacked",)),
    Mutation("image policy, position and tail", "llm/images.py",
             'kind == "JPEG" and _is_own_jpeg(data, image)', 'kind == "JPEG"',
             ("tests/llm/test_images.py", "-k", "upright_and_its_position or hides_behind")),
    Mutation("keys out of the log", "web/logs.py",
             'return _KEY.sub("[key]", text)', "return text",
             ("tests/web/test_logs.py", "-k", "keys_are_blotted_out")),
    Mutation("keys out of errors", "llm/failed_request.py",
             "    for secret in secrets:\n        for written in writings(secret):\n"
             "            text = text.replace(written, MASK)\n"
             "    return _KEY_SHAPES.sub(MASK, text)", "    return text",
             ("tests/llm/test_faults.py", "-k", "each_fault and 400-echo")),
    Mutation("remote-image filter", "components/safe_markdown.py",
             'yield f"🖼 {escape(child.content)} ({source})"',
             "yield f\"![{child.content}]({child.attrs['src']})\"",
             ("tests/components/test_safe_markdown.py", "-k", "what_could_do_something")),
    Mutation("raw HTML filter", "components/safe_markdown.py",
             "return escape(text, at_line_start=at_line_start)", "return text",
             ("tests/components/test_safe_markdown.py",)),
    Mutation("origin check", "web/origins.py",
             'scope["type"] == "websocket" and not is_same_origin(headers)', "False",
             ("tests/web/test_origins.py::test_another_app_on_this_machine_is_refused",)),
    Mutation("host check", "web/origins.py",
             'not self.is_ours(headers.get("host", ""), scope.get("server"))', "False",
             ("tests/web/test_origins.py::test_a_name_that_was_pointed_here_is_refused",)),
    Mutation("public addresses alone", "llm/public_addresses.py",
             "if not addresses or not all(map(is_public, addresses)):", "if not addresses:",
             ("tests/llm/test_public_addresses.py", "-k", "private_address")),
    Mutation("no forged turns", "llm/message_text.py",
             "_LOOKS_SPECIAL.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, text)", "text",
             ("tests/llm/test_providers.py", "-k", "template_token_is_broken")),
)

LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv*", "__pycache__", ".pytest_cache", ".ruff_cache", ".hypothesis",
    "test-results", "shared")


@dataclass
class Outcome:
    """Whether the guard was missed: `failed` names the first test that did."""

    guard: str
    failed: str
    seconds: float


def check(mutations: Sequence[Mutation] = MUTATIONS) -> list[Outcome]:
    """Take each guard out in turn. Raises AssertionError if its tests fail with it in place."""
    outcomes = []
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "parley"
        shutil.copytree(ROOT, tree, ignore=LEFT_OUT)
        for mutation in mutations:
            file = tree / mutation.file
            whole = file.read_text("utf-8")
            assert mutation.present in whole, f"{mutation.guard} is not in {mutation.file}"
            begun = time.monotonic()
            file.write_text(whole.replace(mutation.present, mutation.absent), "utf-8")
            status, said = _run_tests(tree, mutation.tests)
            file.write_text(whole, "utf-8")
            assert status in (0, 1), f"{mutation.guard}: the tests did not run:\n{said}"
            found = re.search(r"^FAILED \S*::(\w+)", said, re.M)
            assert (found is None) == (status == 0), said
            outcomes.append(Outcome(mutation.guard, found[1] if found else "",
                                    round(time.monotonic() - begun, 1)))
        files = {name.partition("::")[0] for mutation in mutations for name in mutation.tests
                 if name.startswith("tests/")}
        if failed := {outcome.failed for outcome in outcomes if outcome.failed}:
            status, said = _run_tests(tree, sorted(files), "-k", " or ".join(sorted(failed)))
            assert status == 0, f"With every guard in place:\n{said}"
    return outcomes


def _run_tests(tree: Path, tests: Sequence[str], *more: str) -> tuple[int, str]:
    ran = subprocess.run(
        [sys.executable, "-B", "-m", "pytest", "-q", "-x", "--tb=line", "-rf",
         "-p", "no:cacheprovider", *tests, *more], cwd=tree, capture_output=True, text=True)
    return ran.returncode, ran.stdout[-3000:] + ran.stderr[-1000:]


def keep(outcomes: Sequence[Outcome], name: str = "mutations") -> None:
    """For docs/reliability.md."""
    reports.write(name, {"guards": [vars(outcome) for outcome in outcomes]})


def main() -> int:
    """The command. 0: every guard is missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="guards whose name holds this")
    chosen = parser.parse_args()
    outcomes = check([each for each in MUTATIONS if chosen.only in each.guard])
    for outcome in outcomes:
        print(f"{outcome.seconds:5.1f} s  {outcome.guard}: {outcome.failed or 'NOBODY MISSED IT'}")
    if not chosen.only:
        keep(outcomes)
    return 0 if outcomes and all(outcome.failed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
