"""Anybody's text made into Markdown that can do nothing but be read.

    blocks("Look: ![x](http://host/?q=secret) <script>")
    [Block("Look\\\\: 🖼 x (`http://host/?q=secret`) \\\\<script\\\\>", language=None, line=0)]

The text is parsed, and written anew from what the parser found: out comes only what
this module knows how to write, and every other character is escaped. So there is no
list of attacks here, but a list of what is allowed: paragraphs, headings, lists,
quotations, tables, code, emphasis, links to http, https and mailto, and mathematics
that is clearly meant as such. No HTML, no pictures, no directives of Streamlit.

Knows CommonMark and what Streamlit makes of Markdown beyond it, and not how it is drawn.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from markdown_it import MarkdownIt
from markdown_it.rules_block import StateBlock
from markdown_it.rules_inline import StateInline
from markdown_it.tree import SyntaxTreeNode

MAX_NESTING = 60
"""Lists and quotations within each other. The parser drops what is deeper, so a text that
goes further is shown as it was typed."""

MAX_MATHS = 2_000
"""Characters in one formula."""


@dataclass(frozen=True)
class Block:
    """One top-level block of a text."""

    text: str
    """Markdown that is safe to draw or, where `language` is not None, code."""
    language: str | None
    """Of a block of code: what it says its language is, or "". None: not code."""
    line: int
    """Where it begins in the text that was given, from 0."""


def blocks(text: str, *, by_person: bool = False, wrapped: bool = False) -> list[Block]:
    """The top-level blocks of `text`, which must be `legible` already.

    Line breaks stay, unless the text is `wrapped`: its paragraphs go on over line ends. In a
    person's text a dollar is a dollar and an indented line is no code. Takes about 10 ms for
    10,000 characters.
    """
    try:
        return _blocks(text, by_person, wrapped)
    except RecursionError:  # such as of a thousand asterisks on either side of a word
        return [Block(text, "", 0)]


def _blocks(text: str, by_person: bool, wrapped: bool) -> list[Block]:
    tokens = (_PERSON if by_person else _MODEL).parse(text)
    if max((token.level for token in tokens), default=0) >= MAX_NESTING - 2:
        return [Block(text, "", 0)]
    writer = _Writer(by_person, wrapped)
    found = []
    for node in SyntaxTreeNode(tokens).children:
        line = node.map[0] if node.map else 0
        if node.type in ("fence", "code_block"):
            found.append(Block(node.content.removesuffix("\n"), _language(node), line))
        else:
            found.append(Block(writer.block(node), None, line))
    return found


def legible(text: str) -> str:
    """`text` with everything that hides, reorders or breaks made harmless and visible.

    Control characters become their pictures (NUL is ␀), halves of characters become �,
    marks that turn the reading direction or spell out hidden words are named like
    [U+202E], and of marks piled on one letter the first four stay. Lines end in a
    single line feed.
    """
    text = _LINE_END.sub("\n", text)
    text = _UNSEEN.sub(_show_unseen, text)
    if not text.isascii():
        text = _MARKS.sub(_thin_out, text)
    return text


_LINE_END = re.compile("\r\n|[\r\u2028\u2029\u0085]")
_UNSEEN = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069"
    "\ufff9-\ufffb]|(?<!\U0001f3f4)(?<![\U000e0020-\U000e007f])[\U000e0000-\U000e007f]+"
)
# Combining marks lie in these ranges, and other characters too: _thin_out asks for each.
_MARKS = re.compile("[\u0300-\u036f\u0483-\u0489\u0591-\u109f\u135d-\u135f\u1712-\u1dff"
                    "\u20d0-\u20ff\u2cef-\u2cf1\u2d7f-\u2dff\u302a-\u309a\ua66f-\uabff"
                    "\ufb1e\ufe00-\ufe2f\U000e0100-\U000e01ef]{5,}")


def _show_unseen(found: re.Match[str]) -> str:
    character = found[0]
    code = ord(character[0])
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    if 0xD800 <= code < 0xE000:
        return "\ufffd"
    if code >= 0xE0000:
        # Invisible twins of ASCII: what they say is shown.
        hidden = "".join(chr(ord(tag) - 0xE0000) for tag in character if ord(tag) >= 0xE0020)
        return f"[hidden: {hidden}]".replace("\x7f", "")
    return f"[U+{code:04X}]"


def _thin_out(found: re.Match[str]) -> str:
    kept, marks = [], 0
    for character in found[0]:
        marks = marks + 1 if unicodedata.category(character) in ("Mn", "Me") else 0
        if marks <= 4:
            kept.append(character)
        elif marks == 5:
            kept.append("\ufffd")
    return "".join(kept)


# --- Mathematics ---------------------------------------------------------------------------

_MATHS_DELIMITERS = {"$$": "$$", "\\[": "\\]", "\\(": "\\)", "$": "$"}
_LOOKS_LIKE_MATHS = re.compile(r"[\\^_=<>|]|\w\s*[-+*/(]\s*\w|^-?[A-Za-z]'*$|^-?\d+(\.\d+)?%?$")
# What could define commands, reach outside, or draw over other parts of the page: KaTeX puts
# a box wherever a length or a negative space tells it to.
_UNSAFE_MATHS = re.compile(
    r"""\\(href|url|includegraphics|html\w*|[gex]?def|let|futurelet|global|long
        |(re)?newcommand|providecommand|char|m?kern|[hm]skip|[hv]space|rule|raisebox
        |(math)?[lrc]lap|smash|tag|above|abovewithdelims|genfrac|operatorname\*)(?![A-Za-z])
      |[\d.]\s*(em|ex|mu|pt|mm|cm|in|px|bp|pc|dd|cc|nd|nc|sp)(?![A-Za-z])
      |(\\(!|neg\w+)\s*){4} | \n\s*\n | :// | ` | \$ """, re.VERBOSE)


