"""Applied sequence models on Keras and TensorFlow: train one, measure it, serve it."""

__version__ = "0.1.0"
