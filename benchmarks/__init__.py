"""Measurements: against other engines, on an emulated Arm core, kernel by kernel. How to read them: BENCHMARKS.md."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before anything here imports onnxruntime
