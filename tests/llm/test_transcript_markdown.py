"""A conversation for people: who said what, how it ended, and nothing that fetches anything."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from llm.transcript import Transcript
from llm.transcript_markdown import defused, to_markdown
from tests.transcripts import everything, say


def test_it_reads_like_a_conversation():
    text = to_markdown(everything(), {"scripted": "The Scripted Model"})
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == [
        "# Trains", "## You", "## The Scripted Model", "## You (version 1 of 2)",
        "## The Scripted Model", "## You", "## The Scripted Model"]
    assert "नमस्ते 你好" in text
    assert "*(a picture, 8 × 8 pixels)*" in text


def test_each_reply_says_how_it_ended_and_what_it_took():
    text = to_markdown(everything())
    assert "*cut at the limit · 120 tokens in, 3 out · 2.5 s · $0.000120*" in text
    assert "*failed · No connection.*" in text


def test_only_the_path_that_is_shown_is_in_it():
    chat = everything()
    assert "What colour is it?" not in to_markdown(chat)


def test_a_conversation_with_nothing_said_is_a_title():
    assert to_markdown(Transcript()).startswith("# A conversation\n")


HOSTILE = [
    "![a](http://127.0.0.1/?q=secret)",
    "![a][r]\n\n[r]: http://127.0.0.1/?q=secret",
    "![r]\n\n[r]: http://127.0.0.1/?q=secret",
    "<img src=http://127.0.0.1/>",
    "<script>fetch('http://127.0.0.1/')</script>",
    "text <!-- --> <iframe src=//127.0.0.1>",
    "` a\n![a](http://127.0.0.1/) `",
    "` ![a](http://127.0.0.1/)",
    "```a`b\n![a](http://127.0.0.1/)\n",
    "    ```\n![a](http://127.0.0.1/)",
    "- ```\n\n![a](http://127.0.0.1/)",
    "> ```\n![a](http://127.0.0.1/)",
    "~~~\ncode\n~~~ ![a](x)\n~~~\n![a](http://127.0.0.1/)",
    "```\ncode\n`````\n![a](http://127.0.0.1/)",
    "\t```\n![a](http://127.0.0.1/)",
    "a ![a\nb](http://127.0.0.1/)",
    "\\![a](http://127.0.0.1/)",
    "\\\\![a](http://127.0.0.1/)",
    "```\rcode\r```\r![a](http://127.0.0.1/)\r<img src=http://127.0.0.1/>",
    "- a\n  ```\n![a](http://127.0.0.1/)",
    "1. ```\n   code\n   ```\n   ![a](http://127.0.0.1/)\n   <img src=http://127.0.0.1/>",
    "a\n---\n2. ```\n   ![a](http://127.0.0.1/)",
]


@pytest.mark.parametrize("said", HOSTILE)
def test_what_was_said_brings_in_no_picture_and_no_html(said):
    text = to_markdown(say(Transcript(), said, said))
    tokens = [token for block in MarkdownIt("commonmark").parse(text)
              for token in (block, *(block.children or ()))]
    assert not {"image", "html_block", "html_inline"} & {token.type for token in tokens}


@pytest.mark.parametrize("said", [
    "## You", "# You #", "  ## You\tand I", "You\n---", "You\n=", "You\n and I\n  ---  ",
    "Hi\r## You", "Hi\r\n## You\r\n", "~~~\r\n~~~\r\n## You", "Hi\n#", "<!--\n## You\n-->",
    "- # You", "> You\n> ===", "```\n    ```"])
def test_nobodys_heading_can_be_taken_for_a_speaker(said):
    text = to_markdown(say(Transcript(title="Trains"), said, said), {"scripted": "Model"})
    tokens = MarkdownIt("commonmark").parse(text)
    top = [after.content for token, after in zip(tokens, tokens[1:], strict=False)
           if token.type == "heading_open" and token.tag in ("h1", "h2")]
    assert top == ["Trains", "You", "Model"]


def test_a_heading_stays_one_and_a_rule_and_a_table_stay_what_they_are():
    written = "# Steps\n\nFirst.\n\n---\n\n| a |\n|---|\n| 1 |\n\n###### Deep"
    assert defused(written) == written.replace("# Steps", "### Steps", 1)


def test_half_a_character_breaks_no_file():
    assert "\n\ufffd and \ufffd\n" in to_markdown(say(Transcript(), "\ud83d and \ude00"))


def test_code_stays_as_it_was_written():
    code = "```rust\nlet v = vec![1, 2]; // <T>\n```"
    assert defused(code) == code


def test_code_in_a_list_and_in_a_quotation_stays_too():
    code = "1. Run:\n   ```rust\n   let v: Vec<T>; # one\n   ```\n\n> ```\n> <T>\n> ```\n\nDone."
    assert defused(code) == code


BEGINNINGS = ["- ", "  ", "   ", "> ", "1. ", "2. ", "\t", "    ", ""]
ENDS = ["```", "~~~", "````", "```py", "![a](http://127.0.0.1/)", "<b>hi</b>", "a", "", "# You",
        "---", "===", "-", "[r]: http://127.0.0.1", "![r]", "<!--", "-->", "`", "\\"]
LINES = st.builds(lambda begun, end: "".join(begun) + end,
                  st.lists(st.sampled_from(BEGINNINGS), max_size=3), st.sampled_from(ENDS))


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, min_size=1, max_size=8).map("\n".join))
def test_lists_quotations_and_code_within_each_other_hide_nothing(said: str):
    test_what_was_said_brings_in_no_picture_and_no_html(said)
    test_nobodys_heading_can_be_taken_for_a_speaker(said)


def test_a_code_block_that_was_left_open_does_not_swallow_what_follows():
    chat = say(Transcript(), "Code?", "```python\nprint(1)", "Thanks")
    assert "## You\n\nThanks" in to_markdown(chat)
    headings = [token for token in MarkdownIt("commonmark").parse(to_markdown(chat))
                if token.type == "heading_open"]
    assert len(headings) == 4


def test_a_title_is_only_words():
    assert to_markdown(Transcript(title="a\n# b ![x](y)")).startswith(
        r"# a \# b \!\[x\](y)")
