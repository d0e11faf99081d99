"""What can be asked of the quantiser, and which of it does not go together."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from edgeort.errors import InputError
from edgeort.quantize import blocks
from edgeort.quantize.costs import Rates
from edgeort.quantize.forms import Form
from edgeort.quantize.goals import Budget, Goal
from edgeort.quantize.ranges import AUTO, METHODS
from edgeort.quantize.refinement import Steps
from edgeort.quantize.samples import Data
from edgeort.recipes.picture import Recipe

RUNTIMES = ("onnx", "edgeort")
WEIGHTS = ("int8", "int4", "float16")
REFINE_SAMPLES = 100  # that refinement goes over again; more change nothing that can be measured


@dataclass(frozen=True)
class Options:
    """How to quantise. `method` is a key of METHODS, or AUTO: of some that which leaves less noise at the outputs.

    `ranges` is a file to use instead of calibrating; `exclude` names nodes that stay float. `activations` is the form
    of all layers that can have it, None for what fits each. `weights` is one of `WEIGHTS`: beside int4, in blocks of
    `block` (None: 32), activations are float, or dynamic: they become int8 in the same blocks
    as the model runs; beside float16 they are float. `runtime` is what the model is for: "onnx", any, or "edgeort",
    which takes a scale for each channel of what only depthwise convolutions read; with `weighs_scales` their worth is
    measured for "onnx", too. `inline` writes functions out as
    operators, for runtimes without functions. `recipe` says how pictures become inputs. `budget` is kept by promoting
    layers, as few as needed; `goal` is one to reach in its place. `rates` are those of the device that a bundle is for,
    and make the cost of a promotion.
    """

    method: str = AUTO
    ranges: Path | None = None
    save_ranges: Path | None = None
    samples: int | None = None
    refine_samples: int = REFINE_SAMPLES
    steps: Steps = Steps()
    exclude: Collection[str] = ()
    activations: Form | None = None
    weights: str = WEIGHTS[0]
    block: int | None = None
    runtime: str = RUNTIMES[0]
    weighs_scales: bool = False
    inline: bool = False
    recipe: Recipe | None = None
    budget: Budget = Budget()
    goal: Goal | None = None
    rates: Rates | None = None

    @property
    def needs_ranges(self) -> bool:
        """Whether activations are quantised."""
        return self.weights == "int8" and self.activations is not Form.FLOAT

    @property
    def rows_in_blocks(self) -> bool:
        """Whether rows that int4 weights multiply become bytes as the model runs."""
        return self.weights == "int4" and self.activations is Form.DYNAMIC

    @property
    def forms(self) -> dict[str, Form]:
        """As `forms.forms` wants them."""
        if self.weights == "int4":
            return {"": Form.BLOCKS}
        return {} if self.activations is None else {"": self.activations}


def check_options(options: Options, data: Data | None) -> None:
    """InputError for what is unknown or does not go together."""
    if options.method not in (AUTO, *METHODS):
        raise InputError(f"{options.method!r} is no method of ranges", hint=f"one of {', '.join((AUTO, *METHODS))}")
    if options.runtime not in RUNTIMES:
        raise InputError(f"{options.runtime!r} is no runtime", hint=f"one of {', '.join(RUNTIMES)}")
    _check_weights(options)
    if data is None and options.ranges is None and options.needs_ranges:
        raise InputError(
            "there is nothing to find ranges from", hint="--data DIR, or --ranges FILE from an earlier run"
        )
    if options.budget.is_set and data is None:
        raise InputError("a budget of accuracy is measured on samples, and there are none", hint="add --data DIR")


def _check_weights(options: Options) -> None:
    if options.weights not in WEIGHTS:
        raise InputError(f"--weights {options.weights}: unknown", hint=f"one of {', '.join(WEIGHTS)}")
    if options.block is not None and options.block not in blocks.SIZES:
        raise InputError(f"--block {options.block}: unknown", hint=f"one of {', '.join(map(str, blocks.SIZES))}")
    if options.block is not None and options.weights != "int4":
        raise InputError(f"--block is for int4 weights, and these are {options.weights}", hint="add --weights int4")
    forms = {"int4": (None, Form.FLOAT, Form.DYNAMIC), "float16": (None, Form.FLOAT)}
    if options.activations not in forms.get(options.weights, (options.activations,)):
        raise InputError(
            f"{options.weights} weights are not multiplied by {options.activations} activations",
            hint="--activations float, or --weights int8",
        )
    if options.weights != "int8" and (options.ranges or options.save_ranges):
        raise InputError(
            f"ranges are of int8 activations; beside {options.weights} weights there are none", hint="--weights int8"
        )
