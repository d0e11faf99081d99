"""Where samples run: the same bytes by whatever answers, spot checks that hold, and those that do not."""

from __future__ import annotations

import dataclasses
import shutil
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import open_device
from edgeort.devices.channel import Channel
from edgeort.devices.device import Device
from edgeort.errors import CheckError, InputError
from edgeort.validate import Evaluation, Exam, Limits, Where, assess
from edgeort.validate.artefacts import ByHarness, ByLibrary
from edgeort.validate.choosing import ANYWHERE, SPOTS, SpotChecked, no_promise, open_artefact
from tests.models import HOST, model

pytestmark = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed"
)
COUNT = 21


def net(seed: int) -> onnx.ModelProto:
    """x [1, 3, 16, 16] -> convolution, Sigmoid, mean -> y [1, 5, 1, 1]."""
    weight = np.random.default_rng(seed).standard_normal((5, 3, 3, 3)).astype(np.float32)
    nodes = [
        helper.make_node("Conv", ["x", "w"], ["c"]),
        helper.make_node("Sigmoid", ["c"], ["s"]),
        helper.make_node("GlobalAveragePool", ["s"], ["y"]),
    ]
    return model(nodes, [("x", [1, 3, 16, 16])], [("y", [1, 5, 1, 1])], [numpy_helper.from_array(weight, "w")])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """m.onnx, its bundles pi and host, the bundle `other` of other weights, samples x.npy."""
    folder = tmp_path_factory.mktemp("place")
    for name, seed in (("m", 0), ("n", 1)):
        onnx.save(net(seed), folder / f"{name}.onnx")
    edgeort.build(folder / "m.onnx", "raspberrypi4", folder / "pi")
    edgeort.build(folder / "m.onnx", HOST, folder / "host")
    edgeort.build(folder / "n.onnx", "raspberrypi4", folder / "other")
    np.save(folder / "x.npy", np.random.default_rng(2).standard_normal((COUNT, 1, 3, 16, 16)).astype(np.float32))
    return folder


def judged(place: Path, name: str, where: Where = ANYWHERE) -> Evaluation:
    with open_bundle(place / name) as bundle:
        return assess(bundle, place / "m.onnx", Exam(place / "x.npy"), where=where)


def test_the_figures_of_this_machine_are_those_of_the_device(place: Path):
    spots, everything, host = judged(place, "pi"), judged(place, "pi", Where(all_there=True)), judged(place, "host")
    assert spots.figures == everything.figures == host.figures
    assert spots.where == "this machine, as emulated (cortex-a72)" and host.basis == ""
    assert spots.basis.startswith(f"golden outputs and {SPOTS} of {COUNT} samples are bit-identical on emulated (cor")
    assert (
        everything.basis == "all samples ran on emulated (cortex-a72)" and everything.where == "emulated (cortex-a72)"
    )
    assert everything.to_dict()["basis"] == everything.basis


def test_samples_of_an_iterator(place: Path):
    """Their number is not known: the first ones run there. Labels come by name."""
    x = np.load(place / "x.npy")
    with open_bundle(place / "pi") as bundle:
        labels = {f"sample {index}": index % 5 for index in range(12)}
        exam = Exam(({"x": one} for one in x), labels, limits=Limits(max_drop=0))
        found = assess(bundle, place / "m.onnx", exam)
        assert found.samples == COUNT and found.labelled == 12 and f"{SPOTS} of {COUNT}" in found.basis
        assert found.is_kept and found.task == "classification"
        few = assess(bundle, place / "m.onnx", Exam([{"x": one} for one in x[:3]]))
        assert "3 of 3 samples" in few.basis
        with pytest.raises(InputError, match="matched by names"):
            assess(bundle, place / "m.onnx", Exam(({"x": one} for one in x), "labels.csv"))


def test_what_answers(place: Path):
    with open_bundle(place / "pi") as bundle, open_device("emulated", bundle.manifest) as device:
        with open_artefact(bundle, Where(device=device)) as artefact:
            assert isinstance(artefact, SpotChecked)
        with open_artefact(bundle, Where(device=device, all_there=True)) as artefact:
            assert isinstance(artefact, ByHarness)
        with open_artefact(bundle, Where(device=device, golden_passed=True)) as artefact:
            assert isinstance(artefact, SpotChecked)
    with open_bundle(place / "host") as bundle, open_artefact(bundle, Where("local")) as artefact:
        assert isinstance(artefact, ByLibrary)


class Swapped(Device):
    """A device whose answers to samples, but not to the golden inputs, are those of another plan."""

    other: Bundle

    def stream(self, bundle: Bundle) -> Channel:
        return super().stream(self.other)


def test_a_device_that_passes_the_check_and_then_differs_is_found_out(place: Path):
    with open_bundle(place / "pi") as bundle, open_bundle(place / "other") as other:
        device = Swapped(open_device("emulated", bundle.manifest).transport, bundle.manifest)
        device.other = other
        with pytest.raises(CheckError, match="output 'y' of sample 1 has other bytes on emulated") as caught:
            assess(bundle, place / "m.onnx", Exam(place / "x.npy"), where=Where(device=device))
    assert "--all-on-device" in str(caught.value.hint)


def test_golden_outputs_that_differ_are_an_error_before_any_sample(place: Path, tmp_path: Path):
    shutil.copytree(place / "pi", tmp_path / "b")
    with open_bundle(tmp_path / "b") as bundle:
        shutil.copy(place / "other/golden/output0.npy", tmp_path / "b/golden/output0.npy")
        with pytest.raises(CheckError, match='on emulated .* output "y" differs'):
            assess(bundle, place / "m.onnx", Exam(place / "x.npy"))


def test_who_does_not_promise_the_same_bytes(place: Path):
    with open_bundle(place / "pi") as bundle:
        manifest = bundle.manifest
    assert no_promise(manifest) is None
    older = dataclasses.replace(manifest, target=dataclasses.replace(manifest.target, arch="armv7"))
    assert "denormal" in str(no_promise(older))
    assert "litert does not promise" in str(no_promise(dataclasses.replace(manifest, provider="litert")))
