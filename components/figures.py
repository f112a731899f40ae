"""Numbers as people read them: times, rates, tokens, bytes, money. No widgets, no state."""

from __future__ import annotations

from components.language import _
from llm.replies import Ending, Reply

_ENDINGS = {
    Ending.LENGTH: "Cut off at the length limit: raise Max tokens for more.",
    Ending.STOPPED: "Stopped by you.",
    Ending.CONTENT_FILTER: "The service withheld the rest (content filter).",
}


def human_bytes(count: int) -> str:
    """Bytes in decimal units, as disks and downloads are sold: 98 MB."""
    size = float(count)
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"


def human_seconds(seconds: float) -> str:
    """A time with the digits that matter: 85 ms, 1.2 s, 2 min 5 s."""
    if seconds < 0.9995:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    return f"{seconds // 60:.0f} min {seconds % 60:.0f} s"


def human_cost(reply: Reply) -> str:
    """What a reply cost, in words where it is not money."""
    if reply.cost is None:
        return _("cost unknown")
    if reply.cost.kind == "local":
        return _("free, on this machine")
    return f"${reply.cost.usd:.6f}" if reply.cost.usd < 0.01 else f"${reply.cost.usd:.4f}"


def figures_line(reply: Reply) -> str:
    """One line under an answer: who, how fast, how much, what for."""
    mark = "" if reply.tokens_measured else "≈"
    parts = []
    if reply.first_token_seconds is not None:
        parts.append(_("first token {time}").format(time=human_seconds(reply.first_token_seconds)))
    if reply.total_seconds is not None:
        parts.append(_("total {time}").format(time=human_seconds(reply.total_seconds)))
    if reply.tokens_per_second is not None:
        parts.append(_("{rate} tokens/s").format(rate=f"{mark}{reply.tokens_per_second:.0f}"))
    if reply.input_tokens is not None:
        parts.append(_("{tokens} tokens in").format(tokens=f"{mark}{reply.input_tokens:,}"))
    if reply.output_tokens is not None:
        parts.append(_("{tokens} out").format(tokens=f"{mark}{reply.output_tokens:,}"))
    if reply.first_token_seconds is not None:
        parts.append(human_cost(reply))
    return " · ".join(parts)


def ending_note(reply: Reply) -> str | None:
    """How a reply ended, where that needs saying."""
    note = _ENDINGS.get(reply.ending)
    return _(note) if note else None
