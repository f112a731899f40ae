"""The built-in picture reader, offline: it reads the text in a picture and names things in it.

    findings = await read_picture(picture)
    model = PictureReaderModel()                  a LangChain chat model that answers with findings
    chain = build_findings_chain(text_model)      any text model, asked about a picture's findings

It is no language model: it cannot tell what is going on, and says so. Everything heavy
happens in a process of its own (`llm.reader_process`).
"""

from __future__ import annotations

import asyncio
import base64
import binascii
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Literal, TypeVar

from langchain_core.language_models import BaseChatModel, LanguageModelLike
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.runnables import Runnable, RunnableLambda

from llm.chains import IMAGE_PROMPT, StrOutputParser, image_message, without_blank_system
from llm.errors import PictureError, UnreadablePictureError
from llm.findings import Findings, conclude
from llm.images import Picture, read_image
from llm.prompts import IMAGE_TASKS
from llm.reader_process import ask, end_reader, start_reader
from llm.wording import Say, Wording

__all__ = [
    "Findings", "Mode", "PictureReaderModel", "build_findings_chain", "end_reader",
    "read_picture", "read_picture_sync", "start_reader",
]

Result = TypeVar("Result")

# ── A picture, read ──────────────────────────────────────────────────────────────────

KEPT = 32
"""Findings that are kept in memory: a picture is often asked about more than once."""
_kept: OrderedDict[str, Findings] = OrderedDict()


async def read_picture(picture: Picture) -> Findings:
    """What the reader finds on a picture.

    Raises `EngineError` if its process did not start, died, or took too long.
    """
    if (known := _kept.get(picture.sha256)) is not None:
        return known
    findings = conclude(await ask(picture.data))
    _kept[picture.sha256] = findings
    while len(_kept) > KEPT:
        _kept.popitem(last=False)
    return findings


def read_picture_sync(picture: Picture) -> Findings:
    """`read_picture`, for code that waits. Works within a running event loop too."""
    return _wait_for(read_picture(picture))


def _wait_for(work: Coroutine[Any, Any, Result]) -> Result:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


# ── As a chat model ──────────────────────────────────────────────────────────────────

Mode = Literal["alt", "describe", "text", "markdown", "findings"]

ANSWERS: Mapping[Mode, Callable[[Findings, Say], str]] = {
    "alt": Findings.alt_text,
    "describe": Findings.description,
    "text": Findings.plain_text,
    "markdown": Findings.as_markdown,
    "findings": Findings.as_text,
}
MODE_OF_TASK: Mapping[str, Mode] = {
    IMAGE_TASKS["Alt text"]: "alt",
    IMAGE_TASKS["Describe it"]: "describe",
    IMAGE_TASKS["Read the text"]: "text",
    IMAGE_TASKS["Read it as Markdown"]: "markdown",
}
"""What is asked in these words, the reader can answer; to anything else it shows its findings,
unless `mode` is bound."""
CANNOT_ANSWER = ("The picture reader cannot answer questions: it shows what it found. "
                 "A language model can be asked about these findings.")


class PictureReaderModel(BaseChatModel):
    """The picture reader as a chat model: the findings on a message's pictures, as text.

    It looks at the pictures of the last message that has any. What to say of them is the
    bound argument `mode`, or is known from the message's text if that is one of
    `llm.prompts.IMAGE_TASKS`:

        PictureReaderModel().bind(mode="alt")

    It says it in English, or by the bound argument `say` in another language.

    Raises `PictureError` where no message holds a picture. It counts no tokens, for there
    are none, and ignores temperature and the like.
    """

    @property
    def _llm_type(self) -> str:
        return "picture-reader"

    async def _answer(self, messages: list[BaseMessage], mode: Mode | None, say: Say) -> str:
        message = next((message for message in reversed(messages) if _picture_blocks(message)),
                       None)
        if message is None:
            raise PictureError("The picture reader only looks at pictures, and there is none "
                               "here. Add one and ask again.")
        mode = mode or MODE_OF_TASK.get(messages[-1].text.strip())
        blocks = _picture_blocks(message)
        findings = [await _read_block(block) for block in blocks]
        answers = [ANSWERS[mode or "findings"](each, say) for each in findings]
        if len(answers) > 1:
            answers = [say(Wording("Picture {number}:", number=number)) + f"\n\n{answer}"
                       for number, answer in enumerate(answers, start=1)]
        if mode is None and messages[-1].text.strip():
            answers.append(say(Wording(CANNOT_ANSWER)))
        return "\n\n".join(answers)

    async def _agenerate(self, messages: list[BaseMessage], stop: list[str] | None = None,
                         run_manager: Any = None, mode: Mode | None = None, say: Say = str,
                         **kwargs: Any) -> ChatResult:
        message = AIMessage(await self._answer(messages, mode, say),
                            response_metadata={"finish_reason": "stop"})
        return ChatResult(generations=[ChatGeneration(message=message)])

    async def _astream(self, messages: list[BaseMessage], stop: list[str] | None = None,
                       run_manager: Any = None, mode: Mode | None = None, say: Say = str,
                       **kwargs: Any) -> AsyncIterator[ChatGenerationChunk]:
        answer = await self._answer(messages, mode, say)
        for chunk in _paragraphs(answer):
            if run_manager is not None:
                await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk

    def _generate(self, messages: list[BaseMessage], stop: list[str] | None = None,
                  run_manager: Any = None, **kwargs: Any) -> ChatResult:
        return _wait_for(self._agenerate(messages, stop, **kwargs))

    def _stream(self, messages: list[BaseMessage], stop: list[str] | None = None,
                run_manager: Any = None, mode: Mode | None = None, say: Say = str,
                **kwargs: Any) -> Iterator[ChatGenerationChunk]:
        for chunk in _paragraphs(_wait_for(self._answer(messages, mode, say))):
            if run_manager is not None:
                run_manager.on_llm_new_token(chunk.text, chunk=chunk)
            yield chunk


