"""What one browser tab holds, each session key named once.

A tab's session is Streamlit's: another tab has another. Nothing here is shared
between people, and nothing of it is written anywhere; `components.kept` does that.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import streamlit as st

from llm.catalog import ModelSpec, list_models
from llm.errors import StorageError
from llm.images import Picture
from llm.race import Contender, Race
from llm.replies import Reply
from llm.scorecard import Measured, measure
from llm.transcript import Transcript
from llm.votes import Vote

if TYPE_CHECKING:
    from langgraph.checkpoint.memory import InMemorySaver

    from components.memory_lab import Answered

_TRANSCRIPTS = "transcripts"
_TYPED_KEYS = "typed_keys"
_OWN_MODELS = "own_models"
_RACES = "races"
_SAID_TO_RACE = "said_to_race"
_VOTES = "votes"
_THREADS = "langgraph_threads"
_MEMORY_ANSWERS = "memory_answers"
_KEEPING = "keeping"
_MEASURED = "measured"
_LESSONS = "lessons"


@dataclass(frozen=True)
class Notice:
    """A sentence to show, and the conversation that can be brought back, if one was deleted."""

    text: str
    is_error: bool = False
    deleted: Transcript | None = None


@dataclass
class Keeping:
    """What this session knows of what is kept. A reply that ends writes here from its thread."""

    nothing: bool = False
    """Whether the person wants nothing written, as far as was last heard."""
    insists: bool = False
    """Whether that was said here and could not be remembered."""
    private: set[str] = field(default_factory=set)
    """Conversations of which something was said while nothing was to be kept: ids."""
    problems: dict[str, StorageError] = field(default_factory=dict)
    """Conversation's id -> why not all of it is kept."""
    last_shown: dict[str, str] = field(default_factory=dict)
    """Stage -> the conversation that is kept as the one to begin with next time."""
    left_open: set[str] = field(default_factory=set)
    """Questions that had no answer when their conversation was opened: turns' ids."""
    notice: Notice | None = None
    """What came of the last thing done in the list of conversations."""


def keeping() -> Keeping:
    """This session's, the same object as long as it lasts."""
    return st.session_state.setdefault(_KEEPING, Keeping())


def lessons_marked() -> dict[str, bool]:
    """Lesson's name -> whether it is done: what was said here and is not in the store."""
    return st.session_state.setdefault(_LESSONS, {})


def transcript(stage: str, begin: Callable[[str], Transcript]) -> Transcript:
    """The conversation of a stage, the same object until it is replaced.

    `begin` is asked for the first one, by the stage.
    """
    transcripts = st.session_state.setdefault(_TRANSCRIPTS, {})
    if stage not in transcripts:
        transcripts[stage] = begin(stage)
    return transcripts[stage]


def replace_transcript(stage: str, new: Transcript) -> None:
    """Show another conversation in a stage."""
    st.session_state.setdefault(_TRANSCRIPTS, {})[stage] = new


def forget_transcripts() -> None:
    """Begin every stage anew, and without the figures of what was said."""
    st.session_state[_TRANSCRIPTS] = {}
    st.session_state[_MEASURED] = {}


def note_figures(reply: Reply) -> None:
    """Keep the figures of a reply that has ended, for as long as this session lasts."""
    figures = measure(reply)
    # A reply that never began has no model, or no time at which it did.
    if reply.model_id and reply.total_seconds is not None:
        known = st.session_state.setdefault(_MEASURED, {})
        known[figures.model_id, figures.started_at] = figures


def figures() -> list[Measured]:
    """Those of all replies that were shown in this session, in the order of their first sight."""
    return list(st.session_state.get(_MEASURED, {}).values())


def typed_keys() -> dict[str, str]:
    """Environment variable's name -> the key that was typed in its stead, in this session alone."""
    return st.session_state.setdefault(_TYPED_KEYS, {})


def own_models() -> dict[str, ModelSpec]:
    """The models that the person added in this session, by id."""
    return st.session_state.setdefault(_OWN_MODELS, {})


def models() -> list[ModelSpec]:
    """Every model to choose from: the catalog's, then the person's own."""
    return [*list_models(), *own_models().values()]


def race(contenders: Sequence[Contender], *, blind: bool,
         begin: Callable[..., Race] = Race.of) -> Race:
    """The race of these contenders, the same object until it is replaced.

    `begin` is asked for the first one, like `Race.of`.
    """
    races = st.session_state.setdefault(_RACES, {})
    key = (tuple(contenders), blind)
    if key not in races:
        races[key] = begin(contenders, blind=blind)
    return races[key]


def forget_races() -> None:
    """Have no race in this session any more."""
    st.session_state[_RACES] = {}


def said_to_race() -> list[tuple[str, list[Picture]]]:
    """The messages that no race has been asked yet, with their pictures."""
    return st.session_state.setdefault(_SAID_TO_RACE, [])


def has_raced() -> bool:
    """Whether anything was asked in any race of this session, or is about to be."""
    races = st.session_state.get(_RACES, {}).values()
    return bool(said_to_race()) or any(pane.chat.turns for race in races for pane in race.panes)


def held_pictures() -> set[str]:
    """The pictures in this session's conversations and races, by their SHA-256."""
    chats = [*st.session_state.get(_TRANSCRIPTS, {}).values(),
             *(pane.chat for race in st.session_state.get(_RACES, {}).values()
               for pane in race.panes)]
    return {picture.sha256 for chat in chats for turn in chat for picture in turn.pictures}


def replace_race(contenders: Sequence[Contender], *, blind: bool) -> Race:
    """A new race of these contenders. What still runs in the old one is stopped."""
    old = st.session_state.setdefault(_RACES, {}).pop((tuple(contenders), blind), None)
    if old is not None:
        old.stop()
        old.stop_runs()
    return race(contenders, blind=blind)


def votes() -> list[Vote]:
    """The blind votes of this session, oldest first: cast here or imported."""
    return st.session_state.setdefault(_VOTES, [])


def langgraph_threads(chat_id: str) -> InMemorySaver:
    """Where LangGraph keeps a conversation's thread, until another conversation asks for one."""
    # Loaded when somebody chooses LangGraph, and not with every page.
    from langgraph.checkpoint.memory import InMemorySaver

    held_for, threads = st.session_state.get(_THREADS, (None, None))
    if held_for != chat_id:
        threads = InMemorySaver()
        st.session_state[_THREADS] = chat_id, threads
    return threads


def memory_answers(chat_id: str) -> list[Answered]:
    """What the memory lab last got for this conversation, the same list until it is replaced."""
    asked_in, answers = st.session_state.get(_MEMORY_ANSWERS, (None, []))
    return answers if asked_in == chat_id else []


def keep_memory_answers(chat_id: str, answers: list[Answered]) -> None:
    st.session_state[_MEMORY_ANSWERS] = chat_id, answers
