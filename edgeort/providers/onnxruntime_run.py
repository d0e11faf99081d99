#!/usr/bin/env python3
"""Runs the model of this bundle by ONNX Runtime on the device: checks it, says which node runs where, times it.

It needs NumPy and onnxruntime (requirements.txt), nothing else. Exit status: 0; 1 when the outputs are not those that
the bundle holds, and then the provider must not be used; 2 for the rest.
"""

from __future__ import annotations

import argparse
import ctypes
import importlib.util
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

EQUAL_DB = 150.0
NO_FALLBACK = "session.disable_cpu_ep_fallback"
PLACEMENT = "session.record_ep_graph_assignment_info"
_SEARCHED = "PATH" if sys.platform == "win32" else "LD_LIBRARY_PATH"  # where the system looks for libraries


class Failure(Exception):
    """What ends the program with status 2."""


def environment() -> dict[str, str]:
    """What a process needs to find ONNX Runtime's libraries, and those of CUDA and TensorRT that pip put beside it."""
    spec = importlib.util.find_spec("onnxruntime")
    if spec is None or spec.origin is None:
        raise Failure("onnxruntime is not installed: pip install -r requirements.txt")
    package = Path(spec.origin).parent
    patterns = ("nvidia/*/lib", "nvidia/*/bin", "nvidia/*/bin/x86_64", "tensorrt_libs")
    folders = [str(package / "capi"), *(str(at) for one in patterns for at in sorted(package.parent.glob(one)))]
    searched = [*folders, *filter(None, [os.environ.get(_SEARCHED)])]
    libraries = [*map(str, sorted((package / "capi").glob("libonnxruntime.so.*"))), folders[0]]
    found = {"EDGEORT_LIBRARIES": libraries, _SEARCHED: searched, "ORT_DISABLE_TELEMETRY": ["1"]}
    return {key: os.pathsep.join(parts) for key, parts in found.items()}


def read_settings(path: Path) -> tuple[dict[str, dict[str, str]], dict[str, str]]:
    """Of provider.conf: the options of each provider, in order, and the entries of the session's configuration."""
    lines = [line.partition("=") for line in path.read_text(encoding="utf-8").splitlines() if line.strip()[:1] != "#"]
    pairs = {key.strip(): value.strip() for key, equals, value in lines if equals}
    providers: dict[str, dict[str, str]] = {name: {} for name in pairs.pop("provider", "").replace(",", " ").split()}
    entries = {NO_FALLBACK: "1"} if providers else {}
    pairs.pop("library", None)
    for key, value in pairs.items():
        owner, _, option = key.partition(".")
        if owner in providers:
            providers[owner][option] = value
        else:
            entries[key] = value
    return providers, entries


def filled(value: str, device: int, version: str) -> str:
    """An option with {cache}, {gpu} and {version} filled in. A folder in the cache is made."""
    value = value.replace("{version}", version)
    value = value.replace("{gpu}", gpu_name(device)) if "{gpu}" in value else value
    if "{cache}" not in value:
        return value
    folder = Path(value.replace("{cache}", str(cache_folder())))
    folder.mkdir(parents=True, exist_ok=True)
    return str(folder)


def cache_folder() -> Path:
    """$EDGEORT_CACHE, else the platform's place for caches."""
    if chosen := os.environ.get("EDGEORT_CACHE"):
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData/Local")) / "edgeort/cache"
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "edgeort"


def gpu_name(device: int) -> str:
    """Name of an NVIDIA GPU and its driver's version."""
    try:
        driver = ctypes.CDLL("nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1")
    except OSError as error:
        raise Failure(f"no NVIDIA GPU answers: {error}") from error
    name, version, handle = ctypes.create_string_buffer(128), ctypes.c_int(), ctypes.c_int()
    failed = driver.cuInit(0) or driver.cuDriverGetVersion(ctypes.byref(version))
    if failed or driver.cuDeviceGet(ctypes.byref(handle), device) or driver.cuDeviceGetName(name, 128, handle):
        raise Failure(f"no NVIDIA GPU number {device} answers")
    plain = "".join(c if c.isascii() and c.isalnum() else "-" for c in name.value.decode())
    return f"{plain}-driver-{version.value}"


