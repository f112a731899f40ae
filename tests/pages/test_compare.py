"""Side by side: what each model gets, what a person sees, and what a race leaves behind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from components import kept
from llm.catalog import get_model
from llm.replies import Ending
from llm.votes import export_votes
from storage import open_store
from tests.app import ROOT, wait_until
from tests.pages.conftest import ADA
from tests.servers.fixed_rate import FixedRateServer, fixed_rate

PAGE = ROOT / "pages" / "05_compare.py"
FAST, SLOW, DEAD = "test-fast", "test-slow", "test-dead"
VOICES = {FAST: "The first", SLOW: "The second"}


def script(model: str, question: str) -> str:
    """Each model says which it is and what it was asked, so that a mix-up would show."""
    if question == "Name yourself":
        return "I am ChatGPT."
    return f"{VOICES[model]} heard: {question}"


@pytest.fixture
def servers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Two models at rates of their own, and one whose server is not there."""
    with (fixed_rate(script) as fast, fixed_rate(script, rate=60, first=0.1) as slow):
        entries = [(FAST, fast.base_url, "false"), (SLOW, slow.base_url, "true"),
                   (DEAD, "http://127.0.0.1:9/v1", "false")]
        catalog = tmp_path / "models.toml"
        catalog.write_text("\n".join(
            f'[[model]]\nid = "{name}"\nlabel = "{name.title()}"\nprovider = "openai"\n'
            f'model = "{name}"\nbase_url = "{url}"\nopen = {is_open}\n'
            for name, url, is_open in entries))
        monkeypatch.setenv("PARLEY_MODELS", str(catalog))
        yield fast, slow


def open_page(*models: str, **link: str) -> AppTest:
    page = AppTest.from_file(str(PAGE), default_timeout=30)
    page.query_params["model"] = list(models)
    for name, value in link.items():
        page.query_params[name] = value
    return page.run()


def ask(page: AppTest, text: str) -> AppTest:
    page.chat_input[0].set_value(text).run()
    assert not page.exception
    return page


def words(page: AppTest) -> str:
    """All that can be read on the page, Markdown's escapes undone."""
    kinds = ("markdown", "caption", "info", "warning", "error", "table")
    shown = "\n".join(str(element.value) for kind in kinds for element in page.get(kind))
    return shown.replace("\\", "")


def race_of(page: AppTest):
    return list(page.session_state["races"].values())[-1]


def sent(server: FixedRateServer) -> list[list[tuple[str, str]]]:
    return [[(message["role"], message["content"]) for message in request.json["messages"]]
            for request in server.requests]


def button(page: AppTest, label: str):
    return next(found for found in page.button if found.label == label)


def test_over_three_turns_each_model_gets_its_own_history_and_nobody_elses(servers):
    page = open_page(FAST, SLOW, system="Be kind.")
    for question in ("One?", "Two?", "Three?"):
        ask(page, question)
    for server, name in zip(servers, (FAST, SLOW), strict=True):
        said = [("system", "Be kind.")]
        expected = []
        for question in ("One?", "Two?", "Three?"):
            said.append(("user", question))
            expected.append(list(said))
            said.append(("assistant", f"{VOICES[name]} heard: {question}"))
        assert sent(server) == expected


def test_a_side_that_fails_is_marked_and_the_other_finishes_and_goes_on(servers):
    page = ask(open_page(FAST, DEAD), "Hello?")
    assert "The first heard: Hello?" in words(page)
    assert len(page.error) == 1
    ask(page, "Still there?")
    # The failed answer never became a turn of the history.
    left, right = race_of(page).panes
    assert [turn.text for turn in left.chat][1] == "The first heard: Hello?"
    assert right.reply.ending is Ending.FAILED and right.reply.text == ""
    assert sent(servers[0])[1] == [("user", "Hello?"), ("assistant", "The first heard: Hello?"),
                                   ("user", "Still there?")]


def test_numbers_of_both_stand_in_one_table_with_the_local_cost_by_the_hour(servers):
    page = ask(open_page(FAST, SLOW), "Count the words of this")
    table = page.table[0].value
    assert list(table.columns) == [r"A · Test-Fast", r"B · Test-Slow"]
    assert list(table.loc["Tokens out"]) == ["8", "8"]  # measured: no ≈
    assert list(table.loc["Ending"]) == ["finished", "finished"]
    assert "stays on this machine" in table.loc["What you type"].iloc[0]


def test_the_chart_over_time_names_those_who_race_and_nobody_else(servers):
    page = ask(open_page(FAST, SLOW), "Count the words of this")
    [chart] = page.get("vega_lite_chart") or page.get("arrow_vega_lite_chart")
    encoding = json.loads(chart.proto.spec)["encoding"]
    assert encoding["color"]["scale"]["domain"] == ["A", "B"]
    assert encoding["strokeDash"]["scale"]["domain"] == ["A", "B"]


