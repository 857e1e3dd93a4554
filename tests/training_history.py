"""What a training of two epochs writes down."""

HISTORY = [
    {"epoch": 1, "steps": 10, "seconds": 61.0, "learning_rate": 0.1, "gradient_norm": 1.0}
    | {"loss": 3.0, "validation_loss": 2.5, "bleu": 3.25},
    {"epoch": 2, "steps": 20, "seconds": 3725.0, "learning_rate": 0.1, "gradient_norm": 9.0}
    | {"loss": 2.0, "validation_loss": 1.5, "bleu": 30.0},
]
