"""Whatever anybody writes, the Markdown that is drawn of it can only be read."""

from __future__ import annotations

import re
import time
from html.parser import HTMLParser

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from components.safe_markdown import Block, blocks, legible
from tests.hostile_signs import SIGNS

# A reader with everything allowed that ours forbids: HTML, pictures, any scheme, references.
READER = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
READER.validateLink = lambda url: True

ALLOWED_TAGS = {"p", "h3", "h4", "h5", "h6", "ul", "ol", "li", "blockquote", "table", "thead",
                "tbody", "tr", "th", "td", "pre", "code", "em", "strong", "s", "a", "br", "hr"}


class Tags(HTMLParser):
    """The tags in a page, and where its links lead."""

    def __init__(self, html: str):
        super().__init__()
        self.tags: set[str] = set()
        self.links: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.links += [value or "" for name, value in attributes if name == "href"]
        assert not [name for name, _ in attributes if name.startswith("on")]


def drawn(text: str, **how: bool) -> str:
    """The Markdown drawn of `text`, code aside."""
    return "\n\n".join(block.text for block in blocks(legible(text), **how)
                       if block.language is None)


HOSTILE = st.lists(st.sampled_from([*SIGNS, "\ud800"]) | st.text(max_size=5), max_size=40
                   ).map("".join)


@settings(max_examples=500, deadline=None)
@given(HOSTILE, st.booleans())
@example("$![](http://h/)$", False)
@example("$a<img src=x>$", False)
@example("$$\n[r]: http://h/x\n\n![r]\n$$", False)
@example("`![a](http://h/)", False)
@example("- ```\n![a](http://h/)", False)
def test_nothing_is_drawn_but_what_is_allowed(text: str, by_person: bool) -> None:
    markdown = drawn(text, by_person=by_person)
    page = Tags(READER.render(markdown))
    assert page.tags <= ALLOWED_TAGS
    for link in page.links:
        assert re.match(r"https?://[^/]|mailto:", link, re.IGNORECASE)
    markdown.encode()


@settings(max_examples=300, deadline=None)
@given(HOSTILE)
@example("```0`0:A`")
def test_a_directive_or_shortcode_of_streamlit_never_survives(text: str) -> None:
    # Streamlit looks for these in the text itself, code and formulas aside.
    code = r"(?<!\\)(?:\\\\)*(`+)(?!`).*?(?<!`)\1(?!`)"
    rest = re.sub(code + r"|\$[^$]+\$", "", drawn(text), flags=re.DOTALL)
    assert not re.search(r"(?<!\\):[A-Za-z:]", re.sub(r"<[^<>\s]*>", "", rest))
    assert ":material/" not in rest
    assert not re.search(r":(smile|red):", rest)


@settings(max_examples=300, deadline=None)
@given(HOSTILE | st.text(alphabet=st.characters(codec=None)))
def test_what_is_shown_of_text_can_be_read_and_sent(text: str) -> None:
    shown = legible(text)
    assert shown == legible(shown)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e]", shown)
    shown.encode("utf-8")


@pytest.mark.parametrize(("text", "shown"), [
    ("![a](http://host/?q=secret)", "🖼 a (`http://host/?q=secret`)"),
    ("![a][r]\n\n[r]: http://host/", r"\!\[a\]\[r\]"),
    ("<img src=http://host/>", r"\<img src=http\://host/\>"),
    ("&lt;img src=x&gt;", r"\<img src=x\>"),
    ("!&#91;a](http://host/)", r"\!\[a\](http\://host/)"),
    ("[x](javascript:alert(1))", r"\[x\](javascript\:alert(1))"),
    ("[x](data:text/html,hi)", r"\[x\](data\:text/html,hi)"),
    ("[x](/auth/logout)", "x (`/auth/logout`)"),
    ("[x](ftp://host/)", "x (`ftp://host/`)"),
    ("[your bank](https://evil.example/a?b=c)",
     "[your bank](<https://evil.example/a?b=c>) (evil.example)"),
    ("[https://bank.example](https://evil.example)",
     r"[https\://bank.example](<https://evil.example>) (evil.example)"),
    ("<https://docs.python.org>", r"[https\://docs.python.org](<https://docs.python.org>)"),
    ("[write](mailto:a@b.example)", r"[write](<mailto:a@b.example>) (a\@b.example)"),
    ("# A title", "### A title"),
    (":red[x] :smile: :material/home: :100:",
     "\\:red\\[x\\] \\:\u2060smile\\: \\:\u2060material/home\\: \\:\u2060100\\:"),
    ("12:30:45", r"12\:30\:45"),
    ("WWW.a.b`x ![a](http://h/)`", r"WWW\.a.b`x ![a](http://h/)`"),
    ("&#33;[x](http://h/)", r"\![x](<http://h/>) (h)"),
    ("!<http://h/>", r"\![http\://h/](<http://h/>)"),
    ("a@b.example`x`", r"a\@b.example`x`"),
    ("a -> b", "a -\u2060\\> b"),
    ("- [ ] to do", r"- \[ \] to do"),
    ("one<br>two", "one\\\ntwo"),
])
def test_what_could_do_something_is_shown_instead(text: str, shown: str) -> None:
    assert drawn(text).split("\n\n")[0] == shown


