"""From the command to a page, a ready model and its first word; and what both take in memory.

The command is the README's, on a machine that is set up. The browser is open already.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psutil
from playwright.sync_api import Browser

import parley
from benchmarks.browser import PARLEY, answer_at_rest, chromium, open_page, send
from benchmarks.peers import is_open
from benchmarks.rows import Options, Row, new_question, row, until
from llm import paths
from llm.catalog import list_models
from llm.local_engines import engine_for
from llm.weights import is_here
from tests.app import ROOT, clean_environment, end, free_port


def measure(options: Options) -> Iterable[Row]:
    if not is_here(list_models()[0]):
        engine_for(list_models()[0]).wait_ready()  # writes the weights, as the first start does
        engine_for(list_models()[0]).stop()
    pages, readies, firsts, apps, engines = [], [], [], [], []
    with chromium() as browser:
        for _ in options.times:
            found = _start_once(browser)
            for values, value in zip((pages, readies, firsts, apps, engines), found, strict=True):
                values.append(value)
    how = "" if _is_set_up() else "without parley.py's own look whether all is set up"
    yield row("from the command to the page being usable", pages, "s", at_most=3, note=how)
    yield row("from the command to the built-in model being ready", readies, "s")
    yield row("from the command to the first word of an answer", firsts, "s", at_most=5,
              note="asked as soon as there is a box, and seen on the page")
    yield row("memory of the app after one chat", apps, "MB")
    yield row("memory of the engine after one chat", engines, "MB")


def _is_set_up() -> bool:
    stamp = parley.read_stamp()
    return stamp.get("hash") == parley.requirements_hash()


@contextmanager
def _command(port: int) -> Iterator[subprocess.Popen[bytes]]:
    """`python3 parley.py --headless --port N`, or what it becomes where it would set up first."""
    command = [sys.executable, "parley.py", "--headless", "--port", str(port)]
    if not _is_set_up():
        command[1:2] = ["-m", "streamlit", "run", "app.py"]
        command[command.index("--headless"):] = parley.streamlit_options(
            ["--headless", "--port", str(port)])
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT,
            env=clean_environment(PARLEY_HOME=str(paths.home())))
        try:
            yield process
        finally:
            end(process)


def _start_once(browser: Browser) -> tuple[float, float, float, float, float]:
    """Seconds to the page, the model, the first word; MB of the app and of its engine."""
    port = free_port()
    started = time.perf_counter()
    with _command(port) as app, ThreadPoolExecutor(1) as beside:
        until(lambda: is_open(port), "the app listens", every=0.01)
        with open_page(browser, f"http://127.0.0.1:{port}/chat", PARLEY) as page:
            usable = time.perf_counter() - started
            # Only now: to look for the engine among all processes takes a tenth of a core.
            readied = beside.submit(
                until, lambda: _is_ready(app.pid), "the model is ready", every=0.1)
            send(page, PARLEY, new_question())
            seen = answer_at_rest(page)
            began = time.time() - (time.perf_counter() - started)
            word = seen.asked + seen.first_word - began
        return (usable, readied.result() - started, word,
                _megabytes([psutil.Process(app.pid)]), _megabytes(_engine(app.pid)))


def _megabytes(processes: Iterable[psutil.Process]) -> float:
    return sum(process.memory_info().rss for process in processes) / 1e6


def _engine(app: int) -> list[psutil.Process]:
    """The app's child that serves a model and what that has started; none while there is none."""
    return [process for child in psutil.Process(app).children()
            if "llm.llama_server" in child.cmdline()
            for process in (child, *child.children())]


def _is_ready(app: int) -> bool:
    """Whether that child says that its model can be asked."""
    for connection in [found for process in _engine(app)
                       for found in process.net_connections("tcp")]:
        if connection.status == psutil.CONN_LISTEN:
            address = f"http://127.0.0.1:{connection.laddr.port}/health"
            try:
                with urllib.request.urlopen(address, timeout=2) as answer:
                    return answer.status == 200
            except OSError:  # 503 as well: it loads
                return False
    return False
