"""Writes sequences and optionals as the tensors that they are, where the graph says which those are.

    SequenceAt(SplitToSequence(x), 1)                     ->  output 1 of Split(x)
    ConcatFromSequence(SequenceInsert(SequenceConstruct(a, b), c))  ->  Concat(a, b, c)
    SequenceAt(SplitToSequence<keepdims=0>(x), i)         ->  Gather(x, i), of any number of parts
    Loop(s = SequenceEmpty) { s = SequenceInsert(s, t) }, ConcatFromSequence<new_axis=1>  ->  a scan output of the Loop
    OptionalGetElement(Optional(x))                       ->  x

The runtime has no type for sequences. What comes from outside, or has a length that data decide, stays, and is refused.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.model.sequences.resolver import Resolver
from edgeort.model.sequences.rules import RULES

SEQUENCE_OPERATORS = frozenset(
    (
        *(("", f"Sequence{name}") for name in ("At", "Construct", "Empty", "Erase", "Insert", "Length", "Map")),
        *(("", name) for name in ("ConcatFromSequence", "SplitToSequence", "Optional", "OptionalGetElement")),
        ("", "OptionalHasElement"),
    )
)


def resolve_sequences(model: ir.Model) -> ir.passes.PassResult:
    """Rewrites all graphs of the model, in place."""
    changed = False
    for value in model.graph.inputs:
        if isinstance(value.type, ir.OptionalType) and isinstance(value.type.elem_type, ir.TensorType):
            value.type = value.type.elem_type  # a caller of ours gives every input
            changed = True
    resolver = Resolver(model.opset_imports.get("", 0), RULES)
    return ir.passes.PassResult(model, resolver.run(model.graph) or changed)