def open_session(model: Path, threads: int, profile: Path) -> Any:
    """The session that provider.conf beside the model asks for, by those providers or not at all."""
    import onnxruntime as ort

    ort.disable_telemetry_events()
    providers, entries = read_settings(model.with_name("provider.conf"))
    if lacking := [name for name in providers if name not in ort.get_available_providers()]:
        offered = ", ".join(ort.get_available_providers())
        raise Failure(f"onnxruntime {ort.__version__} here has no {lacking[0]}; it has {offered}")
    wanted = [
        (name, {k: filled(v, int(own.get("device_id", 0)), ort.__version__) for k, v in own.items()})
        for name, own in providers.items()
    ]
    options = session_options(list(providers), entries, threads, profile)
    try:
        session = ort.InferenceSession(str(model), options, providers=wanted or None, enable_fallback=0)
    except Exception as error:  # its exceptions have no common base
        why = str(error).strip()
        if providers and "fallback to CPU EP" in why:
            options.add_session_config_entry(NO_FALLBACK, "0")
            options.log_severity_level = 3
            fallen = ort.InferenceSession(str(model), options, providers=wanted, enable_fallback=0)
            why = missed(fallen, list(providers))
        raise Failure(f"onnxruntime {ort.__version__}: {why}") from error
    session.disable_fallback()
    if left_out := not_started(session, list(providers)):
        raise Failure(left_out)
    return session


