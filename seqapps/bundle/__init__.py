"""One trained model on disk: written whole or not at all, loaded without its recipe."""
