"""Applications without TensorFlow: what `export --format onnx` puts into `predictor.py`.

These modules import NumPy, ONNX Runtime, sentencepiece and each other, nothing else.
"""
