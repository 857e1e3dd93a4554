"""Whether a memory of the training pairs pays, and from which similarity on it answers."""

from collections.abc import Callable, Sequence

from seqapps.recipes.translate.examples import PairExamples
from seqapps.recipes.translate.memory import MOST, Memory, remember
from seqapps.recipes.translate.metrics import bleu
from seqapps.text.normalise import normalise

_THRESHOLDS = (0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
_PAYS = 0.5
"""BLEU on the validation split that a memory must add: less is noise, and it costs room."""


def fit_memory(
    examples: PairExamples, translate: Callable[[], Sequence[str]], log: Callable[[str], None]
) -> bytes | None:
    """Makes a memory if it translates the validation split better.

    Args:
        examples: The pairs.
        translate: Gives the network's translations of the validation split.
        log: Takes a line for the user.

    Returns:
        What `Memory` reads; None where it does not pay, or pairs are too many.
    """
    train, validation = examples.pairs.train, examples.pairs.validation
    if len(train) > MOST:
        return None
    hypotheses = translate()
    sources = examples.source.encode(train.sources)
    targets = [normalise(text) for text in train.targets]

    def made(threshold: float, measured: Sequence[float] = ()) -> bytes:
        return remember(
            sources,
            targets,
            vocabulary=examples.source.size,
            threshold=threshold,
            measured=measured,
        )

    memory = Memory(made(0.0))
    found = [memory.nearest(pieces) for pieces in examples.source.encode(validation.sources)]

    def measured(threshold: float) -> float:
        mixed = [
            targets[line] if similarity >= threshold else hypothesis
            for (line, similarity), hypothesis in zip(found, hypotheses, strict=True)
        ]
        return bleu(mixed, validation.targets).value

    scores = {threshold: measured(threshold) for threshold in _THRESHOLDS}
    best = max(_THRESHOLDS, key=lambda threshold: scores[threshold])
    alone, nearest = bleu(hypotheses, validation.targets).value, measured(0.0)
    pays = scores[best] >= alone + _PAYS
    log(
        f"BLEU on the validation split: the network {alone:.2f}, a memory of the training lines "
        f"{nearest:.2f}, the memory from a similarity of {best} on and else the network "
        f"{scores[best]:.2f}; the memory {'is kept' if pays else 'does not pay'}"
    )
    return made(best, (alone, nearest, scores[best])) if pays else None
