"""BLEU and chrF of whole test sets."""

# N rows (examples), K classes, M cells of a table that are not empty, R resamples.

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Score:
    """A number and how it was made."""

    value: float
    """The score."""
    signature: str
    """The library's version and settings, to compare it with other people's."""


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Corpus BLEU on cased, detokenised text, 0 to 100.

    Source: Papineni et al. 2002; Post 2018 (sacreBLEU, 13a tokenisation).

    Raises:
        ValueError: If the two differ in number, or there are none.
    """
    from sacrebleu.metrics import BLEU

    return _corpus(BLEU(), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Corpus chrF, the F2 score of character 6-grams, 0 to 100.

    Source: Popović 2015.

    Raises:
        ValueError: If the two differ in number, or there are none.
    """
    from sacrebleu.metrics import CHRF

    return _corpus(CHRF(), hypotheses, references)


def _corpus(metric: Any, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    if len(hypotheses) != len(references) or not references:
        raise ValueError(
            f"a corpus score needs one hypothesis for each reference and at least one, got "
            f"{len(hypotheses)} and {len(references)}."
        )
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(value=float(score.score), signature=str(metric.get_signature()))
