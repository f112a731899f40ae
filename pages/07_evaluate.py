"""From one race to a table: a set of prompts, run on several models, with honest figures."""

import streamlit as st

from components.evaluation_results import results_of, show_results
from components.evaluation_runs import offer_going_on, pick_run, show_progress
from components.evaluation_setup import (
    choose_limits,
    choose_models,
    choose_prompts,
    find_model,
    offer_start,
)
from components.language import _

st.title(_("Prompt sets"))
st.markdown(_("One race is an anecdote. Here every prompt of a set goes to every model, what can "
              "be checked is checked, and each figure comes with its interval."))

run = pick_run()
if run is None:
    chosen = choose_prompts()
    plan = choose_models(chosen) if chosen else None
    if plan:
        offer_start(plan)
elif show_progress(run):
    if st.toggle(_("Show the results so far"), key="results-so-far"):
        show_results(results_of(run))
else:
    offer_going_on(run, results_of(run).plan, find_model, choose_limits)
    show_results(results_of(run))
