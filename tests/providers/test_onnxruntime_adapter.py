"""runtime/adapters/onnxruntime*.cc against ONNX Runtime's own Python package: the same library gives the same bytes."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from edgeort import ort, sample, zig
from edgeort.cache import cache_dir
from edgeort.engine import Engine
from edgeort.errors import InputError, PlanError
from edgeort.providers.probing import PROGRAM
from tests.models import mlp
from tests.providers.on_cpu import CAPI, adapter, open_engine, write
from tests.real_models.find import find

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="needs the libonnxruntime.so of the package")

ELEMENTS = {
    TensorProto.FLOAT: np.float32, TensorProto.UINT8: np.uint8, TensorProto.INT8: np.int8,
    TensorProto.UINT16: np.uint16, TensorProto.INT16: np.int16, TensorProto.INT32: np.int32,
    TensorProto.INT64: np.int64, TensorProto.BOOL: np.bool_, TensorProto.FLOAT16: np.float16,
    TensorProto.DOUBLE: np.float64, TensorProto.UINT32: np.uint32, TensorProto.UINT64: np.uint64,
}  # fmt: skip


@pytest.fixture(autouse=True)
def libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEORT_LIBRARIES", str(CAPI))


def graph_model(
    nodes: Sequence[onnx.NodeProto],
    inputs: Mapping[str, tuple[int, Sequence[int | str]]],
    outputs: Mapping[str, tuple[int, Sequence[int | str] | None]],
) -> onnx.ModelProto:
    ports = [
        [helper.make_tensor_value_info(name, *port) for name, port in found.items()] for found in (inputs, outputs)
    ]
    graph = helper.make_graph(list(nodes), "g", *ports)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def compare(engine: Engine, path: Path, feeds: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The engine's outputs, which are ONNX Runtime's bit for bit."""
    session = ort.open_session(path, threads=2)
    assert [one.name for one in engine.inputs] == [one.name for one in session.get_inputs()]
    outputs = engine.run([feeds[one.name] for one in engine.inputs])
    for got, want in zip(outputs, session.run(None, dict(feeds)), strict=True):
        assert got.dtype == want.dtype and got.shape == want.shape
        np.testing.assert_array_equal(got, want)
    return outputs


@pytest.mark.parametrize("batch", [1, 3, 2])
def test_the_sample(tmp_path: Path, batch: int):
    path = write(tmp_path, sample.path().read_bytes())
    images = np.random.default_rng(batch).random((batch, 1, 8, 8), np.float32)
    compare(open_engine(path), path, {"image": images})


def test_a_free_dimension_changes_between_runs(tmp_path: Path):
    path = write(tmp_path, mlp())
    engine = open_engine(path)
    assert engine.inputs[0].shape == (None, 8)
    for rows in (1, 7, 0, 2):
        (y,) = compare(engine, path, {"x": np.random.default_rng(rows).random((rows, 8), np.float32)})
        assert y.shape == (rows, 5)


@pytest.mark.parametrize("element", ELEMENTS)
def test_every_element_type_goes_in_and_out(tmp_path: Path, element: int):
    ports = {"x": (element, [2, "N"])}, {"y": (element, ["M", 2])}
    path = write(tmp_path, graph_model([helper.make_node("Transpose", ["x"], ["y"])], *ports))
    x = (
        np.random.default_rng(0)
        .integers(0, 2 if element == TensorProto.BOOL else 100, (2, 5))
        .astype(ELEMENTS[element])
    )
    compare(open_engine(path), path, {"x": x})


def test_bfloat16_goes_in_and_out_as_its_bits(tmp_path: Path):
    ports = {"x": (TensorProto.BFLOAT16, [2, 3])}, {"y": (TensorProto.BFLOAT16, [2, 3])}
    path = write(tmp_path, graph_model([helper.make_node("Identity", ["x"], ["y"])], *ports))
    bits = np.arange(6, dtype=np.uint16).reshape(2, 3) + 0x3F80
    np.testing.assert_array_equal(open_engine(path).run([bits])[0], bits)


