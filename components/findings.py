"""What the picture reader finds on a picture, shown as findings: each with how sure it is.

Knows `llm.picture_reader`, and not who asks about the picture.
"""

from __future__ import annotations

import streamlit as st

from components.language import _, say
from components.text import as_label, show_literal
from llm.errors import ParleyError
from llm.findings import NOT_KNOWN, Finding, Findings, name_of
from llm.images import Picture


def show_findings(picture: Picture, *, key: str) -> None:
    """Draw a closed drawer with the findings on a picture; it is read when that is opened."""
    drawer = st.expander(_("What the picture reader finds"), icon=":material/search:",
                         key=f"findings-{key}", on_change="rerun")
    if not drawer.open:
        return
    from llm.picture_reader import read_picture_sync

    with drawer:
        try:
            with st.spinner(_("Reading the picture …")):
                findings = read_picture_sync(picture)
        except ParleyError as error:
            st.error(as_label(say(error)), icon=":material/error:")
            return
        _show(findings)


def _show(findings: Findings) -> None:
    rows = [(_("Kind of picture"), _sure(say(name_of(findings.kind.label)), findings.kind)
             if findings.kind else _("cannot tell")),
            (_("Shape"), f"{say(name_of(findings.orientation))}, "
                         f"{findings.width} × {findings.height}"),
            (_("Main colours"), ", ".join(
                f"{say(name_of(name))} {share:.0%}" for name, share in findings.colours
                if share >= 0.05) or _("none stands out"))]
    rows += [(_("Recognised"), _sure(thing.label, thing)) for thing in findings.objects] \
        or [(_("Recognised"), _("nothing with any confidence"))]
    st.table([{_("Finding"): name, _("Value"): value} for name, value in rows])
    if findings.lines:
        st.markdown(f"**{_('Text, in reading order')}**")
        show_literal(findings.text)
        if findings.unsure_lines:
            st.markdown(f"**{_('Not sure of these lines')}**")
            show_literal("\n".join(findings.unsure_lines))
    elif not findings.lines_unread:
        st.caption(_("No text was found."))
    for remark in findings.remarks(say):
        st.caption(remark)
    st.caption(_(NOT_KNOWN))


def _sure(name: str, finding: Finding) -> str:
    return f"{name} ({say(name_of(finding.word))}, {finding.probability:.0%})"
