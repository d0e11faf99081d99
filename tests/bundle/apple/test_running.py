"""The library for phones runs: its very objects, linked with a tiny libSystem, on a CPU that Unicorn emulates.

Baseline NEON alone: Unicorn's CPU has no dot products. What it does not show is Apple's linker, loader and threads.
"""

from __future__ import annotations

import ctypes
import struct
from pathlib import Path

import numpy as np
import onnx
import pytest

import edgeort
from edgeort import toolchain, zig
from edgeort.compiling import plan_of
from edgeort.device_profiles import load
from edgeort.elements import RawTensor
from tests import macho
from tests.kernels.support import same_bits
from tests.models import mlp

PLACES = {"plan": 0x2000_0000, "data": 0x3000_0000, "stack": 0x4000_0000}
RETURN = 0x5000_0000  # what a call returns to
SIZE = 1 << 20
BATCH = 3


class Phone:
    """A Mach-O library in an emulated 64-bit Arm CPU, at the addresses that it was linked for."""

    def __init__(self, library: bytes) -> None:
        unicorn = pytest.importorskip("unicorn", reason="needs unicorn")
        from unicorn import arm64_const

        self.const = arm64_const
        self.cpu = unicorn.Uc(unicorn.UC_ARCH_ARM64, unicorn.UC_MODE_ARM)
        self.cpu.reg_write(arm64_const.UC_ARM64_REG_CPACR_EL1, 3 << 20)  # floats are allowed
        for place in (*PLACES.values(), RETURN):
            self.cpu.mem_map(place, SIZE)
        segments = list(macho.segments(library))
        most = max(address + size for address, size, _ in segments)
        self.cpu.mem_map(0, (most + 0xFFFF) & ~0xFFFF)
        for address, _, data in segments:
            self.cpu.mem_write(address, data)
        self.symbols = macho.addresses(library)

    def call(self, name: str, *arguments: int) -> int:
        """What the C function returns for integers and pointers."""
        for index, argument in enumerate(arguments):
            self.cpu.reg_write(self.const.UC_ARM64_REG_X0 + index, argument)
        self.cpu.reg_write(self.const.UC_ARM64_REG_SP, PLACES["stack"] + SIZE)
        self.cpu.reg_write(self.const.UC_ARM64_REG_LR, RETURN)
        self.cpu.emu_start(self.symbols[f"_{name}"], RETURN)
        return int(self.cpu.reg_read(self.const.UC_ARM64_REG_X0))

    def tensor(self, address: int) -> RawTensor:
        return RawTensor.from_buffer_copy(bytes(self.cpu.mem_read(address, ctypes.sizeof(RawTensor))))


@pytest.fixture(scope="module")
def plan(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, tuple[str, ...]]:
    folder = tmp_path_factory.mktemp("phone")
    onnx.save(mlp(), folder / "m.onnx")
    made, _ = plan_of(folder / "m.onnx", load("iphone15"))
    (folder / "model.plan").write_bytes(made.to_bytes())
    return folder / "m.onnx", folder / "model.plan", tuple(made.ops)


@pytest.fixture(scope="module")
def library(plan: tuple[Path, Path, tuple[str, ...]], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The objects of the phone's archive, and phone.c, as one library."""
    folder = tmp_path_factory.mktemp("library")
    to = toolchain.target("ios", "aarch64")
    archive = toolchain.library(to, plan[2], toolchain.held_levels(plan[2], to.levels)).read_bytes()
    objects = []
    for name, body in macho.members(archive):
        if not name.startswith("__.SYMDEF"):
            objects.append(folder / name)
            objects[-1].write_bytes(body)
    flags = ("-target", to.triple, "-nostdlib")
    source = Path(__file__).with_name("phone.c")
    zig.run([*flags, "-c", "-O1", "-fno-builtin", "-fno-sanitize=all", str(source), "-o", str(folder / "phone.o")])
    made = folder / "phone.dylib"
    zig.run([*flags, "-shared", *map(str, objects), str(folder / "phone.o"), "-o", str(made)])
    return made.read_bytes()


def test_a_model_runs_and_gives_the_bytes_of_this_machine(
    plan: tuple[Path, Path, tuple[str, ...]], library: bytes
) -> None:
    phone, raw, data = Phone(library), plan[1].read_bytes(), PLACES["data"]
    options, error, tensor, values = data, data + 0x100, data + 0x400, data + 0x1000
    phone.cpu.mem_write(PLACES["plan"], raw)
    phone.cpu.mem_write(options, struct.pack("<iiQ", 1, 0, 0))
    model = phone.call("edgeort_open_memory", PLACES["plan"], len(raw), options, error)
    assert model, bytes(phone.cpu.mem_read(error, 200))

    x = np.linspace(-2, 2, BATCH * 8, dtype=np.float32).reshape(BATCH, 8)
    phone.cpu.mem_write(values, x.tobytes())
    assert phone.call("edgeort_input", model, 0, tensor) == 0
    given = phone.tensor(tensor)
    given.dims[0], given.data, given.bytes = BATCH, values, x.nbytes
    phone.cpu.mem_write(tensor, bytes(given))
    assert phone.call("edgeort_set_input", model, 0, tensor) == 0
    assert phone.call("edgeort_run", model) == 0
    assert phone.call("edgeort_output", model, 0, tensor) == 0
    made = phone.tensor(tensor)
    y = np.frombuffer(bytes(phone.cpu.mem_read(made.data, made.bytes)), np.float32).reshape(made.dims[:2])
    (want,) = edgeort.InferenceSession(plan[0]).run(None, {"x": x})
    assert y.shape == (BATCH, 5) and same_bits(y, want)
