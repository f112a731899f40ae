"""What the first page needs, loaded while the browser still fetches the page's own files.

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
from collections.abc import Callable, Sequence

log = logging.getLogger("web.warm_up")

MODULES = (
    "components.conversation", "components.conversations", "components.picker",
    "components.lesson", "components.memory_costs",
)
"""What a chat is drawn with, in the order of need."""

LATER_MODULES = ("llm.openai_chat",)
"""For which the first page is not to wait, but whoever asks a closed model first would."""

LATER = 5.0
"""Seconds after the first: the page is there by then."""


def start(then: Callable[[], None], later: float = LATER) -> threading.Thread:
    """Load what pages need, and do what comes then, in the background. Returns the thread."""
    thread = threading.Thread(target=_load_all, args=(then, later), name="warm-up", daemon=True)
    thread.start()
    return thread


def _load_all(then: Callable[[], None], later: float) -> None:
    _load(MODULES)
    then()
    time.sleep(later)
    _load(LATER_MODULES)


def _load(modules: Sequence[str]) -> None:
    gc.disable()
    try:
        for name in modules:
            importlib.import_module(name)
    except Exception:
        log.exception("Not everything could be loaded ahead")  # the page that needs it tells
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
