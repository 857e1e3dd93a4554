"""What a translator takes and gives."""

from seqapps.fields import Field, Interface
from seqapps.recipe import strategy_options
from seqapps.recipes.translate.settings import Config


def interface(config: Config) -> Interface:
    """A line in, its translation, score and how it came about out; a search's options."""
    return Interface(
        inputs=(Field(name="source", description=f"A line of text ({config.data.source})."),),
        outputs=(
            Field(
                name="translation",
                description=f"The line in {config.data.target}, of at most 1,000 pieces a part.",
            ),
            Field(
                name="score",
                dtype="float32",
                media="number",
                unit="log-probability, nats",
                description="Searched: divided by the length penalty. Drawn: as it is. Of several "
                "parts the sum.",
            ),
            Field(
                name="sentences",
                dtype="int32",
                media="number",
                description="Parts that were translated one by one: above 1 for a line longer than "
                "training showed, cut at the ends of sentences first.",
            ),
            Field(
                name="truncated",
                dtype="int32",
                media="number",
                description="1 where the translation came to its limit before its end, else 0.",
            ),
            Field(
                name="remembered",
                dtype="int32",
                media="number",
                description="Parts so like a training line that they have its translation, where "
                "that was better on the validation split.",
            ),
        ),
        details=(
            Field(name="alternatives", rank=1, description="The n best, best first."),
            Field(name="alternative_scores", dtype="float32", rank=1, media="number"),
        ),
        options=strategy_options(config.decoding),
    )
