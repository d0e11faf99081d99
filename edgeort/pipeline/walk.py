"""The way of a model through the stages: times them, tells of each, and keeps the model after each when asked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import onnx_ir as ir

from edgeort.errors import OutputError
from edgeort.progress import Progress


@dataclass
class Walk:
    """`folder` receives the ONNX models; None: they are not kept. `seconds` are those of each stage."""

    progress: Progress | None
    folder: Path | None
    seconds: dict[str, float] = field(default_factory=dict)
    kept: int = 0

    @property
    def keeps(self) -> bool:
        """Whether models are saved."""
        return self.folder is not None

    def tell(self, what: str) -> None:
        """Says how far a stage is."""
        if self.progress:
            self.progress(what)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Times the block."""
        self.tell(name)
        start = time.perf_counter()
        yield
        self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def keep(self, name: str, graph: ir.Model) -> ir.Model:
        """The graph, saved when models are kept. OutputError where it cannot be written."""
        if self.folder is None:
            return graph
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            ir.save(graph, self.folder / f"{self.kept:02d}-{name}.onnx")
        except OSError as error:
            raise OutputError(
                f"{self.folder} cannot be written: {error.strerror}", hint="leave out --keep-stages"
            ) from error
        self.kept += 1
        return graph
