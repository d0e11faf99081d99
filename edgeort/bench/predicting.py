"""How long a bundle will take on a device that is not here, from what its nodes cost and the rates of its kernels.

A node takes us + multiply-adds / rate + bytes / rate (device_profiles, KernelRate), and the functions that its program
evaluates; between the two numbers of threads that were measured, time is a + b / threads. A kernel that has no rates
takes those of one like it, or is guessed from the device's peaks, as Williams, Waterman and Patterson 2009, "Roofline:
an insightful visual performance model for multicore architectures", bound it.

What another engine takes is predicted from the same nodes: what the runtime would do is what it has to do, too, and its
rates say how long it needs for that. They stand for fusions and layouts that are its own. To them comes `RUN`, a call
with the bytes of inputs and outputs, which it brings into its own layout and back.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from edgeort.bundle import Manifest
from edgeort.device_profiles import EngineRates, KernelRate, Measured, Profile
from edgeort.device_profiles.estimating import estimated
from edgeort.lowering.costs import VIEWS
from edgeort.lowering.layout import QUANTISED_PRODUCTS, QUANTISED_RECURRENT
from edgeort.providers import Node

FUNCTIONS = "Functions"  # how the rate of functions stands among those of kernels
RUN = "Run"  # and that of another engine's run
_SHARE_OF_PEAK = 0.5  # of products that have no rate
_MOST_GUESSED = 0.1  # of a latency that may be called a prediction
_ANY = "Elementwise"  # like whatever multiplies nothing
_LIKE = {
    "AveragePool": "MaxPool",
    "CompressedConv": "Conv",
    "CompressedGemm": "Gemm",
    "CompressedGRU": "GRU",
    "CompressedLSTM": "LSTM",
    "CompressedRNN": "RNN",
    "ConvTranspose": "Conv",
    "DepthwiseConvTranspose": "DepthwiseConv",
    "GroupedConv": "DepthwiseConv",
    **dict.fromkeys(("QGemm", *QUANTISED_RECURRENT), "DynamicQGemm"),
    "ReduceMean": "GlobalAveragePool",
    "SparseGemm": "Gemm",
    "WinogradStemConv": "StemConv",
}


@dataclass(frozen=True)
class Prediction:
    """`latency_ms` with so many `threads`, and `node_ms` by the nodes' names.

    `error` is what predictions of this device were off by, in the median, where that is known; nobody probed it where
    it `is_estimate`. `guessed` are kernels that have no rates, `guessed_ms` of the latency
    is theirs. `unknown` counts nodes whose costs are not known: they are left out. `engine` is another one than the
    runtime, with its version.
    """

    latency_ms: float
    threads: int
    error: float | None
    is_estimate: bool = False
    guessed: tuple[str, ...] = ()
    guessed_ms: float = 0.0
    unknown: int = 0
    engine: str = ""
    node_ms: Mapping[str, float] = field(default_factory=dict, repr=False)

    @property
    def is_founded(self) -> bool:
        """Whether it rests on what was measured on the device, and says by how much it may be off."""
        is_known = not self.unknown and self.guessed_ms <= _MOST_GUESSED * self.latency_ms
        return is_known and not self.is_estimate and self.error is not None

    @property
    def basis(self) -> str:
        """How good it is, in words."""
        if self.is_estimate:
            return "an estimate: nobody probed such a device (edgeort profiles probe)"
        if self.error is None:
            return ""
        whose = f"{self.engine} on this device" if self.engine else "this device"
        guessed = ""
        if self.guessed_ms > _MOST_GUESSED * self.latency_ms:
            guessed = f"; {self.guessed_ms / self.latency_ms:.0%} is guessed: no rates of {', '.join(self.guessed)}"
        return f"predictions of {whose} were off by {self.error:.0%} in the median{guessed}"

    def error_of(self, measured_ms: float) -> float:
        """By how much it is too long, as a share of what was measured."""
        return self.latency_ms / measured_ms - 1


def predict(nodes: Iterable[Node], measured: Measured, threads: int) -> Prediction:
    """The latency of a bundle of these nodes, which the cpu provider runs on the golden inputs."""
    rates: dict[str, dict[int, KernelRate]] = {}
    for rate in measured.kernels:
        rates.setdefault(rate.op, {})[rate.threads] = rate
    node_ms: dict[str, float] = {}
    guessed, guessed_ms, unknown = set(), 0.0, 0
    for node in nodes:
        if node.macs is None or node.moved_bytes is None or node.functions is None:
            unknown += 1
        elif node.op not in VIEWS and node.moved_bytes:
            own = rates.get(node.op)
            if own is None:
                guessed.add(node.op)
                own = rates.get(_LIKE.get(node.op, "" if node.macs else _ANY))
            us = _guess(node, measured, threads) if own is None else _between(own, node.macs, node.moved_bytes, threads)
            us += _between(rates.get(FUNCTIONS, {}), node.functions, 0, threads) if node.functions else 0.0
            node_ms[node.name] = node_ms.get(node.name, 0.0) + us * 1e-3
            guessed_ms += us * 1e-3 if node.op in guessed else 0.0
    total, named = sum(node_ms.values()), tuple(sorted(guessed))
    return Prediction(
        total, threads, measured.error, not measured.on, named, guessed_ms, unknown=unknown, node_ms=node_ms
    )


def predict_for(profile: Profile, nodes: Sequence[Node], threads: int) -> Prediction | None:
    """The same on a device of that profile, by what was measured there, else by an estimate (`estimated`).

    None where the costs of products are not known before the model runs.
    """
    if any(node.macs is None for node in nodes):
        return None
    measured = profile.measured
    return predict(nodes, measured if measured is not None and measured.kernels else estimated(profile), threads)


def predict_engine(
    rates: EngineRates, measured: Measured, nodes: Sequence[Node], border_bytes: int, threads: int
) -> Prediction | None:
    """What another engine takes where it has those rates. `nodes` are those of the runtime's plan of the model, int8
    wherever it can be; `border_bytes` are those of inputs and outputs. None as `predict_for`.
    """
    if any(node.macs is None for node in nodes):
        return None
    run = Node(RUN, RUN, rates.provider, "", macs=0, functions=0, moved_bytes=max(border_bytes, 1))
    there = replace(measured, kernels=rates.kernels, error=rates.error)
    return replace(predict([*nodes, run], there, threads), engine=rates.version)


def predict_bundle(manifest: Manifest, threads: int) -> Prediction | None:
    """The same of a bundle, where its profile has what was measured; of another engine's, what the build predicted."""
    measured = manifest.measured
    if manifest.provider != "cpu":
        return _recorded(manifest) if threads == manifest.threads else None
    if measured is None or not measured.kernels:
        return None
    return None if any(node.macs is None for node in manifest.nodes) else predict(manifest.nodes, measured, threads)


