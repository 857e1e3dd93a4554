"""BLEU and chrF of whole test sets."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from seqapps.text.scripts import UNSPACED

_MOSTLY = 0.3
"""Share of such letters from which on a text is one without spaces. Names stand in any script."""


@dataclass(frozen=True)
class Score:
    """A number and how it was made."""

    value: float
    """The score."""
    signature: str
    """The library's version and settings, to compare it with other people's."""


def bleu(hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    """Corpus BLEU on cased, detokenised text, 0 to 100.

    Words are those of the 13a tokenisation; characters where the references put no spaces between
    words, as in Japanese. The signature says which.

    Source: Papineni et al. 2002; Post 2018 (sacreBLEU).

    Raises:
        ValueError: If the two differ in number, or there are none.
    """
    from sacrebleu.metrics import BLEU

    tokenize = "char" if unspaced(references) else "13a"
    return _corpus(BLEU(tokenize=tokenize), hypotheses, references)


def unspaced(texts: Sequence[str]) -> bool:
    """Whether texts are in a script that puts no spaces between words."""
    letters = sum(character.isalpha() for text in texts for character in text)
    found = sum(c.isalpha() for text in texts for c in UNSPACED.findall(text))
    return found > _MOSTLY * letters


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
