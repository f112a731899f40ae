"""The report opened as a file: it sorts, filters, and runs nothing that a model wrote."""

from playwright.sync_api import Page

from llm.report import render
from tests.llm.test_report import HOSTILE
from tests.llm.test_results import MODELS, passing, results


def test_a_report_sorts_and_filters_and_stays_harmless(page: Page, complaints, tmp_path):
    rows = [passing(prompt, True, answer=f"answer {prompt}", total_seconds=seconds)
            for prompt, seconds in ((1, 9.0), (2, 10.0), (3, None))]
    rows += [passing(1, False, model=MODELS[1], answer=HOSTILE, total_seconds=0.5),
             passing(2, True, model=MODELS[1], answer="the same", total_seconds=1.5)]
    file = tmp_path / "report.html"
    file.write_text(render(results(*rows)), encoding="utf-8")
    page.goto(file.as_uri())
    assert complaints == [f"a request to another host: {file.as_uri()}"], "only the file itself"

    def seconds() -> list[str]:
        return page.locator("#rows tbody tr:visible td:nth-child(10)").all_inner_texts()

    assert seconds() == ["9.00", "10.00", "–", "0.50", "1.50"]
    heading = page.locator("#rows").get_by_role("button", name="Seconds")
    heading.click()
    assert seconds() == ["0.50", "1.50", "9.00", "10.00", "–"], "by number, what is missing last"
    heading.press("Enter")
    assert seconds() == ["10.00", "9.00", "1.50", "0.50", "–"]
    assert page.locator("#rows th[aria-sort=descending]").inner_text().startswith("Seconds")

    page.get_by_label("Only prompts on which contenders differ").check()
    assert seconds() == ["9.00", "0.50"]
    page.get_by_label("Search").fill("ANSWER 1")
    assert seconds() == ["9.00"]
    assert page.get_by_role("status").inner_text() == "1 of 5 rows"

    page.set_viewport_size({"width": 390, "height": 844})
    captions = page.locator("caption")
    assert all(captions.nth(number).bounding_box()["width"] <= 390
               for number in range(captions.count())), "a phone shows the whole of what they say"

    assert page.title() == "Evaluation: mine", "the script in an answer did not run"
    assert page.locator("main script, main img, main a").count() == 0
    page.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=1>')")
    assert page.evaluate("""() => { const script = document.createElement("script");
        script.textContent = "window.owned = 1"; document.body.append(script);
        return window.owned; }""") is None, "nor would one that got in"
    assert sum("The action has been blocked" in one for one in complaints) == 3
    complaints.clear()
