"""`edgeort bench`."""

from __future__ import annotations

import functools
import re
import sys
from contextlib import ExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from edgeort.cli import history, measured
from edgeort.cli.common import Json, On, Threads, command, parse_time, print_json, stages
from edgeort.errors import InputError, OutputError

if TYPE_CHECKING:
    from edgeort.bench import Compared, Contender
    from edgeort.bundle import Bundle
    from edgeort.devices import Job
    from edgeort.progress import Progress

HISTORY = Path(".edgeort/history.jsonl")
_RUNS = 50
_MINUTE_S = 60.0
_FEWEST_MINUTES = 2
_PARTS = 10


@command
def bench(
    bundle: Annotated[Path | None, typer.Argument(help="A bundle: folder or .zip.")] = None,
    on: On = None,
    threads: Threads = None,
    cores: Annotated[
        str | None, typer.Option("--cores", metavar="CORES", help="Run on these alone: big, little, or 0-3, or 0,2.")
    ] = None,
    runs: Annotated[
        int | None, typer.Option("--runs", min=1, max=1_000_000, metavar="N", help="Timed runs; default 50.")
    ] = None,
    time: Annotated[
        str | None, typer.Option("--time", metavar="TIME", help="Go on for so long instead: 500ms, 5s.")
    ] = None,
    sustained: Annotated[
        str | None,
        typer.Option("--sustained", metavar="TIME", help="The same, and the median by minute: does it throttle? 10m."),
    ] = None,
    warmup: Annotated[
        str, typer.Option("--warmup", metavar="N", help="Runs before those; auto: until the median has settled.")
    ] = "auto",
    isa: Annotated[
        str | None,
        typer.Option(
            "--isa", metavar="LEVEL", help="Use the kernels of a lower ISA level: edgeort profiles show NAME."
        ),
    ] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Time every node.")] = False,
    compare: Annotated[
        Path | None,
        typer.Option("--compare", metavar="OTHER", help="Is it faster than this bundle, or earlier result (a file)?"),
    ] = None,
    max_latency_ms: Annotated[
        float | None,
        typer.Option("--max-latency-ms", min=0.0, metavar="MS", help="Largest median; else that of the profile."),
    ] = None,
    max_rss_mb: Annotated[
        float | None,
        typer.Option(
            "--max-rss-mb", min=0.0, metavar="MIB", help="Largest peak memory, MiB; else that of the profile."
        ),
    ] = None,
    max_size_kb: Annotated[
        float | None,
        typer.Option("--max-size-kb", min=0.0, metavar="KIB", help="Largest bundle, KiB; else that of the profile."),
    ] = None,
    show_history: Annotated[bool, typer.Option("--history", help="Measure nothing; plot earlier results.")] = False,
    history_file: Annotated[
        Path, typer.Option("--history-file", metavar="FILE", help="Where results are kept, a JSON line each.")
    ] = HISTORY,
    no_history: Annotated[bool, typer.Option("--no-history", help="Do not keep the result.")] = False,
    as_json: Json = False,
) -> None:
    """Measure a bundle with its own harness, compare it, and judge it by budgets; or plot what was measured before."""
    from edgeort import bench as benches
    from edgeort.bundle import golden, open_bundle

    if show_history:
        history.show(history_file, bundle, as_json=as_json)
        return
    if bundle is None:
        raise InputError("which bundle?", hint="edgeort bench BUNDLE")
    job = replace(
        _job(runs, warmup, time, sustained), threads=threads or 0, cores=cores, check=True, isa=isa, profile=profile
    )
    limits = {"latency_ms": max_latency_ms, "ram_mb": max_rss_mb, "size_kb": max_size_kb}
    with ExitStack() as stack:
        opened = stack.enter_context(open_bundle(bundle))
        other = stack.enter_context(open_bundle(compare)) if compare and _is_bundle(compare) else None
        earlier = _earlier(compare, opened) if compare and other is None else None
        own = _alone(opened, on, job, stack, sys.stderr if as_json else sys.stdout)
        compared, notes = None, list[tuple[str, str]]()
        if other is not None:
            compared = _in_turns(own, _alone(other, on, job, stack, sys.stderr), job)
        elif earlier is not None:
            compared, notes = _with_earlier(own, earlier, job)
        budgets = {**own.bundle.manifest.budgets, **{name: one for name, one in limits.items() if one is not None}}
        verdicts = benches.judge(budgets, own.bundle.size_bytes, own.found)
        more: dict[str, Any] = {"budgets": [asdict(verdict) for verdict in verdicts]}
        if compared:
            more["compare"] = {**asdict(compared), "is_significant": compared.difference.is_significant}
        predicted = None if isa else benches.predict_bundle(own.bundle.manifest, own.found.threads)
        if predicted is not None:
            error = predicted.error_of(own.found.latency_ms["p50"]) if own.found.is_real else None
            more["prediction"] = {"latency_ms": predicted.latency_ms, "error": error, "known_error": predicted.error}
        line, sizes = benches.line_of(own.bundle, own.found, more), golden.sizes_of(own.bundle)
    if as_json:
        print_json(line)
    else:
        measured.show(bundle, own.found, verdicts, predicted, sizes)
        if compared:
            measured.show_comparison(bundle, compared, notes)
    if not no_history:
        _keep(history_file, line)
    benches.enforce(verdicts)


