"""Who quantises: edgeort with some settings, and what a user would take instead. All start from the same clean model.

A contender is a function (model, samples, file to write); one that does not suit the case says so by NotForThis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import onnx

from benchmarks.accuracy.cases import Case, Sample
from edgeort.quantize import Budget, Options, quantize
from edgeort.quantize.preparing import prepare

Contender = Callable[[Case, Sequence[Sample], Path], None]


class NotForThis(Exception):
    """The contender says nothing about the case."""


def _edgeort(options: Options, case: Case, samples: Sequence[Sample], out: Path) -> None:
    quantize(case.model(), out, samples, options)


def _own(case: Case, samples: Sequence[Sample], out: Path) -> None:
    if case.transformer:
        raise NotForThis
    _edgeort(Options(runtime="edgeort"), case, samples, out)


def _few(case: Case, samples: Sequence[Sample], out: Path) -> None:
    _edgeort(Options(samples=20), case, samples, out)


def _budget(case: Case, samples: Sequence[Sample], out: Path) -> None:
    if case.agreement is None:
        raise NotForThis
    _edgeort(Options(budget=Budget(agreement=case.agreement)), case, samples, out)


def _onnxruntime(case: Case, samples: Sequence[Sample], out: Path, *, only_products: bool) -> None:
    from onnxruntime.quantization import CalibrationDataReader, quantize_static

    class Reader(CalibrationDataReader):
        def __init__(self) -> None:
            self.stream = iter(samples)

        def get_next(self) -> Sample | None:
            return next(self.stream, None)

    kinds = ["Conv", "Gemm", "MatMul"] if only_products else None
    quantize_static(_clean(case, out), out, Reader(), per_channel=True, op_types_to_quantize=kinds)


def _onnxruntime_dynamic(case: Case, samples: Sequence[Sample], out: Path) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(_clean(case, out), out, per_channel=True, weight_type=QuantType.QInt8)


def _nncf(case: Case, samples: Sequence[Sample], out: Path) -> None:
    import nncf

    kind = nncf.ModelType.TRANSFORMER if case.transformer else None
    model = onnx.load(_clean(case, out))
    onnx.save(nncf.quantize(model, nncf.Dataset(samples), subset_size=len(samples), model_type=kind), out)


def _clean(case: Case, out: Path) -> Path:
    """The model as edgeort's quantiser works on it: opset 13 or newer, batch norms folded."""
    path = out.with_suffix(".float.onnx")
    path.write_bytes(prepare(case.model()).serialized)
    return path


UNFUSED = ("edgeort, for its own runtime",)  # ONNX Runtime can judge it, but not fuse it
CONTENDERS: dict[str, Contender] = {
    "edgeort": partial(_edgeort, Options()),
    "edgeort, for its own runtime": _own,
    "edgeort, 20 samples": _few,
    "edgeort, budget 99.5 % agreement": _budget,
    "ONNX Runtime static": partial(_onnxruntime, only_products=False),
    "ONNX Runtime static, Conv Gemm MatMul": partial(_onnxruntime, only_products=True),
    "ONNX Runtime dynamic": _onnxruntime_dynamic,
    "NNCF": _nncf,
}
