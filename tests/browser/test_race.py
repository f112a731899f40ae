"""The fair race in a real browser: an open model on its engine, and the same weights by URL.

The second side is reached as a closed model is: an OpenAI-compatible address and a key. What
answers there is a real engine, which this process starts and can kill.
"""

import re
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import Locator, Page, expect

from llm.catalog import get_model
from llm.local_engines import Engine, Limits, Pool
from llm.votes import import_votes
from tests.app import RunningApp, wait_until
from tests.browser.controls import wait_until_at_rest
from tests.servers.gated import GatedServer, gated

pytestmark = [pytest.mark.model, pytest.mark.timeout(300)]

HERE, THERE = "smollm2-135m", "by-url"
LONG = "Write a long story about a fox, a river and a very old bridge."


@pytest.fixture
def engine() -> Iterator[Engine]:
    """The engine behind the address."""
    pool = Pool(Limits())
    engine = pool.engine_for(get_model(HERE))
    engine.start()
    yield engine
    pool.shutdown()


@pytest.fixture
def race_app(engine: Engine, own_app: Callable[..., RunningApp], tmp_path) -> RunningApp:
    """An app in whose list the same model stands twice: here, and closed behind an address."""
    endpoint = engine.wait_ready(timeout=120)
    catalog = tmp_path / "models.toml"
    catalog.write_text(f'[[model]]\nid = "{THERE}"\nlabel = "Closed one"\nprovider = "openai"\n'
                       f'model = "{endpoint.model_name}"\nbase_url = "{endpoint.base_url}"\n'
                       'open = false\n')
    return own_app(env={"PARLEY_MODELS": str(catalog), "PARLEY_KEY_BY_URL": endpoint.api_key})


@pytest.fixture
def open_race(page: Page, race_app: RunningApp, complaints: list[str]) -> Callable[..., None]:
    """Opens a race of the two by its address, with what else is to stand in it."""
    def open_it(*more: str) -> None:
        page.goto("&".join([f"{race_app.url}/compare?model={HERE}&model={THERE}", *more]))
        expect(page.get_by_test_id("stChatInputTextArea")).to_be_visible(timeout=60_000)
        forgive_the_health_check(complaints)
    return open_it


def forgive_the_health_check(complaints: list[str]) -> None:
    """Streamlit first asks for its health below the page's own address."""
    complaints[:] = [complaint for complaint in complaints if "404" not in complaint]


def say(page: Page, text: str) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.fill(text)
    box.press("Enter")


def panes(page: Page, count: int = 2) -> Locator:
    """The panes, left to right, once the race has begun."""
    found = page.get_by_test_id("stColumn").filter(has=page.get_by_test_id("stChatMessage"))
    expect(found).to_have_count(count, timeout=60_000)
    return found


def answers(page: Page) -> list[Locator]:
    """The last message of each pane, left to right."""
    return [panes(page).nth(number).get_by_test_id("stChatMessage").last for number in range(2)]


WATCH = """() => {
  const lengths = () => [...document.querySelectorAll('[data-testid=stColumn]')]
    .map(column => [...column.querySelectorAll('[data-testid=stChatMessage]')].at(-1))
    .filter(answer => answer).map(answer => answer.innerText.length);
  let last = [0, 0];
  window.grown = [];
  new MutationObserver(() => {
    const now = lengths();
    if (now.length !== 2) return;
    now.forEach((length, side) => { if (length > last[side]) window.grown.push(side); });
    last = now;
  }).observe(document.body, {childList: true, subtree: true, characterData: true});
}"""
"""Has the browser write down from now on which side's text grows, 0 or 1, growth by growth."""


def growths(page: Page) -> list[int]:
    return page.evaluate("window.grown")


def wait_until_both_stream(page: Page) -> None:
    """Both have a Stop, and each has grown ten times while the page was watched."""
    for letter in "AB":
        expect(page.get_by_role("button", name=f"Stop {letter}")).to_be_visible(timeout=60_000)
    panes(page)
    page.evaluate(WATCH)
    wait_until(lambda: all(growths(page).count(side) >= 10 for side in (0, 1)),
               "both texts grow", seconds=60)


