"""What the first page needs, loaded while the browser still fetches the page's own files.

Modules hold 300,000 objects that never become garbage, and each full collection looks at
all of them: 0.15 s, of which Streamlit makes one after every run of a page. So Python
collects nothing while modules load, and leaves alone for good what they hold.

Knows modules by name, and nothing of what they do.
"""

from __future__ import annotations

import gc
import importlib
import logging
import threading

log = logging.getLogger("web.warm_up")

MODULES = (
    "components.conversation", "components.conversations", "components.picker",
    "components.lesson", "components.memory_costs",
    # Whoever asks a closed model first would wait for this one.
    "llm.openai_chat",
)
"""What a chat is drawn with, in the order of need."""


def start() -> threading.Thread:
    """Load what pages need, in the background. Returns the thread that does."""
    thread = threading.Thread(target=_load, name="warm-up", daemon=True)
    thread.start()
    return thread


def _load() -> None:
    gc.disable()
    try:
        for name in MODULES:
            importlib.import_module(name)
    except Exception:
        log.exception("Not everything could be loaded ahead")  # the page that needs it tells
    finally:
        gc.collect()
        gc.freeze()
        gc.enable()
