"""What the theme in .streamlit/config.toml cannot say about how the app looks.

Knows Streamlit's elements by their test ids, and no page.
"""

import streamlit as st

_STYLE = """<style>
[data-testid="stBaseButton-primary"], [data-testid="stBaseButton-primaryFormSubmit"],
[data-testid="stMultiSelectTagsContainer"] :is(span, svg) {
    color: light-dark(#ffffff, #06121b)}
[data-testid="stMarkdownContainer"] :is(p, li, h1, h2, h3, h4, h5, h6, td, th),
[data-testid="stHtml"] > div, textarea, input[type="text"] {unicode-bidi: plaintext}
[data-testid="stChatMessage"] [data-testid="stMarkdownContainer"]
    :is(p, h1, h2, h3, h4, h5, h6):not(li *) {text-align: start}
[data-testid="stPageLink"] a span {white-space: normal}
</style>"""
"""Streamlit writes white on the primary colour. In the dark theme the primary colour is light,
since it is that of words too, and white on it cannot be read.

A paragraph runs in the direction of its own first letters: Arabic and Hebrew from the right,
with the full stop at its left end. A list's points stay at the left, beside their marks.

A link's words go on in a second line where a phone has no room for them in one."""


def draw_look() -> None:
    """Put the styles on the page. They take no room."""
    st.html(_STYLE)
