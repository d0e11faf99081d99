"""Products and convolutions by name, each with what may go wrong in it."""

from __future__ import annotations

from tests.kernels.qgemm.support import Case

GEMMS: dict[str, Case] = {
    "float32": Case(37, 21, quantised=False),
    "program": Case(30, 37, program=True),
    "program to float32": Case(30, 33, program=True, quantised=False),
    "program of many columns": Case(9, 1000, program=True),
    "limits": Case(40, 40, limits=(-100, 50)),
    "zero points at the ends": Case(33, 20, zero_points=(127, -128)),
    "saturated at the end": Case(80, 40, zero_points=(5, -128), scale=3.0),
    "zero points at the other ends": Case(33, 20, zero_points=(-128, 127)),
    "the least weight": Case(50, 35, wide=True),
    "sums near the limits of int32": Case(5000, 17, extreme=True, zero_points=(-128, 0), scale=2.0**-24),
    "saturated": Case(80, 40, scale=3.0),
    "beyond int32": Case(80, 40, scale=1e7),
    "beyond float32": Case(80, 40, scale=1e38),
    "ties": Case(4, 40, scale=0.5),
    "few columns behind a tile, of large panels": Case(3000, 67),
    "small weights": Case(150, 43, deviation=9),
    "weights as trained": Case(516, 43, deviation=28, quantised=False),
    "sums of two weights at the limits": Case(263, 40, edges=True, quantised=False),
    "few sums of two weights at the limits": Case(16, 24, edges=True, wide=True, quantised=False),
}

CONVS: dict[str, Case] = {
    "pointwise": Case(24, 40, (1, 1)),
    "pointwise of odd channels": Case(19, 21, (1, 1)),
    "stem": Case(3, 32, (3, 3), (2, 2), (1, 1, 1, 1)),
    "padded": Case(8, 20, (3, 3), pads=(1, 1, 1, 1), zero_points=(-100, 3)),
    "padded, odd channels": Case(13, 20, (3, 3), pads=(1, 1, 1, 1), zero_points=(100, 3)),
    "one channel": Case(1, 5, (5, 4), pads=(2, 1, 2, 2)),
    "stride of pointwise": Case(16, 24, (1, 1), (2, 2)),
    "not square": Case(12, 17, (3, 5), (2, 1), (1, 2, 1, 2)),
    "dilated": Case(8, 9, (3, 3), dilations=(2, 3), pads=(2, 3, 2, 3)),
    "groups": Case(24, 36, (3, 3), pads=(1, 1, 1, 1), groups=4),
    "groups of odd channels": Case(15, 51, (3, 3), pads=(1, 1, 1, 1), groups=3),
    "program": Case(20, 50, (3, 3), pads=(1, 1, 1, 1), program=True),
    "program of groups": Case(20, 50, (3, 3), pads=(1, 1, 1, 1), program=True, groups=2),
    "program to float32": Case(20, 50, (1, 1), program=True, quantised=False),
    "float32": Case(20, 50, (3, 3), quantised=False),
    "the least weight": Case(20, 50, (3, 3), wide=True, pads=(1, 1, 1, 1)),
    "weights as trained": Case(36, 24, (3, 3), pads=(1, 1, 1, 1), deviation=28),
    "weights as trained, odd channels": Case(39, 24, (3, 3), pads=(1, 1, 1, 1), deviation=28),
    "sums of two weights at the limits": Case(20, 19, (3, 3), pads=(1, 1, 1, 1), edges=True, wide=True),
    "sums of two weights at the limits, groups": Case(48, 48, (3, 3), pads=(1, 1, 1, 1), edges=True, groups=3),
    "more padding than kernel": Case(4, 18, (3, 3), pads=(4, 3, 5, 2)),
}

STEMS: dict[str, Case] = {
    "stem of colours": Case(3, 32, (3, 3), (2, 2), (1, 1, 1, 1), stem=True),
    "stem of one channel": Case(1, 18, (5, 5), pads=(2, 2, 2, 2), stem=True, zero_points=(-128, 100)),
    "stem of long kernel rows": Case(4, 20, (7, 7), (2, 2), (3, 3, 3, 3), stem=True),
    "stem, dilated": Case(3, 9, (3, 2), (1, 2), dilations=(2, 2), pads=(1, 2, 0, 1), stem=True),
    "stem, whose rows reach beyond both ends": Case(2, 17, (1, 12), (1, 2), (0, 7, 0, 8), stem=True),
    "stem without padding": Case(2, 17, (3, 4), stem=True, zero_points=(7, 0)),
    "stem with more padding than kernel": Case(3, 16, (3, 3), pads=(4, 3, 5, 6), stem=True),
    "stem with a program": Case(3, 24, (3, 3), (2, 2), (0, 0, 1, 1), stem=True, program=True),
    "stem, sums of two weights at the limits": Case(3, 24, (5, 5), (2, 2), (2, 2, 2, 2), stem=True, edges=True),
    "stem to float32": Case(3, 40, (4, 4), (4, 4), stem=True, quantised=False),
    "stem with the least weight": Case(3, 40, (3, 3), stem=True, wide=True, pads=(1, 1, 1, 1)),
}
