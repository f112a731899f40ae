"""What the transformers engine takes of a device, which transformers itself would take most of."""

import subprocess
import sys

import pytest

from tests.app import ROOT, clean_environment

TOKEN_BYTES = 30 * 3 * 64 * 2 * 2
"""Keys and values of one token of SmolLM2, two bytes each."""

ASKED = """
import sys
from types import SimpleNamespace
import torch
from llm.transformers_server import cache_for

device, window, free = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
torch.cuda.mem_get_info = lambda device: (free, 141_000_000_000)
config = SimpleNamespace(hidden_size=576, num_attention_heads=9, num_key_value_heads=3,
                         num_hidden_layers=30, max_position_embeddings=window)
config.get_text_config = lambda: config
found = cache_for(SimpleNamespace(device=torch.device(device), config=config), None)
print(found.num_blocks * found.page_size)
"""


def cache_bytes(device: str, *, window: int = 8192, free: float = 140e9) -> int:
    """For the keys and values. In a process of its own: PyTorch is not to be in this one."""
    asked = subprocess.run([sys.executable, "-c", ASKED, device, str(window), str(int(free))],
                           cwd=ROOT, env=clean_environment(), capture_output=True, text=True,
                           check=True)
    return int(asked.stdout) * TOKEN_BYTES


def test_on_a_processor_it_takes_less_than_a_gigabyte():
    assert 0.7e9 < cache_bytes("cpu") < 0.9e9


def test_on_a_large_gpu_it_takes_3_gigabytes_and_leaves_the_rest_to_others():
    assert 2.9e9 < cache_bytes("cuda") < 3.1e9


def test_on_a_small_gpu_it_takes_what_is_left():
    assert 1.5e9 < cache_bytes("cuda", free=2e9) < 1.65e9


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_one_whole_context_window_has_room_where_there_is_memory_for_it(device):
    needed = 1_000_000 * TOKEN_BYTES
    assert needed < cache_bytes(device, window=1_000_000) < needed + 20e6
