"""Which artefact answers for a bundle on a device: the device itself, or this machine where that gives the same bytes.

A plan of the provider `cpu` gives the same bytes on every CPU (runtime/NUMERICS.md). So where the device gives the
golden outputs bit for bit, the very plan of the bundle runs here, in a library whose kernels are compiled for this CPU.
Some samples run on the device too, and must have the same bytes in both; one that has not is an error, not a figure.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from edgeort import providers
from edgeort.bench import measure
from edgeort.bundle import Bundle, Manifest, golden
from edgeort.devices import Device, Job, open_device
from edgeort.devices.local import Local
from edgeort.engine import Engine
from edgeort.errors import CheckError, DeviceError, ToolchainError
from edgeort.quantize.samples import Sample
from edgeort.session import open_plan
from edgeort.validate.artefacts import Answer, Artefact, ByHarness, ByLibrary, named
from edgeort.validate.stream import Stream

SPOTS = 8  # samples that run on the device where the others run here


@dataclass(frozen=True)
class Where:
    """Where samples run: on a device that is open, or else the one named `on` (None: what can run the bundle).

    `all_there`: also where this machine would give the same bytes. `golden_passed`: the device was found to give the
    golden outputs already.
    """

    on: str | None = None
    device: Device | None = None
    all_there: bool = False
    golden_passed: bool = False


ANYWHERE = Where()


class SpotChecked:
    """This machine, and the device on some samples, which must have the same bytes. CheckError for one that has not."""

    def __init__(self, here: ByLibrary, there: ByHarness, count: int | None) -> None:
        """Of `count` samples SPOTS are spread evenly; where their number is not known, they are the first."""
        self._here, self._there, self._device = here, there, there.where
        steps = range(SPOTS if count is None else min(SPOTS, count))
        self._spots = frozenset(steps if count is None else (int((i + 0.5) * count / len(steps)) for i in steps))
        self._count = self._checked = 0
        self.where = f"this machine, as {self._device}"

    @property
    def basis(self) -> str:
        """How many samples were the same."""
        return (
            f"golden outputs and {self._checked} of {self._count} samples are bit-identical on {self._device}; this "
            "machine ran all of them with the same plan"
        )

    def submit(self, sample: Sample) -> Callable[[], Answer]:
        """Here, and there too when it is one of those."""
        index, self._count = self._count, self._count + 1
        if index not in self._spots:
            return self._here.submit(sample)
        there = self._there.outputs(sample)
        return lambda: self._compared(index, sample, there)

    def _compared(self, index: int, sample: Sample, there: Callable[[], list]) -> Answer:
        manifest = self._here.manifest
        own, other = self._here.outputs(sample), there()
        for value, a, b in zip(manifest.outputs, own, other, strict=True):
            if a.shape != b.shape or golden.digest(a, value.dtype) != golden.digest(b, value.dtype):
                raise CheckError(
                    f"output {value.name!r} of sample {index} has other bytes on {self._device} than here, though the "
                    "golden outputs are the same: this is a fault of the device or of edgeort",
                    hint="--all-on-device judges what the device gives",
                )
        self._checked += 1
        return named(manifest, own)


@contextmanager
def open_artefact(bundle: Bundle, where: Where = ANYWHERE, count: int | None = None) -> Iterator[Artefact]:
    """What answers `count` samples (None: not known) for a bundle.

    Its own library where that loads here, else its harness on the device, or `SpotChecked`. Where nothing runs the
    bundle, and no device was asked for, the same plan in a library for this CPU. DeviceError when the device asked for
    cannot run it, CheckError when its golden outputs differ.
    """
    with contextlib.ExitStack() as stack:
        try:
            device = where.device or stack.enter_context(open_device(where.on, bundle.manifest))
        except DeviceError as error:
            if where.on is not None or where.all_there or bundle.manifest.provider != "cpu":
                raise
            told = f"this machine's build of the same plan; not as built: {error}"
            artefact: Artefact = ByLibrary(stack.enter_context(_plan_here(bundle)), bundle.manifest, told)
        else:
            artefact = _open(bundle, device, where, count, stack)
        yield artefact


def _plan_here(bundle: Bundle) -> contextlib.closing[Engine]:
    return contextlib.closing(open_plan(bundle.artefact, bundle.manifest.kernels, bundle.manifest.threads))


def _open(bundle: Bundle, device: Device, where: Where, count: int | None, stack: contextlib.ExitStack) -> Artefact:
    manifest = bundle.manifest
    if isinstance(device.transport, Local) and device.is_real and _loads_here(manifest):
        engine = Engine(bundle.library, bundle.artefact, threads=manifest.threads)
        return ByLibrary(stack.enter_context(contextlib.closing(engine)), manifest, device.name)
    here, basis = _same_here(bundle, device, where)
    there = ByHarness(stack.enter_context(Stream(bundle, device)), manifest, device.name, basis)
    if here is None:
        return there
    return SpotChecked(ByLibrary(stack.enter_context(here), manifest, "this machine"), there, count)


def _same_here(bundle: Bundle, device: Device, where: Where) -> tuple[contextlib.closing[Engine] | None, str]:
    """What computes the device's bytes here; else None, and why all samples run there."""
    manifest = bundle.manifest
    if where.all_there:
        return None, f"all samples ran on {device.name}"
    if reason := no_promise(manifest):
        return None, f"all samples ran on {device.name}: {reason}"
    if not where.golden_passed:
        measure(bundle, device, Job(threads=manifest.threads, runs=1, warmup=0, check=True))
    try:
        return _plan_here(bundle), ""
    except ToolchainError as error:
        return None, f"all samples ran on {device.name}: its plan cannot be built for this machine: {error}"


def no_promise(manifest: Manifest) -> str | None:
    """Why other machines need not give the device's bytes; None where they do."""
    if manifest.provider != "cpu" or manifest.min_sqnr_db is not None:
        return f"{manifest.provider} does not promise the same bytes on other machines"
    if manifest.target.arch == "armv7":
        return "32-bit Arm flushes denormal numbers to zero, this machine does not"
    return None


def _loads_here(manifest: Manifest) -> bool:
    """Whether the bundle's library can be loaded into this process.

    Android's links against another libc; an engine beside the bundle is found by the variables of a new process.
    """
    return manifest.target.os != "android" and not providers.provider(manifest.provider).environment()
