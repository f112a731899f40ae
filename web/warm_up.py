"""What the first page needs, loaded while the browser still fetches the page's own files.

In the order in which somebody waits for it, for two cores are busy until the page is there:
what draws a chat; once that is drawn, the engine and what asks a model, which is most of
LangChain; and last what asks a closed one.

Modules hold 300,000 objects that never become garbage, and each full collection looks at
all of them, which takes 0.15 s. So Python collects nothing while modules load, and leaves
alone for good what they hold.

Knows modules by name, and nothing of what they do.
"""

from __future__ import annotations

import gc
import importlib
import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

log = logging.getLogger("web.warm_up")

DRAWING = (
    "components.conversation", "components.conversations", "components.picker",
    "components.lesson", "components.memory_costs",
)
"""What a chat is drawn with, in the order of need. None of them loads LangChain's chains."""

PATIENCE = 2.0
"""Seconds to wait for somebody to open a page, once it can be drawn."""

BROWSERS_TIME = 0.5
"""Seconds that a browser is left the cores after it was sent its first page, to draw it."""

LATER = 5.0
"""Seconds after which even somebody who asks at once has been answered."""

first_page_sent = threading.Event()
"""To be set at the end of each run of a page."""


def start(start_engine: Callable[[threading.Event], None], *, patience: float = PATIENCE,
          later: float = LATER) -> threading.Thread:
    """Load everything in the background. Returns the thread.

    `start_engine` is called at once, so that the first page says that the engine is on its way,
    with what the engine is to wait for: until a page is drawn.
    """
    thread = threading.Thread(target=_load_all, args=(start_engine, patience, later),
                              name="warm-up", daemon=True)
    thread.start()
    return thread


def _load_all(start_engine: Callable[[threading.Event], None], patience: float, later: float
              ) -> None:
    drawn = threading.Event()
    with _loading_ahead():
        start_engine(drawn)
        for name in DRAWING:
            importlib.import_module(name)
    if first_page_sent.wait(patience):
        time.sleep(BROWSERS_TIME)
    drawn.set()
    with _loading_ahead():
        _rehearse("huggingface")
    time.sleep(later)
    with _loading_ahead():
        _rehearse("openai")


def _rehearse(provider: str) -> None:
    from llm.rehearsal import rehearse  # brings LangChain's chains

    rehearse(provider)


@contextmanager
def _loading_ahead() -> Iterator[None]:
    gc.disable()
    try:
        yield
    except Exception:
        log.exception("Not everything could be loaded ahead")  # the page that needs it tells
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
