"""BlockQGemm: MatMulNBits of accuracy level 4, bit for bit as NUMERICS.md says, and close to ONNX Runtime's."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from edgeort import toolchain
from tests.contract.engines import HOST, THREADS, int8_levels
from tests.contract.test_emulated import ARM, bench, qemu
from tests.kernels.qgemm.support import CORES
from tests.kernels.support import LEVELS, open_plan, plan_of, reference, same_bits
from tests.kernels.test_compressed import nbits_of
from tests.reference import library

SHAPES = [(1, 1, 16), (64, 33, 16), (100, 17, 32), (32, 130, 64), (300, 48, 128), (520, 20, 256)]  # k, columns, block


def level4(k: int, n: int, bits: int, block: int, zeros: str, tail: str = "Relu") -> tuple[onnx.ModelProto, np.ndarray]:
    """The model of nbits_of with accuracy level 4 and `tail`; integers less their zero points [block, row, n]."""
    model, weight, _ = nbits_of(k, n, bits, block, zeros)
    model.graph.node[0].attribute.append(helper.make_attribute("accuracy_level", 4))
    model.graph.node[1].op_type = tail
    blocks = -(-k // block)
    scale = arrays_of(model)["s"].T
    whole = np.zeros((blocks * block, n), np.float32)
    whole[:k] = np.rint(weight / scale[np.arange(k) // block])
    return model, whole.reshape(blocks, block, n)


def arrays_of(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    return {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}


def product(x: np.ndarray, integers: np.ndarray, scale: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """The definition, of x [m, k] by integers [block, row, n] and scale [block, n]; the sums of a block are exact."""
    f = np.float32
    blocks, block, n = integers.shape
    rows = np.zeros((len(x), blocks * block), f)
    rows[:, : x.shape[1]] = x
    rows = rows.reshape(len(x), blocks, block)
    step = np.maximum(np.fmax.reduce(np.abs(rows), axis=2) / f(127), np.finfo(f).tiny)
    with np.errstate(invalid="ignore"):
        q = np.rint(rows * (f(1) / step)[:, :, None])
    q = np.where(np.isnan(q), f(-127), np.clip(q, f(-127), f(127)))
    dots = np.einsum("mbk,bkn->mbn", q.astype(np.float64), integers.astype(np.float64)).astype(f)
    factors = step[:, :, None] * scale
    y = np.empty((len(x), n), f)
    for m in range(len(x)):
        for c in range(n):  # the sum over blocks is that of a product
            column = np.ascontiguousarray(factors[m, :, c])[:, None]
            y[m, c] = library().gemm(np.ascontiguousarray(dots[m, :, c])[None], column)[0, 0] + bias[c]
    return y


def some_rows(m: int, k: int) -> np.ndarray:
    """Of many sizes, with zeros, and with numbers too small for a step."""
    rng = np.random.default_rng(m + k)
    x = rng.standard_normal((m, k)) * rng.uniform(1e-3, 1e3, (m, 1)) * np.exp(rng.standard_normal((m, k)))
    x[::3, : k // 2] = 0
    x[1::4] *= 1e-41
    return x.astype(np.float32)


@pytest.mark.parametrize(("bits", "zeros"), [(4, ""), (4, "integers"), (8, ""), (8, "integers")])
def test_against_the_definition(bits: int, zeros: str, tmp_path: Path) -> None:
    for k, n, block in SHAPES:
        model, integers = level4(k, n, bits, block, zeros)
        plan = plan_of(model)
        assert [node.op for node in plan.nodes] == ["BlockQGemm"]
        assert plan.precision(plan.nodes[0]) == "int8" and plan.weights(plan.nodes[0])[0].endswith(f"int{bits}")
        arrays = arrays_of(model)
        for level in int8_levels():
            for threads in THREADS:
                engine = open_plan(plan, tmp_path, threads=threads, isa=level)
                for m in (1, 2, 5, 13):
                    x = some_rows(m, k)
                    want = np.maximum(product(x, integers, arrays["s"].T, arrays["b"]), 0)
                    assert same_bits(engine.run([x])[0], want), (level, threads, k, n, block, m)


@pytest.mark.parametrize("bits", [4, 8])
def test_as_onnxruntime_does(bits: int, tmp_path: Path) -> None:
    for k, n, block in ((256, 64, 32), (100, 48, 16)):
        model, _ = level4(k, n, bits, block, "", "Identity")
        x = np.random.default_rng(k).standard_normal((6, k)).astype(np.float32)
        want = reference(model, [x])[0]
        got = open_plan(plan_of(model), tmp_path).run([x])[0]
        assert ((got - want) ** 2).sum() < 1e-5 * (want**2).sum()


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan])
def test_other_rows_do_not_see_what_is_not_finite(number: float, tmp_path: Path) -> None:
    model, integers = level4(100, 17, 4, 32, "")
    arrays, x = arrays_of(model), some_rows(5, 100)
    x[2, 40] = number
    want = np.maximum(product(x, integers, arrays["s"].T, arrays["b"]), 0)
    for level in int8_levels():
        got = open_plan(plan_of(model), tmp_path, isa=level).run([x])[0]
        assert same_bits(np.delete(got, 2, axis=0), np.delete(want, 2, axis=0)), level


@pytest.mark.parametrize("zeros", ["numbers", "order"])
def test_weights_of_other_forms_are_float32(zeros: str) -> None:
    model, _, _ = nbits_of(100, 17, 4, 32, zeros)
    model.graph.node[0].attribute.append(helper.make_attribute("accuracy_level", 4))
    assert [node.op for node in plan_of(model).nodes] == ["Gemm"]


@pytest.mark.parametrize("block", [8, 24, 40])
def test_blocks_that_vectors_do_not_divide_are_float32(block: int, tmp_path: Path) -> None:
    """On AVX-512 the bytes of a block of 8 rows were written with eight more, over the scales of the first row."""
    model, integers = level4(120, 33, 8, block, "")
    arrays, x = arrays_of(model), np.random.default_rng(block).standard_normal((64, 120)).astype(np.float32)
    plan = plan_of(model)
    assert [node.op for node in plan.nodes] == ["CompressedGemm"]
    weight = (integers * arrays["s"].T[:, None]).reshape(120, 33)
    want = np.maximum(x.astype(np.float64) @ weight + arrays["b"], 0)
    for level in LEVELS:
        np.testing.assert_allclose(open_plan(plan, tmp_path, isa=level).run([x])[0], want, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize(("bits", "zeros"), [(4, ""), (4, "integers"), (8, ""), (8, "integers")])
def test_emulated(bits: int, zeros: str, tmp_path: Path) -> None:
    for k, n, block in ((100, 27, 16), (128, 40, 64)):
        plan = plan_of(level4(k, n, bits, block, zeros)[0])
        path = tmp_path / "model.plan"
        path.write_bytes(plan.to_bytes())
        commands = [[toolchain.harness(HOST, plan.ops)]]
        commands += [[qemu(), "-cpu", core, toolchain.harness(ARM, plan.ops)] for core in CORES]
        for rows in (1, 7):
            found = {
                str(c[:-1]): bench(c, path, "--shape", f"x={rows}x{k}", threads=threads)
                for c in commands
                for threads in (1, 2)
            }
            assert len(set(found.values())) == 1, found
