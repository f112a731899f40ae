"""docs/licences.md names every package that is installed anywhere, its version and its licence."""

import re

from docs import licences

ROWS = dict(re.findall(r"^\| ([\w.-]+) \| (\S+ \| .+) \|$", licences.FILE.read_text("utf-8"), re.M))


def test_every_locked_package_is_listed_in_its_version():
    missing = [str(requirement) for requirement in licences.locked()
               if not ROWS.get(requirement.name, "").startswith(
                   str(requirement.specifier).removeprefix("==") + " | ")]
    assert missing == [], "Run `python -m docs.licences`"


def test_every_licence_is_known_and_lets_the_app_be_shared():
    by_name = {name: row.partition(" | ")[2] for name, row in ROWS.items()}
    assert [name for name, licence in by_name.items() if licence in ("", "unknown")] == []
    # LGPL asks nothing of a program that uses a library as it is; these would.
    assert [name for name, licence in by_name.items()
            if re.search(r"\bA?GPL|NonCommercial|SSPL", licence)] == []


def test_the_weights_that_come_along_are_listed():
    text = licences.FILE.read_text("utf-8")
    for name in ("SmolLM2-135M-Instruct", "EfficientNet-Lite2", "PP-OCR"):
        assert re.search(rf"^\| {name}[^|]*\|[^|]+\| Apache-2.0 ", text, re.M)


def test_a_package_that_says_nothing_of_its_licence_is_not_passed_over():
    assert licences.licence_of("no-such-package") is None
    assert licences.licence_of("nvidia-cublas") == "NVIDIA's own licence"
    assert licences.licence_of("streamlit") == "Apache-2.0"
