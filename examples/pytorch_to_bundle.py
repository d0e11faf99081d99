"""From a PyTorch module to a bundle for a device, in one file.

    pip install '.[torch]'
    python examples/pytorch_to_bundle.py [--device raspberrypi4] [-o build/keywords]

Defines a network, converts it to ONNX, builds the bundle, runs it on this machine and compares with PyTorch: what the
device will compute is, byte for byte, what this machine computes.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn

import edgeort
from edgeort import converters

TOLERANCE = 1e-5  # of the output's range: PyTorch sums in another order


class Keywords(nn.Module):
    """Spectrograms [n, 1, 49, 40] (49 frames of 40 mel bands: a second of speech) to logits [n, 12]."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(1, channels, (10, 4), stride=(2, 2), padding=(5, 1), bias=False),
            nn.BatchNorm2d(channels),
            nn.SiLU(),
        )
        self.depthwise = nn.Conv2d(channels, channels, 3, padding=1, groups=channels)
        self.pointwise = nn.Conv2d(channels, channels, 1)
        self.classify = nn.Linear(channels, 12)

    def forward(self, spectrogram: torch.Tensor) -> torch.Tensor:
        """See the class."""
        x = self.stem(spectrogram)
        x = x + nn.functional.relu(self.pointwise(self.depthwise(x)))
        return self.classify(x.mean(dim=(2, 3)))


def difference(model: nn.Module, bundle: Path) -> float:
    """The largest difference between the bundle and PyTorch on random input, relative to the output's range."""
    spectrogram = np.random.default_rng(0).standard_normal((1, 1, 49, 40), np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(spectrogram)).numpy()
    (logits,) = edgeort.InferenceSession(bundle).run(None, {"spectrogram": spectrogram})
    return float(np.abs(logits - expected).max() / np.ptp(expected))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="from a PyTorch module to a bundle")
    parser.add_argument("--device", default="raspberrypi4")
    parser.add_argument("-o", "--output", type=Path, default=Path("build/keywords"))
    args = parser.parse_args()

    torch.manual_seed(0)
    model = Keywords().eval()  # train it here
    onnx_file = args.output.with_suffix(".onnx")
    onnx_file.parent.mkdir(parents=True, exist_ok=True)
    example = {"spectrogram": torch.zeros(2, 1, 49, 40)}
    converters.from_pytorch(model, example, onnx_file, shapes={"spectrogram": ("n", 1, 49, 40)})  # any batch size
    edgeort.build(onnx_file, args.device, args.output)
    found = difference(model, args.output)
    print(f"{args.output}: largest difference from PyTorch {found:.1e} of the output's range")
    if not found <= TOLERANCE:
        raise SystemExit(f"that is more than {TOLERANCE:.0e}")


if __name__ == "__main__":
    main()
