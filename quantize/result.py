"""What `quantize` made of a model."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from edgeort.quantize.ledger import Entry
from edgeort.quantize.measuring import Difference
from edgeort.quantize.weighing import ChannelScales


@dataclass(frozen=True)
class Result:
    """What was made. `forms` counts the layers by their form, `tables` are embeddings, `recurrent` nodes with int8
    weights, of which `recurrent_dynamic` round their input and state, `equalised` pairs of layers, `evened` tensors
    whose channels take factors.

    `scales` are those for channels, None where no tensor may have them or nobody asked.

    `differences` are those to the float model on `judged_apart` samples, which had no part in fitting weights and
    choosing promotions; where that is 0, the samples were too few to be split, and the figures flatter a bit.
    """

    model: str
    output: str
    model_bytes: int
    output_bytes: int
    seconds: float = 0.0
    was_quantised: bool = False
    method: str = ""
    samples: int = 0
    settled_at: int | None = None
    layers: int = 0
    tensors: int = 0
    forms: dict[str, int] = field(default_factory=dict)
    tables: int = 0
    recurrent: int = 0
    recurrent_dynamic: int = 0
    equalised: int = 0
    evened: int = 0
    scales: ChannelScales | None = None
    left: dict[str, str] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    differences: tuple[Difference, ...] = ()
    judged_apart: int = 0
    ledger: tuple[Entry, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it."""
        return {**asdict(self), "differences": [difference.to_dict() for difference in self.differences]}
