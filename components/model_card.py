"""A model's card: what it is, where one's text goes, what it costs, what is missing."""

from __future__ import annotations

import streamlit as st

from components.figures import human_bytes
from components.language import _, say
from components.sharing import is_shared
from components.text import as_label
from llm.catalog import ModelSpec
from llm.engine_kinds import LOCAL_ENGINES
from llm.keys import WHERE_TEXT_GOES, destination
from llm.prices import price_of


def show_model_card(spec: ModelSpec) -> None:
    """Draw the facts of one model as a short list."""
    kind = _("Open weights") if spec.open else _("Closed")
    st.markdown(f"**{as_label(spec.label)}** · {kind}"
                + (f" · {as_label(spec.license)}" if spec.license else ""))
    if spec.notes:
        st.caption(_(spec.notes))
    facts = [_("What you type {where}.").format(where=where_text_goes(spec))]
    if spec.context_window:
        facts.append(_("Context window: {tokens} tokens.").format(
            tokens=f"{spec.context_window:,}"))
    facts.append(_("Sees pictures.") if spec.vision else _("Cannot see pictures."))
    price = price_of(spec)
    if spec.runs_locally:
        facts.append(_("Costs nothing but this machine's time."))
        # Whoever shares it with others can do something about it; the others cannot.
        engine = LOCAL_ENGINES.get(spec.engine or "")
        if engine and not is_shared() and (known := engine.said()):
            facts.append(say(known))
    elif price is not None:
        facts.append(_("${input} per million tokens in, ${output} out ({source}).").format(
            input=f"{price.input:.2f}", output=f"{price.output:.2f}", source=price.source))
    else:
        facts.append(_("Its price is not known to Parley."))
    if spec.download_bytes:
        facts.append(_("Download: {size}.").format(size=human_bytes(spec.download_bytes)))
    st.markdown("\n".join(f"- {fact}".replace("$", r"\$") for fact in facts))


def where_text_goes(spec: ModelSpec) -> str:
    """What becomes of what is typed, to follow "What you type"."""
    where, gaps = destination(spec)
    return _(WHERE_TEXT_GOES[where]).format(**gaps)