def _maths(content: str) -> str | None:
    """The formula as it may be drawn, or None if it must not be, or is none."""
    content = content.strip()
    if not content or len(content) > MAX_MATHS or _UNSAFE_MATHS.search(content):
        return None
    # To KaTeX these mean the same, and nothing to Markdown and Streamlit's directives, should
    # they after all take it for text.
    content = content.replace("<", r"\lt ").replace(">", r"\gt ").replace(":", ": ")
    content = content.replace("](", "] (").replace("![", "! [").replace("][", "] [").strip()
    return None if content.endswith("\\") else content


def _maths_block(state: StateBlock, start: int, end: int, silent: bool) -> bool:
    """$$ … $$ or \\[ … \\] on lines of their own."""
    if state.is_code_block(start):
        return False
    first = state.src[state.bMarks[start] + state.tShift[start]:state.eMarks[start]].rstrip()
    closing = {"$$": "$$", "\\[": "\\]"}.get(first[:2])
    if closing is None:
        return False
    lines, line = [first[2:]], start
    while not (lines[-1].rstrip().endswith(closing) and (line > start or len(first) > 3)):
        line += 1
        if line >= end or state.sCount[line] < state.blkIndent or line - start > MAX_MATHS:
            return False
        lines.append(state.src[state.bMarks[line] + state.tShift[line]:state.eMarks[line]])
    content = _maths("\n".join(lines).rstrip()[:-2])
    if content is None:
        return False
    if not silent:
        token = state.push("maths_block", "", 0)
        token.content, token.map = content, [start, line + 1]
    state.line = line + 1
    return True


def _maths_inline(state: StateInline, silent: bool) -> bool:
    source, start = state.src, state.pos
    opening = next((sign for sign in _MATHS_DELIMITERS if source.startswith(sign, start)), None)
    if opening is None:
        return False
    begin = start + len(opening)
    stop = source.find(_MATHS_DELIMITERS[opening], begin, begin + MAX_MATHS)
    if stop < 0:
        return False
    end = stop + len(opening)
    content = source[begin:stop]
    if "\n" in content and opening in ("$", "\\("):
        return False
    if opening == "$" and not _stands_alone(source, start, end, content):
        return False
    formula = _maths(content)
    if formula is None or source[end:end + 1].isdigit():
        return False
    if not silent:
        token = state.push("maths_inline", "", 0)
        token.content = formula.replace("\n", " ")
    state.pos = end
    return True


def _stands_alone(source: str, start: int, end: int, content: str) -> bool:
    """Whether $…$ is a formula and not the space between two prices."""
    before, after = source[start - 1:start], source[end:end + 1]
    return (content == content.strip() and not before.isalnum() and before != "$"
            and not after.isalnum() and after != "$"
            and _LOOKS_LIKE_MATHS.search(content) is not None)


# --- Parsing -------------------------------------------------------------------------------


