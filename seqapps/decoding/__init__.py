"""Decoding in the graph: greedy, sampling and beam search."""
