"""What a build made."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self

from edgeort import toolchain
from edgeort.bench import Measurement, Prediction, Verdict
from edgeort.bundle import golden
from edgeort.lowering.storage import SparseWeights
from edgeort.pipeline.around import Around
from edgeort.pipeline.choosing import Candidate
from edgeort.pipeline.compressing import Compressed
from edgeort.pipeline.trying import Attempt, Workshop
from edgeort.quantize import Result
from edgeort.quantize.pruning import Result as Pruning
from edgeort.quantize.sparsity import Result as Sparsity
from edgeort.validate import Comparison, Evaluation

_STATIC = f"lib/{toolchain.STATIC}"


@dataclass(frozen=True)
class BuildResult:
    """What a build made. Sizes in bytes; `static_bytes` of a static library beside the other (0: none), `embeds` tells
    whether these hold the model. `checked_on` says where the outputs came from that were compared.

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
    static_bytes: int
    embeds: bool
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

    @classmethod
    def of(
        cls,
        workshop: Workshop,
        around: Around,
        compressed: Compressed,
        attempt: Attempt,
        *,
        candidates: tuple[Candidate, ...],
        files: Mapping[str, int],
        verdicts: Sequence[Verdict],
        samples: str,
        evaluation: Evaluation | None,
        float32: Prediction | None,
    ) -> Self:
        """What the `attempt` that was taken became; `files` are the bundle's, with their sizes."""
        made, ran, behind = attempt.made, attempt.ran, workshop.behind
        pruned, quantised = compressed.pruned, compressed.quantised
        return cls(
            bundle=workshop.out,
            model=workshop.path.stem,
            device=workshop.request.profile.name,
            provider=made.provider,
            candidates=candidates,
            bundle_bytes=sum(files.values()),
            library_bytes=sum(size for name, size in files.items() if _is_library(name)),
            static_bytes=files.get(_STATIC, 0),
            embeds=toolchain.EMBEDDED in workshop.request.parts,
            harness_bytes=files.get(made.harness, 0),
            model_bytes=sum(size for name, size in files.items() if name == made.model or name.startswith("model/")),
            arena_bytes=ran.arena_bytes,
            ram_limit=workshop.request.ram_limit,
            nodes=len(made.nodes),
            precisions=dict(Counter(node.precision for node in made.nodes)),
            weights=dict(Counter(node.weights for node in made.nodes if node.weights)),
            not_int8={node.name: node.reason for node in made.nodes if node.reason},
            checked_on=ran.where,
            requirements=made.requirements,
            comparisons=tuple(attempt.comparisons),
            samples=samples,
            preprocess=around.text,
            postprocessing=None if behind is None else behind.about,
            pruning=None if pruned is None else pruned.result,
            sparse=made.sparse,
            quantization=None if quantised is None else quantised.result,
            form="" if quantised is None else quantised.told(keeps=workshop.walk.keeps),
            evaluation=evaluation,
            measurement=ran.measurement,
            prediction=attempt.prediction,
            float32=float32,
            unpredicted=attempt.expected.reason,
            sizes=golden.chosen_sizes(attempt.manifest.inputs, attempt.inputs),
            budgets=tuple(verdicts),
            rewrites=dict(made.rewrites),
            refusals=made.refused,
            seconds=workshop.walk.seconds,
        )

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


def _is_library(name: str) -> bool:
    """Whether that file of a bundle is what programs load: no CMake package, import library or static one."""
    folder, _, file = name.rpartition("/")
    return folder == "lib" and not file.endswith(".lib") and name != _STATIC