@pytest.mark.parametrize("text", [
    "A *word*, a **strong** one, ***both***, ~~gone~~ and `code`.",
    "- a\n- b\n  - c\n\n    d\n- e", "1. a\n2. b\n   ```py\n   x\n   ```", "7) a\n8) b",
    "> quoted\n> > twice\n>\n> - list", "| a | b |\n|:--|--:|\n| `x\\|y` | *z* |",
    "a\\\nb", "a  \nb", "***", "Title\n-----", "snake_case 2*3*4 1. 2) # + -", "`` a`b ``",
    "a\n\n- b\n\n1. c\n\n> d\n\n## e", "x < y & z > 1 &amp; &copy;", "\\* \\_ \\[ \\` \\\\",
    "- a\n\n\n- b", "-\n- x", "1986\\. A year", "+ a\n- b\n* c", "*a***b**", "__a__ _b_",
])
def test_ordinary_markdown_stays_what_it_is(text: str) -> None:
    as_written = READER.render(text)
    for level in (4, 3, 2, 1):
        as_written = re.sub(rf"(</?h){level}>", rf"\g<1>{level + 2}>", as_written)
    assert READER.render(drawn(text)) == as_written


def test_code_is_untouched_and_says_its_language() -> None:
    code = "if a < b:\n\tprint(':smile:', '$5$')  # ![x](http://h/)"
    assert blocks(f"```Python\n{code}\n```") == [Block(code, "python", 0)]
    assert blocks(f"~~~~\n{code}\n```\n~~~~")[0].text == code + "\n```"


def test_an_unclosed_fence_is_code_up_to_here() -> None:
    assert blocks("Look:\n```py\nprint(1)\n")[1] == Block("print(1)", "py", 1)


def test_no_picture_is_made_of_mermaid() -> None:
    assert "mermaid" not in drawn("- ```mermaid\n  graph LR\n  ```")


@pytest.mark.parametrize(("text", "shown"), [
    ("$x^2$ and $E = mc^2$", "$x^2$ and $E = mc^2$"),
    (r"\(a<b\) holds", r"$a\lt b$ holds"),
    ("$f:X<Y$", r"$f: X\lt Y$"),
    ("$$\na\n= b\n$$", "$$\na\n= b\n$$"),
    ("\\[\na\n\\]", "$$\na\n$$"),
    ("so\n$$x$$\nis", "so\n\n$$\nx\n$$\n\nis"),
    ("from $5 to $6", r"from \$5 to \$6"),
    ("$5/$6", r"\$5/\$6"),
    ("US$10 and US$20", r"US\$10 and US\$20"),
    ("`$a$` $", r"`$a$` \$"),
    (r"$\href{javascript:alert(1)}{x}$", None),
    (r"$\rule{500em}{500em}$", None),
    (r"$\kern-50em x$", None),
    (r"$\def\x{y}\x$", None),
    (r"$\llap{over there}$", None),
    (r"$\!\!\!\!\!\!x$", None),
])
def test_mathematics_stays_where_it_is_meant_and_does_no_harm(text: str, shown: str | None) -> None:
    if shown is None:
        assert not re.search(r"(?<!\\)\$", drawn(text))
    else:
        assert drawn(text) == shown


def test_a_persons_text_keeps_its_lines_dollars_and_indents() -> None:
    assert drawn("one\ntwo\n\n    three $x^2$", by_person=True) == "one\\\ntwo\n\nthree \\$x\\^2\\$"


def test_a_models_lines_stay_lines_and_those_of_a_wrapped_file_go_on() -> None:
    text = "one\ntwo\n\n- three\n  four\n\nfive\nsix\n---"
    assert drawn(text) == "one\\\ntwo\n\n- three\\\n  four\n\n#### five six"
    assert drawn(text, wrapped=True) == "one\ntwo\n\n- three\n  four\n\n#### five six"


@pytest.mark.parametrize(("text", "shown"), [
    ("a\x00b", "a␀b"), ("\x1b[31m", "␛[31m"), ("a\u202eb", "a[U+202E]b"), ("\ud800", "\ufffd"),
    ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
    ("Z" + "\u0351" * 30, "Z" + "\u0351" * 4 + "\ufffd"),
    ("hi\U000e0041\U000e0042", "hi[hidden: AB]"),
    ("🏴\U000e0067\U000e0062\U000e007f", "🏴\U000e0067\U000e0062\U000e007f"),
    ("क्षि สวัสดี שָׁלוֹם é 👩\u200d👩\u200d👧", "क्षि สวัสดี שָׁלוֹם é 👩\u200d👩\u200d👧"),
])
def test_what_hides_or_reorders_is_made_visible(text: str, shown: str) -> None:
    assert legible(text) == shown


@pytest.mark.parametrize("text", [
    "> " * 20_000 + "x", "- " * 20_000, "".join("  " * depth + "- a\n" for depth in range(190)),
    "[" * 40_000, "*a_ " * 10_000, "$" * 40_000, "![[]()" * 6_000, "a" + "`" * 40_000,
    "|a" * 20_000 + "\n" + "|-" * 20_000, "<" * 40_000, "a" + "\u0351" * 40_000,
    "*" * 1000 + "a" + "*" * 1000, ":" + "a" * 40_000 + "x", ":" + "1" * 40_000 + "x",
])
def test_a_text_made_to_choke_the_parser_is_shown_all_the_same(text: str) -> None:
    started = time.process_time()
    shown = "".join(block.text for block in blocks(legible(text)))
    assert time.process_time() - started < 5
    assert shown
    if text.endswith("x"):
        assert shown.endswith("x")
