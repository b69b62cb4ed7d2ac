"""The dense network as an ONNX graph: written here, run by ONNX Runtime. Imports NumPy alone."""
