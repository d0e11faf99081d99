"""Into ONNX and out of it: one module a format."""
