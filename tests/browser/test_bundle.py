"""A bundle for browsers: what is in it, its checks in Node, and its JavaScript as a program uses it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from edgeort import pipeline, sample
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.devices import Job, open_device
from edgeort.errors import DeviceError, UnsupportedError
from tests.browser.support import WASM, node

HERE = Path(__file__).parent


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> pipeline.BuildResult:
    node()
    return pipeline.build(sample.path(), "browser", tmp_path_factory.mktemp("browser") / "bundle")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x uint8 [h, w, 3], more int64 [1] -> y = 2 x + more, float32."""
    folder = tmp_path_factory.mktemp("pictures")
    nodes = [
        *(helper.make_node("Cast", [x], [f"{x}_f"], to=TensorProto.FLOAT) for x in ("x", "more")),
        *(helper.make_node("Mul", ["x_f", "two"], ["twice"]), helper.make_node("Add", ["twice", "more_f"], ["y"])),
    ]
    graph = helper.make_graph(
        nodes,
        "pictures",
        [
            helper.make_tensor_value_info("x", TensorProto.UINT8, ["h", "w", 3]),
            helper.make_tensor_value_info("more", TensorProto.INT64, [1]),
        ],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["h", "w", 3])],
        [numpy_helper.from_array(np.float32(2), "two")],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "p.onnx")
    return pipeline.build(folder / "p.onnx", "browser", folder / "bundle").bundle


@pytest.fixture(scope="module")
def products(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x float32 [1, 64] -> two products with 160 kB of weights each, and an activation between them -> y [1, 64]."""
    folder = tmp_path_factory.mktemp("products")
    rng = np.random.default_rng(0)
    weights = {"w1": (64, 640), "w2": (640, 64)}
    nodes = [("MatMul", ["x", "w1"], "h"), ("Tanh", ["h"], "t"), ("MatMul", ["t", "w2"], "y")]
    graph = helper.make_graph(
        [helper.make_node(op, inputs, [output]) for op, inputs, output in nodes],
        "products",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 64])],
        [numpy_helper.from_array(rng.standard_normal(shape).astype("f4"), name) for name, shape in weights.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), folder / "p.onnx")
    return pipeline.build(folder / "p.onnx", "browser", folder / "bundle").bundle


def test_what_is_in_it(built: pipeline.BuildResult):
    with open_bundle(built.bundle) as bundle:
        manifest = bundle.manifest
        assert {name for name in manifest.files if name.startswith(("lib/", "bin/"))} == {
            "lib/edgeort.wasm",
            "lib/edgeort_relaxed.wasm",
            "lib/edgeort.js",
            "lib/edgeort.d.ts",
            "bin/edgeort_bench.wasm",
        }
        assert (manifest.target.os, manifest.target.isa) == ("browser", WASM.levels)
        assert (manifest.library, manifest.min_sqnr_db) == ("lib/edgeort.wasm", 60)
        assert b"wasi-libc" in (bundle.folder / "licences/NOTICE.txt").read_bytes()
    assert built.checked_on.startswith("node ") and built.max_difference < 1e-5


def test_the_same_input_gives_the_same_bytes(built: pipeline.BuildResult, tmp_path: Path):
    again = pipeline.build(sample.path(), "browser", tmp_path / "bundle")
    assert (again.bundle / "manifest.json").read_bytes() == (built.bundle / "manifest.json").read_bytes()


def test_it_is_measured_in_node(built: pipeline.BuildResult):
    with open_bundle(built.bundle) as bundle, open_device("node", bundle.manifest) as device:
        for isa in WASM.levels:
            found = measure(bundle, device, Job(runs=3, warmup=1, check=True, isa=isa, profile=True))
            assert (found.isa, found.threads, found.check) == (isa, 1, "passed")
        with pytest.raises(DeviceError, match="no ISA level"):
            measure(bundle, device, Job(runs=1, isa="v3"))


def test_validate(built: pipeline.BuildResult):
    command = ["edgeort", "validate", str(built.bundle), "--model", str(sample.path()), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["device"].startswith("node ")


def test_without_node_the_plan_is_checked_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("edgeort.devices.node.find", lambda: None)
    result = pipeline.build(sample.path(), "browser", tmp_path / "bundle")
    assert result.checked_on.startswith("this machine's build of the same plan; not as built: Node is not installed")
    assert result.measurement is None


def test_only_node_runs_it(built: pipeline.BuildResult):
    with open_bundle(built.bundle) as bundle, pytest.raises(DeviceError, match="cannot run code for browser/wasm32"):
        open_device("local", bundle.manifest)


def test_no_module_asks_for_more_than_a_clock(built: pipeline.BuildResult):
    """But for the memory, which the page makes. And none has code that its engine would have to emulate."""
    code = """const {readFileSync} = require("fs");
    for (const path of process.argv.slice(1)) {
      const module = new WebAssembly.Module(readFileSync(path));
      console.log(WebAssembly.Module.imports(module).map((one) => one.name).join());
    }"""
    paths = [str(built.bundle / "lib" / name) for name in ("edgeort.wasm", "edgeort_relaxed.wasm")]
    done = subprocess.run([node(), "-e", code, *paths], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["memory,clock_time_get"] * 2


def test_a_tokenizer_is_refused(tmp_path: Path):
    with pytest.raises(UnsupportedError, match="the code for browser has no check of signatures"):
        pipeline.build(sample.path(), "browser", tmp_path / "bundle", signatures=True)


def test_strings_are_refused_before_anything_is_compiled(tmp_path: Path):
    (tmp_path / "labels.txt").write_text("".join(f"digit {n}\n" for n in range(10)))
    seen: list[str] = []
    with pytest.raises(UnsupportedError, match=r"label: string \[n, 3\]: bundles for browsers") as caught:
        recipe = f"top-k 3 labels={tmp_path / 'labels.txt'}"
        pipeline.build(sample.path(), "browser", tmp_path / "bundle", postprocess=recipe, progress=seen.append)
    assert caught.value.hint and "compile" not in seen and not (tmp_path / "bundle").exists()


def test_the_module_in_node(built: pipeline.BuildResult, pictures: Path, products: Path):
    done = subprocess.run(
        [node(), str(HERE / "module.mjs"), str(built.bundle), str(pictures), str(products)],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout[-6000:]


def test_the_page_shows_the_picture_that_was_chosen_last():
    page = Path(__file__).parents[2] / "examples/browser/page.js"
    done = subprocess.run([node(), str(HERE / "order.mjs"), str(page)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
