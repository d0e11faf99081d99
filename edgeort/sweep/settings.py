"""The settings of a cell: the keys that `--settings` may hold, with their ranges and defaults."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any

from edgeort import providers
from edgeort.device_profiles.profile import rule
from edgeort.pipeline.accuracy import PRECISIONS
from edgeort.pipeline.choosing import AUTO
from edgeort.validate.metrics import TASKS

PATHS = ("data", "eval_data", "labels", "characters")  # keys that name files
FOLDERS = "folders"  # the value of `labels` that is no file
_PROVIDERS = tuple(provider.name for provider in providers.PROVIDERS)


@dataclass(frozen=True)
class Settings:
    """How a cell is built, measured and judged; the metadata say what each key is. None: as `edgeort build` has it."""

    name: str
    precision: str = field(default="float32", metadata=rule("of the weights", choices=PRECISIONS))
    threads: int | None = field(default=None, metadata=rule("number of threads", low=1, high=64))
    shape: tuple[str, ...] | None = field(default=None, metadata=rule("shapes of inputs, such as x=1x3x224x224"))
    io_layout: str = field(default="nchw", metadata=rule("of rank-4 inputs and outputs", choices=("nchw", "nhwc")))
    prune: str | None = field(
        default=None, metadata=rule("share of the multiply-adds that goes", pattern=r"auto|0?\.\d{1,6}")
    )
    sparsity: str | None = field(
        default=None, metadata=rule("share of the weights, N:M or auto", pattern=r"auto|0?\.\d{1,6}|\d{1,3}:\d{1,3}")
    )
    provider: str = field(default=AUTO, metadata=rule("provider, and cpu if it cannot", choices=(AUTO, *_PROVIDERS)))
    require: str | None = field(
        default=None, metadata=rule("provider; a cell fails where it cannot be", choices=_PROVIDERS)
    )
    provider_option: tuple[str, ...] | None = field(
        default=None, metadata=rule("settings of the provider's engine", pattern=r"[^=#\r\n]+=[^#\r\n]*")
    )
    ram_limit: int | None = field(default=None, metadata=rule("bytes for activations", low=1, high=2**62))
    data: str | None = field(default=None, metadata=rule("samples that calibrate; alone they judge, too"))
    eval_data: str | None = field(default=None, metadata=rule("samples that judge"))
    labels: str | None = field(default=None, metadata=rule("a .csv, a .npy, a .json, or the word folders"))
    characters: str | None = field(default=None, metadata=rule("characters of an OCR model's classes, a file"))
    task: str | None = field(default=None, metadata=rule("what the model does", choices=tuple(TASKS)))
    output: str | None = field(default=None, metadata=rule("the task's output"))
    samples: int | None = field(default=None, metadata=rule("number of samples used", low=1, high=2**40))
    threshold: float = field(default=0.5, metadata=rule("score from which a sample has a class", low=-1e9, high=1e9))
    exclude: tuple[str, ...] | None = field(default=None, metadata=rule("nodes that stay float"))
    max_drop: float | None = field(default=None, metadata=rule("points that may be lost", low=0, high=100))
    min_agreement: float | None = field(default=None, metadata=rule("least share of equal answers", low=0, high=1))
    min_sqnr: float | None = field(default=None, metadata=rule("least SQNR, dB", low=-100, high=1000))
    max_latency_ms: float | None = field(default=None, metadata=rule("longest median latency, ms", low=0.001, high=1e7))
    max_size_kb: int | None = field(default=None, metadata=rule("largest bundle, KiB", low=1, high=2**30))
    max_rss_mb: float | None = field(default=None, metadata=rule("largest peak memory, MiB", low=0.1, high=2**26))
    runs: int = field(default=50, metadata=rule("timed runs", low=1, high=10**6))
    warmup: int | None = field(
        default=None, metadata=rule("runs before those; absent: until the median settles", low=0, high=10**6)
    )
    preprocess: str | None = field(default=None, metadata=rule("recipe of pictures", pattern=r"[^\x00-\x1f]{1,2000}"))
    tensor_input: bool = field(default=False, metadata=rule("whether the recipe is for the data alone"))

    def to_dict(self) -> dict[str, Any]:
        """As JSON takes it, and TOML would have it: every key that is not None."""
        found: dict[str, Any] = _plain(self)
        return found


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {
            f.name: _plain(getattr(value, f.name))
            for f in dataclasses.fields(value)
            if getattr(value, f.name) is not None
        }
    return list(value) if isinstance(value, tuple) else value
