"""Runs a saved .mlpackage off macOS: its MIL program, read back from the files, operation by operation in NumPy.

Each operation computes in float32 and rounds its result to the type that the program declares, so that float16 is
rounded where Core ML would at the latest. What Apple's kernels do inside an operation is not imitated.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from coremltools import proto
from coremltools.converters.mil.frontend.milproto.load import load
from coremltools.converters.mil.mil import types

from edgeort.converters.coreml.packages import quiet
from tests.converters.coreml.operations import OPERATIONS

_DATA = "Data/com.apple.CoreML"


class Program:
    """The main function of a package."""

    def __init__(self, package: Path) -> None:
        self.specification = proto.Model_pb2.Model()
        self.specification.ParseFromString((package / _DATA / "model.mlmodel").read_bytes())
        with quiet():
            program = load(
                self.specification,
                self.specification.specificationVersion,
                file_weights_dir=str(package / _DATA / "weights"),
            )
        self.function = program.functions["main"]

    def operations(self) -> list[str]:
        """The types of all operations but constants."""
        return [op.op_type for op in self.function.operations if op.op_type != "const"]

    def run(self, feeds: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Outputs by name, for inputs by name."""
        values: dict[Any, Any] = {}
        for name, var in self.function.inputs.items():
            values[var] = np.asarray(feeds[name], types.nptype_from_builtin(var.dtype))
        with torch.no_grad():
            for op in self.function.operations:
                self._step(op, values)
        return {var.name: values[var] for var in self.function.outputs}

    def _step(self, op: Any, values: dict[Any, Any]) -> None:
        if op.op_type == "const":
            values[op.outputs[0]] = op.outputs[0].val
            return
        if op.op_type.startswith("constexpr_"):
            results = op.materialized_val_inference()
        else:
            results = OPERATIONS[op.op_type](**self._arguments(op, values))
        results = results if isinstance(results, (list, tuple)) else [results]
        for var, result in zip(op.outputs, results, strict=True):
            array = np.asarray(result)
            assert array.ndim == var.rank, f"{op.op_type} {var.name}: {array.shape} is not {var.shape}"
            for size, declared in zip(array.shape, var.shape, strict=True):
                assert not isinstance(declared, (int, np.integer)) or size == declared, (
                    f"{op.op_type} {var.name}: {array.shape} is not {var.shape}"
                )
            values[var] = array.astype(types.nptype_from_builtin(var.dtype), copy=False)

    def _arguments(self, op: Any, values: dict[Any, Any]) -> dict[str, Any]:
        found = {}
        for name, var in op.inputs.items():
            if var is None or name.startswith("_"):
                continue
            if isinstance(var, (list, tuple)):
                found[name] = [wide(values[one]) for one in var]
            else:
                found[name] = wide(values[var])
        return found


def wide(value: Any) -> Any:
    """float16 as float32."""
    return value.astype(np.float32) if getattr(value, "dtype", None) == np.float16 else value
