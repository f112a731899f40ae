"""Says who the page thinks is at the other end."""

import streamlit as st

from components.owner import current_owner, let_in

let_in()
st.text(f"owner {current_owner()}")
st.button("Again")
