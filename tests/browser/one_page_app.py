"""An app of the one page that PAGE names, behind the real app's middleware or, to see what
that does, bare."""

import os

import streamlit as st

from app import MIDDLEWARE

guards = MIDDLEWARE if os.environ.get("GUARDED", "yes") == "yes" else []
app = st.App(os.environ["PAGE"], middleware=guards)
