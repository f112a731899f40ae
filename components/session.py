"""What one browser tab holds, each session key named once.

A tab's session is Streamlit's: another tab has another. Nothing here is shared
between people, and nothing of it is written anywhere.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from llm.catalog import ModelSpec, list_models
from llm.race import Contender, Race
from llm.transcript import Transcript
from llm.votes import Vote

_TRANSCRIPTS = "transcripts"
_TYPED_KEYS = "typed_keys"
_OWN_MODELS = "own_models"
_RACES = "races"
_VOTES = "votes"


def transcript(stage: str) -> Transcript:
    """The conversation of a stage, the same object until it is replaced."""
    return st.session_state.setdefault(_TRANSCRIPTS, {}).setdefault(stage, Transcript())


def replace_transcript(stage: str, new: Transcript) -> None:
    """Show another conversation in a stage. A reply that still runs in the old one is stopped."""
    for turn in transcript(stage).turns.values():
        if turn.reply is not None:
            turn.reply.stop()
    st.session_state[_TRANSCRIPTS][stage] = new


def typed_keys() -> dict[str, str]:
    """Environment variable's name -> the key that was typed in its stead, in this session alone."""
    return st.session_state.setdefault(_TYPED_KEYS, {})


def own_models() -> dict[str, ModelSpec]:
    """The models that the person added in this session, by id."""
    return st.session_state.setdefault(_OWN_MODELS, {})


def models() -> list[ModelSpec]:
    """Every model to choose from: the catalog's, then the person's own."""
    return [*list_models(), *own_models().values()]


def race(contenders: Sequence[Contender], *, blind: bool) -> Race:
    """The race of these contenders, the same object until it is replaced."""
    races = st.session_state.setdefault(_RACES, {})
    key = (tuple(contenders), blind)
    if key not in races:
        races[key] = Race.of(contenders, blind=blind)
    return races[key]


def has_raced() -> bool:
    """Whether anything was asked in any race of this session."""
    return any(pane.chat.turns for known in st.session_state.get(_RACES, {}).values()
               for pane in known.panes)


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
    return race(contenders, blind=blind)


def votes() -> list[Vote]:
    """The blind votes of this session, oldest first: cast here or imported."""
    return st.session_state.setdefault(_VOTES, [])
