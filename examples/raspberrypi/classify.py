"""What a camera sees, on a Raspberry Pi, by the module that every bundle has: Python and NumPy are all that it needs.

    PYTHONPATH=BUNDLE/python python3 classify.py picture.ppm --labels labels.txt
    PYTHONPATH=BUNDLE/python python3 classify.py camera               # picamera2, which Raspberry Pi OS has

The same as classify.c: the model takes float32 [1, 3, h, w] or [1, h, w, 3], (x - mean) / std of the middle square.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from edgeort_model import Model

TOP = 3


def frames(source: str) -> Iterator[np.ndarray]:
    """Pictures, uint8 [height, width, 3], of the camera or of a PPM file."""
    if source != "camera":
        yield ppm(Path(source).read_bytes())
        return
    from picamera2 import Picamera2

    camera = Picamera2()
    camera.configure(camera.create_video_configuration({"size": (640, 480), "format": "BGR888"}))  # bytes are R, G, B
    camera.start()
    while True:
        yield camera.capture_array()


def ppm(data: bytes) -> np.ndarray:
    """The picture of a PPM file (P6, 8 bits), uint8 [height, width, 3]."""
    space = rb"(?:\s|#[^\n]*\n)+"
    head = re.match(rb"P6" + space + rb"(\d+)" + space + rb"(\d+)" + space + rb"255\s", data)
    if not head:
        raise SystemExit("this is no PPM file (P6) of 8 bits")
    width, height = int(head[1]), int(head[2])
    return np.frombuffer(data, np.uint8, width * height * 3, head.end()).reshape(height, width, 3)


def resized(frame: np.ndarray, height: int, width: int) -> np.ndarray:
    """The middle square, float32 [height, width, 3]: each pixel from its four nearest, by their distances."""
    side = min(frame.shape[:2])
    top, left = ((size - side) // 2 for size in frame.shape[:2])
    square = frame[top : top + side, left : left + side].astype(np.float32)
    (y0, y1, fy), (x0, x1, fx) = (_taps(side, size) for size in (height, width))
    rows = (1 - fy)[:, None, None] * square[y0] + fy[:, None, None] * square[y1]
    return (1 - fx)[None, :, None] * rows[:, x0] + fx[None, :, None] * rows[:, x1]


def _taps(side: int, size: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    at = np.clip((np.arange(size, dtype=np.float32) + 0.5) * side / size - 0.5, 0, side - 1).astype(np.float32)
    first = at.astype(np.int64)
    return first, np.minimum(first + 1, side - 1), at - first


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description="the classes of what a camera sees")
    parser.add_argument("source", help="camera, or a PPM file")
    parser.add_argument("--labels", type=Path, help="a class a line")
    parser.add_argument("--mean", type=float, default=127)
    parser.add_argument("--std", type=float, default=128)
    args = parser.parse_args()
    labels = args.labels.read_text(encoding="utf-8").splitlines() if args.labels else []
    with Model() as model:
        (info,) = model.inputs
        is_nhwc = info.shape[3] == 3 and info.shape[1] != 3
        height, width = info.shape[1:3] if is_nhwc else info.shape[2:]
        for frame in frames(args.source):
            pixels = ((resized(frame, height, width) - args.mean) / args.std).astype(np.float32)
            picture = np.ascontiguousarray((pixels if is_nhwc else pixels.transpose(2, 0, 1))[None])
            start = time.perf_counter()
            (values, *_) = model.run({info.name: picture}).values()
            spent_ms = (time.perf_counter() - start) * 1e3
            shares = np.exp(values.ravel() - values.max(), dtype=np.float64)
            shares /= shares.sum()
            best = np.argsort(-shares, kind="stable")[:TOP]
            shown = (f"{i} {labels[i] + ' ' if i < len(labels) else ''}{shares[i]:.4f}" for i in best)
            print("  ".join(shown) + f"  {spent_ms:.1f} ms", flush=True)


if __name__ == "__main__":
    main()
