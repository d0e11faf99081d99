"""The ONNX project's own node tests, run through the whole pipeline: load, clean, passes, lowering, runtime."""
