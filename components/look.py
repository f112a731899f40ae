"""What the theme in .streamlit/config.toml cannot say about how the app looks.

Knows Streamlit's elements by their test ids, and no page.
"""

import streamlit as st

_STYLE = """<style>
[data-testid="stBaseButton-primary"], [data-testid="stBaseButton-primaryFormSubmit"],
[data-testid="stMultiSelectTagsContainer"] :is(span, svg) {
    color: light-dark(#ffffff, #06121b)}
</style>"""
"""Streamlit writes white on the primary colour. In the dark theme the primary colour is light,
since it is that of words too, and white on it cannot be read."""


def draw_look() -> None:
    """Put the styles on the page. They take no room."""
    st.html(_STYLE)
