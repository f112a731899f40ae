"""Signs that mean something to Markdown, to HTML, to Streamlit or to KaTeX, to be mixed.

Two parsers read what a model writes, ours and the browser's, and they differ: mixtures
found addresses that swallowed the backtick behind them, and a link that an exclamation
mark in front made a picture.
"""

from __future__ import annotations

import random

SIGNS = [
    "![", "](", "[", "]", "(", ")", "<", ">", "!", "img src=", "http://h/", "https://h/x", "www.h",
    "data:", "javascript:", "mailto:a@b", "a@b.example", "xmpp:a@b.example", "[l](https://h/)",
    "<https://h/>", "![a](http://h/)", "`x ![a](http://h/) `", "[r]: http://h/x", "[r]", "[^1]",
    "[^1]: x", "\n", "\n\n", "    ", "- ", "1. ", "> ", "# ", "```", "~~~", "`", "``", "\\", "*",
    "**", "_", "~", "~~", "|", "|-|", "| a | b |\n|---|---|\n| ", "---", "===", "&lt;", "&#33;",
    "&#x5b;", "&amp;", "$", "$$", "$x^2$", "\\(", "\\)", "\\[", "\\]", "\\href{", ":red[",
    ":material/home:", ":smile:", ":streamlit:", ":::", "::", "{", "}", "{color=red}", "mermaid\n",
    "<!--", "-->", "<br>", "<script>", "</script>", "^", "\"", "'", "x", "a", "5", "=", "+", " ",
    "\t", "\r", "\x00", "\u202e",
]


def mixtures(count: int, seed: int) -> list[str]:
    """`count` texts of 3 to 40 signs each, the same ones for the same seed."""
    chosen = random.Random(seed)
    return ["".join(chosen.choices(SIGNS, k=chosen.randint(3, 40))) for _ in range(count)]
