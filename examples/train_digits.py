"""Trains the model that ships as edgeort's sample: handwritten digits, 8x8 pixels, ten classes.

    python examples/train_digits.py [OUT.onnx]

Data: scikit-learn's `load_digits`, 1797 pictures, values 0..16 (Alpaydin and Kaynak, UCI machine learning repository,
1998). A quarter is held out by a seeded, stratified split and is looked at once, after the last epoch.
Needs torch, onnxscript and scikit-learn. Under a minute on one core.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from edgeort import sample
from edgeort.validate import reference_outputs

SEED = 2
EPOCHS = 60
BATCH = 64
LEARNING_RATE = 0.01  # the peak of a one-cycle schedule
HELD_OUT = 0.25


class Split(NamedTuple):
    """Pictures float32 [n, 1, 8, 8] with values 0..16, and their classes int64 [n]."""

    images: np.ndarray
    classes: np.ndarray


def splits() -> tuple[Split, Split]:
    """The training and the held-out part; the same at every call."""
    digits = load_digits()
    images = digits.images.astype(np.float32)[:, np.newaxis]
    parts = train_test_split(
        images, digits.target.astype(np.int64), test_size=HELD_OUT, random_state=SEED, stratify=digits.target
    )
    return Split(parts[0], parts[2]), Split(parts[1], parts[3])


def separable(channels: int, out_channels: int) -> nn.Sequential:
    """A depthwise 3x3 convolution and a pointwise one: MobileNet's block (Howard et al. 2017, section 3.1)."""
    return nn.Sequential(
        nn.Conv2d(channels, channels, 3, padding=1, groups=channels, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(),
        nn.Conv2d(channels, out_channels, 1, bias=False),
        nn.BatchNorm2d(out_channels),
        nn.ReLU(),
    )


class Digits(nn.Module):
    """Pictures [n, 1, 8, 8] with values 0..16 -> logits [n, 10]."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(1, 24, 3, padding=1, bias=False), nn.BatchNorm2d(24), nn.ReLU())
        self.body = nn.Sequential(separable(24, 48), separable(48, 48), nn.MaxPool2d(2), separable(48, 96))
        self.head = nn.Sequential(nn.MaxPool2d(2), nn.Flatten(), nn.Dropout(0.3), nn.Linear(96 * 2 * 2, 10))

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """See the class."""
        return self.head(self.body(self.stem(image * (1 / 16))))


def jitter(images: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """Each picture turned by up to 12 degrees, scaled by up to 10 % and moved by up to 0.8 pixels."""
    n = len(images)
    turn, scale, right, down = (torch.rand(4, n, generator=generator) * 2 - 1).unbind()
    turn, scale = turn * np.deg2rad(12), 1 + 0.1 * scale
    cosine, sine = torch.cos(turn) * scale, torch.sin(turn) * scale
    rows = [cosine, -sine, right * 0.2, sine, cosine, down * 0.2]  # 0.2 of the half width of 4 pixels
    grid = nn.functional.affine_grid(torch.stack(rows, 1).view(n, 2, 3), list(images.shape), align_corners=False)
    return nn.functional.grid_sample(images, grid, align_corners=False)


def train(data: Split) -> Digits:
    """The trained model, in evaluation mode."""
    torch.manual_seed(SEED)
    generator = torch.Generator().manual_seed(SEED)
    images, classes = torch.from_numpy(data.images), torch.from_numpy(data.classes)
    model = Digits()
    optimizer = torch.optim.AdamW(model.parameters(), weight_decay=0.01)
    steps = -(-len(images) // BATCH) * EPOCHS
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, LEARNING_RATE, total_steps=steps)
    loss_of = nn.CrossEntropyLoss(label_smoothing=0.05)
    for _ in range(EPOCHS):
        for chosen in torch.randperm(len(images), generator=generator).split(BATCH):
            loss = loss_of(model(jitter(images[chosen], generator)), classes[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def export(model: Digits) -> onnx.ModelProto:
    """As ONNX, input "image" and output "logits" with a free batch dimension."""
    program = torch.onnx.export(
        model,
        (torch.zeros(2, 1, 8, 8),),
        input_names=["image"],
        output_names=["logits"],
        dynamic_shapes={"image": {0: torch.export.Dim("n")}},
        opset_version=20,
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    proto = program.model_proto
    strip(proto)
    return proto


def strip(proto: onnx.ModelProto) -> None:
    """Takes out the exporter's notes: Python stack traces with paths of this machine, larger than the weights."""
    graph = proto.graph
    for item in (*graph.node, *graph.value_info, *graph.input, *graph.output, *graph.initializer, graph, proto):
        del item.metadata_props[:]
        item.doc_string = ""


def accuracy(proto: onnx.ModelProto, data: Split) -> float:
    """The fraction that ONNX Runtime classifies right."""
    (logits,) = reference_outputs(proto.SerializeToString(), {"image": data.images})
    return float((logits.argmax(1) == data.classes).mean())


def main(out: Path) -> None:
    """Trains, exports, measures, writes."""
    torch.set_num_threads(1)  # sums in one order: the same machine gives the same file
    training, held_out = splits()
    proto = export(train(training))
    measured = accuracy(proto, held_out)
    facts = {
        "accuracy": f"{measured:.4f}",
        "accuracy_of": f"{len(held_out.images)} held-out pictures, ONNX Runtime, float32",
        "classes": ",".join("0123456789"),
        "data": "UCI Optical Recognition of Handwritten Digits (E. Alpaydin, C. Kaynak, 1998), CC BY 4.0",
        "input": "image: [n, 1, 8, 8], values 0..16, as in sklearn.datasets.load_digits",
        "trained_by": f"examples/train_digits.py, seed {SEED}, {EPOCHS} epochs",
    }
    onnx.helper.set_model_props(proto, facts)
    onnx.checker.check_model(proto, full_check=True)
    out.write_bytes(proto.SerializeToString())
    right = round(measured * len(held_out.images))
    print(f"held-out accuracy {measured:.4f} ({right} of {len(held_out.images)}); {out}: {out.stat().st_size} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else sample.path())
