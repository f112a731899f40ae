"""Tiny checkpoints with random weights: of the shape of real ones, and of no use to talk to.

    python tests/checkpoints.py idefics3 FOLDER

Text checkpoints and GGUF files are written here and now. The one that sees needs
transformers to lay it out, and so a process of its own: `write_vision_checkpoint`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n"
    "{% if message['content'] is string %}{{ message['content'] }}{% else %}"
    "{% for part in message['content'] %}{% if part['type'] == 'image' %}<image>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]


def write_text_checkpoint(folder: Path, *, architecture: str = "LlamaForCausalLM",
                          model_type: str = "llama", shards: int = 1) -> Path:
    """A llama of 2 layers and 32 dimensions over bytes, with tokenizer and chat template."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    vocabulary = _write_tokenizer(folder)
    width, hidden, layers = 32, 64, 2
    (folder / "config.json").write_text(json.dumps({
        "architectures": [architecture], "model_type": model_type, "vocab_size": vocabulary,
        "hidden_size": width, "intermediate_size": hidden, "num_hidden_layers": layers,
        "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 512,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": True,
        "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 2}))
    random = np.random.default_rng(seed=0)
    shapes = {"model.embed_tokens": (vocabulary, width), "model.norm": (width,)}
    for layer in range(layers):
        shapes |= {f"model.layers.{layer}.{name}": shape for name, shape in {
            "input_layernorm": (width,), "post_attention_layernorm": (width,),
            "self_attn.q_proj": (width, width), "self_attn.k_proj": (width // 2, width),
            "self_attn.v_proj": (width // 2, width), "self_attn.o_proj": (width, width),
            "mlp.gate_proj": (hidden, width), "mlp.up_proj": (hidden, width),
            "mlp.down_proj": (width, hidden)}.items()}
    tensors = {f"{name}.weight": random.standard_normal(shape, dtype=np.float32)
               for name, shape in shapes.items()}
    names = sorted(tensors)
    if shards == 1:
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
        return folder
    index: dict[str, str] = {}
    for number in range(shards):
        file = f"model-{number + 1:05d}-of-{shards:05d}.safetensors"
        mine = names[number::shards]
        save_file({name: tensors[name] for name in mine}, folder / file, {"format": "pt"})
        index |= dict.fromkeys(mine, file)
    (folder / "model.safetensors.index.json").write_text(json.dumps(
        {"metadata": {}, "weight_map": index}))
    return folder


def write_vision_checkpoint(folder: Path) -> Path:
    """An idefics3, the family of SmolVLM, with its Pillow processor. Takes some seconds."""
    subprocess.run([sys.executable, __file__, "idefics3", str(folder)], check=True,
                   capture_output=True)
    return folder


def write_strange_gguf(path: Path) -> Path:
    """A whole GGUF file of an architecture that no engine knows."""
    from gguf import GGUFWriter

    path.parent.mkdir(parents=True, exist_ok=True)
    writer = GGUFWriter(path, arch="martian")
    writer.add_tensor("token_embd.weight", np.zeros((64, 32), dtype=np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _write_tokenizer(folder: Path, more: tuple[str, ...] = ()) -> int:
    """A tokenizer of single bytes. Returns the size of its vocabulary."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    special = [*SPECIAL, *more]
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    vocabulary = {token: number for number, token in enumerate([*special, *alphabet])}
    tokenizer = Tokenizer(models.BPE(vocab=vocabulary, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({
        "tokenizer_class": "PreTrainedTokenizerFast", "bos_token": SPECIAL[1],
        "eos_token": SPECIAL[2], "pad_token": SPECIAL[2], "unk_token": SPECIAL[0],
        "chat_template": CHAT_TEMPLATE, "clean_up_tokenization_spaces": False}))
    return tokenizer.get_vocab_size()


def _write_idefics3(folder: Path) -> None:
    import torch
    from transformers import (
        Idefics3Config,
        Idefics3ForConditionalGeneration,
        Idefics3ImageProcessorPil,
        Idefics3Processor,
        PreTrainedTokenizerFast,
    )

    folder.mkdir(parents=True, exist_ok=True)
    tiles = tuple(f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7))
    vocabulary = _write_tokenizer(folder, (
        "<image>", "<fake_token_around_image>", "<end_of_utterance>", "<global-img>", *tiles))
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    processor = Idefics3Processor(
        Idefics3ImageProcessorPil(
            size={"longest_edge": 64}, max_image_size={"longest_edge": 64}),
        tokenizer, image_seq_len=4, chat_template=CHAT_TEMPLATE)
    config = Idefics3Config(
        vision_config={"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
                       "num_attention_heads": 2, "image_size": 64, "patch_size": 8},
        text_config={"model_type": "llama", "vocab_size": vocabulary, "hidden_size": 32,
                     "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2,
                     "num_key_value_heads": 1, "max_position_embeddings": 2048,
                     "pad_token_id": 2, "bos_token_id": 1, "eos_token_id": 2},
        scale_factor=4, image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        pad_token_id=2)
    torch.manual_seed(0)
    model = Idefics3ForConditionalGeneration(config)
    model.save_pretrained(folder)
    processor.save_pretrained(folder)


if __name__ == "__main__":
    _write_idefics3(Path(sys.argv[2]))
