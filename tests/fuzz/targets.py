"""What is fuzzed: TARGETS is the list. A new operator needs no target: `plan` calls all there are."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import build, seeds

HERE = Path(__file__).parent
CRASHES = HERE / "crashes"  # a folder a target: inputs that once crashed it


@dataclass(frozen=True)
class Target:
    """Something that reads what others wrote.

    `seeds` fills a folder with inputs to start from, none longer than `most_bytes`. Of Python, `modules` are those
    whose coverage leads the fuzzer, and NAME_target.py has `one(data)`; else NAME_target.cc is a program of libFuzzer.
    A `small` one has seen in seconds what it sees in hours (RUNS.md), and gets a third of the time.
    """

    name: str
    reads: str
    seeds: Callable[[Path], object]
    most_bytes: int
    modules: tuple[str, ...] = ()
    small: bool = False

    def command(self) -> list[str]:
        """What takes libFuzzer's options; a program of C++ is compiled where something changed."""
        if self.modules:
            return [sys.executable, "-m", "tests.fuzz.in_python", self.name]
        return [str(build.build_target(self.name))]

    @property
    def corpus(self) -> Path:
        """An archive of inputs that long runs found, if there are any."""
        return HERE / f"corpora/{self.name}.zip"

    @property
    def crashes(self) -> list[Path]:
        """Inputs that once crashed it."""
        return sorted((CRASHES / self.name).glob("*"))


_BUNDLES = (
    "edgeort.bundle",
    "edgeort.records",
    "edgeort.recipes",
    "edgeort.quantize.samples",
    "edgeort.quantize.array_files",
)
_RECIPES = ("edgeort.recipes",)
TARGETS: tuple[Target, ...] = (
    Target("plan", "a plan that is opened, prepared and run: every operator, with its checks", seeds.plans, 1 << 15),
    Target("model", "an ONNX file", seeds.models, 1 << 13, ("edgeort.model",)),
    Target("bundle", "a bundle: archive, manifest, golden data; samples", seeds.bundles, 1 << 13, _BUNDLES),
    Target("recipe", "the text of image steps, and what they mean for an input", seeds.recipes, 1 << 9, _RECIPES),
    Target("image", "image steps that are prepared and run", seeds.images, 1 << 7),
    Target("reader", "the tables of a plan", seeds.tables, 1 << 12),
    Target("wordpiece", "a vocabulary, and text", seeds.vocabularies, 1 << 12, small=True),
    Target("npy", "the golden data of a bundle, in the harness", seeds.arrays, 1 << 10, small=True),
    Target("signature", "a signature and a public key", seeds.signatures, 1 << 10, small=True),
)


def named(name: str) -> Target:
    """The target of that name. KeyError where there is none."""
    return {target.name: target for target in TARGETS}[name]
