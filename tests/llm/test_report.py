"""One HTML file that needs nothing else, and lets nothing in that a model wrote."""

import re
from html.parser import HTMLParser

from llm.journal import Judged
from llm.report import SHOWN_CHARACTERS, render
from tests.llm.test_results import MODELS, full, passing, results

HOSTILE = (
    '<script>document.title="owned"</script><img src=http://127.0.0.1:9/x onerror=alert(1)>'
    '</pre></td></table><style>@import "http://127.0.0.1:9/y";</style>{script}{0}%s'
    '<svg onload=alert(1)><a href="javascript:alert(1)">x</a>"\' onmouseover="alert(1)&lt;'
)


class Tags(HTMLParser):
    def __init__(self, page: str):
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self.feed(page)

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))


def hostile():
    return results(passing(1, True, answer=HOSTILE), passing(2, False, error=HOSTILE),
                   {"prompt": 3, "answer": "x\x00\x1b[31m\u202ereversed"})


def test_what_a_model_wrote_is_text_and_nothing_else():
    page = render(hostile())
    tags = Tags(page).seen
    assert [tag for tag, _ in tags if tag in ("script", "style", "img", "a", "iframe")] == [
        "style", "script"], "the page's own"
    assert not any(name.startswith("on") for _, attributes in tags for name in attributes)
    assert "&lt;script&gt;document.title" in page and "\x00" not in page and "\x1b" not in page
    assert page.count("</table>") == len(re.findall("<table", page))


def test_nothing_is_fetched_and_no_other_script_may_run():
    page = render(hostile())
    policy = next(attributes["content"] for tag, attributes in Tags(page).seen
                  if attributes.get("http-equiv") == "Content-Security-Policy")
    assert policy.startswith("default-src 'none'") and "script-src 'sha256-" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2]
    for tag, attributes in Tags(page).seen:
        assert not {"src", "href", "action", "data"} & set(attributes), tag


def test_the_figures_are_there_with_their_intervals():
    page = render(results(*[passing(prompt, prompt < 4, total_seconds=float(prompt), usd=0.02)
                            for prompt in (1, 2, 3, 4)]))
    assert "75% <small>30% to 95%</small>" in page, "Wilson's for 3 of 4"
    assert re.search(r"2\.50 <small>1\.\d\d to [34]\.\d\d</small>", page)
    assert "4 of 24 rows have run" in page
    assert page.count("<svg") == 2 and "seconds a reply (median)" in page


def test_what_is_free_has_no_plot_of_its_cost_and_what_never_varies_no_interval():
    page = render(results(*[passing(prompt, True, total_seconds=2.0, usd=0.0)
                            for prompt in (1, 2, 3, 4)]))
    assert page.count("<svg") == 1 and "US dollars a row (median)" not in page
    assert ">2.00</td>" in page and ">0</td>" in page


def test_failures_and_the_judge_are_told():
    assert "No answer." in render(full())
    judged = results(passing(1, True), passing(1, False, model=MODELS[1]), judge=MODELS[1])
    judged.contents.take(Judged(prompt=1, run=1, left=(MODELS[0], 0), right=(MODELS[1], 0),
                                choice="left", agreed=True, said=("FIRST", "SECOND")))
    page = render(judged)
    assert "GPT-6 Luna compared the answers two by two" in page
    assert "nothing can be said yet" in page


def test_a_very_long_answer_is_cut_and_says_so():
    page = render(results({"prompt": 1, "answer": "a" * (SHOWN_CHARACTERS + 5)}))
    assert "… (5 more characters)" in page


def test_an_evaluation_without_a_row_is_a_page_too():
    assert "0 of 24 rows have run" in render(results())
