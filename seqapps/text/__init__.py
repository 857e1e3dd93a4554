"""Text: normalisation and tokenisation, in the graph and outside, held equal."""
