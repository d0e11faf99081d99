"""Whole models against ONNX Runtime."""
