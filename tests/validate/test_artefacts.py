"""A bundle answers many samples: by its library, by its harness here and emulated, and by a build for this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort.bundle import open_bundle
from edgeort.devices import open_device
from edgeort.errors import DeviceError
from edgeort.validate.artefacts import Answer, Artefact, ByHarness, ByLibrary, InOnnxRuntime, sample_inputs
from edgeort.validate.choosing import Where, open_artefact
from edgeort.validate.stream import Stream
from tests.models import HOST, model

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed"
)
COUNT = 19


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [1, 3, H, 4] -> a convolution -> y: the height is free."""
    weight = np.random.default_rng(0).standard_normal((5, 3, 1, 1)).astype(np.float32)
    node = helper.make_node("Conv", ["x", "w"], ["y"])
    found = tmp_path_factory.mktemp("m") / "m.onnx"
    shapes = [("x", [1, 3, "H", 4])], [("y", [1, 5, "H", 4])]
    onnx.save(model([node], *shapes, [numpy_helper.from_array(weight, "w")]), found)
    return found


def samples() -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(1)
    return [{"x": rng.standard_normal((1, 3, 2 + index % 3, 4)).astype(np.float32)} for index in range(COUNT)]


def answers(artefact: Artefact, count: int = COUNT) -> list[Answer]:
    return [answer() for answer in [artefact.submit(sample) for sample in samples()[:count]]]


@pytest.mark.parametrize("layout", ["nchw", "nhwc"])
def test_library_and_harness_give_the_same_bytes_in_the_models_layout(path: Path, tmp_path: Path, layout: str):
    edgeort.build(path, HOST, tmp_path / "b", io_layout=layout)  # type: ignore[arg-type]
    want = answers(InOnnxRuntime(path))
    with open_bundle(tmp_path / "b") as bundle, open_artefact(bundle) as artefact:
        assert isinstance(artefact, ByLibrary) and artefact.where == "local"
        found = answers(artefact)
        with Stream(bundle, open_device("local", bundle.manifest)) as stream:
            harness = answers(ByHarness(stream, bundle.manifest, "local"))
        assert sample_inputs(bundle.manifest)[0].shape == (1, 3, "H", 4)
    assert len(found) == len(harness) == COUNT
    for one, other, reference in zip(found, harness, want, strict=True):
        assert one["y"].tobytes() == other["y"].tobytes() and one["y"].shape == reference["y"].shape
        np.testing.assert_allclose(one["y"], reference["y"], atol=1e-5)


@needs_qemu
def test_an_emulated_harness_gives_the_same_bytes(path: Path, tmp_path: Path):
    edgeort.build(path, "raspberrypi4", tmp_path / "pi")
    edgeort.build(path, HOST, tmp_path / "host")
    found = []
    for name in ("pi", "host"):
        with open_bundle(tmp_path / name) as bundle, open_artefact(bundle, Where(all_there=True)) as artefact:
            found.append([answer["y"].tobytes() for answer in answers(artefact)])
    assert found[0] == found[1]


def test_what_runs_nowhere_here_runs_as_a_build_for_this_machine(path: Path, tmp_path: Path):
    edgeort.build(path, "macbook-m", tmp_path / "b")
    with open_bundle(tmp_path / "b") as bundle:
        with open_artefact(bundle) as artefact:
            assert artefact.where.startswith("this machine's build of the same plan; not as built")
            assert len(answers(artefact, 2)) == 2
        with pytest.raises(DeviceError), open_artefact(bundle, Where("emulated")):
            pass
