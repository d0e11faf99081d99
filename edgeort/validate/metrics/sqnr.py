"""Signal to quantisation noise: SQNR = 10 log10(sum r^2 / sum (r - q)^2) in dB, over all numbers of all samples.

The usual measure of quantisers (Bennett 1948, "Spectra of quantized signals"); one figure for each float output, but
for those whose shape changes: a list of detections can be one longer. An output that is joined of unlike parts, as of
boxes in pixels and scores, has one for each part (quantize/parts.py).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from edgeort.quantize.parts import Part, unlike
from edgeort.validate.metrics.metric import Case, Figure, Loss, float_outputs

_LARGEST_DB = 300.0  # of a sample's loss: more than float64 tells


@dataclass
class Energies:
    """sum r^2 and sum (r - q)^2."""

    signal: float = 0.0
    noise: float = 0.0
    numbers: int = 0

    def add(self, reference: np.ndarray, found: np.ndarray) -> None:
        """Adds an array's. What is not finite in both alike is infinite noise."""
        r, q = reference.astype(np.float64), found.astype(np.float64)
        with np.errstate(invalid="ignore"):
            difference = np.where((r == q) | (np.isnan(r) & np.isnan(q)), 0.0, r - q)
        r = r[np.isfinite(r)]
        self.signal += float((r * r).sum())
        self.numbers += r.size
        noise = float((difference * difference).sum())
        self.noise += math.inf if math.isnan(noise) else noise

    @property
    def mean_square(self) -> float:
        """Of the reference."""
        return self.signal / max(self.numbers, 1)

    @property
    def db(self) -> float:
        """Infinite where nothing differs."""
        if not self.noise:
            return math.inf
        return 10 * math.log10(max(self.signal, 1e-300) / self.noise) if math.isfinite(self.noise) else -math.inf


@dataclass
class Sqnr:
    """Of every float output."""

    outputs: dict[str, Energies] = field(default_factory=dict)
    parts: dict[Part, Energies] = field(default_factory=dict)
    changing: set[str] = field(default_factory=set)

    def add(self, case: Case) -> Loss:
        """A sample's loss is noise / signal."""
        worst = math.inf
        for name in float_outputs(case):
            if case.reference[name].shape != case.found[name].shape:
                self.changing.add(name)
                continue
            own = Energies()
            for energies in (own, self.outputs.setdefault(name, Energies())):
                energies.add(case.reference[name], case.found[name])
            worst = min(worst, own.db)
            for part in case.joined:
                if part.output == name:
                    energies = self.parts.setdefault(part, Energies())
                    energies.add(part.of(case.reference[name]), part.of(case.found[name]))
        return Loss(10 ** (-max(worst, -_LARGEST_DB) / 10), f"{worst:.1f} dB")

    def figures(self) -> list[Figure]:
        """`sqnr_db`, one an output or part of it; its name stands in the note."""
        kept = {name: energies for name, energies in self.outputs.items() if name not in self.changing}
        return [
            Figure("sqnr_db", energies.db, "dB", note=f"output {shown}")
            for name, whole in kept.items()
            for shown, energies in (unlike(name, self.parts) or {name: whole}).items()
        ]
