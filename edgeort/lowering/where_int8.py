"""Where int8 pays: which products whose operands are quantised run in float32 all the same.

A product's time is that of its multiply-adds or of reading its weights, whichever is longer (Williams, Waterman and
Patterson 2009, "Roofline: an insightful visual performance model for multicore architectures"). Float32 may multiply
less, by Winograd, and pays for dequantising its input and quantising its result. These two stand in the graph and are
computed in any case, so a float layer costs the same whatever precision its neighbours have.

The weights of such a layer are four times as large, and so are the activations next to it: where the profile limits
the bundle's size or its memory, or the build the activations, every product that can be int8 is. Depthwise
convolutions always are: what they may lose, converting loses too. So are products of shapes that only the runtime
knows.
"""

from __future__ import annotations

import math

import numpy as np
import onnx_ir as ir

from edgeort.device_profiles import Profile
from edgeort.device_profiles.rates import CoreRates, macs_per_cycle
from edgeort.lowering import winograd
from edgeort.lowering.context import Group
from edgeort.passes.quantised import quantity

_CONVERT = 12  # float32 multiply-adds that one number takes to be quantised or dequantised: measured
_BYTES_PER_CYCLE = 2  # of weights that a core reads, all cores busy: of the profiles, 1.8 to 2.8
_CLEAR = 1.1  # how much slower int8 must be: rates are known to about a tenth, and int8 takes less memory


def rates_of(profile: Profile) -> CoreRates | None:
    """The profile's rates; None where size or memory is limited, so that int8 is right whatever its speed."""
    if profile.budget.size_kb is not None or profile.budget.ram_mb is not None:
        return None
    return macs_per_cycle(profile)


def slower(node: ir.Node, group: Group, weight: np.ndarray, rates: CoreRates) -> str | None:
    """Why a product by int8 weights that is not depthwise is better in float32; None where int8 pays.

    weight: as the node has it; only its shape counts.
    """
    x, y = _shape(node.inputs[0]), _shape(node.outputs[0])
    if not x or not y or 0 in y:
        return None
    size, made = math.prod(x), math.prod(y)
    plain = weight.size * made / y[-1]
    fast = winograd.multiply_adds(node, weight, node.outputs[0]) if weight.ndim == 4 else None
    converted = size + (made if group.program and quantity(group.program[-1]) is not None else 0)
    float32 = max((plain if fast is None else fast * y[0]) / rates.float32, 4 * weight.size / _BYTES_PER_CYCLE)
    float32 += _CONVERT * converted / rates.float32
    int8 = max(plain / rates.int8, weight.size / _BYTES_PER_CYCLE)
    if int8 < _CLEAR * float32:
        return None
    other = "float32" if fast is None else "Winograd in float32"
    given = f"a core does {rates.float32:g} multiply-adds a cycle in float32, {rates.int8:g} in int8"
    return f"int8 would be slower, {int8 / float32:.1f} x the time of {other}: {given}"


def _shape(value: ir.Value | None) -> list[int] | None:
    """The dimensions where all are known."""
    if value is None or value.shape is None or not all(isinstance(dim, int) for dim in value.shape):
        return None
    return [int(dim) for dim in value.shape]  # type: ignore[arg-type]
