"""Settings with which no page could be drawn: told in a sentence, before there is any page.

What only some page needs, such as the catalog or the database, that page tells.
"""

from __future__ import annotations

import os
import re
import sys

from llm import paths
from llm.errors import StorageError
from llm.wording import WrongValueError
from web.owner_names import new_owner, sign


def check() -> None:
    """Return if the app can start with these settings; else end, and say which one is wrong."""
    try:
        str(paths.home()).encode()
        paths.home().exists()
    except (RuntimeError, UnicodeError, OSError):  # "~nobody"; bytes of no text; a name too long
        sys.exit("PARLEY_HOME cannot be made out. Write the whole path of a folder, in UTF-8.")
    try:
        sign(new_owner())  # as for each browser
    except StorageError as error:
        sys.exit(str(error))
    if named := os.environ.get("OPENAI_BASE_URL", "").strip():
        from llm.catalog import check_web_address  # half a second, which nobody else is to wait

        try:
            check_web_address(named)
        except WrongValueError as error:
            sys.exit(f"OPENAI_BASE_URL {error}.")
    for name in ("HF_HUB_DOWNLOAD_TIMEOUT", "HF_HUB_ETAG_TIMEOUT"):
        if not os.environ.get(name, "1").isdecimal():  # which the Hub's library could not load with
            sys.exit(f"{name} is no whole number of seconds. It looks like: 10")
    # ASCII on one line, and no sign that ends what it says.
    if not re.fullmatch(r"[!-+\--:<-~ ]+", frame_ancestors()):
        sys.exit("PARLEY_FRAME_ANCESTORS holds what no Content-Security-Policy can say. "
                 "It looks like: 'self' https://school.example")


def frame_ancestors() -> str:
    """Who may show the app in a frame, as the policy has it."""
    return os.environ.get("PARLEY_FRAME_ANCESTORS", "").strip() or "'none'"
