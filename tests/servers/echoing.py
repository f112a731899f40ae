"""A model's server in a process of its own, to be killed: `python -m tests.servers.echoing …`.

    model = EchoingProcess(folder / "mixed")
    model.start()
    model.kill()

It answers a question with the question, at a fixed rate, and writes down each request that
holds more than one person's words: every question begins with the person's tag.
"""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from pathlib import Path

from tests.app import ROOT, free_port
from tests.servers.fixed_rate import text_of
from tests.servers.recording import Answer, Request, Server

TAG = re.compile(r"\bperson\d+x")
"""Who said it. The x: person1x is not the beginning of person10x."""
QUESTION = re.compile(r"\bperson\d+x-\d+\b")
WORDS = 12
RATE = 20.0


def answer_to(question: str) -> str:
    """What the server says: its last word shows that it was said to the end."""
    numbers = " ".join(f"word{number}" for number in range(WORDS))
    return f"To {question} I say {numbers} end-of-{question}"


def has_begun(question: str, words: str) -> bool:
    """Whether the first of its answer stands in `words`."""
    return answer_to(question)[:len(question) + 20] in words


def is_answered(question: str, words: str) -> bool:
    """Whether the last of its answer stands in `words`."""
    return re.search(rf"end-of-{question}\b", words) is not None


class EchoingProcess:
    """The server as it is started, killed and started again at the same port.

    `mixed` is the file of the requests that held more than one person's words.
    """

    def __init__(self, mixed: Path):
        self.port, self.mixed = free_port(), mixed
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.servers.echoing", str(self.port), str(self.mixed)],
            cwd=ROOT, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Echoing(Answer):
    server: EchoingServer

    def answer(self, request: Request) -> None:
        self.server.requests.clear()
        texts = [text_of(message) for message in request.json["messages"]]
        if len({tag for text in texts for tag in TAG.findall(text)}) > 1:
            with self.server.mixed.open("a", encoding="utf-8") as file:
                file.write(repr(texts)[:2000] + "\n")
        found = QUESTION.search(texts[-1])
        self.begin_stream()
        begun = time.perf_counter()
        for number, word in enumerate(answer_to(found[0] if found else "nobody").split(" ")):
            time.sleep(max(0.0, begun + number / RATE - time.perf_counter()))
            self.token(word if number == 0 else " " + word)
        self.finish_reply()


class EchoingServer(Server):
    mixed: Path
    request_queue_size = 128

    def __init__(self, port: int, mixed: Path):
        super().__init__(Echoing)
        self.server_close()
        self.mixed = mixed
        super(Server, self).__init__(("127.0.0.1", port), Echoing)


def main() -> None:
    """Serve on the port given, until killed. The second argument is the file of mixtures."""
    server = EchoingServer(int(sys.argv[1]), Path(sys.argv[2]))
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    threading.Event().wait()


if __name__ == "__main__":
    main()
