"""What a run of the quantiser is about: the float model as it is worked on, samples and options."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import onnx_ir as ir

from edgeort.errors import InputError, ModelError
from edgeort.progress import Progress
from edgeort.quantize.attempts import NO_STEPS
from edgeort.quantize.goals import Goal
from edgeort.quantize.options import Options
from edgeort.quantize.preparing import Prepared
from edgeort.quantize.recurrent import nodes, recurrent
from edgeort.quantize.refinement import Steps
from edgeort.quantize.samples import Samples
from edgeort.quantize.selection import Selection, select


@dataclass(frozen=True)
class Task:
    """The model from the file `path`, and how it is to be quantised. Stages edit the graph in `prepared`."""

    path: Path
    prepared: Prepared
    samples: Samples | None
    options: Options
    progress: Progress | None = None

    @property
    def steps(self) -> Steps:
        """Those that there are samples for."""
        return NO_STEPS if self.samples is None else self.options.steps

    @property
    def goal(self) -> Goal:
        """What promotions of layers are to keep or to reach."""
        return self.options.goal or self.options.budget

    def checked(self) -> Task:
        """Itself. InputError where a node to be left does not exist, or where no output can be judged."""
        graph, options = self.prepared.model.graph, self.options
        if options.budget.is_set and all(value.dtype != ir.DataType.FLOAT for value in graph.outputs):
            raise InputError(
                f"{self.path}: the budget is measured on outputs of real numbers, and there are none",
                hint=f"edgeort build {self.path} --device host --precision int8 --data DIR --min-agreement 0.99",
            )
        if unknown := sorted(set(options.exclude) - {str(node.name) for node in (*graph, *nodes(graph))}):
            raise InputError(f"{self.path}: no node is called {unknown[0]!r}", hint=f"edgeort inspect {self.path}")
        return self

    def select(self) -> Selection:
        """What becomes int8 of the graph as it is now. ModelError for nothing."""
        graph, options = self.prepared.model.graph, self.options
        selection = select(graph, options.exclude, options.forms)
        if not selection.layers and not recurrent(graph, options.exclude):
            reasons = "; ".join(f"{name}: {why}" for name, why in list(selection.left.items())[:3])
            raise ModelError(
                f"{self.path}: there is no layer to quantise ({reasons or 'no Conv, Gemm, LSTM or MatMul'})"
            )
        return selection
