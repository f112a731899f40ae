"""Whether an answer gives away which model wrote it.

A blind vote is worth nothing once a side has said "I am ChatGPT", true or not. But an
answer on the zodiac may say Gemini, and one about maps Google. So there are three rules:

- a name that can be nothing else ("SmolLM2", "GPT-6 Luna") gives its own model away
  wherever it stands, unless the question had it first;
- any model's or maker's name gives away whoever says it of itself: "I am Gemini",
  "a language model trained by Google", "Gemini here!", "OpenAI made me";
- to "Who made you?", any such name is an answer.

In doubt the answer counts as given away: that costs one vote, where the other mistake
costs what votes are for. Names come from the catalog, and from a list of those that
models trained on each other's answers take themselves for.

This module does not know replies, votes or pages.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable

from llm.catalog import ModelSpec

PROVIDER_NAMES = {
    "openai": ("OpenAI", "ChatGPT", "Chat GPT", "GPT"),
    "google": ("Google", "DeepMind", "Gemini", "Bard"),
    "huggingface": ("Hugging Face", "HuggingFace"),
    "local": (),
    "reader": (),
}
"""Catalog provider -> what it and its assistants are called in prose."""

OTHER_NAMES = (
    "Alexa", "Alibaba", "Anthropic", "Apple", "Baidu", "ByteDance", "Claude", "Cohere", "Copilot",
    "DeepSeek", "GLM", "Grok", "IBM", "Kimi", "Llama", "Meta", "Microsoft", "Mistral", "Moonshot",
    "NVIDIA", "Nemotron", "Qwen", "Siri", "Tencent", "xAI", "Zhipu",
)
"""Makers and assistants that the catalog may not hold."""

_NO_NAMES = frozenset({
    "ai", "base", "chat", "default", "dummy", "hosted", "instruct", "large", "latest", "local",
    "mini", "model", "my", "new", "our", "picture", "pro", "reader", "server", "small", "test",
    "the", "vision",
})
"""First words of labels that people write and that name nothing."""

_MADE = r"(?:made|created|trained|developed|built|designed|powered|provided|produced|released)"
_ORIGIN = (rf"(?:{_MADE}(?:,? (?:and|or|\w+ed))* (?:by|at)|(?:based|running|built) (?:up)?on)"
           r"(?: [\w’'-]+){0,6}?")
_KIND = r"(?:model|assistant|chatbot|AI|program|product|system)"
_OF_ITSELF = (
    # I am Gemini. You can call me Bard.
    r"\b(?:I am|I[’']m|my name is|my name[’']s|call me)(?:,? (?:an?|the|your|actually|really|just"
    r"|not|also|indeed|called|named|known as|AI|artificial|intelligence|large|small|open|language"
    rf"|chat|{_KIND}))*,?",
    # I was trained by Google.
    rf"\bI(?: am| was| have been|[’']m|[’']ve been)(?: \w+)? {_ORIGIN}",
    # As a language model from OpenAI; I'm a helpful assistant that was built by Meta.
    rf"\b(?:I am|I[’']m|as an?|this)(?:,? [\w-]+){{0,5}}? {_KIND}"
    rf"(?:,? (?:that|which|was|is|has|been))*,? (?:{_ORIGIN}|(?:from|called|named|by|of)(?: the)?)",
    # My creators at Anthropic.
    r"\bmy (?:creator|maker|developer|parent company)s?(?: [\w’'-]+){0,3}?",
    # As Gemini, I …
    r"^\W*(?:as|being)(?=[^,]{1,40}, I\b)",
    # You are talking to Gemini. My model is GPT-5. I run on GPT-5.
    r"\byou(?:[’']re| are) (?:talking|speaking|chatting) (?:to|with)",
    r"\bmy (?:\w+ )?(?:model|version|name|architecture)(?: name)?(?: is|[’']s|:)(?: the)?",
    r"\bI(?: am|[’']m)? run(?:ning)? on",
    # Best regards, Gemini
    r"\b(?:best|kind|warm) (?:regards|wishes),?|\bsincerely,?|\byours(?: truly)?,|\bsigned:?",
)
_OF_ITSELF_IN_OTHER_LANGUAGES = (
    r"(?:\b(?:je suis|je m[’']appelle|mon nom est|soy|me llamo|mi nombre es|ich bin"
    r"|ich hei(?:ß|ss)e|mein name ist|sono|mi chiamo|eu sou|me chamo|я|меня зовут|ik ben"
    r"|jag (?:är|heter)|jestem|nazywam się|benim adım|nama saya|saya adalah|tôi (?:là|tên))\b"
    r"|मैं |मुझे |मेरा नाम|আমি |我是|我叫|私は|저는|제 이름은|أنا |اسمي).{0,80}?"
)
"""French, Spanish, German, Italian, Portuguese, Russian, Dutch, Swedish, Polish, Turkish,
Indonesian, Vietnamese; Hindi, Bengali, Chinese, Japanese, Korean, Arabic."""

_AFTER_ITS_NAME = rf"(?: (?:here|speaking|at your service)\b|,? (?:has |have )?{_MADE} me\b)"
"""Gemini here! OpenAI made me."""

_ASKS_WHO = re.compile(
    r"\b(?:who|what|which)\b[^.?\n]{0,40}"
    r"\b(?:are you|(?:made|created|built|trained|developed) you)\b"
    r"|\byour (?:name|maker|creator|developer)\b"
    r"|\bare you (?:an? )?(?:AI|bot|chat|model|GPT|Gemini)",
    re.IGNORECASE,
)
_LATIN = "0-9A-Za-zÀ-ÖØ-öø-ɏ"
_SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|[\n।。！？]+")


def gives_itself_away(
    answer: str, question: str, spec: ModelSpec, catalog: Iterable[ModelSpec]
) -> str | None:
    """The name by which `answer`, written by `spec`, gives itself away; None if it does not."""
    answer, question = _plain(answer), _plain(question)
    for name in _longest_first(_names(spec)):
        found = re.search(_pattern(name), answer) if _is_unmistakable(name) else None
        if found and not re.search(_pattern(name), question):
            return found.group()
    names = {name for known in (*catalog, spec) for name in _names(known)}
    names.update(OTHER_NAMES, *PROVIDER_NAMES.values())
    any_name, of_itself = _searches(frozenset(names))
    if _ASKS_WHO.search(question) and (found := any_name.search(answer)):
        return found.group("name")
    sentences = _SENTENCE_END.split(answer)
    # A letter's last words stand on one line, and who signs it on the next.
    for sentence in (*sentences, " ".join(sentences[-2:])):
        if found := of_itself.search(sentence):
            return found.group("name") or found.group("first")
    return None


def _plain(text: str) -> str:
    """`text` with one kind of letters and hyphens, and without signs that nobody sees."""
    text = unicodedata.normalize("NFKC", text)
    text = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    return re.sub("[\u2010-\u2012]", "-", text)


def _names(spec: ModelSpec) -> set[str]:
    """What a model may call itself: family, family and version, whole names, and its makers'."""
    names = set(PROVIDER_NAMES[spec.provider])
    if not spec.is_language_model:
        return names
    for written in (spec.label, spec.model.rpartition("/")[2]):
        parts = re.split(r"[\s_-]+", written)
        if parts[0].casefold() in _NO_NAMES:
            continue
        # "Gemini 3.8 Flash": Gemini, Gemini 3.8, Gemini 3.8 Flash.
        names.update(" ".join(parts[:end]) for end in range(1, len(parts) + 1))
        names.add(parts[0].rstrip("0123456789."))
    # The services' own names are small letters, where prose has capitals: gpt, gemini, phi.
    return {name for name in names if len(name) > 2 and not (name.isalpha() and name.islower())}


