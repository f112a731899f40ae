"""The scorecard: what each model showed in the person's own replies on this machine."""

import streamlit as st

from components.language import _
from components.scorecard import gather_figures, show_scorecard

st.title(_("Scorecard"))
st.markdown(_("What the models that you used showed here: your own questions, on this machine, as "
              "busy as it was. No benchmark, but what you got."))

show_scorecard(gather_figures())
