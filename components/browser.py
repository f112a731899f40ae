"""What only the browser can do: copy, read aloud, tell a screen reader, stay at a place, and
move the keyboard's focus.

The scripts are files in browser_js/, served from the app's own origin: the Content
Security Policy lets no other script run, not even one that Streamlit would make from a
string. They get plain data and write it as text, never as HTML.

A new one is a file there, whose default export is called with `{data, parentElement}`
(https://docs.streamlit.io/develop/api-reference/custom-components), and a function here.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.components.v2.get_bidi_component_manager import get_bidi_component_manager
from streamlit.components.v2.manifest_scanner import ComponentConfig, ComponentManifest

from components.language import _

HERE = Path(__file__).parent
SCRIPTS = "browser_js"


def copy_button(text: str, *, key: str, label: str | None = None) -> None:
    """Draw a button that puts `text` on the clipboard, without a run of the page."""
    _mount("copy", {"text": text, "label": label or _("Copy"), "done": _("Copied")}, key,
           html="<button type='button'></button>", css="button.css")


def read_aloud_button(text: str, *, key: str, language: str = "") -> None:
    """Draw a button that has the browser speak `text`, and stops it.

    `language` is a BCP 47 tag such as "hi"; without one the browser's own is taken.
    Where the browser has no voice, nothing is drawn.
    """
    _mount("speak", {"text": text, "language": language, "label": _("Read aloud"),
                     "stop": _("Stop reading")}, key,
           html="<button type='button' hidden></button>", css="button.css")


def announce(text: str, *, key: str) -> None:
    """Have screen readers say `text` when they next pause. Once for each text."""
    _mount("announce", {"text": text}, key)


def stay_at(place: str, *, moment: str) -> None:
    """Keep what this CSS selector finds in sight for who follows the page's end, when more is
    drawn below it. Once for each `moment`.
    """
    _mount("stay", {"place": place, "moment": moment}, "stay")


def move_focus(places: Sequence[str], *, moment: str) -> None:
    """Give the keyboard's focus to what the first of these CSS selectors finds that finds any,
    unless what has it is still on the page. Once for each `moment`.
    """
    _mount("focus", {"places": list(places), "moment": moment}, "focus")


def declare_language(code: str) -> None:
    """Tell the browser and screen readers in which language the page is: a BCP 47 tag."""
    _mount("language", {"code": code}, "declare-language")


def _mount(name: str, data: dict[str, Any], key: str, *, html: str | None = None,
           css: str | None = None) -> None:
    component = f"parley-{name}.{name}"
    manager = get_bidi_component_manager()
    if manager.get_component_asset_root(component) is None:
        # Streamlit finds the files of installed packages by itself, and Parley is none.
        manager.register_from_manifest(
            ComponentManifest(f"parley-{name}", "1", [ComponentConfig(name, SCRIPTS)]), HERE)
    draw = st.components.v2.component(component, html=html, css=css, js=f"{name}.js")
    draw(data=data, key=key, width="content")
