"""The accuracy of a build: what calibrates, what judges, the int8 model within the budget, the final verdict."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import onnx_ir as ir

from edgeort import model as models
from edgeort import quantize as quantizer
from edgeort.bundle import Bundle
from edgeort.compiling import signature
from edgeort.device_profiles import Profile
from edgeort.device_profiles.rates import macs_per_ms
from edgeort.errors import InputError
from edgeort.pipeline.judging import Judge, ways_out
from edgeort.pipeline.walk import Walk
from edgeort.quantize.costs import Rates
from edgeort.quantize.samples import Data, Samples, open_samples
from edgeort.quantize.store import Store
from edgeort.recipes.front import Front
from edgeort.recipes.hearing import Hearing
from edgeort.recipes.picture import Recipe
from edgeort.records import A_FILE
from edgeort.validate import Evaluation, Exam, Limits, Where, assess, enforce

Precision = Literal["float32", "int8", "int4", "float16"]
PRECISIONS = get_args(Precision)
WORTH_DB = 0.1  # of SQNR: less is no reason to choose a provider
UNFUSED = "; of --keep-stages, ONNX Runtime runs such models with session.disable_quant_qdq=1 only"
CALIBRATE = 100  # samples, at most, where one set both calibrates and judges


@dataclass(frozen=True)
class Accuracy:
    """What calibrates and what judges a build. Where one of `data` and `eval_data` is given, it is split for int8.

    `labels`, `task`, `limits`, `output`, `characters` and `threshold` are those of `Exam`; `exclude` names nodes that
    stay float and whole. `recipe` says how pictures of both become inputs. `prune` is the share of the multiply-adds
    that goes, or auto: what the limits allow; `sparsity` is 0.7 (of the weights), 2:4 or auto.
    """

    precision: Precision = "float32"
    data: Data | None = field(default=None, metadata=A_FILE)
    eval_data: Data | None = field(default=None, metadata=A_FILE)
    labels: str | None = field(default=None, metadata=A_FILE)
    task: str | None = None
    limits: Limits = Limits()
    output: str | None = None
    characters: Path | None = None
    samples: int | None = None
    exclude: Sequence[str] = ()
    recipe: Recipe | None = None
    prune: float | Literal["auto"] | None = None
    sparsity: str | None = None
    threshold: float = 0.5

    @property
    def prunes(self) -> bool:
        """Whether anything is taken from the model."""
        return self.prune is not None or self.sparsity is not None

    @property
    def calibrates(self) -> bool:
        """Whether samples are needed beside those that judge."""
        return self.precision in ("int8", "int4") or self.prunes

    def checked(self, profile: Profile) -> Accuracy:
        """With the profile's budget where it applies. InputError for options that do not go together."""
        if self.precision not in PRECISIONS:
            raise InputError(f"--precision {self.precision}: unknown", hint=f"one of {', '.join(PRECISIONS)}")
        has_data = self.data is not None or self.eval_data is not None
        if self.precision == "int8" and not has_data:
            raise InputError("int8 needs samples to calibrate with, and there are none", hint="add --data DIR")
        if self.prunes and not has_data:
            raise InputError("pruning needs samples to fit to, and there are none", hint="add --data DIR")
        if self.prune is not None and self.sparsity is not None:
            raise InputError(
                "--prune and --sparsity are two steps", hint="edgeort prune --ratio, then build --sparsity"
            )
        if "auto" in (self.prune, self.sparsity) and not self.limits.is_set:
            raise InputError("pruning by auto goes as far as a budget allows: none is set", hint="add --max-drop 1")
        if (self.limits.is_set or self.labels) and not has_data:
            raise InputError("a budget of accuracy is judged on samples, and there are none", hint="add --data DIR")
        drop = profile.budget.max_drop
        if self.labels and drop is not None and self.limits.max_drop is None:
            return replace(self, limits=replace(self.limits, max_drop=drop))
        return self


@dataclass(frozen=True)
class Sets:
    """The samples that calibrate (None: nothing does), those that judge, and what was done, in words."""

    calibration: Samples | None
    judging: Samples | None
    told: str = ""


def open_sets(accuracy: Accuracy, graph: ir.Model, front: Front | Hearing | None = None) -> Sets:
    """The two sets, apart from each other. InputError for these and for labels, before any work.

    Where the bundle will take pictures or sound, `front` is what makes the model's input of them.
    """
    inputs = signature(graph)[0]
    data, judging = (
        None if given is None else open_samples(given, inputs, front or accuracy.recipe).limited(accuracy.samples)
        for given in (accuracy.data, accuracy.eval_data)
    )
    sets = _apart(data, judging, calibrates=accuracy.calibrates)
    if sets.judging is not None:
        exam_of(accuracy, sets.judging).labelled(sets.judging)
    return sets


