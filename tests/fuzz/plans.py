"""The plans that the runtime is tested and fuzzed with: NETWORKS is the list of those that are not from node tests."""

from __future__ import annotations

import hashlib
import re
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
import onnx

from edgeort.cache import alone
from edgeort.families import RUNTIME, families
from edgeort.lowering import layout
from edgeort.lowering.params import PARAMS
from edgeort.lowering.plan import PlanBuilder
from tests.fuzz import corpus
from tests.fuzz.compressed import compressed, compressed_batch
from tests.fuzz.lines import joined
from tests.fuzz.pictures import pictures
from tests.fuzz.quantised import dynamic, quantised_lines, quantised_network
from tests.fuzz.recurrent import recurrent, recurrent_batch, recurrent_integers
from tests.reference.build import ROOT

PLANS = ROOT / ".pytest_cache" / "plans"
ORDER = "order"  # a file: the plans' names
NETWORKS: tuple[Callable[[], onnx.ModelProto], ...] = (
    corpus.chain,
    corpus.transformer,
    corpus.network,
    corpus.rolling,
    corpus.winograd,
    corpus.sparse,
    dynamic,
    compressed,
    recurrent,
    recurrent_integers,
    quantised_network,
)
# Of one of them: inputs so large that the runtime goes other ways.
_LARGE: dict[str, Callable[[], list[np.ndarray]]] = {
    "compressed": compressed_batch,
    "quantised_network": quantised_lines,
    "recurrent": recurrent_batch,
    "recurrent_integers": recurrent_batch,
}
_DTYPES = (0, 1, 6)  # of the inputs of bare plans: float32, uint8, int64


def kernel_plans() -> list[Path]:
    """Small plans that together call every kernel that some node test of the ONNX project needs; to be read alone.

    They are made once for a state of the sources, whichever process of the tests or of the fuzzer comes first.
    """
    folder = PLANS / _state()
    PLANS.mkdir(parents=True, exist_ok=True)
    with alone(folder):
        if not folder.exists():
            with tempfile.TemporaryDirectory(dir=PLANS) as scratch:
                made = Path(scratch) / "plans"
                made.mkdir()
                (made / ORDER).write_text("\n".join(path.name for path in _made(made)))
                made.rename(folder)
    return [folder / name for name in (folder / ORDER).read_text().splitlines()]


def _state() -> str:
    """The hash of all that plans come from: the package, these tests, the libraries that read and clean models."""
    digest = hashlib.sha256("\0".join(map(version, ("numpy", "onnx", "onnx-ir", "onnxscript"))).encode())
    folders = (*(ROOT / part for part in ("edgeort", "quantize", "tests/onnx_node")), Path(__file__).parent)
    suffixes = {".py", ".txt", ".cc", ".h", ".inc"}
    for path in sorted(path for folder in folders for path in folder.rglob("*") if path.suffix in suffixes):
        digest.update(path.relative_to(ROOT).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _made(folder: Path) -> list[Path]:
    found = corpus.node_test_plans(folder)
    for make in NETWORKS:
        found.append(folder / f"{make.__name__}.plan")
        found[-1].write_bytes(corpus.lowered(make(), folder).to_bytes())
    corpus.write_inputs(folder / "transformer.plan", corpus.transformer_inputs())  # two of its free sizes are one
    for name, inputs in _LARGE.items():
        large = folder / f"{name}_large.plan"
        large.write_bytes((folder / f"{name}.plan").read_bytes())
        corpus.write_inputs(large, inputs())
        found.insert(0, large)
    for name, plan, given in (*pictures(), joined()):
        found.insert(0, folder / f"{name}.plan")
        found[0].write_bytes(plan.to_bytes())
        corpus.write_inputs(found[0], given)
    return found


def uncalled(plans: Sequence[Path]) -> list[str]:
    """The operators of the runtime that no plan calls."""
    content = b"".join(path.read_bytes() for path in plans)
    return [name for name in families() if b"\0" + name.encode() + b"\0" not in content]


def bare_plans(folder: Path, operators: Sequence[str]) -> None:
    """Plans of one node of these operators, its parameters zeros: a fuzzer finds from there what they take."""
    for operator in operators:
        size = _params_bytes(operator)
        for dtype in _DTYPES:
            for inputs in range(1, 5):
                plan = PlanBuilder()
                given = [plan.input(f"x{i}", dtype, (1, 3, 4, 4)[: 4 - i % 2]) for i in range(inputs)]
                plan.outputs.append(plan.activation("y", dtype))
                plan.node(operator, "n", given, plan.outputs, bytes(size))
                (folder / f"bare-{operator}-{layout.DTYPES[dtype][0]}-{inputs}.plan").write_bytes(plan.to_bytes())


def _params_bytes(operator: str) -> int:
    """The size of the struct that its OpDef names."""
    source = "".join(path.read_text() for path in sorted((RUNTIME / f"kernels/{families()[operator]}").glob("*.cc")))
    found = re.search(rf'k{operator} = {{\s*"\w+",\s*(?:sizeof\((\w+)\)|0)', source)
    assert found, operator
    return PARAMS[found[1]].size if found[1] else 0
