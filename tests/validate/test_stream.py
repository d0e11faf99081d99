"""A harness that keeps running: its answers are those of the library, and a lost one is a clear error."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

import edgeort
from edgeort import sample
from edgeort.bundle import Bundle, open_bundle
from edgeort.devices import Device, open_device
from edgeort.devices.channel import Channel, ProcessChannel
from edgeort.devices.local import Local
from edgeort.engine import Engine
from edgeort.errors import BudgetError, DeviceError
from edgeort.quantize.samples import open_samples
from edgeort.validate.artefacts import ByHarness, ByLibrary, InOnnxRuntime
from edgeort.validate.evaluation import Evaluation, Question, evaluate
from edgeort.validate.frames import HEAD, MAGIC, SAMPLE
from edgeort.validate.stream import Stream
from tests.models import HOST, model
from tests.validate.test_frames import pictures

needs_qemu = pytest.mark.skipif(
    shutil.which("qemu-aarch64-static") is None, reason="qemu-aarch64-static is not installed"
)


class Wired(Local):
    """This machine as if a wire led to it: arrays are sent narrow."""

    is_remote = True


def here(bundle: Bundle, transport: type[Local] = Local) -> Device:
    return Device(transport(), bundle.manifest)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """x [1, 3, H, W] -> a convolution -> y, and i [N] int64 -> its double."""
    weight = np.random.default_rng(0).standard_normal((5, 3, 3, 3)).astype(np.float32)
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"]), helper.make_node("Add", ["i", "i"], ["j"])]
    found = model(nodes, [("x", [1, 3, "H", "W"])], [("y", [1, 5, "h", "w"])], [numpy_helper.from_array(weight, "w")])
    found.graph.input.append(helper.make_tensor_value_info("i", onnx.TensorProto.INT64, ["N"]))
    found.graph.output.append(helper.make_tensor_value_info("j", onnx.TensorProto.INT64, ["N"]))
    file = tmp_path_factory.mktemp("m") / "m.onnx"
    onnx.save(found, file)
    return file


@pytest.fixture(scope="module")
def bundles(path: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("b")
    edgeort.build(path, HOST, folder / "host")
    edgeort.build(path, HOST, folder / "nhwc", io_layout="nhwc")
    edgeort.build(path, "raspberrypi4", folder / "pi")
    return {name: folder / name for name in ("host", "nhwc", "pi")}


def inputs(last: bool = False) -> list[list[np.ndarray]]:
    """Pictures, real numbers, and one of another size."""
    rng = np.random.default_rng(2)
    real = rng.standard_normal((1, 3, 64, 64)).astype(np.float32)
    arrays = [*pictures(4), real, *pictures(1, size=96), real[:, :, :7, :9], *pictures(2)]
    if last:
        arrays = [np.ascontiguousarray(array.transpose(0, 2, 3, 1)) for array in arrays]
    return [[array, np.arange(index, dtype=np.int64)] for index, array in enumerate(arrays)]


def by_stream(bundle: Bundle, device: Device, given: list[list[np.ndarray]]) -> list[list[bytes]]:
    with Stream(bundle, device) as stream:
        waiting = [stream.submit(arrays) for arrays in given]
        return [[array.tobytes() for array in answer()] for answer in waiting]


@pytest.mark.parametrize("name", ["host", "nhwc"])
@pytest.mark.parametrize("device", [Local, Wired])
def test_the_same_bytes_as_the_library(bundles: dict[str, Path], name: str, device: type[Local]):
    given = inputs(last=name == "nhwc")
    with open_bundle(bundles[name]) as bundle:
        engine = Engine(bundle.library, bundle.artefact, threads=1)
        want = [[array.tobytes() for array in engine.run(arrays)] for arrays in given]
        engine.close()
        assert by_stream(bundle, here(bundle, device), given) == want


@needs_qemu
def test_the_same_bytes_emulated(bundles: dict[str, Path]):
    found = []
    for name in ("host", "pi"):
        with open_bundle(bundles[name]) as bundle:
            found.append(by_stream(bundle, open_device(None, bundle.manifest), inputs()))
    assert found[0] == found[1]


def test_answers_may_be_asked_for_in_any_order(bundles: dict[str, Path]):
    with open_bundle(bundles["host"]) as bundle, Stream(bundle, here(bundle)) as stream:
        waiting = [stream.submit(arrays) for arrays in inputs()]
        assert [len(waiting[index]()[1]) for index in (3, 0, 8, 1)] == [3, 0, 8, 1]


def judged(reference: Path, bundle: Bundle, count: int, device: Device | None = None) -> Evaluation:
    """By the stream, or where no device is given by the library in this process."""
    samples = [{"x": x, "i": np.arange(2)} for x in pictures(count, size=8)]
    opened = open_samples(samples, bundle.manifest.inputs)
    if device is None:
        artefact: ByLibrary | ByHarness = ByLibrary(Engine(bundle.library, bundle.artefact), bundle.manifest, "here")
        return evaluate(InOnnxRuntime(reference), artefact, opened, Question())
    with Stream(bundle, device) as stream:
        return evaluate(InOnnxRuntime(reference), ByHarness(stream, bundle.manifest, "there"), opened, Question())


@pytest.mark.parametrize("count", [1, 15, 16, 17, 33])
def test_figures_are_those_of_the_path_in_memory(path: Path, bundles: dict[str, Path], count: int):
    with open_bundle(bundles["host"]) as bundle:
        found, want = judged(path, bundle, count, here(bundle, Wired)), judged(path, bundle, count)
    assert found.figures == want.figures and found.worst == want.worst and found.samples == count


def test_a_sample_that_does_not_fit_says_why(bundles: dict[str, Path]):
    with open_bundle(bundles["host"]) as bundle, Stream(bundle, here(bundle)) as stream:
        answer = stream.submit([np.zeros((1, 4, 8, 8), np.float32), np.zeros(1, np.int64)])
        with pytest.raises(DeviceError, match=r'host on local: the harness failed: input "x"'):
            answer()


def test_activations_over_their_limit_are_a_budget(tmp_path: Path):
    edgeort.build(sample.path(), HOST, tmp_path / "b", ram_limit=30_000)
    with open_bundle(tmp_path / "b") as bundle, Stream(bundle, here(bundle)) as stream:
        answer = stream.submit([np.zeros((64, 1, 8, 8), np.float32)])
        with pytest.raises(BudgetError) as caught:
            answer()
    assert "--ram-limit" in str(caught.value.hint)


class Dying(Local):
    """A harness whose connection ends after 20 answers of two outputs."""

    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        code = (
            "import struct, subprocess, sys\n"
            "p = subprocess.Popen(sys.argv[1:], stdin=sys.stdin.buffer, stdout=subprocess.PIPE)\n"
            "for _ in range(40):\n"
            "    head = p.stdout.read(16)\n"
            "    sys.stdout.buffer.write(head + p.stdout.read(struct.unpack('<IIQ', head)[2]))\n"
            "p.kill()\nprint('the link is gone', file=sys.stderr)\nsys.exit(255)\n"
        )
        return ProcessChannel([sys.executable, "-c", code, *arguments])


def test_a_device_that_is_lost_says_how_many_samples_were_judged(path: Path, bundles: dict[str, Path]):
    with open_bundle(bundles["host"]) as bundle, pytest.raises(DeviceError) as caught:
        judged(path, bundle, 33, here(bundle, Dying))
    assert "ended with status 255: the link is gone; 20 of 33 samples were judged until then" in str(caught.value)


class Noisy(Local):
    def open(self, arguments: Sequence[str], environment: Mapping[str, str] | None = None) -> Channel:
        return ProcessChannel(["sh", "-c", 'echo "Welcome to your device"; exec "$@"', "sh", *arguments])


def test_a_shell_that_greets_is_named(bundles: dict[str, Path]):
    with open_bundle(bundles["host"]) as bundle, Stream(bundle, here(bundle, Noisy)) as stream:
        answer = stream.submit(inputs()[0])
        with pytest.raises(DeviceError, match="no answer: b'Welcome to your") as caught:
            answer()
    assert ".bashrc" in str(caught.value.hint)


def test_closing_in_the_middle_leaves_no_process(bundles: dict[str, Path]):
    with open_bundle(bundles["host"]) as bundle:
        stream = Stream(bundle, here(bundle))
        for _ in range(20):  # more than the pipes hold, either way
            for arrays in inputs():
                stream.submit(arrays)
        stream.submit(inputs()[0])
        stream.close()
        running = subprocess.run(["ps", "-eo", "args"], capture_output=True, text=True).stdout
        assert str(bundle.harness) not in running


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", None),
        (b"\0" * 16, "the stream is damaged"),
        (HEAD.pack(MAGIC, 9, 0), "the stream is damaged"),
        (HEAD.pack(MAGIC, SAMPLE, 0), "the stream ends within a sample"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 0, 100) + b"x" * 50, "the stream ends within a sample"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 0, 100) + b"x" * 100, "not a .npy file"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 0, 1 << 50), "out of memory"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 1, 8) + b"x" * 8, "a palette is damaged"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 1, 64) + b"\xff" * 64, "a palette is damaged"),
        (HEAD.pack(MAGIC, SAMPLE, 0) + HEAD.pack(MAGIC, 1, 64) + b"\1\0\0\0\0\0\0\0" * 8, "a palette is damaged"),
    ],
)
def test_a_damaged_stream_ends_the_harness(bundles: dict[str, Path], data: bytes, words: str | None):
    with open_bundle(bundles["host"]) as bundle:
        command = [str(bundle.harness), str(bundle.artefact), "--stream"]
        done = subprocess.run(command, input=data, capture_output=True)
    if words is None:
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
        return
    magic, kind, size = HEAD.unpack(done.stdout[: HEAD.size])
    assert done.returncode == 2 and magic == MAGIC and kind == 2 and size == len(done.stdout) - HEAD.size
    assert words in done.stdout.decode() and words in done.stderr.decode()