def _apart(data: Samples | None, judging: Samples | None, *, calibrates: bool) -> Sets:
    only = data or judging
    if only is None:
        return Sets(None, None)
    if not calibrates:
        return Sets(None, judging or data)
    if data is not None and judging is not None and data.source != judging.source:
        return Sets(data, judging, f"{data.source} calibrates, {judging.source} judges")
    if only.count is not None and only.count < 2:
        raise InputError(f"{only.source}: one sample cannot both calibrate and judge", hint="add --eval-data DIR")
    first, rest = only.split(min(CALIBRATE, (only.count or 0) // 2))
    return Sets(first, rest, f"{only.source} is split: {first.count} samples calibrate, {rest.count} others judge")


@dataclass
class Quantised:
    """The quantised graph, what was done, and its bytes for ONNX Runtime. `rivals` of cpu may be taken to run it."""

    graph: ir.Model
    model: bytes
    result: quantizer.Result
    precision: Precision
    rivals: Sequence[str] = ()

    @property
    def is_int8(self) -> bool:
        """Whether a float model became int8 here."""
        return self.precision == "int8" and not self.result.was_quantised

    @property
    def form(self) -> str:
        """Whether there are scales for channels, why, and what they are worth, in words; "" where none could be."""
        scales = self.result.scales
        if scales is None:
            return ""
        if scales.used:
            return (
                f"channels of {scales.tensors} tensor(s) have their own scales, as only cpu can be taken: {scales.text}"
            )
        if not self.rivals:
            return f"one scale for each tensor: those for channels of {scales.tensors} would bring {scales.text}"
        why = f"plain pairs, which {' and '.join(self.rivals)} can run, too"
        if scales.own_db - scales.plain_db < WORTH_DB:
            return f"{why}; scales for channels (--provider cpu) would bring {scales.text}: no more"
        return f"{why}; with --provider cpu channels of {scales.tensors} tensor(s) have their own scales: {scales.text}"

    def told(self, *, keeps: bool) -> str:
        """The form, and where stages are kept, how ONNX Runtime runs them."""
        has_scales = self.result.scales is not None and self.result.scales.used
        return self.form + (UNFUSED if keeps and has_scales else "")


def exam_of(accuracy: Accuracy, samples: Samples) -> Exam:
    """What the build is judged by."""
    asked = accuracy
    return Exam(
        samples, asked.labels, asked.task, asked.limits, asked.output, asked.characters, threshold=asked.threshold
    )


def quantise(
    path: Path,
    shapes: Mapping[str, Sequence[int | str]] | None,
    accuracy: Accuracy,
    sets: Sets,
    profile: Profile,
    walk: Walk,
    rivals: Sequence[str] = (),
    pruned: bytes | None = None,
) -> Quantised:
    """The int8 model of the ONNX file, or of what is left of it, with as few layers in float as the budget needs; or
    the one of int4 or float16 weights. Where cpu has no `rivals`, it is in the form that is for edgeort alone.

    Raises BudgetError.
    """
    rates = Rates(*macs_per_ms(profile))
    options = quantizer.Options(
        exclude=accuracy.exclude,
        weights=accuracy.precision,
        recipe=accuracy.recipe,
        rates=rates,
        runtime="onnx" if rivals else "edgeort",
        weighs_scales=True,
    )
    with walk.stage("quantize"), tempfile.TemporaryDirectory(prefix="edgeort-") as folder, Store(0) as store:
        if accuracy.limits.is_set and (judging := sets.judging) is not None:
            goal = Judge(path, exam_of(accuracy, judging), judging, store, walk.progress, None if rivals else profile)
            options = replace(options, goal=goal)
        made, source = Path(folder) / "quantised.onnx", path
        if pruned is not None:
            source = Path(folder) / "pruned.onnx"
            source.write_bytes(pruned)
        result = quantizer.quantize(
            source, made, sets.calibration, options, shapes=shapes, progress=walk.progress, tell=walk.progress
        )
        source = source if result.was_quantised else made
        graph = models.clean(walk.keep("quantize", models.load(source, shapes=shapes)))
        return Quantised(graph, source.read_bytes(), replace(result, output=""), accuracy.precision, rivals)


def preprocessing_of(front: Front | None, sets: Sets) -> dict[str, Any] | None:
    """What the manifest says of pictures: of those that the bundle takes, or that judged; None where there are none."""
    found = front or (None if sets.judging is None else sets.judging.front)
    return found.to_dict() if isinstance(found, Front) else None


def record(
    accuracy: Accuracy,
    quantised: Quantised | None,
    found: Evaluation | None,
    pruned: Mapping[str, float],
) -> dict[str, Any] | None:
    """What the manifest says of accuracy; no times and no paths, so that the same build gives the same bytes."""
    if quantised is None and found is None:
        return None
    told: dict[str, Any] = {"precision": accuracy.precision, "budget": asdict(accuracy.limits)}
    told |= pruned
    if quantised is not None:
        result = quantised.result
        told |= {
            "method": result.method,
            "samples": result.samples,
            "stay_float": result.left,
            "ledger": [asdict(entry) for entry in result.ledger],
        }
        counts = {"evened_tensors": result.evened, "equalised_pairs": result.equalised}
        told |= {name: count for name, count in counts.items() if count}
        if result.scales is not None:
            told |= {"form": quantised.form, "channel_scales": asdict(result.scales)}
    if found is not None:
        told |= {
            "judged_on": found.where,
            "judged_samples": found.samples,
            "task": found.task,
            "measured": [asdict(figure) for figure in found.figures],
        }
    return told


def judge(trial: Bundle, path: Path, accuracy: Accuracy, sets: Sets, there: Where, walk: Walk) -> Evaluation:
    """What the bundle's answers are worth there. BudgetError when a limit is not kept."""
    assert sets.judging is not None
    with walk.stage("validate"):
        found = assess(trial, path, exam_of(accuracy, sets.judging), where=there, progress=walk.progress)
    if accuracy.prunes and accuracy.precision == "float32":
        return enforce(found, hint="--prune auto or --sparsity auto, or a smaller share; or a wider budget")
    if accuracy.precision == "float32":
        return enforce(
            found, hint=f"the float bundle is not what ONNX Runtime computes: edgeort validate --model {path}"
        )
    return enforce(found, hint=ways_out(accuracy.limits, found))