def test_two_answers_are_compared_word_by_word(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    assert "alike · A: 4 words" in words(page)
    marked = next(html.value for html in page.get("html") if "<del>" in html.value)
    assert "<del>[<b>A:</b> first]</del>" in marked
    assert "<ins>[<b>B:</b> second]</ins>" in marked


def test_what_became_of_each_setting_is_read_from_the_request(servers):
    page = ask(open_page(FAST, f"{SLOW}@1.5", temperature="0.5", seed="7"), "Hello?")
    parity = next(table.value for table in page.table if "Temperature" in table.value.index)
    parity = parity.replace(r"\\", "", regex=True)
    assert list(parity.loc["Temperature"]) == ["sent: 0.5", "sent: 1.5"]
    assert list(parity.loc["Seed"]) == ["sent: 7", "sent: 7"]
    assert servers[1].requests[0].json["temperature"] == 1.5


def test_a_blind_race_hides_names_and_figures_until_the_vote_which_is_kept(servers):
    page = ask(open_page(FAST, SLOW, blind="1"), "Say something")
    page.text_input(key="vote-tag").set_value("facts " * 1_000).run()
    race = race_of(page)
    assert "The first heard" in words(page) and "The second heard" in words(page)
    shown = "\n".join(element.value for kind in ("markdown", "caption")
                      for element in page.main.get(kind))
    assert "Test-Fast" not in shown and "Test-Slow" not in shown
    assert "tokens" not in shown and not page.table
    button(page, "B is better").click().run()
    assert not page.exception
    (vote,) = page.session_state["votes"]
    assert vote.models == tuple(pane.spec.id for pane in race.panes)
    assert (vote.choice, vote.prompt) == ("right", "Say something")
    assert vote.tag == ("facts " * 1_000)[:100]
    assert "Test-Fast" in words(page)
    assert json.loads(export_votes([vote]))["models"] == list(vote.models)


def test_after_a_vote_the_next_message_begins_a_race_of_its_own(servers):
    page = ask(open_page(FAST, SLOW, blind="1"), "First")
    before = race_of(page)
    button(page, "A tie").click().run()
    ask(page, "Second")
    after = race_of(page)
    assert after.id != before.id and after.hidden
    assert [turn.content for turn in after.panes[0].chat if turn.role == "human"] == ["Second"]


# ── Races that last ──────────────────────────────────────────────────────────────────
# A second page with the same address is a reload, or another visit.


def answers_of(page: AppTest) -> list[list[str]]:
    """What stands in each pane, turn by turn."""
    return [[turn.text for turn in pane.chat] for pane in race_of(page).panes]


def test_a_reload_shows_every_pane_as_it_was_with_its_versions_and_asks_nobody(servers, owner):
    page = ask(ask(open_page(FAST, SLOW), "One?"), "Two?")
    button(page, "Try A again").click().run()
    button(page, "Go on with B only").click().run()
    requests = [len(server.requests) for server in servers]
    again = open_page(FAST, SLOW)
    assert answers_of(again) == answers_of(page)
    assert "2 of 2" in words(again) and "Time to first token" in words(again)
    assert button(again, "Ask all again")
    button(again, "Earlier version").click().run()
    assert not again.exception
    assert "1 of 2" in words(open_page(FAST, SLOW))
    assert [len(server.requests) for server in servers] == requests
    ask(again, "Three?")
    assert len(answers_of(open_page(FAST, SLOW))[1]) == 6


def test_a_blind_race_is_still_blind_after_a_reload_and_can_be_voted_on(servers, owner):
    page = ask(open_page(FAST, SLOW, blind="1"), "Say something")
    again = open_page(FAST, SLOW, blind="1")
    before, race = race_of(page), race_of(again)
    assert race.hidden and race.id == before.id
    assert [pane.spec.id for pane in race.panes] == [pane.spec.id for pane in before.panes]
    button(again, "B is better").click().run()
    (vote,) = again.session_state["votes"]
    assert vote.models == tuple(pane.spec.id for pane in race.panes)
    assert "Your vote is kept" in words(open_page(FAST, SLOW, blind="1"))


def test_a_side_that_failed_is_still_marked_after_a_reload(servers, owner):
    page = ask(open_page(FAST, DEAD), "Hello?")
    again = open_page(FAST, DEAD)
    assert [error.value for error in again.error] == [error.value for error in page.error]
    assert len(again.error) == 1 and "The first heard: Hello?" in words(again)


def test_a_new_race_is_what_a_reload_shows(servers, owner):
    button(ask(open_page(FAST, SLOW), "Old?"), "New race").click().run()
    assert "The first heard" not in words(open_page(FAST, SLOW))


def test_no_race_is_kept_while_nothing_is_to_be_nor_shown_to_anybody_else(servers, owner):
    ask(open_page(FAST, SLOW), "For Ada?")
    owner("browser:eve")
    assert "The first heard" not in words(open_page(FAST, SLOW))
    opened = open_store()
    opened.put_record("browser:eve", kept.SETTINGS, kept.NOTHING, True)
    ask(open_page(FAST, SLOW), "For nobody?")
    assert "The first heard" not in words(open_page(FAST, SLOW))
    assert opened.records("browser:eve", "race") == {}
    opened.close()


def test_what_is_deleted_with_everything_else_does_not_come_back(servers, owner):
    vote(open_page(FAST, SLOW, blind="1"))
    page = ask(open_page(FAST, SLOW), "Old?")
    chat = AppTest.from_file(str(ROOT / "pages" / "03_chatbot.py"), default_timeout=30)
    chat.session_state["what-is-kept"] = True  # unfolded
    button(chat.run(), "Delete all of it").click().run()
    assert not chat.exception
    assert "The first heard" not in words(open_page(FAST, SLOW))
    assert "No votes yet." in standings_of(open_page(FAST, SLOW))
    assert "The first heard" in words(page.run())  # another tab still shows what it holds


def test_a_race_that_is_damaged_in_the_store_is_begun_anew(servers, owner):
    ask(open_page(FAST, SLOW), "Old?")
    opened = open_store()
    (key,) = opened.records(ADA, "race")
    opened.put_record(ADA, "race", key, {"version": 9})
    assert "The first heard" not in words(open_page(FAST, SLOW))
    opened.close()


# ── Votes that last ──────────────────────────────────────────────────────────────────


def vote(page: AppTest, choice: str = "B is better") -> AppTest:
    button(ask(page, "Say something"), choice).click().run()
    assert not page.exception
    return page


def standings_of(page: AppTest) -> str:
    """What the standings say once their drawer is open, which no widget here can do."""
    page.session_state["standings"] = True
    return words(page.run())


def test_the_standings_are_there_on_the_next_visit_and_nobody_elses(servers, owner):
    vote(open_page(FAST, SLOW, blind="1"))
    vote(open_page(FAST, SLOW, blind="1"), "A tie")
    said = standings_of(open_page(FAST, SLOW))
    assert "Votes so far: 2" in said and "closed models won" in said
    owner("browser:eve")
    assert "No votes yet." in standings_of(open_page(FAST, SLOW))


def test_while_nothing_is_to_be_kept_a_vote_counts_in_its_tab_alone(servers, owner):
    opened = open_store()
    opened.put_record(ADA, kept.SETTINGS, kept.NOTHING, True)
    page = vote(open_page(FAST, SLOW, blind="1"))
    assert "counts until this tab closes" in words(page)
    assert "Votes so far: 1" in standings_of(page)
    assert "No votes yet." in standings_of(open_page(FAST, SLOW))
    assert opened.records(ADA, "vote") == {}
    opened.close()


def test_a_vote_that_cannot_be_kept_counts_and_says_why(servers, owner, monkeypatch):
    monkeypatch.setenv("PARLEY_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none")
    page = vote(open_page(FAST, SLOW, blind="1"))
    assert "counts until this tab closes" in words(page)
    assert "server does not answer" in words(page)
    assert "Votes so far: 1" in standings_of(page)


def test_a_blind_race_in_which_a_side_fails_is_void_and_says_so(servers):
    page = ask(open_page(FAST, DEAD, blind="1"), "Hello?")
    assert "This race is void: Test-Dead failed." in words(page)
    assert "votes" not in page.session_state or page.session_state["votes"] == []


def test_a_blind_race_in_which_a_side_names_itself_is_void_and_says_so(servers):
    page = ask(open_page(FAST, SLOW, blind="1"), "Name yourself")
    assert "gave itself away by saying “ChatGPT”. No vote is kept." in words(page)
    assert not [found for found in page.button if found.label == "A is better"]
    assert "No votes yet." in standings_of(page)


def test_a_link_sets_everything_up_and_sends_nothing_by_itself(servers):
    page = open_page(f"{SLOW}@0.3", FAST, temperature="1.2", max_tokens="99", prompt="Ping?")
    assert page.selectbox(key="side-A").value == SLOW
    assert page.number_input(key="own-temperature-A").value == 0.3
    page.session_state["settings"] = True  # unfolded
    assert page.run().number_input(key="max_tokens-shared").value == 99
    assert "Ping?" in words(page)
    assert not servers[0].requests and not servers[1].requests
    button(page, "Start this race").click().run()
    assert sent(servers[0])[0][-1] == sent(servers[1])[0][-1] == ("user", "Ping?")


@pytest.mark.parametrize(("link", "said"), [
    ({"temperature": "nan"}, "Temperature is not a number from 0 to 2"),
    ({"temperature": "1e9"}, "Temperature is not a number from 0 to 2"),
    ({"max_tokens": "-1"}, "Max tokens is not a number from 1 to 128,000"),
    ({"seed": "x"}, "Seed is not a number"), ({"blind": "maybe"}, None),
    ({"prompt": "x" * 100_000}, "longer than 2,000 characters"),
    ({"system": "x" * 100_000}, "longer than 2,000 characters"),
    ({"system": "Be rude."}, "brings a system prompt of its own"),
    ({"prompt": "<script>alert(1)</script> {x} \x00\u202e ![a](http://a.example/b)"}, None),
])
def test_a_link_with_values_that_cannot_be_opens_the_page_all_the_same_and_says_so(
        servers, link, said):
    page = open_page(FAST, SLOW, **link)
    assert not page.exception
    told = [warning.value.replace("\\", "") for warning in page.warning]
    assert said in told[0] if said else told == []
    ask(page, "Hello?")


@pytest.mark.parametrize(("models", "said"), [
    (["nobody", FAST], "names a model that there is not here"),
    ([FAST], "names one model, and a race has two or more"),
    ([FAST, f"{SLOW}@9"], "names a model that there is not here"),
    ([FAST, SLOW, FAST, SLOW, FAST], "more than 4 models: the first 4 race"),
])
def test_a_link_to_models_that_cannot_race_says_so(servers, models, said):
    page = open_page(*models)
    assert not page.exception
    assert said in page.warning[0].value.replace("\\", "")
    assert page.query_params["model"][0] == FAST  # What can race stands there.


def test_the_address_holds_the_race(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    assert page.query_params["model"] == [FAST, SLOW]
    assert page.query_params["prompt"] == "Why?"


def test_asking_one_again_leaves_the_other_alone(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    button(page, "Try A again").click().run()
    assert len(servers[0].requests) == 2 and len(servers[1].requests) == 1


def test_going_on_with_one_sends_the_next_message_to_it_alone(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    button(page, "Go on with B only").click().run()
    assert list(page.table[0].value) == ["A · Test-Fast", "B · Test-Slow"]
    ask(page, "And then?")
    assert len(servers[0].requests) == 1 and len(servers[1].requests) == 2


def test_an_answer_to_an_earlier_question_is_not_compared_with_one_to_a_later(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    button(page, "Go on with B only").click().run()
    ask(page, "And then?")
    assert list(page.table[0].value) == ["B · Test-Slow"]
    assert "Not compared, as the last message did not go there: A" in words(page)
    assert "Differences" not in [heading.value for heading in page.subheader]
    assert button(page, "Run 3 calls")
    button(page, "Ask all again").click().run()
    ask(page, "And now?")
    assert len(list(page.table[0].value)) == 2


def test_one_at_a_time_never_has_two_under_way(servers):
    page = open_page(FAST, SLOW)
    page.toggle(key="one-at-a-time").set_value(True).run()
    ask(page, "Why?")
    left, right = (pane.reply for pane in race_of(page).panes)
    assert right.started_at >= left.started_at + left.total_seconds - 0.01


def test_asking_again_and_again_shows_how_steady_each_is(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    button(page, "Run 6 calls").click().run()
    assert not page.exception
    table = page.table[-1].value
    assert list(table.loc["Different answers"]) == ["1", "1"]
    assert len(servers[0].requests) == 4
    assert all(len(messages) == len(sent(servers[0])[0]) for messages in sent(servers[0]))


def test_a_race_stays_as_it_was_while_other_models_race(servers):
    page = ask(open_page(FAST, SLOW), "Why?")
    page.selectbox(key="side-B").set_value(DEAD).run()
    assert "The second heard" not in words(page)
    page.selectbox(key="side-B").set_value(SLOW).run()
    assert "The second heard: Why?" in words(page)


def test_with_no_model_but_the_shipped_ones_the_page_opens_ready_to_race(monkeypatch):
    page = AppTest.from_file(str(PAGE), default_timeout=30).run()
    assert not page.exception
    chosen = [get_model(page.selectbox(key=f"side-{letter}").value) for letter in "AB"]
    assert {spec.weights for spec in chosen} == {"builtin"}
    assert chosen[0].engine != chosen[1].engine
    wait_until(lambda: page.chat_input, "there is a box")
