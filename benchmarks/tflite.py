"""Converts models to .tflite for the LiteRT column of benchmarks.peers, in an environment of its own.

    python -m benchmarks.tflite DIR [MODEL...] [--int8]

ONNX -> PyTorch by onnx2torch, PyTorch -> LiteRT by litert-torch, which pins other versions than edgeort's: hence the
environment (BENCHMARKS.md has its commands). --int8 writes MODEL.int8.tflite as well: int8 weights and activations by
ai-edge-quantizer, on random inputs. A model that a converter refuses is one line, and has no file.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.models import MODELS, Model, find, samples
from edgeort import model as models

_OPSET = 17  # the newest that onnx2torch knows


def convert(model: Model, path: Path) -> None:
    """Writes the model with float32 weights and fixed shapes, its image inputs and outputs laid out as in ONNX."""
    import litert_torch  # type: ignore[import-not-found]
    import onnx2torch  # type: ignore[import-not-found]
    import onnx_ir as ir
    import torch
    from onnx import version_converter

    shapes = {name: array.shape for name, array in model.feeds.items()}
    graph = models.clean(models.load(model.path, shapes=shapes))  # onnx2torch wants constants as initializers
    for node in graph.graph:
        if node.op_type == "Reshape":
            node.attributes.pop("allowzero", None)  # onnx2torch refuses it; no tensor here is empty
    proto = ir.to_proto(graph)
    if graph.opset_imports[""] > _OPSET:
        proto = version_converter.convert_version(proto, _OPSET)
    module = onnx2torch.convert(proto).eval()
    _fix_shapes(module)
    example = tuple(torch.from_numpy(array) for array in model.feeds.values())
    litert_torch.convert(module, example).export(str(path))


def quantise(model: Model, path: Path) -> Path:
    """Writes the .tflite model `path` with int8 weights and activations beside it; returns where."""
    from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
    from ai_edge_quantizer import quantizer, recipe  # type: ignore[import-not-found]

    made = quantizer.Quantizer(str(path))
    made.load_quantization_recipe(recipe.static_wi8_ai8())
    interpreter = Interpreter(model_path=str(path))
    ((signature, about),) = interpreter.get_signature_list().items()
    types = [detail["dtype"] for detail in interpreter.get_input_details()]
    data = [
        {name: array.astype(kind) for name, array, kind in zip(about["inputs"], sample.values(), types, strict=True)}
        for sample in samples(model.name)
    ]
    quantised = path.with_suffix(".int8.tflite")
    made.quantize(made.calibrate({signature: data})).export_model(str(quantised), overwrite=True)
    return quantised


def _fix_shapes(module: Any) -> None:
    """Makes Reshape nodes whose shape is an initializer reshape to numbers, as torch.export needs it."""
    import torch

    for node in list(module.graph.nodes):
        if node.op != "call_module" or type(module.get_submodule(node.target)).__name__ != "OnnxReshape":
            continue
        source = node.args[1]
        if source.op != "get_attr":
            continue
        holder, _, name = source.target.rpartition(".")
        dims = getattr(module.get_submodule(holder), name).tolist()
        if 0 not in dims:
            with module.graph.inserting_after(node):
                fixed = module.graph.call_function(torch.reshape, (node.args[0], tuple(dims)))
            node.replace_all_uses_with(fixed)
            module.graph.erase_node(node)
    module.recompile()


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 1 when nothing could be converted."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.tflite", description=__doc__)
    made.add_argument("folder", type=Path, metavar="DIR")
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"of {', '.join(MODELS)}; default: all")
    made.add_argument("--int8", action="store_true", help="MODEL.int8.tflite as well")
    args = made.parse_args(arguments)
    args.folder.mkdir(parents=True, exist_ok=True)
    written = 0
    for name in args.models or MODELS:
        path = args.folder / f"{name}.tflite"
        try:
            with contextlib.redirect_stdout(sys.stderr):  # the converter's progress
                convert(find(name), path)
                paths = [path, *([quantise(find(name), path)] if args.int8 else [])]
        except Exception as error:  # the converters raise anything for what they do not know
            print(f"{name}: {type(error).__name__}: {(str(error).strip().splitlines() or [''])[0][:160]}")
            continue
        written += 1
        print(f"{name}: {', '.join(str(path.stat().st_size) for path in paths)} bytes", flush=True)
    return 0 if written else 1


if __name__ == "__main__":
    sys.exit(main())
