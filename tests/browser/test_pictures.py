"""Stage 02 as somebody who cannot see the page would use it: paste, hear what was found, ask."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Page, expect

from tests.browser.controls import choose, wait_until_at_rest
from tests.browser.test_accessibility import serious_violations, tab_to
from tests.browser.test_first_reply import last_message, open_stage, say, whole_reply
from tests.checkpoints import write_vision_checkpoint
from tests.pictures import TABLE, encoded, shapes, table_page, text_page

pytestmark = pytest.mark.model

expect.set_options(timeout=30_000)

SIGN = "The harbour is closed on Mondays."

LISTEN = """() => {
  window.said = [];
  new MutationObserver(changes => {
    for (const {target} of changes) {
      const region = target.nodeType === 1 && target.closest("#parley-announcer");
      if (region && region.textContent) window.said.push(region.textContent);
    }
  }).observe(document, {subtree: true, childList: true});
}"""
"""What a screen reader would say: each text that comes into the live region."""

PASTE = """(box, data) => {
  const bytes = Uint8Array.from(atob(data), letter => letter.charCodeAt(0));
  const carried = new DataTransfer();
  carried.items.add(new File([bytes], "image.png", {type: "image/png"}));
  box.dispatchEvent(new ClipboardEvent("paste",
    {clipboardData: carried, bubbles: true, cancelable: true}));
}"""


def paste(page: Page, picture: bytes) -> None:
    box = page.get_by_test_id("stChatInputTextArea")
    box.click()
    # Enter is not heard while a file is still on its way.
    with page.expect_response(lambda answer: "upload_file" in answer.url):
        box.evaluate(PASTE, base64.b64encode(picture).decode())
    expect(page.get_by_test_id("stChatInput").get_by_text("image.png")).to_be_visible()


def choose_model(page: Page, name: str) -> None:
    choose(page.get_by_role("combobox", name="Model"), name)
    expect(page.get_by_role("combobox", name="Model")).to_have_value(re.compile(re.escape(name)))
    wait_until_at_rest(page)


def test_a_pasted_picture_is_read_its_findings_shown_and_said_once(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    page.evaluate(LISTEN)
    paste(page, text_page([SIGN], pixels=28))
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    expect(page.get_by_text("Picture 1: no tokens")).to_be_visible()

    page.get_by_role("button", name="Read the text").click()
    expect(last_message(page).get_by_text(SIGN)).to_be_visible()
    expect(last_message(page).get_by_role("button", name="Try again")).to_be_visible()
    page.wait_for_timeout(1_000)
    assert page.evaluate("said") == [SIGN]

    page.get_by_text("What the picture reader finds").click()
    table = page.get_by_test_id("stTable")
    expect(table).to_contain_text("Kind of picture")
    expect(table).to_contain_text("white")
    expect(page.get_by_text("Text, in reading order")).to_be_visible()
    assert page.evaluate("said") == [SIGN]
    assert serious_violations(page) == []


def test_pictures_that_wait_are_still_there_after_a_look_at_another_page(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    page.locator("[aria-label^='Pictures:'] input").set_input_files(
        {"name": "sign.png", "mimeType": "image/png", "buffer": text_page([SIGN], pixels=28)})
    expect(page.get_by_text("Picture 1: no tokens")).to_be_visible()
    paste(page, shapes())
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    expect(page.get_by_text("Picture 2: no tokens")).to_be_visible()
    for name in ("Models", "A picture"):
        wait_until_at_rest(page)
        page.get_by_test_id("stSidebarNav").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True)).to_be_visible()
    expect(page.get_by_text("Picture 2: no tokens")).to_be_visible()
    page.get_by_role("button", name="Remove the pasted or kept pictures").click()
    expect(page.get_by_text("Picture 1: no tokens")).to_have_count(0)


def test_the_alt_text_is_ready_to_copy_as_html(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    sign = {"name": "sign.png", "mimeType": "image/png",
            "buffer": text_page(['Open "all" day & night'], pixels=28)}
    uploader = page.locator("[aria-label^='Pictures:'] input")
    uploader.set_input_files(sign)
    expect(page.get_by_text("Picture 1: no tokens")).to_be_visible()
    page.get_by_role("button", name="Alt text").click()
    expect(last_message(page).get_by_text("characters; screen readers")).to_be_visible()
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    last_message(page).get_by_role("button", name="Copy as HTML").click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith('<img src="" alt="') and "&quot;all&quot;" in copied
    assert "&amp; night" in copied


def test_pictures_of_any_shape_fit_the_page_and_are_shown_as_they_are_sent(
        page: Page, app_url: str):
    sizes = {"strip": (16_000, 10), "scroll": (40, 2_000), "dot": (1, 1), "wide": (2_000, 500)}
    open_stage(page, app_url, "A picture")
    page.locator("[aria-label^='Pictures:'] input").set_input_files([
        {"name": f"{name}.png", "mimeType": "image/png",
         "buffer": encoded(Image.new("RGB", size, "teal"))} for name, size in sizes.items()])
    expect(page.get_by_text("Picture 4: no tokens")).to_be_visible()
    shown = page.get_by_role("img", name=re.compile("^Picture of"))
    assert shown.evaluate_all("all => all.every(one => one.height <= 440)")
    page.get_by_role("button", name="Alt text", exact=True).click()
    expect(last_message(page).get_by_text("Picture 4:")).to_be_visible()
    # Not a smaller copy of it, as Streamlit makes of what is wider than the page.
    expect(shown).to_have_count(4)
    assert shown.evaluate_all("all => all.map(one => [one.naturalWidth, one.naturalHeight])") == [
        [2_048, 1], [40, 2_000], [1, 1], [2_000, 500]]


def test_a_file_too_large_is_refused_in_our_own_words(page: Page, app_url: str, tmp_path: Path):
    large = tmp_path / "large.png"
    large.write_bytes(text_page([SIGN]) + bytes(21 * 1024 * 1024))
    open_stage(page, app_url, "A picture")
    uploader = page.locator("[aria-label^='Pictures:']")
    expect(uploader).to_have_attribute("aria-label", re.compile("each of up to 20 MB"))
    expect(page.get_by_text("64MB per file", exact=True)).to_be_hidden()
    uploader.locator("input").set_input_files(large)
    expect(page.get_by_text("MB; a picture may have up to 20 MB. Save it smaller")).to_be_visible()


def test_what_a_button_asks_is_changed_and_sent_without_a_mouse(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    paste(page, shapes())
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    expect(page.get_by_text("Picture 1: no tokens")).to_be_visible()
    tab_to(page, page.locator("summary", has_text="Change what these buttons ask"))
    page.keyboard.press("Enter")
    box = page.get_by_label("What “Alt text” asks")
    expect(box).to_be_visible()
    tab_to(page, box)
    page.keyboard.press("ControlOrMeta+A")
    page.keyboard.type("One line, please.")
    page.keyboard.press("Shift+Tab")
    expect(page.get_by_role("button", name="Ask as at first")).to_be_visible()
    assert serious_violations(page) == []
    tab_to(page, page.get_by_role("button", name="Alt text", exact=True))
    page.keyboard.press("Enter")
    expect(page.get_by_text("characters; screen readers")).to_be_visible()
    expect(page.get_by_test_id("stChatMessage").first).to_contain_text("One line, please.")


def test_a_model_that_cannot_see_answers_from_findings_that_all_can_see(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    choose_model(page, "SmolLM2 135M · open")
    expect(page.get_by_text("SmolLM2 135M cannot see pictures. These can: ")).to_be_visible()
    paste(page, text_page([SIGN], pixels=28))
    say(page, "On which day is the harbour closed?")
    assert "Monday" in whole_reply(page)
    last_message(page).get_by_text("What ran", exact=True).click()
    expect(page.get_by_text(f"> {SIGN}").first).to_be_visible()


def test_what_is_no_picture_is_said_and_the_words_stay(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    paste(page, b"%PDF-1.7 nothing to see")
    say(page, "What is this?")
    expect(page.get_by_text("PDF", exact=False).first).to_be_visible()
    expect(page.get_by_test_id("stChatInputTextArea")).to_have_value("What is this?")
    expect(page.get_by_test_id("stChatMessage")).to_have_count(0)


@pytest.mark.parametrize(("name", "says"), [
    ("photo.jfif", "Picture 1: no tokens"), ("no ending", "Picture 1: no tokens"),
    ("notes.txt", "Picture 1: no tokens"), ("scan.pdf", "This is a PDF document, not a picture."),
    ("icon.svg", "This is an SVG drawing, and that kind is not taken."),
])
def test_a_file_is_taken_or_refused_for_what_it_is_whatever_its_name(
        page: Page, app_url: str, name: str, says: str):
    files = {"scan.pdf": b"%PDF-1.7", "icon.svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>"}
    open_stage(page, app_url, "A picture")
    page.locator("[aria-label^='Pictures:'] input").set_input_files({
        "name": name, "mimeType": "", "buffer": files.get(name, text_page([SIGN]))})
    expect(page.get_by_text(says)).to_be_visible()


def test_the_text_of_a_table_keeps_its_lines(page: Page, app_url: str):
    open_stage(page, app_url, "A picture")
    paste(page, table_page())
    page.get_by_test_id("stChatInputTextArea").press("Enter")
    page.get_by_role("button", name="Read the text").click()
    expect(last_message(page).get_by_role("button", name="Try again")).to_be_visible()
    lines = [" ".join(line.split()) for line in last_message(page).inner_text().split("\n")]
    assert {" ".join(row) for row in TABLE} <= set(lines)


def test_a_vision_model_on_the_real_server_gets_the_picture(
        page: Page, own_app, tmp_path: Path):
    folder = write_vision_checkpoint(tmp_path / "idefics3")
    catalog = tmp_path / "models.toml"
    catalog.write_text(
        f'[[model]]\nid = "tiny-eyes"\nlabel = "Tiny eyes"\nprovider = "local"\n'
        f'engine = "transformers"\nweights = "{folder}"\nmodel = "tiny-eyes"\nopen = true\n'
        'vision = true\nimage_tokens = "idefics3"\ncontext_window = 4096\n')
    running = own_app(env={"PARLEY_MODELS": str(catalog)})
    open_stage(page, running.url, "A picture")
    choose_model(page, "Tiny eyes")
    page.get_by_test_id("stSidebar").get_by_text("Settings").click()
    page.get_by_role("spinbutton", name="Max tokens").fill("8")
    page.get_by_role("spinbutton", name="Max tokens").press("Enter")
    tokens_in = []
    for picture in (None, shapes()):
        if picture is not None:
            page.get_by_role("button", name="New conversation").click()
            expect(page.get_by_test_id("stChatMessage")).to_have_count(0)
            paste(page, picture)
        say(page, "What is this?")
        expect(last_message(page).get_by_text("tokens in")).to_be_visible(timeout=90_000)
        figures = last_message(page).get_by_text("tokens in").inner_text()
        tokens_in.append(int(figures.split(" tokens in")[0].rsplit(" ", 1)[-1].replace(",", "")))
    # The same words, and a picture, which is four tokens and their marks to these eyes.
    assert tokens_in[1] >= tokens_in[0] + 4