def session_options(providers: list[str], entries: dict[str, str], threads: int, profile: Path) -> Any:
    """Options of a session that tells which node runs where."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = threads
    options.enable_mem_pattern = "DmlExecutionProvider" not in providers
    if has_placement():
        options.add_session_config_entry(PLACEMENT, "1")
    else:
        options.enable_profiling, options.profile_file_prefix = True, str(profile)
    for key, value in entries.items():
        options.add_session_config_entry(key, value)
    return options


def not_started(session: Any, providers: list[str]) -> str:
    """Which provider ONNX Runtime left out without an error."""
    left_out = [name for name in providers if name not in session.get_providers()]
    return f"{left_out[0]} does not start here: its libraries or its GPU are missing" if left_out else ""


def missed(session: Any, providers: list[str]) -> str:
    """Why a session may not fall back to the CPU, told by one that did."""
    if reason := not_started(session, providers):
        return reason
    nodes = placement(session) if has_placement() else []
    left = [f"{node['name']} ({node['op']})" for node in nodes if node["provider"] not in providers]
    return f"{' and '.join(providers)} would leave {len(left)} nodes to the CPU: {', '.join(left)}"


def has_placement() -> bool:
    """Whether this ONNX Runtime tells of its own accord which provider got which node."""
    import onnxruntime as ort

    return hasattr(ort.InferenceSession, "get_provider_graph_assignment_info")


def placement(session: Any) -> list[dict[str, str]]:
    """Every node with its operator and provider; from a profile of the runs where the session does not tell."""
    if has_placement():
        parts = session.get_provider_graph_assignment_info()
        return [{"name": n.name, "op": n.op_type, "provider": p.ep_name} for p in parts for n in p.get_nodes()]
    events = json.loads(Path(session.end_profiling()).read_text(encoding="utf-8"))
    end = "_kernel_time"
    nodes = {e["name"].removesuffix(end): e["args"] for e in events if e["cat"] == "Node" and e["name"].endswith(end)}
    return [{"name": name, "op": args["op_name"], "provider": args["provider"]} for name, args in nodes.items()]


def sqnr_db(got: np.ndarray, want: np.ndarray) -> float:
    """Signal to noise of `got` against `want`, dB; -inf where shapes, types or what is not finite differ."""
    if got.shape != want.shape or got.dtype != want.dtype:
        return -np.inf
    a, b = got.astype(np.float64).ravel(), want.astype(np.float64).ravel()
    finite = np.isfinite(a) & np.isfinite(b)
    if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
        return -np.inf
    a, b = a[finite], b[finite]
    noise = float(((a - b) ** 2).sum())
    signal = max(float((b**2).sum()), 1e-300)
    return EQUAL_DB if noise == 0 else min(EQUAL_DB, 10 * np.log10(signal / noise))


def nodes_of(folder: Path) -> list[dict[str, str]]:
    """Which node runs where, told by the session without a run."""
    if not has_placement():
        raise Failure("this onnxruntime tells where nodes run only behind a run; 1.24 or newer tells before")
    model = folder / manifest_of(folder)["artefact"]
    return placement(open_session(model, 0, model))


def manifest_of(folder: Path) -> dict[str, Any]:
    """What the bundle says of itself."""
    found: dict[str, Any] = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return found


def run(folder: Path, runs: int, warmup: int, threads: int) -> dict[str, Any]:
    """What was found. `check` is "passed" or says which output is too far from the one that the bundle holds."""
    manifest = manifest_of(folder)
    model, golden = folder / manifest["artefact"], folder / "golden"
    with tempfile.TemporaryDirectory(prefix="edgeort-") as scratch:
        start = time.perf_counter()
        session = open_session(model, threads, Path(scratch) / "profile")
        open_ms = (time.perf_counter() - start) * 1e3
        feeds = {one.name: np.load(golden / f"input{i}.npy") for i, one in enumerate(session.get_inputs())}
        check, least_db = checked(session, run_once(session, feeds), golden, manifest["min_sqnr_db"])
        times = []
        for index in range(warmup + runs if check == "passed" else 0):
            start = time.perf_counter()
            run_once(session, feeds)
            times += [(time.perf_counter() - start) * 1e3] if index >= warmup else []
        nodes = placement(session)
    return {
        "providers": session.get_providers(),
        "nodes": nodes,
        "open_ms": open_ms,
        "latency_ms": {"runs": runs, "min": min(times), "p50": float(np.median(times))} if times else {},
        "check": check,
        "sqnr_db": least_db,
    }


def run_once(session: Any, feeds: dict[str, np.ndarray]) -> list[np.ndarray]:
    """The outputs."""
    try:
        return list(session.run(None, feeds))
    except Exception as error:  # its exceptions have no common base
        raise Failure(f"the run failed: {str(error).strip()}") from error


def checked(session: Any, outputs: list[np.ndarray], golden: Path, min_sqnr_db: float) -> tuple[str, float]:
    """That they "passed" or which output is too far from the golden one, and the least SQNR, dB."""
    least = EQUAL_DB
    for i, (output, got) in enumerate(zip(session.get_outputs(), outputs, strict=True)):
        least = min(least, found := sqnr_db(got, np.load(golden / f"output{i}.npy")))
        if found < min_sqnr_db:
            return f"output {output.name!r} has an SQNR of {found:.1f} dB, below {min_sqnr_db} dB", float(least)
    return "passed", float(least)


def print_text(found: dict[str, Any]) -> None:
    """What was found, for people."""
    first = found["providers"][0]
    print(f"ONNX Runtime by {', '.join(found['providers'])}; open {found['open_ms']:.1f} ms")
    for provider, count in Counter(node["provider"] for node in found["nodes"]).most_common():
        print(f"{count:5d} nodes on {provider}")
    for node in found["nodes"]:
        if node["provider"] != first:
            print(f"      {node['name']} ({node['op']}) was not taken by {first}: it runs on {node['provider']}")
    print(f"check {found['check']}, the worst output has {found['sqnr_db']:.1f} dB")
    if latency := found["latency_ms"]:
        print(f"latency p50 {latency['p50']:.3f} ms, min {latency['min']:.3f} ms ({latency['runs']} runs)")


def main() -> int:
    """The program."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("bundle", nargs="?", type=Path, default=Path(__file__).resolve().parent)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--warmup", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0, help="of the CPU; 0: one for each core")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--nodes", action="store_true", help="print which node runs where, as JSON; nothing is run")
    parser.add_argument("--environment", action="store_true", help="print what bin/edgeort_bench needs, and end")
    options = parser.parse_args()
    try:
        wanted = environment()
        if options.environment:
            print("\n".join(f"{key}={value}" for key, value in wanted.items()))
            return 0
        if any(os.environ.get(key) != value for key, value in wanted.items()) and "EDGEORT_AGAIN" not in os.environ:
            # The system reads where to look for libraries when a process starts.
            again = {**os.environ, **wanted, "EDGEORT_AGAIN": "1"}
            return subprocess.run([sys.executable, *sys.argv], env=again).returncode
        if options.nodes:
            print(json.dumps(nodes_of(options.bundle)))
            return 0
        found = run(options.bundle, options.runs, options.warmup, options.threads)
    except (Failure, OSError, KeyError, ValueError) as error:
        print(f"run.py: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found)) if options.json else print_text(found)
    if found["check"] != "passed":
        print(f"run.py: DO NOT USE THIS PROVIDER HERE: {found['check']}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
