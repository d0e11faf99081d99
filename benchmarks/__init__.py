"""Measurements: against other engines, on an emulated Arm core, kernel by kernel. How to read them: BENCHMARKS.md."""
