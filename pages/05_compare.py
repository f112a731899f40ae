"""Stage 05, side by side: the same messages to several models, each with its own history."""

import streamlit as st

import llm
from components.asking import ready_model
from components.kept_races import race_of
from components.language import _
from components.lesson import show_lesson
from components.picker import pick_shared_settings
from components.race import new_race_button, run_race, take_message
from components.race_differences import show_differences, show_steadiness
from components.race_numbers import show_numbers, show_parity
from components.race_setup import keep_link, offer_linked_prompt, pick_contenders, take_link
from components.race_votes import ask_for_vote, show_standings
from llm.memory import remember_everything, to_message
from llm.prompts import CHAT_SYSTEM

st.title(_("Side by side"))
st.markdown(_("The same messages go to each model at the same moment, and each sees **its own** "
              "answers only: speed, cost and words compared."))
show_lesson("05_compare")

take_link()
contenders, blind = pick_contenders()
shared = pick_shared_settings([contender.spec for contender in contenders], system=CHAT_SYSTEM)
one_at_a_time = st.sidebar.toggle(
    _("One at a time"), key="one-at-a-time", persist_state="session",
    help=_("For a small machine, where models that run on it would slow each other down."))
new_race_button(contenders, blind=blind)
race = take_message(race_of(contenders, blind=blind), contenders)
keep_link(contenders, shared, race)
offer_linked_prompt(race)


def answer(pane, question, on_end=None):
    settings = pane.contender.settings(shared)
    history = remember_everything(pane.chat.path_to(question)[:-1]).messages
    chain = llm.build_chat_chain(ready_model(pane.spec, settings))
    inputs = {"system": settings["system"], "history": history, "message": [to_message(question)]}
    return llm.start_reply(chain, inputs, pane.spec, settings=settings, on_end=on_end)


panes, results = st.container(), st.empty()
with panes:
    run_race(race, answer, one_at_a_time=one_at_a_time, below=ask_for_vote)
if race.is_over and not race.hidden:
    with results.container():
        show_numbers(race)
        show_differences(race)
        show_parity(race)
        show_steadiness(race, answer)
show_standings()
