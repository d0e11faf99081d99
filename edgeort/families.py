"""What the runtime's sources hold: operators, the families that they stand in, and those families' ISA levels."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from edgeort.errors import UnsupportedError
from edgeort.targets import levels_without

RUNTIME = Path(__file__).parent / "runtime"
_UOP = "uop:"  # marks a micro-operation of elementwise programs among the kernels of a library


@functools.cache
def families() -> dict[str, str]:
    """Operator name -> kernel family, from `OpDef k<Name>` definitions in the families' sources."""
    found = {}
    for source in sorted((RUNTIME / "kernels").glob("*/*.cc")):
        for name in re.findall(r"^const OpDef k(\w+) =", source.read_text(), re.MULTILINE):
            found[name] = source.parent.name
    return found


@functools.cache
def all_kernels() -> tuple[str, ...]:
    """Every operator and micro-operation there is: a library with them runs any plan."""
    rows = (RUNTIME / "kernels/elementwise/uops.inc").read_text()
    return (*families(), *(_UOP + name for name in re.findall(r"^(?:UNARY|BINARY)\((\w+),", rows, re.MULTILINE)))


# Families whose code another family calls.
NEEDS: dict[str, tuple[str, ...]] = {
    "gemm": ("elementwise",),
    "conv": ("gemm", "elementwise"),
    "qdepthwise": ("conv", "gemm", "elementwise"),
    "qgemm": ("conv", "gemm", "elementwise"),
    "qblocks": ("gemm", "elementwise"),
    "qrnn": ("rnn", "qgemm", "conv", "gemm", "elementwise"),
    "rnn": ("gemm", "elementwise"),
    "sparse": ("gemm", "elementwise"),
    "attention": ("gemm", "elementwise", "reduce", "move"),
}

# Families with kernels at the levels of int8; those of them at which a family would have the same code as below.
INT8: dict[str, tuple[str, ...]] = {"qgemm": (), "qdepthwise": ("i8mm",), "qblocks": ("i8mm",), "qrnn": ()}


def families_of(ops: Iterable[str]) -> list[str]:
    """The families that a library of `ops` is compiled from, sorted. UnsupportedError names what has no kernel."""
    known = families()
    missing = sorted(set(ops) - set(all_kernels()))
    if missing:
        raise UnsupportedError(f"the runtime has no kernel {', '.join(missing)}")
    found = {known[op] for op in ops if op in known}
    return sorted(found | {need for family in found for need in NEEDS.get(family, ())})


def _uop_list() -> str:
    """The names in `enum class Uop`, in order."""
    found = re.search(r"enum class Uop : u8 \{([^}]*)\}", (RUNTIME / "core/plan_layout.h").read_text())
    assert found
    return found[1]


def family_levels(family: str, levels: Sequence[str]) -> tuple[str, ...]:
    """The levels of the family's kernels in a build for `levels`."""
    return levels_without(levels, INT8[family]) if family in INT8 else levels_without(levels)


def held_levels(ops: Sequence[str], levels: Sequence[str]) -> tuple[str, ...]:
    """The levels, of those of a build, that a library of `ops` holds: those of int8 only where it has such kernels."""
    held = any(families().get(op) in INT8 for op in ops)
    return tuple(levels) if held else levels_without(levels)


def tables(ops: Sequence[str], levels: Sequence[str]) -> str:
    """The tables that name what a library holds; what they do not name, the linker drops."""
    names = sorted(op for op in set(ops) if not op.startswith(_UOP))
    uops = sorted(op.removeprefix(_UOP) for op in set(ops) if op.startswith(_UOP))
    lines = ['#include "../kernels/elementwise/program.h"', '#include "ops.h"', "namespace edgeort {"]
    lines += [f"extern const OpDef k{name};" for name in names]
    lines += ["const OpDef* const kOps[] = {" + ", ".join([f"&k{name}" for name in names] + ["nullptr"]) + "};"]
    held = ", ".join(f"kIsa_{level}" for level in held_levels(names, levels))
    lines += [f"const int kBuiltIsas[] = {{{held}, -1}};"]
    order = re.findall(r"\w+", _uop_list())
    for level in levels_without(levels):
        lines += [f"extern const UopPair uop_{name}_{level};" for name in uops]
        entries = ", ".join(f"&uop_{name}_{level}" if name in uops else "nullptr" for name in order)
        lines += [f"extern const ElementwiseKernels elementwise_{level};"]
        lines += [f"const ElementwiseKernels elementwise_{level} = {{{{{entries}}}}};"]
    lines += ["}  // namespace edgeort", ""]
    return "\n".join(lines)


def functions(headers: Sequence[str]) -> list[str]:
    """What those headers of runtime/include declare, sorted."""
    texts = ((RUNTIME / "include" / name).read_text(encoding="utf-8") for name in headers)
    return sorted(
        {name for text in texts for name in re.findall(r"^EDGEORT_API [^(]*?(edgeort_\w+)\(", text, re.MULTILINE)}
    )