def _recorded(manifest: Manifest) -> Prediction | None:
    """What the row of its provider says."""
    for row in manifest.candidates:
        if row.get("chosen") and row.get("predicted") and isinstance(row.get("latency_ms"), float):
            return Prediction(row["latency_ms"], manifest.threads, row.get("error"), engine=manifest.provider)
    return None


def _between(rates: Mapping[int, KernelRate], macs: int, moved: int, threads: int) -> float:
    """Microseconds; beyond the most threads that were measured, as with those."""
    times = {count: _us(rate, macs, moved) for count, rate in rates.items()}
    if not times:
        return 0.0
    few, many = min(times), max(times)
    if few == many or threads <= few:
        return times[few]
    done = (1 / few - 1 / min(threads, many)) / (1 / few - 1 / many)
    return times[few] + (times[many] - times[few]) * done


def _us(rate: KernelRate, macs: int, moved: int) -> float:
    return rate.us + (macs / rate.gmacs if rate.gmacs else 0.0) * 1e-3 + (moved / rate.gbs if rate.gbs else 0.0) * 1e-3


def _guess(node: Node, measured: Measured, threads: int) -> float:
    """Microseconds of a kernel that was not measured: its products at half of the peak, or its bytes from memory."""
    several = threads > 1
    quantised = node.op in (*QUANTISED_PRODUCTS, *QUANTISED_RECURRENT)
    if quantised:
        peak = measured.int8_gops_all if several else measured.int8_gops
    else:
        peak = measured.float32_gflops_all if several else measured.float32_gflops
    bandwidth = measured.bandwidth_gbs_all if several else measured.bandwidth_gbs
    return max(2 * (node.macs or 0) / (_SHARE_OF_PEAK * peak), (node.moved_bytes or 0) / bandwidth) * 1e-3
