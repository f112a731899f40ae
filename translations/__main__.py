"""python -m translations [CODE …]: bring the translations up to date with the code.

New texts are added with an empty translation, those that the code no longer has are taken
out, and what is translated stays. A CODE such as `fr` begins that language. Says what is left
to translate, and ends with 1 if anything is.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import write_po

from components.language import FOLDER, fields, read_file
from translations.texts import extract

CONTENT_TYPE = """
msgid ""
msgstr ""
"Language: {code}\\n"
"MIME-Version: 1.0\\n"
"Content-Type: text/plain; charset=utf-8\\n"
"Content-Transfer-Encoding: 8bit\\n"

"""
HEADER = """\
# The texts of Parley in another language: change what stands behind msgstr.
# `python -m translations` brings this file up to date with the code."""


def update(path: Path, texts: Catalog) -> list[str]:
    """Write one file anew. Returns the texts that are still to be translated in it."""
    catalog = read_file(path) if path.exists() else Catalog(locale=path.stem)
    catalog.update(texts, no_fuzzy_matching=True)
    save(path, catalog)
    return missing(catalog)


def save(path: Path, catalog: Catalog) -> None:
    """Write a file so that only what was changed differs from the one before."""
    catalog.obsolete.clear()
    for message in catalog:
        # Babel cannot tell for sure which texts are formatted, and marks few of them.
        message.flags.discard("python-brace-format")
    content = io.BytesIO()
    write_po(content, catalog, width=100, omit_header=True)
    header = HEADER + CONTENT_TYPE.format(code=path.stem)
    path.write_text(header + content.getvalue().decode(), "utf-8")


def missing(catalog: Catalog) -> list[str]:
    """The texts without a translation that can be shown: none, or with other {gaps}."""
    return [message.id for message in catalog if message.id
            and (not message.string or fields(message.string) != fields(message.id))]


def main() -> int:
    texts = extract()
    paths = {*FOLDER.glob("*.po"), *(FOLDER / f"{code}.po" for code in sys.argv[1:])}
    left = False
    for path in sorted(paths):
        for text in update(path, texts):
            left = True
            print(f"{path.name}: {text}")
    return int(left)


if __name__ == "__main__":
    sys.exit(main())