def _parser(*, maths: bool, indented_code: bool) -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False, "maxNesting": MAX_NESTING})
    parser.enable(["table", "strikethrough"])
    # A reference's target stands elsewhere, often below: half a text could not show it.
    parser.disable("reference")
    if not indented_code:
        parser.disable("code")
    if maths:
        parser.block.ruler.before("fence", "maths_block", _maths_block,
                                  {"alt": ["paragraph", "blockquote", "list"]})
        parser.inline.ruler.before("escape", "maths_inline", _maths_inline)
    return parser


_MODEL = _parser(maths=True, indented_code=True)
_PERSON = _parser(maths=False, indented_code=False)


def _language(node: SyntaxTreeNode) -> str:
    found = re.match(r"[\w+#.-]{1,30}", node.info.strip())
    return found[0].lower() if found else ""


# --- Writing -------------------------------------------------------------------------------

_SAFE_SCHEMES = ("http", "https", "mailto")
# All of ASCII's punctuation but what means nothing in any Markdown. And the dot of "www.": GitHub's
# rules make a link of what follows, and let it take in the backtick of a piece of code behind it.
_SPECIAL = re.compile(r"[!#$&*:<>@\[\\\]^_`{|}~]|(?<=www)\.", re.IGNORECASE)
_AT_LINE_START = re.compile(r"(\d+)(?=[.)])|[+=-]")
# Streamlit puts emoji, icons, arrows and dashes for these in the finished text, where an escape
# no longer counts. An invisible, unbreakable nothing within them keeps them what they are.
_SHORTCODE = re.compile(r":(?=(?![\d+-]*:)[\w+-]{1,100}:|(?:100|1234|[+-]1):|material/)")
_ARROW = re.compile(r"(?<!\S)(?:<->|->|<-|--|>=|<=|~=)(?!\S)")
_WORD_JOINER = "\u2060"
_BREAK = "\\\n"


def escape(text: str, *, at_line_start: bool = False) -> str:
    """Markdown that shows the one line `text`, which must be `legible`, to the letter."""
    text = _SHORTCODE.sub(":" + _WORD_JOINER, text)
    text = _ARROW.sub(lambda found: found[0][0] + _WORD_JOINER + found[0][1:], text)
    escaped = _SPECIAL.sub(r"\\\g<0>", text)
    if at_line_start and (found := _AT_LINE_START.match(escaped)):
        number = found[1] or ""
        escaped = number + "\\" + escaped[len(number):]
    return escaped


def _code(content: str, *, in_table: bool = False) -> str:
    """Inline code, within as many backticks as it takes."""
    content = content.replace("\n", " ")
    if not content.strip():
        return escape(content)
    ticks = "`" * (max(map(len, re.findall("`+", content)), default=0) + 1)
    pad = " " if content[0] in "` " or content[-1] in "` " else ""
    return f"{ticks}{pad}{content.replace('|', chr(92) + '|') if in_table else content}{pad}{ticks}"


def _shorten(address: str) -> str:
    return address if len(address) <= 200 else address[:200] + "…"


