"""The built-in model in float32 on PyTorch: its likeliest answers, and what it thinks of others'.

    python -m benchmarks.reference FOLDER

Takes a JSON object a line and answers each with a list, an item for each prompt:
{"prompts", "max_tokens"} with its own answers; {"prompts", "answers"} with, for each
answer, its tokens and the sum of their log-likelihoods.
"""

from __future__ import annotations

import json
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

BATCH = 20


class Reference:
    def __init__(self, folder: str):
        self.tokenizer = AutoTokenizer.from_pretrained(folder, padding_side="left")
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)

    def chats(self, prompts: list[str]) -> list[str]:
        return [self.tokenizer.apply_chat_template(
            [{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
            for prompt in prompts]

    def answers(self, prompts: list[str], max_tokens: int) -> list[str]:
        found = []
        for start in range(0, len(prompts), BATCH):
            asked = self.tokenizer(self.chats(prompts[start:start + BATCH]), return_tensors="pt",
                                   padding=True)
            written = self.model.generate(**asked, max_new_tokens=max_tokens, do_sample=False)
            found += self.tokenizer.batch_decode(written[:, asked["input_ids"].shape[1]:],
                                                 skip_special_tokens=True)
        return found

    def likelihoods(self, prompts: list[str], answers: list[str]) -> list[tuple[list[int], float]]:
        return [self._likelihood(chat, answer)
                for chat, answer in zip(self.chats(prompts), answers, strict=True)]

    def _likelihood(self, chat: str, answer: str) -> tuple[list[int], float]:
        before, tokens = self.tokenizer.encode(chat), self.tokenizer.encode(answer)
        if not tokens:
            return [], 0.0
        with torch.inference_mode():
            logits = self.model(torch.tensor([before + tokens])).logits[0, len(before) - 1:-1]
        chances = logits.log_softmax(-1)
        return tokens, float(chances.gather(1, torch.tensor(tokens)[:, None]).sum())


def main() -> None:
    reference = Reference(sys.argv[1])
    for line in sys.stdin:
        asked = json.loads(line)
        told = reference.likelihoods(**asked) if "answers" in asked else reference.answers(**asked)
        print(json.dumps(told), flush=True)


if __name__ == "__main__":
    main()