def _is_unmistakable(name: str) -> bool:
    # SmolLM, SmolLM2, GPT 6 and llama 3.3 are no words of any language; Gemini, Luna and
    # gpt oss may be. A maker such as OpenAI is a thing to write about, not a signature.
    if name in {maker for makers in PROVIDER_NAMES.values() for maker in makers}:
        return False
    return bool(re.search(r"[a-z][A-Z]", name) or
                (re.search(r"[A-Za-z]", name) and re.search(r"\d", name)))


def _pattern(name: str) -> str:
    spelled = r"[\s._-]*".join(map(re.escape, name.split()))
    # Written small, meta and llama are words.
    case = "" if _is_unmistakable(name) or re.search(r"[a-z][A-Z]", name) else "-"
    # Chinese writes no spaces, and Turkish or Korean endings on names.
    return rf"(?{case}i:(?<![{_LATIN}]){spelled}(?![{_LATIN}]|\.\d))"


def _longest_first(names: Iterable[str]) -> list[str]:
    # An alternation takes the first that fits, and the whole name tells more than its start.
    return sorted(names, key=lambda name: (-len(name), name))


@functools.lru_cache(maxsize=8)
def _searches(names: frozenset[str]) -> tuple[re.Pattern[str], re.Pattern[str]]:
    alternatives = "|".join(map(_pattern, _longest_first(names)))
    of_itself = "|".join((*_OF_ITSELF, _OF_ITSELF_IN_OTHER_LANGUAGES))
    return (re.compile(f"(?P<name>{alternatives})"),
            re.compile(rf"(?i:{of_itself})[ :\"“*_`'‘]*(?P<name>{alternatives})"
                       rf"|(?P<first>{alternatives})(?i:{_AFTER_ITS_NAME})"))
