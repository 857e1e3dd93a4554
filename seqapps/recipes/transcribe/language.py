"""The language model of a recogniser: n-grams of its symbols, as an automaton for the graph."""

# N contexts, C symbols

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.decoding.ctc_beam import Language
from seqapps.fields import damaged_asset
from seqapps.text.alphabet import Alphabet
from seqapps.text.ngram import NGram
from seqapps.text.normalise_graph import constant

_MODEL, _WEIGHTS = "language.npz", "language.json"
_LARGEST = 8_000_000
"""Contexts × symbols of the tables, at most: 64 MB."""
_LEAST = -20.0
"""Log-probability of what the model holds impossible."""


@dataclass(frozen=True)
class Weights:
    """How much the language model counts; fitted on the validation split."""

    language: float = 0.0
    """What its log-probability is multiplied with."""
    bonus: float = 0.0
    """What each symbol adds, nats."""


def fit(texts: Sequence[str], alphabet: Alphabet, *, order: int) -> NGram:
    """Learns the n-grams of texts; spaces stand around each.

    Args:
        texts: Sentences; characters that no symbol writes are left out.
        alphabet: The symbols.
        order: Symbols of the longest n-grams, at least 1; lowered where the tables would be larger
            than 64 MB.
    """
    space = alphabet.symbols.index(" ")
    rows = [np.concatenate([[space], alphabet.encode(text), [space]]) for text in texts]
    while True:
        model = NGram.fit(rows, order=order, vocabulary=len(alphabet.symbols))
        contexts = int((model.depth < model.order).sum())
        if order == 1 or contexts * model.vocabulary <= _LARGEST:
            return model
        order -= 1


def tables(model: NGram, alphabet: Alphabet) -> dict[str, npt.NDArray[Any]]:
    """The automaton of a model.

    Returns:
        `scores` float32 (N, C), `following` int32 (N, C), `start` int32 () and `ending` float32
        (N,), as `decoding.ctc_beam.Language` has them.
    """
    # Nodes are numbered by length, so the contexts come first.
    count = int((model.depth < model.order).sum())
    scores_NC, following_NC = model.advance(
        np.arange(count)[:, None], np.arange(model.vocabulary)[None]
    )
    space = alphabet.symbols.index(" ")
    scores_NC = np.maximum(scores_NC, _LEAST).astype(np.float32)
    return {
        "scores": scores_NC,
        "following": following_NC.astype(np.int32),
        "start": np.int32(following_NC[model.root, space]),
        "ending": scores_NC[:, space],
    }


def in_graph(model: NGram, alphabet: Alphabet) -> Language:
    """The automaton as constants of a graph."""
    automaton = tables(model, alphabet)
    return Language(
        constant(automaton["scores"], tf.float32),
        constant(automaton["following"], tf.int32),
        constant(automaton["start"], tf.int32),
        constant(automaton["ending"], tf.float32),
    )


def to_assets(model: NGram | None, weights: Weights) -> dict[str, bytes]:
    """The files that travel with a recogniser; none without a model."""
    if model is None:
        return {}
    return {_MODEL: model.to_bytes(), _WEIGHTS: json.dumps(vars(weights)).encode()}


def from_assets(assets: Mapping[str, bytes]) -> tuple[NGram | None, Weights]:
    """Reads them.

    Raises:
        UserError: If they are damaged.
    """
    if _MODEL not in assets:
        return None, Weights()
    try:
        model = NGram.from_bytes(assets[_MODEL])
    except (ValueError, KeyError, OSError) as error:
        raise damaged_asset(_MODEL, error) from None
    try:
        table = json.loads(assets.get(_WEIGHTS, b"{}"))
        return model, Weights(**{name: float(value) for name, value in table.items()})
    except (ValueError, TypeError, AttributeError) as error:
        raise damaged_asset(_WEIGHTS, error) from None
