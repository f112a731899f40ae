"""Chat pages made with other libraries, on the same engine, each as its documentation has it.

They run in an environment of their own, `.venv-bench` beside the app's, which is made here
from requirements-bench.txt when it is first wanted. This module imports none of them.
"""

from __future__ import annotations

import hashlib
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.browser import Site
from benchmarks.rows import until
from llm.local_engines import Endpoint
from tests.app import ROOT, clean_environment, end, free_port

VENV = ROOT / ".venv-bench"
REQUIREMENTS = ROOT / "requirements-bench.txt"
HERE = Path(__file__).parent

COMMANDS = {
    "Chainlit": ["-m", "chainlit", "run", "chainlit_page.py", "--headless", "--host", "127.0.0.1",
                 "--port", "{port}"],
    "Gradio": ["gradio_page.py", "{port}"],
}
"""What the environment's Python runs, by the library's name."""

LAST = "(() => {{ const all = document.querySelectorAll('{css}'); " \
       "return all.length ? all[all.length - 1].textContent : ''; }})"

SITES = {
    "Chainlit": Site("#chat-input", LAST.format(
        css='[data-step-type="assistant_message"] .message-content')),
    "Gradio": Site("textarea", LAST.format(css='[data-testid="bot"] .message-content')),
}


def make_environment() -> Path:
    """Its Python. Installs what requirements-bench.txt names unless that was done before."""
    wanted = hashlib.sha256(REQUIREMENTS.read_bytes()).hexdigest()
    stamp, python = VENV / "made-from", VENV / "bin" / "python"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", VENV], check=True)
        installed = subprocess.run([python, "-m", "pip", "install", "-r", REQUIREMENTS],
                                   capture_output=True, text=True)
        if installed.returncode:
            raise RuntimeError(installed.stderr.strip().splitlines()[-1])
        stamp.write_text(wanted)
    return python


@contextmanager
def serve(name: str, endpoint: Endpoint, max_tokens: int) -> Iterator[str]:
    """The page's address, for as long as the block lasts."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="parley-peer-") as folder:
        environment = clean_environment(
            MODEL_URL=endpoint.base_url, MODEL_KEY=endpoint.api_key,
            MODEL_NAME=endpoint.model_name, MODEL_TOKENS=str(max_tokens),
            HOME=folder, CHAINLIT_APP_ROOT=folder, GRADIO_ANALYTICS_ENABLED="False",
            HF_HUB_OFFLINE="1", PYTHONPATH=str(HERE))
        command = [part.format(port=port) for part in COMMANDS[name]]
        with (Path(folder) / "log").open("wb") as log:
            process = subprocess.Popen([make_environment(), *command], cwd=HERE, env=environment,
                                       stdin=subprocess.DEVNULL, stdout=log,
                                       stderr=subprocess.STDOUT)
            try:
                until(lambda: is_open(port), f"{name} listens", every=0.1)
                yield f"http://127.0.0.1:{port}/"
            finally:
                end(process)


def is_open(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0
