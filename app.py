"""The app that `streamlit run app.py` serves: Streamlit's pages behind our own middleware.

    PARLEY_HOSTS             names that the app is reached under, with commas between them:
                             needed behind a proxy on the same machine
    PARLEY_FRAME_ANCESTORS   who may show the app in a frame, as in a CSP; else nobody
    PARLEY_DEFAULT_MODEL     the model whose engine starts with the app; else the first listed
    FORWARDED_ALLOW_IPS      proxies whose word on TLS counts; else those on this machine
"""

# ruff: noqa: E402
import gc

gc.disable()  # while modules load: see web.warm_up

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import streamlit as st
from starlette.middleware import Middleware
from streamlit.runtime.pages_manager import PagesManager

from llm import paths
from llm.errors import CatalogError
from web import logs, settings, warm_up
from web.headers import SecurityHeaders, inline_script_hashes
from web.origins import OwnOriginOnly
from web.owner import OwnerCookie

log = logging.getLogger("web.app")

INDEX_PAGE = Path(st.__file__).parent / "static" / "index.html"


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Start the default model's engine beside the app, and end all engines with it."""
    logs.set_up(paths.logs())
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")  # before the library is loaded
    warm_up.start(start_default_engine)
    try:
        yield
    finally:
        from llm import evaluation_runs, local_engines

        # In this order: see evaluation_runs.shutdown.
        try:
            await asyncio.to_thread(evaluation_runs.shutdown)
        finally:
            await asyncio.to_thread(local_engines.shutdown)


def start_default_engine(hold: threading.Event) -> None:
    """Have the default model ready by the time that somebody writes to it. Does not wait.

    The engine begins once `hold` is set: with it and the first page at once on two cores, the
    page comes half a second later.
    """
    from llm import local_engines
    from llm.catalog import get_model, list_models

    try:
        named = os.environ.get("PARLEY_DEFAULT_MODEL")
        model = get_model(named) if named else list_models()[0]
    except CatalogError as error:
        log.error("No default model: %s", error)
        return
    if model.provider == "local":
        engine = local_engines.engine_for(model)
        engine.keep = True
        engine.start(hold=hold)


settings.check()

MIDDLEWARE = [
    Middleware(
        SecurityHeaders,
        inline_scripts=inline_script_hashes(INDEX_PAGE.read_text("utf-8")),
        frame_ancestors=settings.frame_ancestors(),
    ),
    Middleware(OwnOriginOnly, hosts=os.environ.get("PARLEY_HOSTS", "").split(",")),
    Middleware(OwnerCookie),
]

# Until navigation.py has run once, Streamlit takes the files in pages/ for its menu, and
# tells whoever comes first by a page's own address that there is no such page.
PagesManager.uses_pages_directory = False

app = st.App("navigation.py", lifespan=lifespan, middleware=MIDDLEWARE,
             on_script_error=lambda error: log.error("A page failed", exc_info=error))

gc.enable()