def test_both_stream_at_once_one_is_stopped_and_the_other_finishes(page: Page, open_race,
                                                                   complaints):
    open_race("max_tokens=300")
    say(page, LONG)
    wait_until_both_stream(page)
    seen = growths(page)
    assert sum(one != other for one, other in pairwise(seen)) >= 5, "they take turns in growing"
    page.get_by_role("button", name="Stop A").click()
    left, right = answers(page)
    expect(left.get_by_text("Stopped by you.")).to_be_visible(timeout=30_000)
    grown = growths(page).count(1)
    expect(right.get_by_text("tokens/s")).to_be_visible(timeout=120_000)
    assert growths(page).count(1) > grown, "the other goes on"
    wait_until_at_rest(page)
    expect(page.get_by_text("Time to first token")).to_be_visible()

    # Away and back, and a reload: every pane is as it was.
    shown = [answer.inner_text() for answer in answers(page)]
    page.get_by_role("link", name="Models").click()
    expect(page.get_by_role("heading", name="Models")).to_be_visible()
    page.get_by_role("link", name="Side by side").click()
    wait_until_at_rest(page)
    expect(page.get_by_text("Time to first token")).to_be_visible(timeout=30_000)
    assert [answer.inner_text() for answer in answers(page)] == shown
    page.reload()
    expect(page.get_by_text("Time to first token")).to_be_visible(timeout=60_000)
    wait_until_at_rest(page)
    assert [answer.inner_text() for answer in answers(page)] == shown
    forgive_the_health_check(complaints)


def address_of_gated_race(server: GatedServer, own_app, folder: Path) -> str:
    """Where two race that begin their answers and end them when the server's gate is opened."""
    catalog = folder / "models.toml"
    catalog.write_text("\n".join(
        f'[[model]]\nid = "{name}"\nlabel = "{name}"\nprovider = "openai"\nmodel = "{name}"\n'
        f'base_url = "{server.base_url}"\nopen = true\n' for name in ("one", "two")))
    app = own_app(env={"PARLEY_MODELS": str(catalog)})
    return f"{app.url}/compare?model=one&model=two"


def test_the_offer_of_a_link_is_gone_once_its_race_runs_and_an_expanded_pane_stands_above(
        page: Page, own_app, tmp_path, complaints):
    with gated() as server:
        page.goto(address_of_gated_race(server, own_app, tmp_path) + "&prompt=Wait")
        start = page.get_by_role("button", name="Start this race")
        start.click()
        for answer in answers(page):
            expect(answer.get_by_text("Begun with Wait")).to_be_visible()
        expect(start).to_have_count(0)
        server.gate.set()
        page.get_by_role("button", name="Expand B").click()
        back = page.get_by_role("button", name="Side by side", exact=True)
        expect(back).to_be_visible()
        wait_until_at_rest(page)
        other = page.get_by_role("button", name="Expand A")
        # Both at once: the page may still scroll.
        assert back.evaluate("(back, other) => back.getBoundingClientRect().top"
                             " < other.getBoundingClientRect().top", other.element_handle())
    forgive_the_health_check(complaints)


