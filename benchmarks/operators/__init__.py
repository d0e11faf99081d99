"""Single operators against ONNX Runtime."""
