"""The types that LiteRT's kernels take: some abort the process at others, so that they must never be in a file.

Real numbers that int8 stands for, by a scale, are apart: the handlers know which operators take those.
"""

from __future__ import annotations

_FLOATS = frozenset(("float32",))
_NUMBERS = frozenset(("float32", "int32", "int64"))
_ANY = frozenset(("float32", "int32", "int64", "int16", "int8", "uint8", "bool"))
_SORTED = frozenset(("float32", "int32"))

# operator -> types of its operands; of those that are not here, float32
_KINDS: dict[str, frozenset[str]] = {
    **dict.fromkeys(("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "NEG", "FLOOR_MOD", "CUMSUM"), _NUMBERS),
    **dict.fromkeys(("SUM", "MEAN", "REDUCE_MAX", "REDUCE_MIN", "REDUCE_PROD"), _NUMBERS),
    **dict.fromkeys(("GREATER", "GREATER_EQUAL", "LESS", "LESS_EQUAL"), _NUMBERS),
    **dict.fromkeys(("EQUAL", "NOT_EQUAL"), _NUMBERS | {"bool"}),
    **dict.fromkeys(("LOGICAL_AND", "LOGICAL_OR", "LOGICAL_NOT"), frozenset(("bool",))),
    **dict.fromkeys(("ABS", "SIGN", "TOPK_V2", "ARG_MAX", "ARG_MIN"), _SORTED),
    **dict.fromkeys(("RESHAPE", "TRANSPOSE", "CONCATENATION", "SPLIT", "SPLIT_V", "SLICE", "STRIDED_SLICE"), _ANY),
    **dict.fromkeys(("GATHER", "GATHER_ND", "BROADCAST_TO", "TILE", "CAST", "SELECT_V2"), _ANY),
    **dict.fromkeys(("PAD", "PADV2", "MIRROR_PAD"), _NUMBERS),
}


def takes(name: str, dtype: str) -> bool:
    """Whether the operator works on plain numbers of that type."""
    return dtype in _KINDS.get(name, _FLOATS)