def test_scalars_and_outputs_whose_shape_is_not_known_before(tmp_path: Path):
    nodes = [helper.make_node("Add", ["x", "s"], ["z"]), helper.make_node("NonZero", ["z"], ["i"])]
    inputs = {"x": (TensorProto.FLOAT, ["N"]), "s": (TensorProto.FLOAT, [])}
    outputs = {"i": (TensorProto.INT64, [1, "K"]), "z": (TensorProto.FLOAT, ["N"])}
    path = write(tmp_path, graph_model(nodes, inputs, outputs))
    engine = open_engine(path)
    for x in ([1.0, -1.0, 2.0], [-1.0, -1.0], []):
        (found, _) = compare(engine, path, {"x": np.array(x, np.float32), "s": np.array(1, np.float32)})
        assert found.shape == (1, sum(value != -1 for value in x))


def test_integers_that_are_looked_up(tmp_path: Path):
    nodes = [helper.make_node("Gather", ["table", "ids"], ["rows"], axis=0)]
    inputs = {"table": (TensorProto.FLOAT, [9, 4]), "ids": (TensorProto.INT64, ["batch", "length"])}
    path = write(tmp_path, graph_model(nodes, inputs, {"rows": (TensorProto.FLOAT, ["batch", "length", 4])}))
    table = np.random.default_rng(0).random((9, 4), np.float32)
    engine = open_engine(path)
    compare(engine, path, {"table": table, "ids": np.array([[1, 8, 0], [4, 4, 2]])})
    with pytest.raises(PlanError, match="the run failed: .*indices element out of data bounds"):
        engine.run([table, np.array([[9]])])
    compare(engine, path, {"table": table, "ids": np.array([[3]])})  # still usable


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mobilenetv2_100", "mobilenetv3_small_100", "ppocr_rec"])
def test_real_models(tmp_path: Path, name: str):
    path = write(tmp_path, find(name).read_bytes())
    engine = open_engine(path)
    shape = [1, 3, 48, 320] if name == "ppocr_rec" else [1, 3, 224, 224]
    compare(engine, path, {engine.inputs[0].name: np.random.default_rng(0).random(shape, np.float32)})


@pytest.mark.slow
def test_a_transformer_of_tokens(tmp_path: Path):
    made = cache_dir() / "benchmarks/minilm.onnx"
    if not made.exists():
        pytest.skip(f"needs {made}: python -m benchmarks.minilm")
    path = write(tmp_path, made.read_bytes())
    engine = open_engine(path)
    for length in (5, 12):
        ids = np.random.default_rng(length).integers(1000, 2000, (2, length))
        feeds = {one.name: (ids if one.name == "input_ids" else np.ones_like(ids)) for one in engine.inputs}
        feeds = {name: array.astype(np.int64) for name, array in feeds.items()}
        compare(engine, path, feeds)


def test_says_which_version_runs_how_many_nodes_where(tmp_path: Path):
    stats = open_engine(write(tmp_path, mlp()), threads=1).stats
    import onnxruntime

    assert stats.isa.startswith(f"ONNX Runtime {onnxruntime.__version__}, CPUExecutionProvider ")
    assert stats.isa.endswith(" nodes") and stats.threads == 1


def test_bad_inputs_are_refused_and_the_model_stays_usable(tmp_path: Path):
    path = write(tmp_path, mlp(batch=2))
    engine = open_engine(path)
    with pytest.raises(InputError, match='"x": dimension 1 may not be 7'):
        engine.run([np.zeros((2, 7), np.float32)])
    with pytest.raises(InputError, match='"x" has rank 2, not 1'):
        engine.run([np.zeros(8, np.float32)])
    with pytest.raises(InputError, match='"x" must be float32'):
        engine.run([np.zeros((2, 8))])
    compare(engine, path, {"x": np.ones((2, 8), np.float32)})


