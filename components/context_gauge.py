"""How full the model's context window is: the instruction, the history, the room for a reply."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamlit.delta_generator import DeltaGenerator

from components.language import _
from llm.catalog import ModelSpec
from llm.context import context_parts
from llm.memory import View


def show_context(place: DeltaGenerator, spec: ModelSpec, settings: Mapping[str, Any],
                 view: View) -> None:
    """Draw what the next message will carry along, against the context window."""
    if spec.context_window is None:
        return
    room = settings.get("max_tokens", 0)
    parts = dict(context_parts(spec, settings.get("system", ""), view, max_tokens=room))
    history, system = parts["history"], parts["system"]
    total = sum(count.tokens for count in parts.values())
    mark = "" if history.measured and system.measured else "≈"
    place.progress(min(1.0, total / spec.context_window), text=_(
        "The next message carries {mark}{history} tokens of history and {mark}{system} of "
        "instruction, and leaves {room} for the reply: {share} of {window}.").format(
            mark=mark, history=f"{history.tokens:,}", system=f"{system.tokens:,}",
            room=f"{room:,}", share=f"{total / spec.context_window:.0%}",
            window=f"{spec.context_window:,}"))
    if total > spec.context_window:
        place.warning(_("The conversation no longer fits the context window with that room for a "
                        "reply. Begin a new one, or lower Max tokens."))
