"""The scorecard counts what the person asked, each reply once, kept or not, and nobody else's."""

from __future__ import annotations

from collections.abc import Callable

import pandas as pd
import pytest
from streamlit.testing.v1 import AppTest

from components.scorecard import FAILURES
from llm.errors import LocalModelError, ModelServiceError, PictureError
from tests.app import ROOT
from tests.pages.test_stages import button, words
from tests.servers.fixed_rate import FixedRateServer

pytestmark = pytest.mark.usefixtures("store")


def open_page(name: str, *, visit: AppTest | None = None) -> AppTest:
    """A page, in a visit of its own or in that of another page."""
    page = AppTest.from_file(str(ROOT / "pages" / f"{name}.py"), default_timeout=60)
    if visit is not None and "measured" in visit.session_state:
        page.session_state["measured"] = visit.session_state["measured"]
    page.run()
    assert not page.exception
    return page


def ask(*questions: str) -> AppTest:
    page = open_page("03_chatbot")
    for question in questions:
        page.chat_input[0].set_value(question).run()
        assert not page.exception
    return page


def scores(page: AppTest) -> pd.DataFrame:
    return page.table[0].value


def test_with_nothing_measured_it_says_what_to_do():
    page = open_page("08_scorecard")
    assert "Nothing has been measured yet." in words(page)
    assert not page.table


def test_kept_replies_and_those_of_this_visit_count_once_each():
    chat = ask("One?", "Two?")
    for page in (open_page("08_scorecard"), open_page("08_scorecard", visit=chat)):
        assert list(scores(page).index) == ["Echo"]
        assert scores(page).loc["Echo", ["Replies", "Failed"]].tolist() == ["2", "0"]
        assert int(scores(page).loc["Echo", "Tokens out"]) > 0
        assert "tokens per second" in " ".join(
            heading.value for heading in page.subheader).lower()


def test_what_is_not_kept_counts_for_as_long_as_the_visit_lasts():
    translation = open_page("01_simple_llm")
    button(translation, "Translate").click().run()
    assert scores(open_page("08_scorecard", visit=translation)).loc["Echo", "Replies"] == "1"
    assert "Nothing has been measured yet." in words(open_page("08_scorecard"))


def test_a_failure_is_counted_and_told_by_its_kind(echo: FixedRateServer):
    echo.shutdown()
    echo.server_close()
    page = open_page("08_scorecard", visit=ask("Hello?"))
    assert scores(page).loc["Echo", ["Replies", "Failed", "First token"]].tolist() == [
        "1", "1", "–"]
    assert list(page.table[1].value.index) == ["Echo · no connection to the service"]


def test_every_way_in_which_a_reply_can_fail_is_told_in_words():
    def kinds(error: type) -> set[str]:
        return {kind.__name__ for kind in error.__subclasses__()}.union(
            *map(kinds, error.__subclasses__()))

    assert set(FAILURES) == set().union(*map(kinds, (ModelServiceError, LocalModelError,
                                                     PictureError)))


def test_anothers_replies_are_not_counted(owner: Callable[[str], None]):
    ask("One?")
    owner("browser:eve")
    assert "Nothing has been measured yet." in words(open_page("08_scorecard"))
