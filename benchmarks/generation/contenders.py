"""The engines, each as a decoder that reads tokens and says what follows the last."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np


class Contender(Protocol):
    """One sequence, which grows."""

    def append(self, tokens: list[int]) -> np.ndarray:
        """The logits behind the last token, float32 [vocabulary]."""

    def reset(self) -> None:
        """Forgets all tokens."""


class OnnxRuntime:
    """With IO binding: past and present share one memory (grouped), or change places in two."""

    def __init__(self, path: Path, threads: int, capacity: int) -> None:
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._ort, self._capacity = ort, capacity
        inputs = {value.name: value.shape for value in self._session.get_inputs()}
        self._grouped = "total" in inputs
        past = {name: shape for name, shape in inputs.items() if name.startswith("past")}
        self._heads, self._columns = next((shape[1], shape[3]) for shape in past.values())
        self._names = list(past)
        room = np.zeros((1, self._heads, capacity, self._columns), np.float32)
        self._memory = {name: [room.copy() for _ in range(1 if self._grouped else 2)] for name in past}
        self._length = 0

    def reset(self) -> None:
        """See Contender."""
        self._length = 0

    def _bind(self, binding: Any, name: str, array: np.ndarray, shape: list[int], output: bool) -> None:
        bind = binding.bind_output if output else binding.bind_input
        kind = np.float32 if array.dtype == np.float32 else array.dtype
        bind(name, "cpu", 0, kind, shape, array.ctypes.data)

    def append(self, tokens: list[int]) -> np.ndarray:
        """See Contender."""
        total = self._length + len(tokens)
        binding = self._session.io_binding()
        feeds = {"input_ids": np.array([tokens], np.int64)}
        if self._grouped:
            feeds |= {"seqlens_k": np.array([total - 1], np.int32), "total": np.array(total, np.int32)}
        for name, array in feeds.items():
            self._bind(binding, name, array, list(array.shape), False)
        for name in self._names:
            memory, present = self._memory[name], name.replace("past_key_values", "present")
            before, after = (self._capacity, self._capacity) if self._grouped else (self._length, total)
            self._bind(binding, name, memory[0], [1, self._heads, before, self._columns], False)
            self._bind(binding, present, memory[-1], [1, self._heads, after, self._columns], True)
            memory.reverse()
        binding.bind_output("logits", "cpu")
        self._session.run_with_iobinding(binding)
        self._length = total
        return binding.get_outputs()[-1].numpy().reshape(-1)  # in the order in which they were bound


class PyTorch:
    """transformers' own network and cache."""

    def __init__(self, threads: int, int8: bool) -> None:
        import torch

        from examples.chatbot.network import random_network

        torch.set_num_threads(threads)
        self._torch, self._network = torch, random_network().module
        if int8:
            self._network = torch.ao.quantization.quantize_dynamic(self._network, {torch.nn.Linear}, torch.qint8)
        self._cache: Any = None

    def reset(self) -> None:
        """See Contender."""
        self._cache = None

    def append(self, tokens: list[int]) -> np.ndarray:
        """See Contender."""
        with self._torch.inference_mode():
            ids = self._torch.tensor([tokens])
            out = self._network(input_ids=ids, past_key_values=self._cache, use_cache=True, logits_to_keep=1)
        self._cache = out.past_key_values
        return out.logits[0, -1].numpy()


class Edgeort:
    """edgeort.generation."""

    def __init__(self, path: Path, threads: int, capacity: int) -> None:
        from edgeort.generation import Decoder

        self._decoder = Decoder(path, capacity, threads)

    def reset(self) -> None:
        """See Contender."""
        self._decoder.reset()

    def append(self, tokens: list[int]) -> np.ndarray:
        """See Contender."""
        return self._decoder.append(tokens)


class Reader:
    """No decoder: a loop that reads as much memory as a token of int8 weights, on all threads."""

    def __init__(self, path: Path, threads: int) -> None:
        from concurrent.futures import ThreadPoolExecutor

        from benchmarks import tables
        from benchmarks.compiled import shared_library
        from edgeort import toolchain
        from edgeort.targets import levels_without

        level = levels_without(tables.machine()["isa"])[-1]
        source = Path(__file__).parents[1] / "loops.cc"
        library = ctypes.CDLL(str(shared_library(source, "-std=c++17", "-O3", f"-mcpu={toolchain.LEVELS[level]}")))
        self._loop = library.edgeort_read
        self._loop.restype, self._loop.argtypes = ctypes.c_float, (ctypes.c_void_p, ctypes.c_long)
        self._bytes, self._threads, self._pool = int(path.read_text()), threads, ThreadPoolExecutor(threads)
        self._memory = np.ones(self._bytes + 64, np.uint8)

    def reset(self) -> None:
        """See Contender."""

    def append(self, tokens: list[int]) -> np.ndarray:
        """Reads all of it once."""
        first, share = self._memory.ctypes.data + 63 & ~63, self._bytes // self._threads & ~63
        if self._threads == 1:
            self._loop(first, share)
        else:
            list(self._pool.map(lambda i: self._loop(first + i * share, share), range(self._threads)))
        return np.zeros(1, np.float32)


Opener = Callable[[Path, int, int], Contender]

# Name -> the file of its model in the folder, and what opens it.
CONTENDERS: dict[str, tuple[str, Opener]] = {
    "edgeort float32": ("plain-float32.onnx", Edgeort),
    "edgeort int8": ("plain-int8.onnx", Edgeort),
    "edgeort int8 blocks": ("plain-int8-blocks.onnx", Edgeort),
    "edgeort int4 blocks": ("plain-int4.onnx", Edgeort),
    "ONNX Runtime float32": ("grouped-float32.onnx", OnnxRuntime),
    "ONNX Runtime float32, past and present apart": ("plain-float32.onnx", OnnxRuntime),
    "ONNX Runtime int8 blocks": ("grouped-int8-blocks.onnx", OnnxRuntime),
    "ONNX Runtime dynamic int8": ("grouped-dynamic.onnx", OnnxRuntime),
    "ONNX Runtime int4 blocks": ("grouped-int4.onnx", OnnxRuntime),
    "PyTorch float32": ("", lambda _path, threads, _capacity: PyTorch(threads, int8=False)),
    "PyTorch dynamic int8": ("", lambda _path, threads, _capacity: PyTorch(threads, int8=True)),
    "reading": ("bytes.txt", lambda path, threads, _capacity: Reader(path, threads)),
}
