"""What runs on a device to tell the rates of its kernels: blocks of common networks, side by side in one graph.

Kernels are timed as they are used: operators that the runtime joins are joined, weights come from as far as those of a
model of tens of megabytes. `WHOLE` are small networks, to see how well rates predict what they were not found on.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

from edgeort.probing.networks import Network

Block = Callable[[Network, str], str]
Shape = tuple[int, ...]


def _convs(
    size: int, channels: Sequence[int], kernel: int = 1, stride: int = 1, then: str = "relu6"
) -> tuple[Shape, Block]:
    """Convolutions behind each other, the first of that stride."""

    def block(net: Network, x: str) -> str:
        for index, (into, out) in enumerate(itertools.pairwise(channels)):
            x = net.conv(x, into, out, kernel, 1 if index else stride, then=then)
        return x

    return (1, channels[0], size, size), block


def _depthwise(size: int, channels: int, kernel: int = 3, stride: int = 1) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        for index in range(3):
            x = net.depthwise(x, channels, kernel, 1 if index else stride)
        return x

    return (1, channels, size, size), block


def _inverted(size: int, channels: int, out: int = 0, kernel: int = 3, expansion: int = 6) -> tuple[Shape, Block]:
    """Two blocks, and one that halves the size where it makes other channels."""

    def block(net: Network, x: str) -> str:
        for _ in range(2):
            x = net.inverted(x, channels, channels, expansion, kernel, 1)
        return net.inverted(x, channels, out, expansion, kernel, 2) if out else x

    return (1, channels, size, size), block


def _basic(size: int, channels: int, out: int) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        return net.basic(net.basic(x, channels, channels, 1), channels, out, 2)

    return (1, channels, size, size), block


def _mobile_front(size: int, wide: int, narrow: int) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        return net.conv(net.depthwise(net.conv(x, 3, wide, 3, 2), wide, 3), wide, narrow, then="")

    return (1, 3, size, size), block


def _pooled_front(size: int, channels: int) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        y = net.conv(x, 3, channels, 7, 2, then="relu")
        return net.op("MaxPool", y, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)

    return (1, 3, size, size), block


def _steep_front(size: int, channels: int) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        return net.conv(net.conv(x, 3, channels, 3, 2, then="silu"), channels, 2 * channels, 3, 2, then="silu")

    return (1, 3, size, size), block


def _linear(rows: int, into: int, out: int, then: str = "") -> tuple[Shape, Block]:
    return (1, rows, into), lambda net, x: net.linear(x, into, out, then)


def _encoder(rows: int, width: int, heads: int) -> tuple[Shape, Block]:
    return (1, rows, width), lambda net, x: net.encoder(x, rows, width, heads)


def _attention(rows: int, width: int, heads: int) -> tuple[Shape, Block]:
    return (1, rows, width), lambda net, x: net.attention(x, rows, width, heads)


def _classifier(size: int, channels: int, classes: int) -> tuple[Shape, Block]:
    return (1, channels, size, size), lambda net, x: net.classifier(x, channels, classes)


def _two_paths(size: int, channels: int) -> tuple[Shape, Block]:
    """Two halves of the channels, one of which goes through a block (Jocher et al. 2023, YOLOv8, C2f)."""

    def block(net: Network, x: str) -> str:
        half = channels // 2
        a, b = (net.conv(x, channels, half, then="silu") for _ in range(2))
        c = net.add(net.conv(net.conv(b, half, half, 3, then="silu"), half, half, 3, then="silu"), b)
        return net.conv(net.requantise(net.op("Concat", a, b, c, axis=1)), 3 * half, channels, then="silu")

    return (1, channels, size, size), block


def _pools(size: int, channels: int) -> tuple[Shape, Block]:
    """He et al. 2014, arXiv:1406.4729, with equal pools behind each other."""

    def block(net: Network, x: str) -> str:
        parts = [x]
        for _ in range(3):
            parts.append(net.op("MaxPool", parts[-1], kernel_shape=[5, 5], pads=[2] * 4))
        return net.conv(net.op("Concat", *parts, axis=1), 4 * channels, channels, then="silu")

    return (1, channels, size, size), block


def _doubled(size: int, channels: int) -> tuple[Shape, Block]:
    def block(net: Network, x: str) -> str:
        scales = net.floats(1, 1, 2, 2)
        return net.op(
            "Resize", x, "", scales, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric"
        )

    return (1, channels, size, size), block


def _gate(size: int, channels: int) -> tuple[Shape, Block]:
    """Hu et al. 2017, arXiv:1709.01507, section 3."""

    def block(net: Network, x: str) -> str:
        y = net.requantise(net.op("GlobalAveragePool", x))
        y = net.conv(net.conv(y, channels, channels // 4, then="relu"), channels // 4, channels, then="")
        return net.requantise(net.op("Mul", x, net.op("HardSigmoid", y)))

    return (1, channels, size, size), block


BLOCKS: tuple[tuple[Shape, Block], ...] = (
    _mobile_front(224, 32, 16), _mobile_front(160, 16, 16), _pooled_front(224, 64), _pooled_front(128, 32),
    _steep_front(256, 16), _steep_front(160, 16), _mobile_front(32, 16, 16), _pooled_front(32, 16),
    _steep_front(32, 16),
    _inverted(112, 16, 24), _inverted(56, 24, 40, 5), _inverted(28, 32), _inverted(28, 40, 80), _inverted(14, 64),
    _inverted(14, 112, 160, 5), _inverted(7, 160), _inverted(7, 192, kernel=5), _inverted(28, 16, expansion=3),
    _convs(56, (64, 64, 128)), _convs(28, (192, 32, 192)), _convs(28, (128, 128, 128)), _convs(14, (96, 576, 96)),
    _convs(14, (256, 256, 256)), _convs(7, (320, 1280)), _convs(7, (512, 128, 512)), _convs(10, (384, 128)),
    _convs(40, (96, 32, 64), then="silu"), _convs(20, (128, 128, 128), then="silu"),
    _convs(80, (16, 16, 16), 3, then="silu"), _convs(56, (64, 64), 3), _convs(40, (32, 32, 32), 3, then="silu"),
    _convs(28, (128, 128), 3), _convs(20, (64, 64, 80), 3, then="silu"), _convs(14, (256, 256), 3),
    _convs(10, (128, 64, 64), 3, then="silu"), _convs(7, (256, 512), 3),
    _convs(80, (16, 32, 32), 3, 2), _convs(40, (64, 128), 3, 2), _convs(20, (128, 256), 3, 2),
    _basic(56, 64, 64), _basic(28, 64, 128), _basic(14, 128, 256),
    _two_paths(40, 64), _two_paths(20, 128), _two_paths(10, 256), _pools(10, 128), _doubled(20, 128),
    _gate(28, 120), _gate(14, 240),
    _depthwise(112, 32), _depthwise(56, 144, stride=2), _depthwise(28, 240, 5), _depthwise(14, 480, 5),
    _depthwise(7, 960),
    _classifier(7, 1280, 1000), _classifier(7, 512, 1000),
    _linear(128, 384, 384), _linear(128, 384, 1536, "gelu"), _linear(128, 1536, 384), _linear(32, 256, 256),
    _linear(16, 512, 512), _linear(1, 768, 768), _encoder(128, 256, 8), _encoder(32, 128, 4), _attention(64, 192, 3),
    _attention(197, 192, 3),
)  # fmt: skip


def _small_mobile(net: Network, x: str) -> str:
    x = net.conv(net.depthwise(net.conv(x, 3, 16, 3, 2), 16, 3), 16, 8, then="")
    for into, out, kernel, stride in ((8, 16, 3, 2), (16, 16, 3, 1), (16, 32, 5, 2), (32, 32, 5, 1), (32, 64, 3, 2)):
        x = net.inverted(x, into, out, 6, kernel, stride)
    return net.classifier(net.conv(x, 64, 640), 640, 100)


def _small_residual(net: Network, x: str) -> str:
    x = net.op("MaxPool", net.conv(x, 3, 32, 7, 2, then="relu"), kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    for into, out, stride in ((32, 32, 1), (32, 64, 2), (64, 64, 1), (64, 128, 2), (128, 128, 1)):
        x = net.basic(x, into, out, stride)
    return net.classifier(x, 128, 100)


def _small_encoder(net: Network, x: str) -> str:
    for _ in range(2):
        x = net.encoder(x, 48, 192, 4)
    return x


def _small_detector(net: Network, x: str) -> str:
    for into, out in ((3, 16), (16, 32), (32, 64)):
        x = net.conv(x, into, out, 3, 2, then="silu")
    y = net.conv(x, 64, 64, 3, 2, then="silu")
    for shape, block in (_two_paths(0, 64), _pools(0, 64), _doubled(0, 64)):
        assert shape[1] == 64
        y = block(net, y)
    joined = net.requantise(net.op("Concat", x, y, axis=1))
    return net.conv(net.conv(joined, 128, 64, then="silu"), 64, 24, 3, then="silu")


WHOLE: tuple[tuple[Shape, Block], ...] = (
    ((1, 3, 128, 128), _small_mobile),
    ((1, 3, 128, 128), _small_residual),
    ((1, 48, 192), _small_encoder),
    ((1, 3, 160, 160), _small_detector),
)


def network(quantised: bool) -> Network:
    """Every block and small network, each a branch of its own, in float32 or int8."""
    net = Network(quantised)
    for branch, (shape, block) in _branches():
        net.end(block(net, net.begin(branch, shape)))
    return net


def networks(quantised: bool) -> Iterator[tuple[str, Network]]:
    """The same as a network each, with the names of the branches, as other engines are given models: channels first."""
    for branch, (shape, block) in _branches():
        net = Network(quantised, channels_last=False)
        net.end(block(net, net.begin(branch, shape)))
        yield branch, net


def _branches() -> Iterator[tuple[str, tuple[Shape, Block]]]:
    for letter, kind in (("b", BLOCKS), ("w", WHOLE)):
        yield from ((f"{letter}{index}", one) for index, one in enumerate(kind))


def is_whole(branch: str) -> bool:
    """Whether a branch is a small network, on which rates are not to be found."""
    return branch.startswith("w")