def test_each_answer_can_be_copied(page: Page, own_app, tmp_path, complaints):
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    with gated() as server:
        server.gate.set()
        page.goto(address_of_gated_race(server, own_app, tmp_path))
        say(page, "Copy *me*")
        answers(page)[1].get_by_role("button", name="Copy").click()
        expect(answers(page)[1].get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()") == "Begun with Copy *me*, ended."
    forgive_the_health_check(complaints)


def test_a_reload_in_mid_reply_finds_both_answers_under_way_and_asks_nobody_again(
        page: Page, own_app, tmp_path, complaints):
    with gated() as server:
        page.goto(address_of_gated_race(server, own_app, tmp_path))
        say(page, "Wait for the reload")
        for answer in answers(page):
            expect(answer.get_by_text("Begun with Wait for the reload")).to_be_visible()
        page.reload()
        for letter in "AB":
            expect(page.get_by_role("button", name=f"Stop {letter}")).to_be_visible(timeout=60_000)
        for answer in answers(page):
            expect(answer.get_by_text("Begun with Wait for the reload")).to_be_visible()
        server.gate.set()
        for answer in answers(page):
            expect(answer.get_by_text("Begun with Wait for the reload, ended.")).to_be_visible()
        expect(page.get_by_text("Time to first token")).to_be_visible(timeout=30_000)
        assert server.questions() == ["Wait for the reload"] * 2
    forgive_the_health_check(complaints)


def test_one_is_killed_in_mid_reply_and_the_other_finishes(page: Page, open_race, engine: Engine):
    open_race("max_tokens=300")
    say(page, LONG)
    wait_until_both_stream(page)
    psutil.Process(engine.pid).kill()
    left, right = answers(page)
    expect(right.get_by_role("alert")).to_be_visible(timeout=60_000)
    expect(left.get_by_text("tokens/s")).to_be_visible(timeout=120_000)
    expect(left.get_by_role("alert")).to_have_count(0)
    expect(page.get_by_role("button", name="Try B again")).to_be_visible()


def test_a_vote_is_cast_blind_changes_the_standings_and_is_in_the_export(page: Page, open_race,
                                                                        tmp_path):
    open_race("blind=1", "max_tokens=60")
    say(page, "What is the capital of France?")
    vote = page.get_by_role("button", name="B is better")
    expect(vote).to_be_visible(timeout=60_000)
    wait_until_at_rest(page)
    main = page.get_by_role("main")
    expect(main.get_by_text("Which is better?")).to_be_visible()
    for secret in ("tokens/s", "first token", "What ran"):
        expect(main.get_by_text(secret)).to_have_count(0)
    for pane in panes(page).all():
        assert not re.search("SmolLM|Closed one", pane.inner_text())
    page.get_by_text("Votes and standings").click()
    expect(page.get_by_text("No votes yet.")).to_be_visible()

    vote.click()
    expect(page.get_by_text("Your vote is kept: B is better.")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Votes so far: 1")).to_be_visible(timeout=60_000)
    expect(main.get_by_text("nothing can be said yet").first).to_be_visible(timeout=60_000)
    expect(main.get_by_text("closed models won")).to_be_visible()
    with page.expect_download() as download:
        page.get_by_role("button", name="Export the votes").click()
    file = tmp_path / "votes.jsonl"
    download.value.save_as(file)
    (kept,) = import_votes(file.read_bytes()).votes
    assert set(kept.models) == {HERE, THERE}
    assert (kept.choice, kept.prompt) == ("right", "What is the capital of France?")

    # The same file, taken in again, changes nothing.
    page.get_by_test_id("stFileUploaderDropzoneInput").set_input_files(file)
    expect(page.get_by_text("0 votes imported, 1 were here already.")).to_be_visible()
    expect(page.get_by_text("Votes so far: 1")).to_be_visible(timeout=60_000)


def test_on_a_phone_the_panes_stand_one_below_the_other(page: Page, open_race):
    page.set_viewport_size({"width": 390, "height": 844})
    open_race("max_tokens=20")
    say(page, "What is the capital of France?")
    expect(page.get_by_role("button", name="Try B again")).to_be_visible(timeout=60_000)
    wait_until_at_rest(page)
    # All in one look: between two of them the page may still scroll.
    left, right, overflow = panes(page).evaluate_all("""panes => [
      ...panes.map(pane => pane.getBoundingClientRect().toJSON()),
      document.documentElement.scrollWidth - innerWidth]""")
    assert right["top"] >= left["bottom"]
    assert left["width"] > 250
    assert overflow <= 0


def test_four_panes_stand_in_as_many_rows_as_they_can_be_read_in(page: Page, open_race):
    open_race(f"model={THERE}", f"model={HERE}@1", "max_tokens=8")
    say(page, "What is the capital of France?")
    expect(page.get_by_role("button", name="Try D again")).to_be_visible(timeout=90_000)
    wait_until_at_rest(page)
    for width, in_a_row, narrowest in ((1920, 4, 300), (1280, 2, 380), (390, 1, 300)):
        page.set_viewport_size({"width": width, "height": 1000})
        expect(page.locator("html")).to_have_css("width", f"{width}px")
        wait_until(lambda many=in_a_row: rows_of_panes(page) == [many] * (4 // many),
                   f"{in_a_row} in a row at {width} pixels")
        widths = panes(page, 4).evaluate_all("all => all.map(pane => pane.offsetWidth)")
        assert min(widths) > narrowest
        button = page.get_by_role("button", name="Go on with D only")
        label = button.get_by_text("Go on with D only")
        assert label.evaluate("label => label.scrollWidth <= label.clientWidth"), "not cut short"
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def rows_of_panes(page: Page) -> list[int]:
    """How many panes stand in each row, from the top."""
    tops = panes(page, 4).evaluate_all(
        "all => all.map(pane => Math.round(pane.getBoundingClientRect().top))")
    return [tops.count(top) for top in sorted(set(tops))]
