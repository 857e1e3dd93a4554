"""What a classifier of texts takes and gives."""

from seqapps.fields import Field, Interface, Signature


def classifier_interface() -> Interface:
    """A text in; a label and the probabilities of all classes out; and the words that mattered."""
    probability = "probability, 0 to 1"
    label = Field(name="label", description="The most probable class.")
    return Interface(
        inputs=(Field(name="text", description="A text of any length."),),
        outputs=(
            label,
            Field(
                name="probabilities",
                dtype="float32",
                rank=1,
                media="number",
                unit=probability,
                description="Of each class, the highest first.",
            ),
            Field(name="classes", rank=1, description="Their names, in the same order."),
            Field(
                name="truncated",
                dtype="int32",
                media="number",
                description="1 where the text was too long to be read whole.",
            ),
        ),
        further=(
            Signature(
                name="explain",
                outputs=(
                    label,
                    Field(name="probability", dtype="float32", media="number", unit=probability),
                    Field(
                        name="words",
                        rank=1,
                        description="The text's words, or pieces in scripts without spaces.",
                    ),
                    Field(
                        name="importance",
                        dtype="float32",
                        rank=1,
                        media="number",
                        unit="log-odds, nats",
                        description="What the label loses without the word; bounded by 20.",
                    ),
                ),
                description="How much each word mattered, by leaving it out.",
            ),
        ),
    )
