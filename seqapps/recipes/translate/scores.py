"""How translations are measured."""

# B batch, S source steps, T target steps, K hypotheses, N rows of a decoding loop

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from seqapps.data.splits import spread
from seqapps.fields import Rating
from seqapps.recipes.translate.baseline import NearestSource
from seqapps.recipes.translate.data import Pairs, PairSplits
from seqapps.recipes.translate.memory import Memory
from seqapps.recipes.translate.metrics import bleu, chrf

NEAREST = "bleu_of_nearest_training_sentence"
COPIED = "bleu_of_copied_source"
_RATED = 500
"""Sentences of which `rating` measures the translations, at most."""


def scores(hypotheses: Sequence[str], pairs: PairSplits) -> dict[str, Any]:
    """BLEU and chrF of translations of the test split, with signatures.

    Beside them stands what needs no model: the translation of the nearest training sentence, and
    the source as it is.
    """
    test, train = pairs.test, pairs.train
    nearest = NearestSource().fit(train.sources, train.targets).answer(test.sources)
    by_words, by_characters = bleu(hypotheses, test.targets), chrf(hypotheses, test.targets)
    return {
        "bleu": round(by_words.value, 2),
        "chrf": round(by_characters.value, 2),
        NEAREST: round(bleu(nearest, test.targets).value, 2),
        COPIED: round(bleu(test.sources, test.targets).value, 2),
        "sentences": len(test),
        "bleu_signature": by_words.signature,
        "chrf_signature": by_characters.signature,
    }


def of_memory(memory: Memory | None) -> dict[str, Any]:
    """What a memory adds, where a bundle has one: BLEU on the validation split, greedily."""
    if memory is None:
        return {}
    alone, nearest, together = (round(value, 2) for value in memory.measured)
    return {
        "memory_from_similarity": memory.threshold,
        "validation_bleu_of_network_alone": alone,
        "validation_bleu_of_memory_alone": nearest,
        "validation_bleu_with_memory": together,
    }


def warnings(metrics: Mapping[str, Any]) -> list[str]:
    """What whoever uses the model must know: that something simple is as good."""
    instead = {
        NEAREST: "the translation of the nearest training sentence has",
        COPIED: "the source as it is has",
    }
    return [
        f"BLEU is {metrics['bleu']}, and {words} {metrics[name]}: train longer, or on more pairs."
        for name, words in instead.items()
        if metrics["bleu"] <= metrics[name]
    ]


def rating(pairs: Pairs, options: Mapping[str, Any]) -> Rating:
    """BLEU and chrF of some hundred sentences of the test split.

    Args:
        pairs: The split.
        options: Strategy values by name.
    """
    rows = spread(len(pairs), _RATED)
    references = [pairs.targets[i] for i in rows]

    def score(answers: list[dict[str, Any]]) -> dict[str, Any]:
        hypotheses = [answer["translation"] for answer in answers]
        return {
            "bleu": round(bleu(hypotheses, references).value, 2),
            "chrf": round(chrf(hypotheses, references).value, 2),
        }

    return Rating(
        questions=[pairs.sources[i] for i in rows],
        score=score,
        on=f"{len(rows):,} of {len(pairs):,} sentences of the test split",
        options=options,
    )


def side_by_side(hypotheses: Sequence[str], pairs: Pairs, *, count: int) -> list[dict[str, str]]:
    """Sentences from all over a split with their translations and references."""
    chosen = np.linspace(0, len(pairs), min(count, len(pairs)), endpoint=False, dtype=int)
    return [
        {
            "source": pairs.sources[i],
            "translation": hypotheses[i],
            "reference": pairs.targets[i],
        }
        for i in chosen
    ]
