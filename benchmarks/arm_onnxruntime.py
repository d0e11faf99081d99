"""Counts ONNX Runtime's Arm build as `benchmarks.emulated` counts edgeort: a peer's figures, a check of the counter.

    python -m benchmarks.arm_onnxruntime --library FILE --sysroot DIR [MODEL...] [--cpu cortex-a72]

FILE is libonnxruntime.so of an aarch64 wheel; DIR/lib has the Arm libc and libstdc++. BENCHMARKS.md gets both.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import onnx

from benchmarks import tables
from benchmarks.compiled import program
from benchmarks.counter import Caches, Counts, count
from benchmarks.emulated import CPUS, PEERS
from benchmarks.models import Model, find
from edgeort.errors import EdgeortError

SOURCE = Path(__file__).with_suffix(".c")

# ONNX Runtime reads which core it is on, and ends itself when that core is none of Arm's. QEMU shows the files of its
# prefix in place of this machine's.
_CPUINFO = """processor\t: 0
BogoMIPS\t: 108.00
Features\t: {features}
CPU implementer\t: 0x41
CPU architecture: 8
CPU variant\t: 0x0
CPU part\t: {part}
CPU revision\t: 3

"""
_CORES = {
    "cortex-a72": ("fp asimd evtstrm crc32 cpuid", "0xd08"),
    "cortex-a76": ("fp asimd evtstrm crc32 cpuid atomics fphp asimdhp asimddp", "0xd0b"),
}


def measure(model: Model, library: Path, sysroot: Path, cpu: str, caches: Caches) -> Counts:
    """One inference: the third less the second."""
    (name, array), *more = model.feeds.items()
    assert not more and array.dtype.name == "float32"
    output = onnx.load(model.path, load_external_data=False).graph.output[0].name
    runner = program(SOURCE, "-target", "aarch64-linux-gnu.2.28", "-ldl")
    shape = "x".join(map(str, array.shape))
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
        prefix = Path(folder)
        (prefix / "lib").symlink_to((sysroot / "lib").resolve())
        (prefix / "proc").mkdir()
        features, part = _CORES[cpu]
        (prefix / "proc/cpuinfo").write_text(_CPUINFO.format(features=features, part=part))
        options = ("-L", folder, "-E", f"LD_LIBRARY_PATH={sysroot / 'lib'}")
        command = [str(runner), str(library), str(model.path)]
        two, three = (count([*command, str(n), name, output, shape], cpu, caches, options)[0] for n in (2, 3))
    return three - two


def main(arguments: Sequence[str] | None = None) -> int:
    """0; 2 when something is missing."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.arm_onnxruntime", description=__doc__)
    made.add_argument("models", nargs="*", metavar="MODEL", help=f"with one float input; default: {', '.join(PEERS)}")
    made.add_argument("--library", type=Path, required=True)
    made.add_argument("--sysroot", type=Path, required=True)
    made.add_argument("--cpu", choices=CPUS, default="cortex-a72")
    args = made.parse_args(arguments)
    columns = (
        "M instructions",
        "of them FMA",
        "MB filled",
        "MB written back",
        "MB over L2",
        "known M instructions",
        "known MB",
    )
    table = tables.new_table(f"ONNX Runtime, one inference on an emulated {args.cpu}", "model", *columns)
    try:
        for name in args.models or PEERS:
            c = measure(find(name), args.library.resolve(), args.sysroot.resolve(), args.cpu, CPUS[args.cpu][1])
            known = PEERS.get(name, {}).get("ONNX Runtime", ("-", "-"))
            cells = (f"{n * 1e-6:.1f}" for n in (c.instructions, c.multiply_adds, c.filled_bytes, c.written_back_bytes))
            table.add_row(name, *cells, f"{c.memory_mb:.1f}", *(f"{n}" for n in known))
    except EdgeortError as error:
        print(f"{error}" + (f"\nhint: {error.hint}" if error.hint else ""), file=sys.stderr)
        return error.exit_code
    tables.show(table)
    return 0


if __name__ == "__main__":
    sys.exit(main())
