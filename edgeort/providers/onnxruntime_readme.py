"""The README.md of bundles that run by ONNX Runtime: how to install it on the device, check, and measure."""

from __future__ import annotations

from collections.abc import Sequence

from edgeort.device_profiles import Profile

_JETSON = """
PyPI has no `onnxruntime-gpu` for this board. There are wheels by NVIDIA and others that fit a JetPack each: install the
one for yours (`head -1 /etc/nv_tegra_release` tells which that is). The C library, `libonnxruntime.so`, is in those of
newer versions; older ones run `run.py` only.
"""
_PC = """
The device also needs NVIDIA's driver, one that knows CUDA 13. pip fetches CUDA and cuDNN from PyPI, TensorRT from
NVIDIA.
"""
_WINDOWS = """
The device also needs the Microsoft Visual C++ runtime (vc_redist.x64.exe).
"""
_DIRECTML = """
Windows has an `onnxruntime.dll` and a `DirectML.dll` of its own. Use the two of the package, which belong together:
with another DirectML.dll runs may end without an error, and the outputs are wrong. The check below finds that.
"""


def readme(
    provider: str,
    execution_providers: Sequence[str],
    profile: Profile,
    model: str,
    harness: str,
    min_sqnr_db: float,
    requirements: Sequence[str],
    is_run: bool,
) -> str:
    """The text. `is_run`: the machine that makes the bundle also runs it."""
    windows = profile.target.os == "windows"
    board = profile.target.arch == "aarch64"
    directml = provider == "directml"
    notes = (_DIRECTML if directml else _JETSON if board else _PC) + (_WINDOWS if windows else "")
    return _TEXT.format(
        provider=provider,
        device=profile.device.title,
        names=", then ".join(execution_providers),
        state=_RUN if is_run else _NOT_RUN,
        requirements="\n".join(f"    {line}" for line in requirements),
        notes=notes,
        install=_INSTALL_WINDOWS if windows else _INSTALL,
        measure=(_MEASURE_WINDOWS if windows else _MEASURE).format(
            harness=harness.replace("/", "\\") if windows else harness, model=model, near=min_sqnr_db
        ),
        near=min_sqnr_db,
    )


_RUN = "The machine that made it ran it, and compared its outputs with those of the CPU."
_NOT_RUN = """**Not run on hardware.** It was made on a machine where this provider does not run.
The outputs in `golden/` are those of ONNX Runtime's CPU kernels: nothing is known of this provider's outputs and speed
until the check below passes on the device."""
_INSTALL = """    python3 -m venv ~/edgeort-venv
    ~/edgeort-venv/bin/pip install -r requirements.txt
    ~/edgeort-venv/bin/python run.py"""
_INSTALL_WINDOWS = """    py -m venv %LOCALAPPDATA%\\edgeort-venv
    %LOCALAPPDATA%\\edgeort-venv\\Scripts\\pip install -r requirements.txt
    %LOCALAPPDATA%\\edgeort-venv\\Scripts\\python run.py"""
_MEASURE = """    export $(~/edgeort-venv/bin/python run.py --environment)
    {harness} {model} --check golden --min-sqnr {near}"""
_MEASURE_WINDOWS = """    set PY=%LOCALAPPDATA%\\edgeort-venv\\Scripts\\python
    for /f "delims=" %e in ('%PY% run.py --environment') do set "%e"
    {harness} {model} --check golden --min-sqnr {near}"""
_TEXT = """# This bundle runs by {provider}

For {device}, by ONNX Runtime with {names}.

{state}

## Install

The runtime is not in the bundle:

{requirements}
{notes}
Keep it outside of this folder, whose files are sealed by manifest.json:

{install}

## Check before use

`run.py` runs the model on the inputs in `golden/`, compares every output with the one kept there ({near} dB at least),
says which node runs where, and measures. When an output is too far off it says so and ends with status 1: then do not
use this provider there.

A node that the provider does not take is an error, not a slow run on the CPU: `run.py` names those nodes.
`session.disable_cpu_ep_fallback = 0` in model/provider.conf, set at the build
(`--provider-option session.disable_cpu_ep_fallback=0`), allows them.

## From C, and from apps

`lib/` and `include/edgeort.h` are the C API of every edgeort bundle; `edgeort.InferenceSession` of this folder uses it
too. It finds ONNX Runtime by the variables that `run.py --environment` prints. The same check, and times:

{measure}

Telemetry of ONNX Runtime is switched off in all of these.
"""
