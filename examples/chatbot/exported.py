"""A decoder of `transformers` as ONNX by PyTorch's own exporter, for networks that decoder.py does not know.

input_ids, position_ids int64 [1, new], attention_mask int64 [1, past + new],
past_key_values.L.key and .value float32 [1, kv head, past, column]
  -> logits float32 [1, new, vocabulary], present.L.key and .value [1, kv head, past + new, column]
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

_NEW, _PAST = 3, 5  # of the example that is followed; both are free


def export(module: Any, path: Path) -> None:
    """Writes a causal language model with its cache."""
    import torch

    config = module.config.get_text_config()
    heads, kinds = config.num_attention_heads, ("key", "value")
    columns = getattr(config, "head_dim", None) or config.hidden_size // heads
    kv_heads = getattr(config, "num_key_value_heads", None) or heads
    names = [f"{layer}.{kind}" for layer in range(config.num_hidden_layers) for kind in kinds]
    fixed = (
        torch.zeros(1, _NEW, dtype=torch.int64),
        torch.ones(1, _PAST + _NEW, dtype=torch.int64),
        torch.arange(_PAST, _PAST + _NEW)[None],
    )
    past = tuple(torch.zeros(1, kv_heads, _PAST, columns) for _ in names)
    free = torch.export.Dim.DYNAMIC
    with torch.no_grad():
        program = torch.onnx.export(
            _with_cache(module),
            (*fixed, *past),
            dynamo=True,
            input_names=["input_ids", "attention_mask", "position_ids", *(f"past_key_values.{name}" for name in names)],
            output_names=["logits", *(f"present.{name}" for name in names)],
            dynamic_shapes=({1: free}, {1: free}, {1: free}, tuple({2: free} for _ in names)),
            verbose=False,
        )
    program.save(str(path), external_data=True)


def _with_cache(module: Any) -> Any:
    """The module with keys and values as operands and results, layer by layer."""
    import torch
    from transformers.cache_utils import DynamicCache

    class WithCache(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = module

        def forward(self, ids: Any, mask: Any, places: Any, *past: Any) -> tuple[Any, ...]:
            cache = DynamicCache()
            for layer in range(len(past) // 2):
                cache.update(past[2 * layer], past[2 * layer + 1], layer)
            options = {"past_key_values": cache, "use_cache": True}
            made = self.network(input_ids=ids, attention_mask=mask, position_ids=places, **options)
            present = [part for layer in made.past_key_values.layers for part in (layer.keys, layer.values)]
            return (made.logits, *present)

    return WithCache().eval()
