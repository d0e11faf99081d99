"""Libraries for phones run, two in one program: their very objects, with a tiny libSystem, on Unicorn's emulated CPU.

Baseline NEON alone: Unicorn's CPU has no dot products. What it does not show is Apple's linker, loader and threads.
"""

from __future__ import annotations

import ctypes
import functools
import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

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

    def call(self, prefix: str, name: str, *arguments: int) -> int:
        """What the C function returns for integers and pointers; `prefix` stands before it in its library."""
        for index, argument in enumerate(arguments):
            self.cpu.reg_write(self.const.UC_ARM64_REG_X0 + index, argument)
        self.cpu.reg_write(self.const.UC_ARM64_REG_SP, PLACES["stack"] + SIZE)
        self.cpu.reg_write(self.const.UC_ARM64_REG_LR, RETURN)
        self.cpu.emu_start(self.symbols[f"_{prefix}_{name}"], RETURN)
        return int(self.cpu.reg_read(self.const.UC_ARM64_REG_X0))

    def tensor(self, address: int) -> RawTensor:
        return RawTensor.from_buffer_copy(bytes(self.cpu.mem_read(address, ctypes.sizeof(RawTensor))))


@dataclass(frozen=True)
class Model:
    """A model, the plan of it, the kernels of that, and what stands before names in its library."""

    onnx: Path
    plan: Path
    ops: tuple[str, ...]
    prefix: str


def product() -> onnx.ModelProto:
    """x float32 [n, 8] -> y float32 [n, 8], the sines of the double: without the kernels of `mlp`."""
    two = helper.make_tensor("two", TensorProto.FLOAT, [], [2.0])
    nodes = [helper.make_node("Mul", ["x", "two"], ["d"]), helper.make_node("Sin", ["d"], ["y"])]
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 8]) for name in ("x", "y"))
    graph = helper.make_graph(nodes, "g", [x], [y], [two])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Model]:
    folder = tmp_path_factory.mktemp("phone")
    found = {}
    for name, model in {"layers": mlp(), "sines": product()}.items():
        source, plan = folder / f"{name}.onnx", folder / f"{name}.plan"
        onnx.save(model, source)
        made, _ = plan_of(source, load("iphone15"))
        plan.write_bytes(made.to_bytes())
        found[name] = Model(source, plan, tuple(made.ops), f"edgeort_{name}")
    return found


@pytest.fixture(scope="module")
def program(models: dict[str, Model], tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The objects of both phone's archives, and phone.c, as one library: as one app has two packages."""
    folder = tmp_path_factory.mktemp("library")
    to = toolchain.target("ios", "aarch64")
    objects = []
    for one in models.values():
        levels = toolchain.held_levels(one.ops, to.levels)
        archive = toolchain.library(to, one.ops, levels, prefix=one.prefix).read_bytes()
        for name, body in macho.members(archive):
            if not name.startswith("__.SYMDEF"):
                objects.append(folder / f"{one.prefix}-{name}")
                objects[-1].write_bytes(body)
    flags = ("-target", to.triple, "-nostdlib")
    source = Path(__file__).with_name("phone.c")
    zig.run([*flags, "-c", "-O1", "-fno-builtin", "-fno-sanitize=all", str(source), "-o", str(folder / "phone.o")])
    made = folder / "phone.dylib"
    zig.run([*flags, "-shared", *map(str, objects), str(folder / "phone.o"), "-o", str(made)])
    return made.read_bytes()


@pytest.mark.parametrize("name", ["layers", "sines"])
def test_a_model_runs_and_gives_the_bytes_of_this_machine(models: dict[str, Model], program: bytes, name: str) -> None:
    one, phone, data = models[name], Phone(program), PLACES["data"]
    call, raw = functools.partial(phone.call, one.prefix), one.plan.read_bytes()
    options, error, tensor, values = data, data + 0x100, data + 0x400, data + 0x1000
    phone.cpu.mem_write(PLACES["plan"], raw)
    phone.cpu.mem_write(options, struct.pack("<iiQ", 1, 0, 0))
    model = call("edgeort_open_memory", PLACES["plan"], len(raw), options, error)
    assert model, bytes(phone.cpu.mem_read(error, 200))

    x = np.linspace(-2, 2, BATCH * 8, dtype=np.float32).reshape(BATCH, 8)
    phone.cpu.mem_write(values, x.tobytes())
    assert call("edgeort_input", model, 0, tensor) == 0
    given = phone.tensor(tensor)
    given.dims[0], given.data, given.bytes = BATCH, values, x.nbytes
    phone.cpu.mem_write(tensor, bytes(given))
    assert call("edgeort_set_input", model, 0, tensor) == 0
    assert call("edgeort_run", model) == 0
    assert call("edgeort_output", model, 0, tensor) == 0
    made = phone.tensor(tensor)
    y = np.frombuffer(bytes(phone.cpu.mem_read(made.data, made.bytes)), np.float32).reshape(made.dims[:2])
    (want,) = edgeort.InferenceSession(one.onnx).run(None, {"x": x})
    assert y.shape == want.shape and same_bits(y, want)
