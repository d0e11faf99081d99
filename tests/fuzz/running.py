"""One run of a target: its inputs, its options, and what libFuzzer says in the end."""

from __future__ import annotations

import itertools
import math
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tests.fuzz.targets import HERE, Target
from tests.reference.build import ROOT

WORK = ROOT / ".pytest_cache" / "fuzz"
RUNS = HERE / "RUNS.md"
KEPT_BYTES = 1 << 18  # of a target's corpus in the repository
LEG = 1 << 19  # executions of one process of Python: Atheris leaks some hundred bytes in each
SLOWEST_S = 120  # of one input: more is a hang, also where the machine is stopped for a while
SANITIZERS = {
    "ASAN_OPTIONS": "detect_leaks=0:allocator_may_return_null=1:quarantine_size_mb=16:malloc_context_size=4",
    "UBSAN_OPTIONS": "print_stacktrace=1",
}


_OPTIONS = (
    f"-timeout={SLOWEST_S}",
    f"-report_slow_units={SLOWEST_S}",
    "-rss_limit_mb=3000",
    "-print_final_stats=1",
    "-entropic_scale_per_exec_time=1",  # what is as new and faster is gone on from more often
)


@dataclass(frozen=True)
class Ended:
    """A run that is over. `coverage` counts the edges seen; `failed` is how it ended where it should not have."""

    target: str
    commit: str
    executions: int
    seconds: float
    coverage: int
    inputs: int  # that reach something which no other does
    crashes: tuple[Path, ...]
    failed: str

    def text(self) -> str:
        """A line, with the crashes below it."""
        speed = self.executions / max(self.seconds, 1e-3)
        line = f"{self.target}: {self.executions} executions in {self.seconds:.0f} s ({speed:.0f} a second), "
        line += f"{self.coverage} edges, {self.inputs} inputs, {len(self.crashes)} crashes"
        return "\n".join((line, *(f"  {path}" for path in self.crashes), *([self.failed] if self.failed else ())))


_stopped = threading.Event()
_processes: set[subprocess.Popen[bytes]] = set()


def stop() -> None:
    """Ends all runs: each returns what it executed until then."""
    _stopped.set()
    for process in tuple(_processes):
        process.terminate()


def run(target: Target, seconds: int, executions: int = -1, seed: int = 0) -> Ended:
    """Fuzzes until one of the two is reached, or something crashes; by a `seed` of 0 differently every time."""
    kept, crashes = WORK / target.name / "corpus", WORK / target.name / "crashes"
    for folder in (kept, crashes):
        folder.mkdir(parents=True, exist_ok=True)
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, cwd=ROOT).stdout
    most = LEG if target.modules else sys.maxsize
    wanted = executions if executions >= 0 else sys.maxsize
    with tempfile.TemporaryDirectory(prefix="edgeort-fuzz-") as scratch:
        seeds, log = Path(scratch) / "seeds", Path(scratch) / "log"
        start(target, seeds)
        log.touch()
        command = [*target.command(), f"-artifact_prefix={crashes}/", f"-max_len={target.most_bytes}", *_OPTIONS]
        print(f"{target.name}: begins; {log}", flush=True)
        before, begun, done, status, said = set(crashes.iterdir()), time.monotonic(), 0, 0, ""
        while (
            not status
            and not _stopped.is_set()
            and done < wanted
            and (left := math.ceil(begun + seconds - time.monotonic())) > 0
        ):
            runs = min(wanted - done, most)
            options = [f"-max_total_time={left}", f"-runs={-1 if runs == sys.maxsize else runs}"]
            options += [f"-seed={seed + done if seed else 0}", str(kept), str(seeds)]
            status = _execute([*command, *options], log, seed)
            said = log.read_text(errors="replace")
            done += _last(r"stat::number_of_executed_units:\s*(\d+)", said) or _last(r"^#(\d+)", said)
        shutil.copy(log, WORK / target.name / "log")
    found = tuple(sorted(set(crashes.iterdir()) - before))
    good = status == 0 or found or _stopped.is_set()
    failed = "" if good else f"exit status {status}\n{said[-4000:]}"
    coverage, inputs = _last(r" cov: (\d+)", said), _last(r" corp: (\d+)", said)
    took = time.monotonic() - begun
    return Ended(target.name, commit.strip(), done, took, coverage, inputs, found, failed)


