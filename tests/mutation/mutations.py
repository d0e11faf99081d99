"""Mutants of a model: MUTATIONS is the list of the changes, each given the model, which it edits, and the generator."""

from __future__ import annotations

import random
from collections.abc import Callable

import onnx
import onnx.defs
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]

from tests.mutation import structure, values
from tests.mutation.places import (
    Nowhere,
)

Mutation = Callable[[onnx.ModelProto, random.Random], None]

MUTATIONS: tuple[Mutation, ...] = (
    structure.drop_node,
    structure.repeat_node,
    structure.reorder_nodes,
    structure.rename_input,
    structure.rename_output,
    structure.swap_inputs,
    structure.count_inputs,
    structure.count_outputs,
    structure.make_cycle,
    structure.change_operator,
    structure.change_domain,
    values.change_attribute,
    values.add_attribute,
    values.drop_attribute,
    values.refer_attribute,
    values.change_dims,
    values.change_tensor_type,
    values.change_data,
    values.change_numbers,
    values.input_to_constant,
    values.move_data_outside,
    values.change_declared_shape,
    values.change_declared_type,
    structure.rename_info,
    structure.drop_info,
    structure.repeat_info,
    structure.change_versions,
    structure.add_metadata,
    structure.nest,
    structure.wrap_in_function,
    structure.change_body,
)
OFTEN: tuple[Mutation, ...] = (
    values.change_attribute,
    values.change_attribute,
    values.add_attribute,
    values.change_numbers,
    values.change_numbers,
    values.input_to_constant,
    values.change_declared_shape,
    values.change_declared_type,
    structure.change_operator,
    structure.rename_input,
    structure.swap_inputs,
    values.drop_attribute,
    structure.count_inputs,
    values.change_dims,
    values.change_tensor_type,
    structure.change_body,
    structure.change_versions,
)


def mutate_bytes(data: bytes, rng: random.Random) -> bytes:
    """Flips, cuts, repeats or fills some bytes of a file."""
    raw = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 4, 16])):
        at = rng.randrange(len(raw) or 1)
        what = rng.randrange(5)
        if what == 0:
            raw = raw[:at]
        elif what == 1 and raw:
            raw[at : at + 8] = raw[at : at + 8] * 2
        elif raw:
            raw[at] = rng.choice([raw[at] ^ 1 << rng.randrange(8), 0, 255, 127, 128])
        if not raw:
            break
    return bytes(raw)


def mutant(proto: onnx.ModelProto, seed: int) -> tuple[bytes, str]:
    """The file of one mutant, and which mutations made it. The same seed gives the same."""
    rng = random.Random(seed)
    if rng.random() < 0.1:
        return mutate_bytes(proto.SerializeToString(), rng), "mutate_bytes"
    changed = onnx.ModelProto.FromString(proto.SerializeToString())
    told = []
    for _ in range(rng.choice([1, 1, 1, 2, 3])):
        for _ in range(20):
            mutation = rng.choice(MUTATIONS + OFTEN)
            try:
                mutation(changed, rng)
            except (Nowhere, IndexError, DecodeError):  # a graph within itself too often
                continue
            told.append(mutation.__name__)
            break
    return changed.SerializeToString(), ", ".join(told)