def test_a_missing_library_is_named_with_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("EDGEORT_LIBRARIES", str(tmp_path))
    path = write(tmp_path, mlp())
    path.with_name("provider.conf").write_text("library = libonnxruntime.so.9\n")
    done = subprocess.run([str(adapter()[1]), str(path)], capture_output=True, text=True)  # nothing is loaded there yet
    assert done.returncode == 2
    assert "(libonnxruntime.so.9) is not found: install what requirements.txt names, and set EDGEORT_LIB" in done.stderr


def test_a_library_of_another_version_is_taken_where_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (library,) = CAPI.glob("libonnxruntime.so.*")
    path = write(tmp_path, mlp())
    path.with_name("provider.conf").write_text("library = libonnxruntime.so.1.17.99\n")
    for place, status in ((CAPI, 2), (library, 0), (library.with_name("libonnxruntime_providers_shared.so"), 2)):
        monkeypatch.setenv("EDGEORT_LIBRARIES", str(place))
        done = subprocess.run([str(adapter()[1]), str(path)], capture_output=True, text=True)
        assert done.returncode == status, done.stderr


def test_a_library_of_something_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    shutil.copy(adapter()[0], tmp_path / "libother.so")
    monkeypatch.setenv("EDGEORT_LIBRARIES", str(tmp_path))
    path = write(tmp_path, mlp())
    path.with_name("provider.conf").write_text("library = libother.so\n")
    with pytest.raises(PlanError, match="libother.so is not ONNX Runtime: it has no OrtGetApiBase"):
        open_engine(path)


def test_a_bad_model_has_onnx_runtimes_reason(tmp_path: Path):
    with pytest.raises(PlanError, match=r"ONNX Runtime [0-9.]+: .*model.onnx: .*[Pp]rotobuf"):
        open_engine(write(tmp_path, b"not a model"))


@pytest.mark.parametrize(
    ("element", "why"), [(TensorProto.STRING, "an element type that cannot be exchanged"), (None, "is not a tensor")]
)
def test_what_is_not_a_tensor_of_numbers_is_refused(tmp_path: Path, element: int | None, why: str):
    if element:
        model = graph_model([helper.make_node("Identity", ["x"], ["y"])], {"x": (element, [2])}, {"y": (element, [2])})
    else:
        model = graph_model([helper.make_node("SequenceConstruct", ["x"], ["y"])], {"x": (TensorProto.FLOAT, [2])}, {})
        model.graph.output.append(helper.make_tensor_sequence_value_info("y", TensorProto.FLOAT, [2]))
    with pytest.raises(PlanError, match=why):
        open_engine(write(tmp_path, model))


@pytest.mark.parametrize(
    ("conf", "why"),
    [
        ("provider = CUDAExecutionProvider\n", "CUDAExecutionProvider: .*not enabled in this build"),
        ("provider = TensorrtExecutionProvider, CUDAExecutionProvider\n", "TensorrtExecutionProvider: .*not enabled"),
        (
            "provider = DmlExecutionProvider\n",
            "DmlExecutionProvider: .*not (enabled|supported)",
        ),
        ("provider = NoSuchProvider\n", "NoSuchProvider: .*[Uu]nknown provider"),
        ("session.disable_cpu_ep_fallback = 1\n", "fallback to CPU EP has been explicitly disabled"),
        ("threads = 3\n", "provider.conf: threads is no setting of ONNX Runtime"),
        ("CUDAExecutionProvider.use_tf32 = 0\n", "provider.conf: CUDAExecutionProvider.use_tf32 is no setting"),
        ("no equals sign\n", "provider.conf beside it is missing or malformed"),
    ],
)
def test_a_provider_or_setting_that_is_not_there_is_an_error(tmp_path: Path, conf: str, why: str):
    with pytest.raises(PlanError, match=why):
        open_engine(write(tmp_path, mlp(), conf))


