"""The running summary of a conversation: the chain that writes it, and what it is given.

    turn.summary = extend_summary(model, summary, turns_to_summarise(path, options))

Which turns one takes in, and what a model is shown with it, is `llm.memory`'s to say.
"""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.language_models import LanguageModelLike
from langchain_core.messages import AIMessage, HumanMessage, get_buffer_string
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import Runnable

from llm.transcript import Turn

SUMMARY_WORDS = 100

SUMMARY_PROMPT = ChatPromptTemplate([
    ("system", "You keep a summary of a conversation for someone who will not read the "
               f"conversation itself. Write at most {SUMMARY_WORDS} words, in the language of the "
               "conversation. Keep names, numbers, wishes and decisions. Write the summary only."),
    ("human", "The summary so far:\n{summary}\n\nWhat was said next:\n{conversation}\n\n"
              "Write the new summary of all of it."),
])
"""summary: the one before, or "(none)"; conversation: the new messages as plain text."""


def build_summary_chain(model: LanguageModelLike) -> Runnable[dict, str]:
    """Inputs as `summary_inputs` makes them; the text is the new summary."""
    return SUMMARY_PROMPT | model | StrOutputParser()


def summary_inputs(summary: str | None, turns: Sequence[Turn]) -> dict[str, str]:
    """What a summary is made of: the one so far, and what was said since. Pictures are left out."""
    words = [AIMessage(turn.text) if turn.role == "ai" else HumanMessage(turn.content)
             for turn in turns]
    return {"summary": summary or "(none)", "conversation": get_buffer_string(words)}


def extend_summary(model: LanguageModelLike, summary: str | None, turns: Sequence[Turn]) -> str:
    """Have `model` take `turns` into `summary`, and wait for it. Returns the new summary."""
    return build_summary_chain(model).invoke(summary_inputs(summary, turns)).strip()
