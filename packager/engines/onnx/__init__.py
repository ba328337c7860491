"""The compiler of ONNX graphs; runs where the model and the converters are installed."""