def test_entries_of_the_session_are_passed_on(tmp_path: Path):
    path = write(tmp_path, mlp(), "session.load_model_format = ONNX\n")
    compare(open_engine(path), path, {"x": np.ones((3, 8), np.float32)})
    with pytest.raises(PlanError, match="ONNX Runtime .*model.onnx: "):
        open_engine(write(tmp_path, mlp(), "session.load_model_format = ORT\n"))


def test_places_in_options_are_filled_in_and_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    import onnxruntime

    library = adapter()[0]
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path / "cache"))
    conf = "provider = QNNExecutionProvider\nQNNExecutionProvider.place = {cache}/engines/a-{version}/b\n"
    with pytest.raises(PlanError, match="QNNExecutionProvider: .*not (enabled|supported)"):
        open_engine(write(tmp_path, mlp(), conf), library=library)
    assert (tmp_path / f"cache/engines/a-{onnxruntime.__version__}/b").is_dir()
    with pytest.raises(PlanError, match="QNNExecutionProvider.place: no NVIDIA GPU answers"):
        _without_gpu()
        open_engine(write(tmp_path, mlp(), conf.replace("{version}", "{gpu}")), library=library)


def _without_gpu() -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has an NVIDIA driver")


def test_the_gpu_stands_in_the_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """With a driver that answers as CUDA's does; that a real one answers so, only a machine with a GPU shows."""
    source = tmp_path / "driver.c"
    source.write_text(
        "int cuInit(unsigned f) { return f != 0; }\n"
        "int cuDriverGetVersion(int* v) { *v = 12060; return 0; }\n"
        "int cuDeviceGet(int* d, int n) { *d = n + 40; return n > 1; }\n"
        'int cuDeviceGetName(char* s, int n, int d) { const char* t = d == 41 ? "Orin (nvgpu)" : "other";'
        " for (; (*s++ = *t++);) {} return n != 128; }\n"
    )
    command = [zig.program(), "cc", "-shared", "-fPIC", str(source), "-o", str(tmp_path / "libcuda.so.1")]
    subprocess.run(command, check=True)
    library = adapter()[0]
    monkeypatch.setenv("EDGEORT_LIBRARIES", f"{tmp_path}{os.pathsep}{CAPI}")
    monkeypatch.setenv("EDGEORT_CACHE", str(tmp_path / "cache"))
    own = "QNNExecutionProvider"
    conf = f"provider = {own}\n{own}.device_id = 1\n{own}.place = {{cache}}/{{gpu}}\n"
    with pytest.raises(PlanError, match="not (enabled|supported)"):
        open_engine(write(tmp_path, mlp(), conf), library=library)
    assert [path.name for path in (tmp_path / "cache").iterdir()] == ["Orin--nvgpu--driver-12060"]
    code = f"import runpy; print(runpy.run_path({str(PROGRAM)!r})['gpu_name'](1))"
    variables = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    told = subprocess.run([sys.executable, "-P", "-c", code], env=variables, capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "Orin--nvgpu--driver-12060"


@pytest.mark.slow
def test_without_a_fault_under_the_sanitizers(tmp_path: Path):
    """The harness over the adapter, with AddressSanitizer: opens, runs, fails, closes, and leaks nothing."""
    from tests.fuzz.build import build_adapter, compiler

    if compiler() is None or platform.machine() != "x86_64":
        pytest.skip("needs a system clang with sanitizers")
    program = build_adapter("onnxruntime")
    path = write(tmp_path, mlp())
    runs = {
        (str(path), "--shape", "x=3x8", "--runs", "3"): 0,
        (str(path), "--shape", "x=3x7"): 2,
        (str(write(tmp_path / "bad", b"not a model")), "--runs", "1"): 2,
        (str(write(tmp_path / "cuda", mlp(), "provider = CUDAExecutionProvider\nCUDAExecutionProvider.a = b\n")),): 2,
    }
    for arguments, status in runs.items():
        done = subprocess.run([str(program), *arguments], capture_output=True, text=True)
        assert done.returncode == status, done.stderr
        assert "Sanitizer" not in done.stderr and "runtime error" not in done.stderr
