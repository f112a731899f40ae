"""The chains of the tutorial: a prompt template, a chat model, an output parser.

Each takes a LangChain chat model (or one with settings bound to it), ends in text,
and invokes, streams and batches like any Runnable. They do not know which model
it is, nor where it runs.

What people type goes into a template as a value, never as a template: braces in it are
just braces.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from langchain_core import output_parsers
from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import BaseMessage, HumanMessage
from langchain_core.prompt_values import ChatPromptValue, PromptValue
from langchain_core.prompts import ChatPromptTemplate, MessagesPlaceholder
from langchain_core.runnables import Runnable, RunnableLambda

from llm.images import Picture, image_block

TRANSLATION_PROMPT = ChatPromptTemplate([("system", "{system}"), ("human", "{text}")])
"""system: the filled instruction; text: what to translate."""

CHAT_PROMPT = ChatPromptTemplate(
    [("system", "{system}"), MessagesPlaceholder("history"), MessagesPlaceholder("message")]
)
"""system: str; history: the messages before; message: the one human message, as a list of one."""

IMAGE_PROMPT = CHAT_PROMPT
"""The same shape: the human message holds the question and the pictures."""


class StrOutputParser(output_parsers.StrOutputParser):
    """LangChain's, on the spot: its own sends each piece to another thread and back, which is a
    sixth of all that the app computes while many replies stream."""

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[str]:
        async for piece in input:
            for text in self._transform(iter([piece])):
                yield text


def build_translation_chain(model: LanguageModelLike) -> Runnable[dict, str]:
    """Inputs: `system` (the filled instruction) and `text`."""
    return TRANSLATION_PROMPT | without_blank_system | model | StrOutputParser()


def build_chat_chain(model: LanguageModelLike) -> Runnable[dict, str]:
    """Inputs: `system`, `history` (messages) and `message` (a list of one human message)."""
    return CHAT_PROMPT | without_blank_system | model | StrOutputParser()


def build_image_chain(model: LanguageModelLike) -> Runnable[dict, str]:
    """Inputs as for a chat; the message is made by `image_message`."""
    return IMAGE_PROMPT | without_blank_system | model | StrOutputParser()


def image_message(question: str, pictures: Sequence[Picture]) -> HumanMessage:
    """A human message of pictures followed by a question about them."""
    return HumanMessage([*map(image_block, pictures), {"type": "text", "text": question}])


def _drop_blank_system(prompt: PromptValue) -> PromptValue:
    # An emptied instruction means none. Sent as an empty message it would still
    # displace the model's own default, and some services refuse it.
    messages = [message for message in prompt.to_messages()
                if message.type != "system" or message.text.strip()]
    return ChatPromptValue(messages=messages)


without_blank_system = RunnableLambda(_drop_blank_system).with_config(run_name="drop_blank_system")
"""A step between a prompt and a model: a blank system message is left out."""