def _keep(path: Path, line: dict[str, Any]) -> None:
    """A result that cannot be kept has been shown: that is said, and the measurement stands."""
    from edgeort.bench import history as kept

    try:
        kept.append(path, line)
    except OutputError as error:
        print(f"warning: {error}\nhint: {error.hint}", file=sys.stderr)


def _job(runs: int | None, warmup: str, time: str | None, sustained: str | None) -> Job:
    """How often the harness runs. InputError where options contradict each other."""
    from edgeort.devices import Job

    given = [name for name, value in (("runs", runs), ("time", time), ("sustained", sustained)) if value is not None]
    if len(given) > 1:
        raise InputError(f"--{given[0]} and --{given[1]} exclude each other", hint=f"leave out --{given[1]}")
    before = None if warmup == "auto" else int(warmup) if re.fullmatch("[0-9]{1,6}", warmup) else -1
    if before is not None and before < 0:
        raise InputError(f"--warmup {warmup}: this is neither a number nor auto", hint="--warmup auto")
    if time is not None:
        return Job(warmup=before, time_s=parse_time("--time", time))
    if sustained is None:
        return Job(runs=runs or _RUNS, warmup=before)
    seconds = parse_time("--sustained", sustained)
    part = _MINUTE_S if seconds >= _FEWEST_MINUTES * _MINUTE_S else seconds / _PARTS
    return Job(warmup=before, time_s=seconds, interval_s=part)


def _alone(opened: Bundle, on: str | None, job: Job, stack: ExitStack, out: TextIO) -> Contender:
    """What is found of a bundle; its device stays open as long as `stack`. `out` gets the parts of a sustained run."""
    from edgeort.bench import Contender, measure
    from edgeort.devices import open_device

    with stages() as progress:
        progress(f"opening {on or 'the device'}")
        device = stack.enter_context(open_device(on, opened.manifest))
    job = replace(job, threads=job.threads or opened.manifest.threads)
    if job.interval_s is not None:
        minutes = job.interval_s >= _MINUTE_S
        every = "minute" if minutes else f"{job.interval_s:.3g} s"
        whole = f"{(job.time_s or 0.0) / _MINUTE_S:.3g} min" if minutes else f"{job.time_s or 0.0:.3g} s"
        what = f"for {whole} once it is warm, a line with the median every {every}"
        print(f"{opened.path} on {device.name} {what}", file=out, flush=True)
        tell = functools.partial(_tell, out)
        return Contender(opened, device, measure(opened, device, job, tell))
    with stages() as progress:
        progress(f"measuring {opened.path} on {device.name}")
        return Contender(opened, device, measure(opened, device, job))


def _tell(out: TextIO, row: dict[str, Any]) -> None:
    print(measured.interval_line(row), file=out, flush=True)


def _count(progress: Progress, what: str, n: int) -> None:
    if n % 5 == 0 or sys.stderr.isatty():
        progress(f"comparing: {what} {n}")


def _is_bundle(path: Path) -> bool:
    return path.is_dir() or path.suffix == ".zip" or not path.exists()


def _in_turns(own: Contender, other: Contender, job: Job) -> Compared:
    from edgeort.bench import in_turns

    with stages() as progress:
        return in_turns(own, other, job, functools.partial(_count, progress, "round"))


def _earlier(path: Path, bundle: Bundle) -> dict[str, Any]:
    """The last result of the bundle in the file, or the last of all."""
    from edgeort.bench import history as kept

    lines = kept.read(path).lines
    line = next((one for one in reversed(lines) if kept.is_of(one, bundle.path)), lines[-1])
    return {"bundle": path, "at": "another time", **line}


def _with_earlier(own: Contender, line: dict[str, Any], job: Job) -> tuple[Compared, list[tuple[str, str]]]:
    """Against an earlier result; with what was different then."""
    from edgeort.bench import history as kept
    from edgeort.bench import with_earlier

    name = f"{line['bundle']} of {line['at']}"
    with stages() as progress:
        earlier_ms = line["latency_ms"]["p50"]
        compared = with_earlier(own, name, earlier_ms, job, functools.partial(_count, progress, "process"))
    return compared, kept.changes(line, kept.line_of(own.bundle, own.found, {}))
