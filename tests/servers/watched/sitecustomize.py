"""Has every Python process of an app write down whom it calls, in the file CALLS.

Python runs this by itself where the folder is on PYTHONPATH: child processes too.
"""

import os
import sys


def _note(event: str, arguments: tuple) -> None:
    if event == "socket.getaddrinfo":
        said = arguments[0]
    elif event in ("socket.connect", "socket.sendto", "socket.connect_ex"):
        said = arguments[1]
    else:
        return
    host = said[0] if isinstance(said, tuple) else said
    with open(os.environ["CALLS"], "a", encoding="utf-8") as calls:
        calls.write(f"{event} {host!r}\n")


if "CALLS" in os.environ:
    sys.addaudithook(_note)
