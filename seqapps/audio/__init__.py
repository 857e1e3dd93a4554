"""Recordings in the graph: WAV parsing, resampling, log-mel features and augmentation."""
