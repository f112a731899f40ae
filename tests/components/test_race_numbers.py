"""The figures of a race: measured and estimated told apart, and what local time costs."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest

from components.race_numbers import MAX_POINTS, tokens_over_time
from llm.replies import Reply


def numbers_of_a_race() -> None:
    """A page with the numbers of two answers: here and counted, and elsewhere and not."""
    from components.race_numbers import show_numbers
    from llm.catalog import get_model
    from llm.prices import Cost
    from llm.race import Contender, Race
    from llm.replies import Ending, Reply

    race = Race.of([Contender(get_model("smollm2-135m")), Contender(get_model("gpt-6-luna"))])
    race.ask("Why?")
    shared = {"text": "Because.", "ending": Ending.STOP, "total_seconds": 36.0,
              "chunk_times": [(1.0, 8)], "output_tokens": 8}
    race.panes[0].take(Reply("smollm2-135m", tokens_measured=True, cost=Cost("local"), **shared))
    race.panes[1].take(Reply("gpt-6-luna", cost=Cost("priced", 0.25, "A list of 2026"), **shared))
    show_numbers(race)


def test_measured_and_estimated_are_told_apart_and_local_time_has_the_price_one_gives_it():
    page = AppTest.from_function(numbers_of_a_race, default_timeout=30).run()
    page.number_input(key="hourly-rate").set_value(0.5).run()
    assert not page.exception
    table = page.table[0].value
    assert list(table.loc["Tokens out"]) == ["8", "≈ 8"]
    local, priced = (cell.replace("\\", "") for cell in table.loc["Cost"])
    assert local == "$0.005000 of this machine's time"  # 36 s at half a dollar an hour
    assert "0.25" in priced
    assert list(table.loc["Price list"]) == ["–", "A list of 2026"]
    assert any("is an estimate" in caption.value for caption in page.caption)


def test_where_text_went_is_where_the_environment_sends_it(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "https://proxy.example/v1")
    page = AppTest.from_function(numbers_of_a_race, default_timeout=30).run()
    assert list(page.table[0].value.loc["What you type"]) == [
        "stays on this machine", "goes to proxy.example"]


def test_tokens_over_time_end_with_all_tokens_and_are_few_enough_to_draw():
    times = [(number / 100, number) for number in range(1, 5_001)]
    points = tokens_over_time(Reply("any", text="x" * 5_000, output_tokens=1_000,
                                    chunk_times=times))
    assert len(points) <= MAX_POINTS + 2
    assert points[-1] == (50.0, 1_000)
    assert points == sorted(points)
    assert tokens_over_time(Reply("any", text="x", chunk_times=[(1.0, 1)])) == []
    assert tokens_over_time(Reply("any", text="x", output_tokens=8, chunk_times=[(1.0, 1)])) == [
        (1.0, 0), (1.0, 8)], "one piece is a line too"
