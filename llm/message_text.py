"""The text and pictures of messages, as chat completions has them and as they do no harm.

This module does not know models, servers or LangChain's chat models.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.messages import convert_to_openai_data_block, is_data_content_block


def content_parts(blocks: Sequence[str | dict]) -> list[dict] | str:
    """LangChain's content blocks as chat completions has them; a string if all is text.

    Servers drop a block that they do not know without a word, the standard `image` first.
    """
    parts = [{"type": "text", "text": block} if isinstance(block, str)
             else convert_to_openai_data_block(block) if is_data_content_block(block)
             else block for block in blocks]
    if all(part.get("type") == "text" for part in parts):
        return "".join(part["text"] for part in parts)
    return [{"type": "text", "text": part["text"]} if part.get("type") == "text" else part
            for part in parts]


def has_picture(messages: Sequence[dict]) -> bool:
    """Whether any of the messages, as chat completions has them, holds a picture."""
    return any(isinstance(part, dict) and part.get("type") == "image_url"
               for message in messages if isinstance(message.get("content"), list)
               for part in message["content"])


def map_texts(messages: list[dict], change: Callable[[str], str]) -> list[dict]:
    """The messages with every text in them changed; pictures are left alone."""
    return [{**message, "content": _map_content(message.get("content"), change)}
            for message in messages]


def _map_content(content: Any, change: Callable[[str], str]) -> Any:
    if isinstance(content, str):
        return change(content)
    if isinstance(content, list):
        return [{**part, "text": change(part["text"])}
                if isinstance(part, dict) and isinstance(part.get("text"), str) else part
                for part in content]
    return content


def without_surrogates(text: str) -> str:
    """Half a UTF-16 pair cannot be sent as UTF-8; � says that something was there."""
    return re.sub("[\ud800-\udfff]", "\ufffd", text)


ZERO_WIDTH_SPACE = "\u200b"

_LOOKS_SPECIAL = re.compile(
    r"<(?=\|[^<>|\s]{1,60}\|>"       # <|im_start|>, <|eot_id|>, <|channel|>
    r"|｜[^<>]{1,60}｜>"             # <｜User｜>
    r"|/?(?:s|bos|eos|pad|unk|mask|sep|cls|eod|image|img|video|audio)>"
    r"|(?:start|end|begin)_of_[a-z_]{1,30}>"  # <start_of_turn>, <end_of_utterance>
    r"|/?<?SYS>>"
    r"|row_\d+_col_\d+>|global-img>|fake_token_around_image>|image_soft_token>|unused\d+>)"
    r"|\[(?=/?(?:INST|SYSTEM_PROMPT|AVAILABLE_TOOLS|TOOL_CALLS|TOOL_RESULTS|TOOL_CONTENT|THINK"
    r"|IMG|IMG_BREAK|IMG_END|PREFIX|MIDDLE|SUFFIX|gMASK|CLS|SEP|PAD|UNK|MASK|BOS|EOS)\])")


def plain_tokens(text: str, special_tokens: frozenset[str] = frozenset()) -> str:
    """`text` in which nothing reads as one of a model's own special tokens.

    A chat template is text, and many servers turn any `<|im_end|>` in it into the
    token that ends a turn, whoever wrote it. A zero-width space after the first
    character makes it plain text for the tokenizer and leaves it as it was to the eye.
    Known special tokens are broken exactly; beyond them, whatever looks like one.
    """
    text = _LOOKS_SPECIAL.sub(lambda match: match[0] + ZERO_WIDTH_SPACE, text)
    for token in special_tokens:
        if len(token) > 1 and token in text:
            text = text.replace(token, token[0] + ZERO_WIDTH_SPACE + token[1:])
    return text