class _Writer:
    """Writes the parser's tree as Markdown again."""

    def __init__(self, by_person: bool, wrapped: bool):
        self._by_person, self._wrapped = by_person, wrapped

    def block(self, node: SyntaxTreeNode, *, in_tight_list: bool = False) -> str:
        match node.type:
            case "paragraph":
                return self._inline(node.children[0])
            case "heading":
                # The page's own title and sections stay above anything within a message.
                level = min(int(node.tag[1]) + 2, 6)
                words = self._inline(node.children[0])
                return f"{'#' * level} {words.replace(_BREAK, ' ').replace(chr(10), ' ')}"
            case "fence" | "code_block":
                return _fence(node.content, _language(node))
            case "maths_block":
                return f"$$\n{node.content}\n$$"
            case "hr":
                return "___"
            case "blockquote":
                return _prefix(self._blocks(node), "> ", "> ")
            case "bullet_list" | "ordered_list":
                return self._list(node)
            case "table":
                return self._table(node)
        raise ValueError(f"the parser found a block of an unknown kind: {node.type}")

    def _blocks(self, node: SyntaxTreeNode, between: str = "\n\n") -> str:
        return between.join(self.block(child) for child in node.children)

    def _list(self, node: SyntaxTreeNode) -> str:
        is_tight = any(child.type == "paragraph" and child.hidden
                       for item in node.children for child in item.children)
        between = "\n" if is_tight else "\n\n"
        number = int(node.attrs.get("start", 1))
        items = []
        for offset, item in enumerate(node.children):
            sign = item.markup if node.type == "bullet_list" else f"{number + offset}{item.markup}"
            body = self._blocks(item, between) if item.children else ""
            items.append(_prefix(body, sign + " ", " " * (len(sign) + 1)))
        return between.join(items)

    def _table(self, node: SyntaxTreeNode) -> str:
        rows = [row for part in node.children for row in part.children]
        lines = ["| " + " | ".join(self._inline(cell.children[0], in_table=True)
                                   for cell in row.children) + " |" for row in rows]
        signs = {"text-align:left": ":---", "text-align:right": "---:",
                 "text-align:center": ":---:"}
        lines.insert(1, "| " + " | ".join(signs.get(str(cell.attrs.get("style")), "---")
                                          for cell in rows[0].children) + " |")
        return "\n".join(lines)

    def _inline(self, node: SyntaxTreeNode, *, in_table: bool = False) -> str:
        return "".join(self._pieces(node, in_table))

    def _pieces(self, node: SyntaxTreeNode, in_table: bool) -> Iterator[str]:
        at_line_start = True
        for child in node.children:
            match child.type:
                case "text":
                    yield self._text(child.content, at_line_start, in_table)
                case "softbreak":
                    # Models mean one by it, and people do.
                    yield "\n" if self._wrapped else _BREAK
                case "hardbreak":
                    yield _BREAK
                case "code_inline":
                    yield _code(child.content, in_table=in_table)
                case "maths_inline":
                    yield f"${child.content}$"
                case "em" | "strong" | "s":
                    yield child.markup + "".join(self._pieces(child, in_table)) + child.markup
                case "link":
                    yield self._link(child, in_table)
                case "image":
                    # Whatever it is that a picture would fetch, nobody asked for it.
                    source = _code(_shorten(str(child.attrs["src"])) or "…", in_table=in_table)
                    yield f"🖼 {escape(child.content)} ({source})"
                case _:
                    raise ValueError(f"the parser found text of an unknown kind: {child.type}")
            at_line_start = child.type in ("softbreak", "hardbreak")

    def _text(self, text: str, at_line_start: bool, in_table: bool) -> str:
        """Text, in which a model's <br> is a line break: tables have no other."""
        if self._by_person:
            return escape(text, at_line_start=at_line_start)
        lines = re.split(r"<br\s*/?>", text)
        return (" " if in_table else _BREAK).join(
            escape(line, at_line_start=at_line_start or number > 0)
            for number, line in enumerate(lines))

    def _link(self, node: SyntaxTreeNode, in_table: bool) -> str:
        """The link and, unless its text says so itself, where it goes."""
        words = "".join(self._pieces(node, in_table))
        address = str(node.attrs["href"])
        scheme, host = _destination(address)
        if scheme not in _SAFE_SCHEMES:
            return f"{words} ({_code(_shorten(address) or '…', in_table=in_table)})"
        shown = "".join(child.content for child in node.children if child.type == "text")
        target = f"[{words}](<{quote(address, safe=_SAFE_IN_ADDRESS)}>)"
        if shown.strip().rstrip("/") in (address.rstrip("/"), address.removeprefix("mailto:")):
            return target
        return f"{target} ({escape(host.removeprefix('www.'))})"


_SAFE_IN_ADDRESS = "/:?#@!'()+,;=%-._"


def _destination(address: str) -> tuple[str, str]:
    """The scheme of a link, and whom it leads to. ("", "") for what is no full address."""
    try:
        parts = urlsplit(address)
        host, _port = parts.hostname, parts.port
    except ValueError:
        return "", ""
    if parts.scheme == "mailto":
        return "mailto", parts.path
    if not host:
        return "", ""
    return parts.scheme, host


def _fence(content: str, language: str) -> str:
    ticks = "`" * max(3, max(map(len, re.findall("`+", content)), default=0) + 1)
    # Streamlit would draw Mermaid's pictures.
    name = "text" if language.startswith("mermaid") else language
    return f"{ticks}{name}\n{content.removesuffix(chr(10))}\n{ticks}"


def _prefix(text: str, first: str, following: str) -> str:
    lines = text.split("\n")
    return "\n".join([(first + lines[0]).rstrip(),
                      *(following + line if line else following.rstrip() for line in lines[1:])])
