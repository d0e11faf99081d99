"""Does `edgeort build` take the provider that is fastest, and how good are predictions of each?

    python -m benchmarks.choice [MODEL...] [--profiles host intel-nuc] [--precisions float32 int8] [--threads 2]
        [--rates PROBED.toml] [--rounds 5] [--turn-ms 200] [--results FILE.jsonl]

For each model it is built with --provider auto, which measures and chooses, then with every provider by name. These
bundles are timed side by side: each turn is a process of its own, and the order rotates. With --rates, a profile that
`edgeort profiles probe` made of this machine, the same is predicted for profiles of the same ISA levels. Rows are added
to --results, and the table is of all that stand there, so that models may be measured one by one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import onnx_ir as ir
from rich.table import Table

import edgeort
import edgeort.model
from benchmarks import models, tables
from edgeort import device_profiles
from edgeort.bench import measure
from edgeort.bundle import open_bundle
from edgeort.device_profiles import Profile
from edgeort.devices import Job, open_device
from edgeort.errors import EdgeortError
from edgeort.pipeline import Wish, survey
from edgeort.pipeline.choosing import PREDICTED_MARGIN

NAMES = ("efficientnet_lite0", "minilm", "mobilenetv2_100", "resnet18", "yolov8n", "ppocr_rec")
PRECISIONS = ("float32", "int8")
PROVIDERS = ("cpu", "openvino", "litert")  # that run on this machine and on the profiles' devices
EQUAL = 0.05  # a provider within this of the fastest is as fast: the choice keeps the preferred one


@dataclass(frozen=True)
class Row:
    """What was chosen, and the medians of what was measured, in ms; `predicted_ms` where rates were given."""

    model: str
    precision: str
    profile: str
    threads: int
    chosen: str
    measured_ms: dict[str, float]
    predicted_ms: dict[str, float]

    @property
    def fastest(self) -> str:
        """By measurement."""
        return min(self.measured_ms, key=lambda name: self.measured_ms[name])

    @property
    def excess(self) -> float:
        """By what share the provider that was chosen is slower than the fastest."""
        return self.measured_ms[self.chosen] / self.measured_ms[self.fastest] - 1

    @property
    def excess_by_predictions(self) -> float | None:
        """The same of the provider that predictions would have taken; None where fewer than two are predicted."""
        both = [name for name in PROVIDERS if name in self.predicted_ms and name in self.measured_ms]
        if len(both) < 2:
            return None
        taken = both[0]
        for name in both[1:]:
            if self.predicted_ms[name] < (1 - PREDICTED_MARGIN) * self.predicted_ms[taken]:
                taken = name
        return self.measured_ms[taken] / self.measured_ms[self.fastest] - 1

    def error(self, provider: str) -> float | None:
        """By what share the prediction is too long."""
        both = provider in self.predicted_ms and provider in self.measured_ms
        return self.predicted_ms[provider] / self.measured_ms[provider] - 1 if both else None


def run(name: str, precision: str, profile: Profile, rates: Profile | None, options: argparse.Namespace) -> Row:
    """Builds, chooses, measures; predicts where `rates` are of kernels that the bundle has."""
    rates = None if rates is None or rates.cpu.isa != profile.cpu.isa else rates
    model = models.find(name) if precision == "float32" else models.quantised(name)
    threads = min(options.threads, profile.cpu.cores)
    with tempfile.TemporaryDirectory(prefix="edgeort-") as folder, ExitStack() as stack:
        path = _fixed(model, Path(folder))
        auto = edgeort.build(path, profile, Path(folder) / "auto", threads=threads, inputs=model.feeds)
        bundles = {}
        for provider in PROVIDERS:
            try:
                built = Path(folder) / provider
                edgeort.build(
                    path, profile, built, threads=threads, wish=Wish(provider, required=True), inputs=model.feeds
                )
            except EdgeortError as error:
                print(f"{name} {precision}: {provider}: {error}", file=sys.stderr)
                continue
            bundles[provider] = stack.enter_context(open_bundle(built))
        devices = {p: stack.enter_context(open_device("local", one.manifest)) for p, one in bundles.items()}
        job = Job(threads=threads, time_s=options.turn_ms * 1e-3, warmup=5)
        times: dict[str, list[float]] = {provider: [] for provider in bundles}
        for turn in range(options.rounds):
            order = list(bundles)
            for provider in order[turn % len(order) :] + order[: turn % len(order)]:
                times[provider].append(measure(bundles[provider], devices[provider], job).latency_ms["p50"])
        predicted = _predicted(replace(profile, measured=rates.measured), path, threads) if rates else {}
    measured = {provider: statistics.median(found) for provider, found in times.items()}
    return Row(name, precision, profile.name, threads, auto.provider, measured, predicted)


def _fixed(model: models.Model, folder: Path) -> Path:
    """The model with the shapes of its data, which LiteRT needs."""
    path = folder / f"{model.name}.onnx"
    ir.save(edgeort.model.load(model.path, shapes={key: array.shape for key, array in model.feeds.items()}), path)
    return path


def _predicted(profile: Profile, path: Path, threads: int) -> dict[str, float]:
    rows = survey(replace(profile, runtime=replace(profile.runtime, threads=threads)), path)
    return {row.provider: row.latency_ms for row in rows if row.latency_ms is not None}


def table(rows: Sequence[Row]) -> Table:
    """A row a build; errors of predictions stand behind the times."""
    made = tables.new_table("choice", "model", "precision", "profile", "threads", *PROVIDERS, "taken", "slower by")
    for row in rows:
        cells = [_cell(row, provider) for provider in PROVIDERS]
        excess = "" if row.excess == 0 else f"{row.excess:.1%}"
        made.add_row(row.model, row.precision, row.profile, str(row.threads), *cells, row.chosen, excess)
    return made


def _cell(row: Row, provider: str) -> str:
    if provider not in row.measured_ms:
        return "-"
    error = row.error(provider)
    return f"{row.measured_ms[provider]:.3f}" + ("" if error is None else f" ({error:+.0%})")


def summary(rows: Sequence[Row]) -> Iterator[str]:
    """How often the choice was right, and how far predictions were off."""
    for text, found in (
        ("taken by measurement", [row.excess for row in rows]),
        ("taken by predictions", [one for row in rows if (one := row.excess_by_predictions) is not None]),
    ):
        if found:
            right, worst = sum(one <= EQUAL for one in found), max(found)
            yield f"{text}: the fastest or within {EQUAL:.0%} in {right} of {len(found)}, at worst {worst:.1%} slower"
    for provider in PROVIDERS:
        errors = [one for row in rows if (one := row.error(provider)) is not None]
        if errors:
            middle, worst = statistics.median(map(abs, errors)), max(errors, key=abs)
            off = f"{middle:.0%} in the median of {len(errors)}, at worst {worst:+.0%}"
            yield f"predictions of {provider}: off by {off}"


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="python -m benchmarks.choice", description=str(__doc__).split("\n")[0])
    made.add_argument("models", nargs="*", default=NAMES, help=f"default: {' '.join(NAMES)}")
    made.add_argument("--profiles", nargs="+", default=["host", "intel-nuc"])
    made.add_argument("--precisions", nargs="+", choices=PRECISIONS, default=PRECISIONS)
    made.add_argument("--threads", type=int, default=2)
    made.add_argument("--rates", help="a profile that was probed here")
    made.add_argument("--rounds", type=int, default=5)
    made.add_argument("--turn-ms", type=float, default=200)
    made.add_argument("--results", type=Path, help="a file of JSON lines: rows are added, the table is of all")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    options = parser().parse_args(arguments)
    where, rows = tables.machine(), list[Row]()
    try:
        rates = device_profiles.load(options.rates) if options.rates else None
        for name in options.models:
            for profile in map(device_profiles.load, options.profiles):
                for precision in options.precisions:
                    rows += _tried(name, precision, profile, rates, options)
    except EdgeortError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    if options.results:
        rows = [Row(**json.loads(line)) for line in options.results.read_text().splitlines()]
    tables.show(table(rows), *summary(rows), tables.describe(where))
    return 0


def _tried(
    name: str, precision: str, profile: Profile, rates: Profile | None, options: argparse.Namespace
) -> list[Row]:
    """The row, which is kept at once; none where no answers are right, as of int8 on data without meaning."""
    models.find_path(name)
    try:
        row = run(name, precision, profile, rates, options)
    except EdgeortError as error:
        print(f"{name} {precision} for {profile.name}: left out: {error}", file=sys.stderr)
        return []
    if options.results:
        with options.results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(row)) + "\n")
    return [row]


if __name__ == "__main__":
    sys.exit(main())
