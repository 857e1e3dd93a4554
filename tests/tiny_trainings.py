"""Settings of trainings that end within seconds."""

SHORTER = {
    # A network that has learned nothing ends no sentence, so a wide beam would take long.
    "translate": ("--decoding.beam_width", "1"),
    "generate": ("--decoding.max_length", "20"),
}
"""What shortens a recipe's trainings besides the settings of all."""
