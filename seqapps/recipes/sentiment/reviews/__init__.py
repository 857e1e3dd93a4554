"""English product and film reviews whose label depends on order and scope, from a seed."""

from seqapps.recipes.sentiment.reviews.splits import LABELS, Review, Reviews, reviews

__all__ = ["LABELS", "Review", "Reviews", "reviews"]
