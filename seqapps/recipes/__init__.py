"""Applications: one module (or package) each; a recipe never imports another."""