def _paragraphs(answer: str) -> Iterator[ChatGenerationChunk]:
    pieces = answer.split("\n\n")
    for number, piece in enumerate(pieces, start=1):
        is_last = number == len(pieces)
        yield ChatGenerationChunk(message=AIMessageChunk(
            content=piece if is_last else piece + "\n\n",
            response_metadata={"finish_reason": "stop"} if is_last else {},
            chunk_position="last" if is_last else None))


def _picture_blocks(message: BaseMessage) -> list[dict]:
    if not isinstance(message.content, list):
        return []
    return [block for block in message.content
            if isinstance(block, dict) and block.get("type") in ("image", "image_url")]


async def _read_block(block: Mapping[str, Any]) -> Findings:
    # Not on the loop: other people's replies stream there while a picture is unpacked.
    return await read_picture(await asyncio.to_thread(_picture_in, block))


def _picture_in(block: Mapping[str, Any]) -> Picture:
    """The picture in LangChain's `image` block or in an `image_url` block with a data URL."""
    if block["type"] == "image_url":
        url = block.get("image_url")
        url = url.get("url") if isinstance(url, dict) else url
        head, _, encoded = str(url).partition(",")
        is_data = head.startswith("data:") and head.endswith(";base64")
    else:
        encoded = block.get("base64") or block.get("data")
        is_data = isinstance(encoded, str)
    if not is_data:
        raise UnreadablePictureError("The picture reader takes a picture itself, not the "
                                     "address of one. Add the picture and ask again.")
    try:
        return read_image(base64.b64decode(encoded, validate=True))
    except binascii.Error as error:
        raise UnreadablePictureError("This picture did not arrive whole. Add it again.") from error


# ── For any text model ───────────────────────────────────────────────────────────────

_ASKED = """\
{findings}

Question: {question}
Answer from the text."""
# In words that a model of 135 million parameters follows: with longer instructions it
# answered with these, and with none before "Question:" it went on with the text.


def build_findings_chain(model: LanguageModelLike) -> Runnable[dict, str]:
    """A chain like `build_image_chain` for a model that cannot see: findings stand for pictures.

    Inputs: `system`, `history` and either `message` (a list of one human message, made by
    `image_message`) or `question` and `pictures` (a list of `Picture`). Pictures in the
    history are put into words as well. What the model got is in the prompt, for all to see.
    """
    return (RunnableLambda(_with_message).with_config(run_name="with_message")
            | IMAGE_PROMPT | without_blank_system | put_pictures_into_words
            | model | StrOutputParser())


def _with_message(inputs: dict) -> dict:
    if "message" in inputs:
        return inputs
    return {"system": inputs.get("system", ""), "history": inputs.get("history", []),
            "message": [image_message(inputs["question"], inputs["pictures"])]}


async def _put_into_words(prompt: PromptValue) -> ChatPromptValue:
    return ChatPromptValue(messages=[await _without_pictures(message)
                                     for message in prompt.to_messages()])


async def _without_pictures(message: BaseMessage) -> BaseMessage:
    blocks = _picture_blocks(message)
    if not blocks:
        return message
    findings = _in_words([await _read_block(block) for block in blocks])
    question = message.text.strip()
    return HumanMessage(_ASKED.format(findings=findings, question=question) if question
                        else findings)


def _in_words(found: Sequence[Findings]) -> str:
    each = 6_000 // len(found)
    return "\n\n".join(
        f"Picture {number}: {findings.in_prompt(most_characters=each)}" if len(found) > 1
        else f"A picture: {findings.in_prompt(most_characters=each)}"
        for number, findings in enumerate(found, start=1))


put_pictures_into_words = RunnableLambda(
    lambda prompt: _wait_for(_put_into_words(prompt)), afunc=_put_into_words,
).with_config(run_name="put_pictures_into_words")
"""A step between a prompt and a model: every picture in it becomes the reader's findings."""
