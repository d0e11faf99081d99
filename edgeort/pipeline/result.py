"""What a build made."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from edgeort.bench import Measurement, Prediction, Verdict
from edgeort.lowering.storage import SparseWeights
from edgeort.pipeline.choosing import Candidate
from edgeort.quantize import Result
from edgeort.quantize.pruning import Result as Pruning
from edgeort.quantize.sparsity import Result as Sparsity
from edgeort.validate import Comparison, Evaluation


@dataclass(frozen=True)
class BuildResult:
    """What a build made. Sizes in bytes; `checked_on` says where the outputs came from that were compared.

    `candidates` is the table from which the `provider` was chosen, `requirements` are pip packages that the device
    needs. `precisions` counts nodes by precision, `weights` those with weights by how these are stored, `not_int8` says
    of quantised layers why they run in float. `samples` says which samples calibrated and which judged,
    `postprocessing` the recipe behind the model and its outputs, `pruning` which channels or weights went, `sparse`
    which weights are stored without their zeros, `quantization` is what made the int8 model, `evaluation` what the
    bundle's answers are worth, `prediction` how long it should take on a device that is not here, `float32` how long
    the float model should that was made int8, by the same rates. Where nothing was expected, `unpredicted` says why.
    `sizes` are shapes of golden inputs that leave sizes free: the check, the arena and latencies are of those.
    """

    bundle: Path
    model: str
    device: str
    provider: str
    candidates: tuple[Candidate, ...]
    bundle_bytes: int
    library_bytes: int
    harness_bytes: int
    model_bytes: int
    arena_bytes: int
    ram_limit: int | None
    nodes: int
    precisions: dict[str, int]
    weights: dict[str, int]
    not_int8: dict[str, str]
    checked_on: str
    requirements: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    samples: str
    preprocess: str  # the recipe of the pictures or the sound that the bundle takes; "": it takes tensors
    postprocessing: dict[str, Any] | None
    pruning: Pruning | Sparsity | None
    sparse: tuple[SparseWeights, ...]
    quantization: Result | None
    form: str  # of an int8 model: whose form it has, and what another would be worth; "": there is no choice
    evaluation: Evaluation | None
    measurement: Measurement | None
    prediction: Prediction | None
    float32: Prediction | None
    unpredicted: str
    sizes: dict[str, tuple[int, ...]]
    budgets: tuple[Verdict, ...]
    rewrites: dict[str, int]
    refusals: tuple[str, ...]
    seconds: dict[str, float]

    @property
    def is_slower_than_float(self) -> bool:
        """Whether int8 should take longer than the float model."""
        int8, plain = self.prediction, self.float32
        return int8 is not None and plain is not None and int8.latency_ms > plain.latency_ms

    @property
    def max_difference(self) -> float:
        """The largest difference to ONNX Runtime, relative to the range of the output."""
        return max((result.max_difference for result in self.comparisons), default=0.0)

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {
            **asdict(self),
            "bundle": str(self.bundle),
            "max_difference": self.max_difference,
            "pruning": None if self.pruning is None else self.pruning.to_dict(),
            "quantization": None if self.quantization is None else self.quantization.to_dict(),
            "evaluation": None if self.evaluation is None else self.evaluation.to_dict(),
        }
