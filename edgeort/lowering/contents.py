"""What a plan holds: its constants by what they are for and how they are stored. A plan is untrusted input."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass

from edgeort.errors import PlanError
from edgeort.lowering import layout
from edgeort.lowering.structs import Struct

_COMPRESSED = frozenset((*layout.COMPRESSED_PRODUCTS, *layout.COMPRESSED_RECURRENT))
# The inputs of a node that are its weights, or its table.
_PLACES = {
    "Gather": (0,),
    **dict.fromkeys((*layout.FLOAT_PRODUCTS, *layout.COMPRESSED_PRODUCTS, *layout.QUANTISED_PRODUCTS), (1,)),
    **dict.fromkeys((*layout.RECURRENT_PRODUCTS, *layout.COMPRESSED_RECURRENT, *layout.QUANTISED_RECURRENT), (1, 2)),
}


@dataclass(frozen=True)
class Constants:
    """Constants of one `use` (weights of products, tables, other constants) and one `form` (f32, i8, "sparse f32")."""

    use: str
    form: str
    count: int
    size_bytes: int


def constants(plan: bytes) -> list[Constants]:
    """The constants of a plan, the largest kind first; without those of bodies. PlanError where it is none."""
    try:
        return _grouped(plan)
    except (struct.error, IndexError, ValueError, OverflowError) as error:
        raise PlanError("the plan is damaged: a table points out of it") from error


def _grouped(plan: bytes) -> list[Constants]:
    header = layout.HEADER.unpack(plan[: layout.HEADER.size])
    if bytes(int(byte) for byte in header["magic"]) != layout.MAGIC or header["version"][0] != layout.VERSION:
        raise PlanError(
            "this is not a plan of this version of edgeort", hint="build it anew: edgeort build MODEL --device NAME"
        )
    uses = _uses(plan, header)
    found: dict[tuple[str, str], list[int]] = {}
    for index, tensor in enumerate(_records(plan, header, "tensors", layout.TENSOR)):
        if layout.KINDS[int(tensor["kind"][0])] != "constant":
            continue
        use, packed = uses.get(index, ("other constants", False))
        form = "pairs of i4" if packed and tensor["dtype"][0] == 1 else layout.DTYPES[int(tensor["dtype"][0])][0]
        sizes = found.setdefault((use, f"sparse {form}" if tensor["sparse"][0] else form), [])
        sizes.append(int(tensor["bytes"][0]))
    rows = [Constants(use, form, len(sizes), sum(sizes)) for (use, form), sizes in found.items()]
    return sorted(rows, key=lambda row: -row.size_bytes)


def _uses(plan: bytes, header: Mapping[str, tuple[int | float, ...]]) -> dict[int, tuple[str, bool]]:
    """What tensors are to the nodes that read them, and whether their bytes are pairs of four bits."""
    offset, count = (int(part) for part in header["operands"])
    operands = struct.unpack_from(f"<{count}i", plan, offset)
    strings, _ = (int(part) for part in header["strings"])
    at, n_ops = (int(part) for part in header["ops"])
    names = [_string(plan, strings + place) for place in struct.unpack_from(f"<{n_ops}I", plan, at)]
    found = {}
    for node in _records(plan, header, "nodes", layout.NODE):
        op, first, inputs = names[int(node["op"][0])], int(node["operands"][0]), int(node["inputs"][0])
        for place in _PLACES.get(op, ()):
            if place < inputs:
                use = "weights of products" if place else "tables"
                found[operands[first + place]] = (use, op in _COMPRESSED)
    return found


def _records(
    plan: bytes, header: Mapping[str, tuple[int | float, ...]], name: str, record: Struct
) -> list[Mapping[str, tuple[int | float, ...]]]:
    offset, count = (int(part) for part in header[name])
    if offset + count * record.size > len(plan):
        raise PlanError(f"the plan is damaged: its {name} point out of it")
    return [
        record.unpack(plan[at : at + record.size]) for at in range(offset, offset + count * record.size, record.size)
    ]


def _string(plan: bytes, at: int) -> str:
    return plan[at : plan.index(b"\0", at)].decode(errors="replace")
