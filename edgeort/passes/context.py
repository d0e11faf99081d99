"""What a pass may read (profile, layout of inputs and outputs) and where it says why it left a match alone."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import onnx_ir as ir

IoLayout = Literal["nchw", "nhwc"]


@dataclass(frozen=True)
class Refusal:
    """A match that a pass found and did not rewrite: one sentence that says why."""

    pass_name: str
    node: str
    op_type: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.pass_name}: {self.op_type} {self.node!r}: {self.sentence}"


@dataclass
class PassContext:
    """State of one run of the passes.

    `profile` is the device profile (None: no device chosen). `io_layout` is the layout of the graph's own
    rank-4 inputs and outputs. With `check`, every stage's model goes through onnx.checker.
    `counts` maps a pass to the number of its rewrites.
    """

    profile: Any = None
    io_layout: IoLayout = "nchw"
    check: bool = False
    log: list[Refusal] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def refuse(self, pass_name: str, node: ir.Node, sentence: str) -> None:
        """Logs once that `pass_name` left a match at `node` as it was, and why."""
        refusal = Refusal(pass_name, node.name or node.outputs[0].name or "", node.op_type, sentence)
        if refusal not in self.log:
            self.log.append(refusal)
