"""From a float model to a quantised one: QuantizeLinear/DequantizeLinear pairs in an ONNX graph."""
