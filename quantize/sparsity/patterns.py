"""Which weights may be zero: a share of them anywhere, or all but N of every M along the input channels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeort.errors import InputError
from edgeort.quantize.layers import Layer

HIGHEST = 0.95  # share of a layer's weights that may go: beyond, channels are better removed
MOST = 32  # of M


@dataclass(frozen=True)
class Pattern:
    """`share` of the weights go. With `of`, all but `kept` of every `of` neighbours: then it is 1 - kept / of."""

    share: float
    kept: int = 0
    of: int = 0

    def __str__(self) -> str:
        return f"{self.kept}:{self.of}" if self.of else f"{self.share:g}"


def parse_pattern(option: str, text: str) -> Pattern | None:
    """`0.7`, or `2:4` (2 of every 4 stay); None for `auto`. InputError names the option."""
    if text == "auto":
        return None
    hint = f"{option} 0.7, {option} 2:4 (2 of every 4 weights stay), or {option} auto"
    try:
        if ":" not in text:
            return checked(Pattern(float(text)), option)
        kept, of = map(int, text.split(":"))
    except ValueError:
        raise InputError(f"{option} {text}: neither a share nor N:M", hint=hint) from None
    if not 0 < kept < of <= MOST:
        raise InputError(f"{option} {text}: N of M weights stay, 0 < N < M <= {MOST}", hint=hint)
    return Pattern(1 - kept / of, kept, of)


def checked(pattern: Pattern, option: str = "--sparsity") -> Pattern:
    """The pattern. InputError for a share that is none, or too much."""
    if 0 < pattern.share <= HIGHEST or pattern.of:
        return pattern
    raise InputError(
        f"a sparsity of {pattern.share:g}: it is a share of the weights, above 0 and up to {HIGHEST:g}",
        hint=f"{option} 0.7",
    )


def keep(saliency: np.ndarray, layer: Layer, pattern: Pattern, share: float) -> np.ndarray:
    """A mask of the weights that stay, of what each is worth, [outputs, d] (d: channels by taps for a convolution).

    `share` is that of the layer. N:M: of the channels that are left over at the end of a tap, N stay as well.
    """
    if not pattern.of:
        gone = round(share * saliency.size)
        mask = np.ones(saliency.size, bool)
        mask[np.argsort(saliency, axis=None, kind="stable")[:gone]] = False
        return mask.reshape(saliency.shape)
    taps = int(np.prod(layer.weight.shape[2:])) if layer.node.op_type == "Conv" else 1
    by_tap = saliency.reshape(len(saliency), -1, taps).transpose(0, 2, 1)  # outputs, taps, channels
    channels = by_tap.shape[2]
    padded = np.pad(by_tap, ((0, 0), (0, 0), (0, -channels % pattern.of)), constant_values=-1.0)
    groups = padded.reshape(*padded.shape[:2], -1, pattern.of)
    order = np.argsort(-groups, axis=3, kind="stable")
    mask = np.zeros(groups.shape, bool)
    np.put_along_axis(mask, order[..., : pattern.kept], True, axis=3)
    mask = mask.reshape(padded.shape)[:, :, :channels]
    return np.ascontiguousarray(mask.transpose(0, 2, 1)).reshape(saliency.shape)