def _execute(command: list[str], log: Path, seed: int) -> int:
    """The exit status. The process is in a group of its own: who stops all of them, stops this one by `stop`."""
    environment = {**os.environ, **SANITIZERS, **({"PYTHONHASHSEED": str(seed)} if seed else {})}
    with log.open("wb") as stream:
        process = subprocess.Popen(
            command, stdout=stream, stderr=stream, env=environment, cwd=ROOT, start_new_session=True
        )
        _processes.add(process)
        if _stopped.is_set():
            process.terminate()
        status = process.wait()
        _processes.discard(process)
    return status


def start(target: Target, folder: Path) -> None:
    """Fills a new folder with the target's seeds, what earlier runs found, and what once crashed it."""
    folder.mkdir()
    target.seeds(folder)
    for path in target.crashes:
        shutil.copy(path, folder)
    if target.corpus.exists():
        with zipfile.ZipFile(target.corpus) as archive:
            archive.extractall(folder)


def keep(target: Target) -> int:
    """Keeps in the repository what is needed to reach all that was reached, up to KEPT_BYTES; returns the number."""
    with tempfile.TemporaryDirectory(prefix="edgeort-fuzz-") as scratch:
        seeds, least, all_found = Path(scratch) / "seeds", Path(scratch) / "least", WORK / target.name / "corpus"
        start(target, seeds)
        if target.modules:  # a program of Python cannot start itself anew, as merging needs
            shutil.copytree(all_found, least)
        else:
            least.mkdir()
            command = [*target.command(), "-merge=1", f"-max_len={target.most_bytes}"]
            folders = [str(folder) for folder in (least, seeds, all_found)]
            environment = {**os.environ, **SANITIZERS}
            subprocess.run([*command, *folders], check=True, capture_output=True, env=environment, cwd=ROOT)
        old = set(zipfile.ZipFile(target.corpus).namelist()) if target.corpus.exists() else set()
        known = {path.read_bytes() for path in seeds.iterdir() if path.is_file() and path.name not in old}
        found = sorted((path for path in least.iterdir() if path.read_bytes() not in known), key=_size)
        sizes = itertools.accumulate(map(_size, found))
        kept = [path for path, total in zip(found, sizes, strict=True) if total <= KEPT_BYTES]
        target.corpus.parent.mkdir(exist_ok=True)
        with zipfile.ZipFile(target.corpus, "w", zipfile.ZIP_DEFLATED) as archive:
            for path in sorted(kept):
                archive.writestr(zipfile.ZipInfo(path.name), path.read_bytes(), zipfile.ZIP_DEFLATED)
        return len(kept)


def _size(path: Path) -> int:
    return path.stat().st_size


def _last(pattern: str, text: str) -> int:
    found = re.findall(pattern, text, re.MULTILINE)
    return int(found[-1]) if found else 0


def record(ended: Ended, runs: Path) -> None:
    """Adds a row to a table of runs."""
    cells = (f"{datetime.now(UTC):%Y-%m-%d}", ended.commit, ended.target, f"{ended.executions:,}")
    cells += (f"{ended.seconds:.0f}", f"{ended.coverage}", f"{len(ended.crashes)}")
    with runs.open("a", encoding="utf-8") as stream:
        stream.write(f"| {' | '.join(cells)} |\n")


def sums(runs: Path) -> str:
    """A line for each target of a table of runs: what all of its rows come to."""
    rows: dict[str, list[list[str]]] = {}
    for line in runs.read_text(encoding="utf-8").splitlines():
        cells = [cell.strip() for cell in line.strip("| ").split("|")]
        if len(cells) == 7 and cells[4].isdigit():
            rows.setdefault(cells[2], []).append(cells)
    lines = []
    for target, own in rows.items():
        executions, seconds, crashes = (sum(int(row[at].replace(",", "")) for row in own) for at in (3, 4, 6))
        commits = len({row[1] for row in own})
        line = f"{target}: {executions:,} executions in {seconds} s, {len(own)} runs at {commits} commits"
        lines.append(f"{line}, {crashes} crashes")
    return "\n".join(lines)
