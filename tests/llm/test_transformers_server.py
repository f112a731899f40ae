"""What the transformers engine takes of a device, which transformers itself would take most of."""

from types import SimpleNamespace

import pytest
import torch

from llm.transformers_server import cache_for

SMOLLM2 = {"hidden_size": 576, "num_attention_heads": 9, "num_key_value_heads": 3,
           "num_hidden_layers": 30, "max_position_embeddings": 8192}
TOKEN_BYTES = 30 * 3 * 64 * 2 * 2
"""Keys and values of one token, two bytes each."""


def model(device: str, **more: int) -> SimpleNamespace:
    config = SimpleNamespace(**SMOLLM2 | more)
    config.get_text_config = lambda: config
    return SimpleNamespace(device=torch.device(device), config=config)


def cache_bytes(device: str, **more: int) -> int:
    config = cache_for(model(device, **more), None)
    return config.num_blocks * config.page_size * TOKEN_BYTES


@pytest.fixture
def free(monkeypatch):
    """Sets the bytes that are free on the GPU."""
    def set_free(number: float) -> None:
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (int(number), 141e9))
    return set_free


def test_on_a_processor_it_takes_less_than_a_gigabyte():
    assert 0.7e9 < cache_bytes("cpu") < 0.9e9


def test_on_a_large_gpu_it_takes_3_gigabytes_and_leaves_the_rest_to_others(free):
    free(140e9)
    assert 2.9e9 < cache_bytes("cuda") < 3.1e9


def test_on_a_small_gpu_it_takes_what_is_left(free):
    free(2e9)
    assert 1.5e9 < cache_bytes("cuda") < 1.65e9


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_whole_context_window_has_room_where_there_is_memory_for_it(free, device):
    free(140e9)
    needed = 1_000_000 * TOKEN_BYTES
    assert needed < cache_bytes(device, max_position_embeddings=1_000_000) < needed + 20e6
