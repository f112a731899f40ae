"""What the picture reader finds on a picture, shown as findings: each with how sure it is.

Knows `llm.picture_reader`, and not who asks about the picture.
"""

from __future__ import annotations

import streamlit as st

from components.language import _, say
from components.text import show_literal
from llm.errors import ParleyError
from llm.findings import NOT_KNOWN, Finding, Findings
from llm.images import Picture
from llm.picture_reader import read_picture_sync

_WORDS = {"very likely": "very likely", "likely": "likely", "maybe": "maybe"}
_KINDS = {"photo": "photo", "screenshot": "screenshot", "document": "document",
          "drawing": "drawing"}
_COLOURS = {name: name for name in (
    "red", "orange", "yellow", "green", "turquoise", "blue", "purple", "pink", "brown", "beige",
    "grey", "white", "black")}
_ORIENTATIONS = {"square": "square", "landscape": "landscape", "portrait": "portrait"}


def show_findings(picture: Picture, *, key: str) -> None:
    """Draw a closed drawer with the findings on a picture; it is read when that is opened."""
    drawer = st.expander(_("What the picture reader finds"), icon=":material/search:",
                         key=f"findings-{key}", on_change="rerun")
    if not drawer.open:
        return
    with drawer:
        try:
            with st.spinner(_("Reading the picture …")):
                findings = read_picture_sync(picture)
        except ParleyError as error:
            st.error(say(error), icon=":material/error:")
            return
        _show(findings)


def _show(findings: Findings) -> None:
    rows = [(_("Kind of picture"), _sure(findings.kind) if findings.kind else _("cannot tell")),
            (_("Shape"), f"{_(_ORIENTATIONS[findings.orientation])}, "
                         f"{findings.width} × {findings.height}"),
            (_("Main colours"), ", ".join(
                f"{_(_COLOURS[name])} {share:.0%}" for name, share in findings.colours
                if share >= 0.05) or _("none stands out"))]
    rows += [(_("Recognised"), _sure(thing)) for thing in findings.objects] \
        or [(_("Recognised"), _("nothing with any confidence"))]
    st.table([{_("Finding"): name, _("Value"): value} for name, value in rows])
    if findings.lines:
        st.markdown(f"**{_('Text, in reading order')}**")
        show_literal(findings.text)
        if findings.unsure_lines:
            st.markdown(f"**{_('Not sure of these lines')}**")
            show_literal("\n".join(findings.unsure_lines))
    else:
        st.caption(_("No text was found."))
    st.caption(_(NOT_KNOWN))


def _sure(finding: Finding) -> str:
    label = _(_KINDS.get(finding.label, finding.label))
    return f"{label} ({_(_WORDS[finding.word])}, {finding.probability:.0%})"
