"""Pictures resized by the runtime, by Pillow and by OpenCV: how far apart the results are, and how long each takes.

    python -m benchmarks.preprocessing FOLDER [--size 224x224] [--pictures 100] [--threads 1] [--runs 5] [--json FILE]

Every method squeezes the same pictures to the size. The runtime gives levels as float32 planes, in one pass; the others
give bytes, the pixels side by side. Times are those of decoded pictures, in turns, the fastest of the runs, medians
over the pictures; OpenCV has as many threads as the runtime, Pillow one.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx_ir as ir
from onnx import TensorProto, helper

from benchmarks import tables
from edgeort import lowering
from edgeort.engine import Engine
from edgeort.errors import EdgeortError, InputError
from edgeort.passes import PassContext, run_passes
from edgeort.passes.add_picture import add_picture
from edgeort.quantize.samples import open_samples
from edgeort.recipes.front import Front, bind
from edgeort.recipes.picture_steps import parse
from edgeort.session import open_plan
from edgeort.values import Value

PILLOW = ("bilinear", "bicubic", "box")
OPENCV = ("nearest", "bilinear antialias=no", "bicubic antialias=no", "area")


@dataclass(frozen=True)
class Row:
    """One method: the largest difference in levels, the share of the pixels that differ, milliseconds a picture."""

    method: str
    library: str
    largest: int
    differing: float
    milliseconds: float
    library_milliseconds: float


def engine_of(front: Front, folder: Path, threads: int) -> Engine:
    """The recipe alone, in a library for this machine."""
    shape = list(front.form.value.shape or ())
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in ("x", "y")]
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["y"])], "picture", values[:1], values[1:])
    model = ir.from_proto(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9))
    run_passes(model, PassContext())
    add_picture(model, front, channels_last=False)
    plan = lowering.lower(model)
    path = folder / f"{len(list(folder.iterdir()))}.plan"
    path.write_bytes(plan.to_bytes())
    return open_plan(path, plan.ops, threads)


def by_library(method: str, size: tuple[int, int], threads: int) -> tuple[str, Callable[[np.ndarray], np.ndarray]]:
    """The library whose arithmetic a method is, with its version, and its function of uint8 [height, width, 3]."""
    height, width = size
    if method in PILLOW:
        import PIL
        from PIL import Image

        how = Image.Resampling[method.upper()]
        return f"Pillow {PIL.__version__}", lambda x: np.asarray(Image.fromarray(x).resize((width, height), how))
    import cv2

    cv2.setNumThreads(threads)
    names = {"nearest": cv2.INTER_NEAREST, "bilinear": cv2.INTER_LINEAR, "bicubic": cv2.INTER_CUBIC}
    flag = names.get(method.split()[0], cv2.INTER_AREA)
    return f"OpenCV {cv2.__version__}", lambda x: np.asarray(cv2.resize(x, (width, height), interpolation=flag))


def measure(
    method: str, pictures: Sequence[np.ndarray], size: tuple[int, int], threads: int, runs: int, folder: Path
) -> Row:
    """One method on all pictures."""
    front = bind(parse(f"resize {method}; scale=1"), [Value("x", "float32", (1, 3, *size))], built_in=True)
    engine = engine_of(front, folder, threads)
    name, theirs = by_library(method, size, threads)
    largest, differing, times = 0, 0, []
    for pixels in pictures:
        best = [float("inf"), float("inf")]
        for _ in range(runs):
            start = time.perf_counter()
            ours = engine.run([pixels])[0]
            between = time.perf_counter()
            want = theirs(pixels)
            best = [min(best[0], between - start), min(best[1], time.perf_counter() - between)]
        apart = np.abs(ours[0].transpose(1, 2, 0).astype(int) - want.astype(int))
        largest, differing = max(largest, int(apart.max())), differing + int((apart > 0).sum())
        times.append(best)
    milliseconds = 1e3 * np.median(times, axis=0)
    share = differing / (len(pictures) * size[0] * size[1] * 3)
    engine.close()
    return Row(method, name, largest, share, float(milliseconds[0]), float(milliseconds[1]))


def read(folder: Path, count: int) -> list[np.ndarray]:
    """The pictures, evenly spread. InputError where there are fewer."""
    front = bind(parse("bytes"), [Value("x", "float32", (1, 3, 8, 8))], built_in=True)
    samples = open_samples(folder, [front.form.value], front).limited(count).as_loaded()
    found = [sample["x"] for sample in samples]
    if len(found) < count:
        raise InputError(f"{folder} has {len(found)} pictures", hint=f"--pictures {len(found)}")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--size", default="224x224")
    parser.add_argument("--pictures", type=int, default=100)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args(arguments)
    height, width = map(int, given.size.split("x"))
    where: dict[str, Any] = tables.machine()
    try:
        pictures = read(given.folder, given.pictures)
        with tempfile.TemporaryDirectory(prefix="edgeort-") as folder:
            rows = [
                measure(method, pictures, (height, width), given.threads, given.runs, Path(folder))
                for method in (*PILLOW, *OPENCV)
            ]
    except EdgeortError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    print(tables.describe(where))
    print(f"{len(pictures)} pictures to {given.size}, {given.threads} thread(s)")
    for row in rows:
        print(
            f"{row.method:24} {row.library:14} largest {row.largest} level(s), {row.differing:.3%} of the pixels; "
            f"{row.milliseconds:.2f} ms, theirs {row.library_milliseconds:.2f} ms"
        )
    tables.write_json(given.json, {"machine": where, "rows": [asdict(row) for row in rows]})
    return 0


if __name__ == "__main__":
    sys.exit(main())
