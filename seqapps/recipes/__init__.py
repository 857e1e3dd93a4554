"""Applications, a folder each; one never imports another."""
