"""Pictures: PNG and JPEG files as pixels, in the graph, and what their headers say."""
