"""A model whose constants are stored as float16, within a budget: nothing is chosen, so it is made once."""

from __future__ import annotations

from pathlib import Path

from edgeort.errors import BudgetError
from edgeort.model import write
from edgeort.quantize import half_floats
from edgeort.quantize.attempts import Attempt, checked
from edgeort.quantize.comparing import Comparison
from edgeort.quantize.forms import Form
from edgeort.quantize.goals import kept
from edgeort.quantize.measuring import run_both
from edgeort.quantize.parts import parts
from edgeort.quantize.result import Result
from edgeort.quantize.selection import Selection
from edgeort.quantize.task import Task


def in_halves(task: Task, output: Path) -> Result:
    """Writes the model with float16 weights to `output`. Raises BudgetError, OutputError."""
    prepared, samples, goal = task.prepared, task.samples, task.goal
    stored = prepared.model.clone()
    values = half_floats.weights(stored.graph, task.options.exclude)
    left = half_floats.store(stored.graph, values)
    made = checked(stored)
    pairs = run_both(prepared.serialized, made, samples) if samples is not None else iter(())
    compared = Comparison(pairs, samples.count if samples is not None else 0, parts(prepared.model.graph))
    attempt = Attempt(made, Selection([], {}, [], {}, left), 0, {}, compared)
    if not kept(goal, attempt):
        raise BudgetError(
            f"the budget ({goal.text()}) is not kept with float16 weights: {goal.reached(attempt)}", hint=goal.hint
        )
    write(output, made)
    count = len(values) - len(left)
    return Result(
        str(task.path),
        str(output),
        task.path.stat().st_size,
        len(made),
        samples=(samples.count or 0) if samples else 0,
        layers=count,
        forms={str(Form.HALF): count},
        left=left,
        differences=attempt.differences,
    )
