"""A person at the app without a browser: speaks over its WebSocket as the browser does.

    async with Person(app_url, "person1x") as person:
        await person.open("memory")
        await person.ask("person1x-0 hello")
        person.words

Fifty of them cost less than one browser. It knows chat boxes, buttons and uploaders, and
nothing else of a page.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Self

import httpx2
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Button_pb2 import Button
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.RootContainer_pb2 import RootContainer
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from web.owner import COOKIE

XSRF = "_streamlit_xsrf"
PATIENCE = 120.0
"""Seconds without a word from the app, after which the page has failed."""
GONE = (ConnectionClosed, InvalidHandshake, OSError, httpx2.HTTPError)
"""What a person meets while the app is down."""


class PageFailed(AssertionError):
    """The page showed an exception, or fell silent."""


class Person:
    def __init__(self, url: str, tag: str):
        self.url, self.tag = url, tag
        self.page = ""
        self._http = httpx2.AsyncClient(base_url=url, trust_env=False, timeout=30)
        self._socket: ClientConnection | None = None
        self._session = ""
        self._elements: dict[tuple[int, ...], Element] = {}
        self._files: list = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        await self._http.aclose()

    @property
    def cookie(self) -> str:
        """What makes the person the same one next time."""
        return self._http.cookies[COOKIE]

    @property
    def words(self) -> str:
        """All that the page says, line by line, Markdown's escapes undone; not the sidebar."""
        said = []
        for place, element in self._elements.items():
            if place[0] == RootContainer.SIDEBAR:
                continue
            kind = element.WhichOneof("type")
            value = getattr(element, kind) if kind else None
            said += [str(getattr(value, name)) for name in ("body", "label")
                     if value is not None and hasattr(value, name)]
        return "\n".join(said).replace("\\", "")

    @property
    def warnings(self) -> list[str]:
        """What the page says in a coloured box."""
        return [element.alert.body for element in self._elements.values()
                if element.WhichOneof("type") == "alert"]

    async def come(self) -> None:
        """Open the app anew, as a page load does: a session of its own."""
        await self.leave()
        for path, accept in (("/", "text/html"), ("/_stcore/health", "*/*")):
            (await self._http.get(path, headers={"accept": accept})).raise_for_status()
        cookies = "; ".join(f"{name}={value}" for name, value in self._http.cookies.items())
        self._socket = await connect(
            self.url.replace("http", "ws", 1) + "/_stcore/stream", origin=self.url,
            subprotocols=["streamlit"], additional_headers={"Cookie": cookies}, max_size=None,
            proxy=None)
        self._elements = {}

    async def leave(self) -> None:
        """Close the connection, as a closed tab does."""
        if self._socket is not None:
            await self._socket.close()
            self._socket = None

    async def open(self, page: str, until: Callable[[], bool] | None = None) -> None:
        """Load a page, by the last part of its address, from a session of its own."""
        self.page = page
        await self.come()
        await self.run(until=until)

    async def run(self, *states: WidgetState, until: Callable[[], bool] | None = None) -> None:
        """Have the page run with these widgets' states; return when it has, or `until` is true."""
        message = BackMsg()
        message.rerun_script.page_name = self.page
        message.rerun_script.widget_states.widgets.extend(states)
        await self._socket.send(message.SerializeToString())
        await self._read(until)

    async def ask(self, text: str, *, until: Callable[[], bool] | None = None) -> None:
        """Type into the chat box and press Enter, with what was put into the uploader before."""
        state = WidgetState(id=self._find("chat_input").id)
        state.chat_input_value.data = text
        await self.run(state, *self._files, until=until)

    async def press(self, label: str) -> bool:
        """Press the button of this label; False if there is none."""
        button = self.button(label)
        if button is None:
            return False
        await self.run(WidgetState(id=button.id, trigger_value=True), *self._files)
        return True

    def button(self, label: str) -> Button | None:
        """The button of this label."""
        return next((element.button for element in self._elements.values()
                     if element.WhichOneof("type") == "button" and element.button.label == label),
                    None)

    async def upload(self, name: str, data: bytes) -> None:
        """Put a file into the page's uploader."""
        request = BackMsg()
        request.file_urls_request.request_id = uuid.uuid4().hex
        request.file_urls_request.file_names.append(name)
        request.file_urls_request.session_id = self._session
        await self._socket.send(request.SerializeToString())
        answer = await self._next()
        while answer.WhichOneof("type") != "file_urls_response":
            answer = await self._next()
        [urls] = answer.file_urls_response.file_urls
        sent = await self._http.put(
            urls.upload_url, headers={"X-Xsrftoken": self._http.cookies[XSRF],
                                      "Origin": self.url},
            files={name: (name, data, "image/png")})
        sent.raise_for_status()
        state = WidgetState(id=self._find("file_uploader", takes=f".{name.rpartition('.')[2]}").id)
        info = state.file_uploader_state_value.uploaded_file_info.add()
        info.file_id, info.name, info.size = urls.file_id, name, len(data)
        info.file_urls.CopyFrom(urls)
        self._files = [state]
        await self.run(*self._files)

    def put_away(self) -> None:
        """Take the files out of the uploader again, from the next run on."""
        self._files = []

    def _find(self, kind: str, *, takes: str = ""):
        for element in self._elements.values():
            if element.WhichOneof("type") == kind:
                found = getattr(element, kind)
                # An uploader that names no types takes any.
                if not takes or not found.type or takes in found.type:
                    return found
        raise PageFailed(f"{self.tag} finds no {kind} on the page {self.page!r}: {self.words}")

    async def _next(self) -> ForwardMsg:
        try:
            data = await asyncio.wait_for(self._socket.recv(), PATIENCE)
        except TimeoutError:
            raise PageFailed(f"{self.tag} hears nothing any more on {self.page!r}") from None
        return ForwardMsg.FromString(data)

    async def _read(self, until: Callable[[], bool] | None) -> None:
        has_begun = False  # What still comes of the run before is not what was asked for.
        while True:
            message = await self._next()
            kind = message.WhichOneof("type")
            if kind == "new_session":
                has_begun, self._elements = True, {}
                self._session = message.new_session.initialize.session_id
            elif not has_begun:
                continue
            elif kind == "delta" and message.delta.WhichOneof("type") == "new_element":
                place = tuple(message.metadata.delta_path)
                self._elements[place] = message.delta.new_element
                if message.delta.new_element.WhichOneof("type") == "exception":
                    raise PageFailed(f"{self.tag} sees a failure on {self.page!r}")
                if until is not None and until():
                    return
            elif kind == "script_finished" and (
                    message.script_finished == ForwardMsg.FINISHED_SUCCESSFULLY):
                return
