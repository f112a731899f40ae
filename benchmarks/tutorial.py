"""The weights in a Python process, as tutorials run them: HuggingFacePipeline and ChatHuggingFace.

    python -m benchmarks.tutorial FOLDER

Takes a JSON object a line (messages, max_tokens) and answers each with one: first and
total (seconds), tokens, prompt_tokens, text. It answers one after another, as the class does.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from langchain_huggingface import ChatHuggingFace, HuggingFacePipeline


def answer(model: ChatHuggingFace, asked: dict[str, Any]) -> dict[str, Any]:
    messages = [(message["role"], message["content"]) for message in asked["messages"]]
    started = time.perf_counter()
    first, text = None, ""
    for chunk in model.stream(messages, pipeline_kwargs={"max_new_tokens": asked["max_tokens"],
                                                         "do_sample": False}):
        if chunk.text and first is None:
            first = time.perf_counter() - started
        text += chunk.text
    total = time.perf_counter() - started
    count = model.tokenizer.encode
    prompt = model.tokenizer.apply_chat_template(asked["messages"], tokenize=False,
                                                 add_generation_prompt=True)
    return {"first": first, "total": total, "tokens": len(count(text)),
            "prompt_tokens": len(count(prompt)), "text": text}


def main() -> None:
    pipeline = HuggingFacePipeline.from_model_id(model_id=sys.argv[1], task="text-generation")
    model = ChatHuggingFace(llm=pipeline)
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(model, json.loads(line))), flush=True)


if __name__ == "__main__":
    main()
