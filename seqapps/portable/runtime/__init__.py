"""What predictors without TensorFlow share: `export --format onnx` puts it into `predictor.py`.

These modules import NumPy, ONNX Runtime, what reads their inputs, and each other.
"""
