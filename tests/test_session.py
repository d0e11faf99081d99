"""InferenceSession: the interface of ONNX Runtime's, the cache, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnx
import onnx.parser
import onnxruntime
import pytest
from onnx import helper

import edgeort
from edgeort import toolchain
from edgeort.engine import MAX_THREADS
from edgeort.errors import InputError, ModelError, UnsupportedError
from tests.models import mlp, model

X = np.linspace(-1, 1, 24, dtype=np.float32).reshape(3, 8)


@pytest.fixture(scope="module")
def session() -> edgeort.InferenceSession:
    return edgeort.InferenceSession(mlp(), threads=1)


def reference(proto: onnx.ModelProto, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    return onnxruntime.InferenceSession(proto.SerializeToString()).run(None, feeds)


def test_describes_inputs_and_outputs_as_onnx_runtime_does(session: edgeort.InferenceSession):
    ours = [(v.name, v.type, v.shape) for v in (*session.get_inputs(), *session.get_outputs())]
    other = onnxruntime.InferenceSession(mlp().SerializeToString())
    assert ours == [(v.name, v.type, v.shape) for v in (*other.get_inputs(), *other.get_outputs())]


@pytest.mark.parametrize("rows", [1, 3, 50])
def test_gives_what_onnx_runtime_gives(session: edgeort.InferenceSession, rows: int):
    x = np.random.default_rng(rows).standard_normal((rows, 8)).astype(np.float32)
    (y,) = session.run(None, {"x": x})
    np.testing.assert_allclose(y, reference(mlp(), {"x": x})[0], rtol=1e-5, atol=1e-5)


def test_opens_a_path_bytes_and_a_proto_alike(session: edgeort.InferenceSession, tmp_path: Path):
    path = tmp_path / "m.onnx"
    onnx.save(mlp(), path)
    for source in (path, str(path), mlp().SerializeToString()):
        (y,) = edgeort.InferenceSession(source).run(["y"], {"x": X})
        assert y.tobytes() == session.run(None, {"x": X})[0].tobytes()


def test_strided_input_is_read_as_it_looks(session: edgeort.InferenceSession):
    wide = np.repeat(X, 2, axis=1)
    assert session.run(None, {"x": wide[:, ::2]})[0].tobytes() == session.run(None, {"x": X})[0].tobytes()


def test_the_same_memory_with_another_shape_and_memory_that_may_not_be_written(session: edgeort.InferenceSession):
    """What a run was told of an input is not told again: only where it is the same."""
    memory = np.linspace(-1, 1, 24, dtype=np.float32)
    for rows in (1, 3, 2, 3):
        x = memory[: rows * 8].reshape(rows, 8)
        x += 1
        x.flags.writeable = rows != 2
        (got,) = session.run(None, {"x": x})
        np.testing.assert_allclose(got, reference(mlp(), {"x": x})[0], rtol=1e-5, atol=1e-5)


def test_later_runs_leave_results_alone(session: edgeort.InferenceSession):
    x = np.ones((2, 8), np.float32)
    (first,) = session.run(None, {"x": x})
    kept = first.copy()
    first[:] = 7  # nor do they read them
    (second,) = session.run(None, {"x": x})
    (third,) = session.run(None, {"x": -x})
    np.testing.assert_array_equal(second, kept)
    assert not np.array_equal(third, kept) and (first == 7).all()


def test_outputs_come_in_the_order_asked():
    nodes = [helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Neg", ["x"], ["b"])]
    two = edgeort.InferenceSession(model(nodes, [("x", [4])], [("a", [4]), ("b", [4])]))
    x = np.array([-1, 2, -3, 4], np.float32)
    b, a = two.run(["b", "a"], {"x": x})
    assert (b == -x).all() and (a == np.maximum(x, 0)).all()


@pytest.mark.parametrize(
    ("feeds", "words"),
    [
        ({}, "'x' is missing; the inputs are x: float32 [N, 8]"),
        ({"x": X, "z": X}, "no input 'z'"),
        ({"x": X.astype(np.float64)}, "must be float32, not float64"),
        ({"x": X[:, :3]}, "given the shape [3, 3]"),
        ({"x": X[0]}, "given the shape [8]"),
    ],
)
def test_refuses_feeds_that_do_not_fit(session: edgeort.InferenceSession, feeds: dict, words: str):
    with pytest.raises(InputError) as caught:
        session.run(None, feeds)
    assert words in str(caught.value)


def test_refuses_an_unknown_output(session: edgeort.InferenceSession):
    with pytest.raises(InputError, match="no output 'q'"):
        session.run(["q"], {"x": X})


def test_refuses_what_is_no_model(tmp_path: Path):
    (tmp_path / "m.onnx").write_bytes(b"not a model")
    with pytest.raises(ModelError, match="not an ONNX file"):
        edgeort.InferenceSession(tmp_path / "m.onnx")
    with pytest.raises(ModelError, match="no such file"):
        edgeort.InferenceSession(tmp_path / "absent.onnx")


def test_refuses_an_operator_without_kernel():
    odd = model([helper.make_node("Frob", ["x"], ["y"], domain="odd", name="n7")], [("x", [2])], [("y", [2])])
    odd.opset_import.append(helper.make_opsetid("odd", 1))
    with pytest.raises(UnsupportedError, match=r"n7.*odd\.Frob"):
        edgeort.InferenceSession(odd)


def test_threads_of_python_take_turns(session: edgeort.InferenceSession):
    inputs = [np.full((2, 8), i, np.float32) for i in range(16)]
    alone = [session.run(None, {"x": x})[0].tobytes() for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda x: session.run(None, {"x": x})[0].tobytes(), inputs)) == alone


def test_two_processes_compile_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path / "cache"))
    onnx.save(mlp(), tmp_path / "m.onnx")
    code = f"""if True:
        import edgeort, numpy as np
        session = edgeort.InferenceSession({str(tmp_path / "m.onnx")!r})
        print(session.run(None, {{"x": np.ones((1, 8), "f")}}))"""
    both = [subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) for _ in range(2)]
    first, second = (process.communicate()[0] for process in both)
    assert first and first == second
    assert not [path for path in (tmp_path / "cache/plans").iterdir() if path.name.startswith("tmp")]


def test_weights_in_another_file_are_read_anew(tmp_path: Path):
    x = np.ones((1, 64), np.float32)
    results = []
    for seed in (1, 2):
        proto = mlp(features=64, hidden=64, seed=seed)
        (tmp_path / "w.bin").unlink(missing_ok=True)
        onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
        (y,) = edgeort.InferenceSession(tmp_path / "m.onnx").run(None, {"x": x})
        np.testing.assert_allclose(
            y, reference(mlp(features=64, hidden=64, seed=seed), {"x": x})[0], rtol=1e-4, atol=1e-4
        )
        results.append(y.tobytes())
    assert results[0] != results[1]


def test_importing_edgeort_is_light():
    code = "import sys, edgeort; print(sorted({'numpy', 'onnx', 'onnxruntime', 'typer', 'rich'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_lists_of_numbers_are_inputs(session: edgeort.InferenceSession):
    assert session.run(None, {"x": X.tolist()})[0].tobytes() == session.run(None, {"x": X})[0].tobytes()
    counts = edgeort.InferenceSession(one_more())
    assert counts.run(None, {"x": [0, 1, 2]})[0].tolist() == [1, 2, 3]
    for data, words in (([0.5, 1, 2], "must be int64, not float64"), ([[1], [1, 2]], "is not an array")):
        with pytest.raises(InputError, match=words):
            counts.run(None, {"x": data})


def one_more() -> onnx.ModelProto:
    """y = x + 1, of int64."""
    text = "g (int64[3] x) => (int64[3] y) <int64[1] one = {1}> { y = Add(x, one) }"
    return onnx.parser.parse_model('<ir_version: 8, opset_import: ["" : 17]>' + text)


def test_threads_and_models_that_cannot_be():
    header = (toolchain.RUNTIME / "core/atomics.h").read_text()
    assert f"kMaxThreads = {MAX_THREADS};" in header
    for threads in (0, MAX_THREADS + 1):
        with pytest.raises(InputError, match=f"threads is {threads}; it is 1 to {MAX_THREADS}"):
            edgeort.InferenceSession(mlp(), threads=threads)
    with pytest.raises(InputError, match="not NoneType"):
        edgeort.InferenceSession(None)


def test_a_forked_process_neither_runs_nor_closes_its_parents_model() -> None:
    code = """
import gc, os, numpy as np, edgeort
from edgeort.errors import EdgeortError
from edgeort import sample
session = edgeort.InferenceSession(sample.path(), threads=2)
feeds = {"image": np.zeros((1, 1, 8, 8), np.float32)}
session.run(None, feeds)
child = os.fork()
if child == 0:
    try:
        session.run(None, feeds)
    except EdgeortError as error:
        print(error, flush=True)
    del session
    gc.collect()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
session.run(None, feeds)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "the model was opened in the process that forked this one; open it here anew",
        "7",
    ]
