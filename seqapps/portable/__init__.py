"""Proof that a bundle answers alike wherever it is loaded."""
