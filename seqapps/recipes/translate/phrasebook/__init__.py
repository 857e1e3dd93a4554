"""English-German travel and everyday sentences from a grammar, in any number from a seed."""

from seqapps.recipes.translate.phrasebook.splits import Phrasebook, pairs

__all__ = ["Phrasebook", "pairs"]
