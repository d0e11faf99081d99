"""Writes sequences and optionals as the tensors that they are, where the graph says which those are.

    SequenceAt(SplitToSequence(x), 1)                     ->  output 1 of Split(x)
    ConcatFromSequence(SequenceInsert(SequenceConstruct(a, b), c))  ->  Concat(a, b, c)
    SequenceAt(SplitToSequence<keepdims=0>(x), i)         ->  Gather(x, i), of any number of parts
    Loop(s = SequenceEmpty) { s = SequenceInsert(s, t) }, ConcatFromSequence<new_axis=1>  ->  a scan output of the Loop
    OptionalGetElement(Optional(x))                       ->  x

What comes from outside, or has a length that data decide, stays: the runtime has kernels for it, which run while shapes
are inferred, and copy.
"""

from __future__ import annotations

import onnx_ir as ir

from edgeort.model.sequences.resolver import Resolver
from edgeort.model.sequences.rules import RULES


def resolve_sequences(model: ir.Model) -> ir.passes.PassResult:
    """Rewrites all graphs of the model, in place."""
    return ir.passes.PassResult(model, Resolver(model.opset_imports.get("", 0), RULES).run(model.graph))
