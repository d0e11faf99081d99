"""Ranges as a file that people read, edit, compare and use again: JSON, one tensor a line.

    {
      "format": "edgeort ranges 1",
      "model_sha256": "...",
      "method": "mse",
      "samples": 100,
      "ranges": {
        "image": {"low": -0.992, "high": 1.0, "seen": [-0.992, 1.0]},
        ...

`low` and `high` are what eight bits will cover, `seen` the extremes that the samples had (for the reader; not read).
"""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from edgeort.errors import InputError
from edgeort.model.writing import write
from edgeort.quantize.ranges import Range

FORMAT = "edgeort ranges 1"


@dataclass(frozen=True)
class RangesFile:
    """The ranges of a model's tensors. `seen` may lack tensors."""

    model_sha256: str
    method: str
    samples: int
    ranges: Mapping[str, Range]
    seen: Mapping[str, Range]

    def save(self, path: Path) -> None:
        """Writes the file. OutputError when it cannot be written."""
        about = {"format": FORMAT, "model_sha256": self.model_sha256, "method": self.method, "samples": self.samples}
        head = "".join(f"  {json.dumps(key)}: {json.dumps(value)},\n" for key, value in about.items())
        lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(self._entry(name))}" for name in self.ranges)
        write(path, f'{{\n{head}  "ranges": {{\n{lines}\n  }}\n}}\n'.encode(), "--save-ranges")

    def _entry(self, name: str) -> dict[str, Any]:
        low, high = self.ranges[name]
        return {"low": low, "high": high} | ({"seen": list(self.seen[name])} if name in self.seen else {})

    def checked(self, path: Path, model_sha256: str, tensors: Collection[str]) -> RangesFile:
        """Itself. InputError when it is another model's, or does not have exactly the `tensors` that are quantised."""
        if self.model_sha256 != model_sha256:
            raise InputError(
                f"{path} has the ranges of another model (sha256 {self.model_sha256[:12]}...)",
                hint="calibrate this one: --data DIR --save-ranges FILE",
            )
        if odd := sorted(set(tensors) ^ set(self.ranges)):
            what = "it lacks" if odd[0] in tensors else "no quantised tensor is called"
            raise InputError(f"{path}: {what} {odd[0]!r}", hint="calibrate again, or give the same --exclude as then")
        return self


def read(path: Path) -> RangesFile:
    """Reads the file. InputError says what in it is wrong."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or 'it cannot be read'}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(data, dict) or data.get("format") != FORMAT or not isinstance(data.get("ranges"), dict):
        raise InputError(f"{path} is no file of ranges", hint=f'its "format" has to be "{FORMAT}"')
    ranges = {name: _range(path, name, entry) for name, entry in data["ranges"].items()}
    samples = data.get("samples", 0)
    return RangesFile(
        str(data.get("model_sha256", "")),
        str(data.get("method", "")),
        samples if isinstance(samples, int) else 0,
        ranges,
        {},
    )


def _range(path: Path, name: str, entry: object) -> Range:
    found = [entry.get(key) for key in ("low", "high")] if isinstance(entry, dict) else []
    numbers = [float(x) for x in found if isinstance(x, (int, float)) and not isinstance(x, bool) and math.isfinite(x)]
    if len(numbers) != 2 or not numbers[0] <= 0 <= numbers[1]:
        raise InputError(f"{path}: {name!r} needs numbers with low <= 0 <= high: zero has to be in the range")
    return numbers[0], numbers[1]
