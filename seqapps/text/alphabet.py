"""Transcripts as numbers: characters, or SentencePiece pieces."""

import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from seqapps.fields import asset, damaged_asset
from seqapps.text.lower_case import lowered
from seqapps.text.normalise import normalise
from seqapps.text.scripts import WORD_START
from seqapps.text.tokenizer import Tokenizer

Ids = npt.NDArray[np.int32]

_FILE = "alphabet.json"
_SPECIAL = 4
"""Pieces of a SentencePiece model that are none: padding, unknown, begin, end."""
_SPOKEN = "%&@#*/'"
"""Punctuation, as Unicode has it, that is said aloud, and the apostrophe."""
_LONE_APOSTROPHE = re.compile(r"(?<!\w)'|'(?!\w)")


@dataclass(frozen=True)
class Alphabet:
    """The symbols of which a recogniser's answers are made; a symbol's number is its place.

    A symbol is a character, or a piece, in which a space stands for the beginning of a word.
    """

    symbols: tuple[str, ...]
    """Each one once, none of them empty."""
    lower: bool = True
    """Whether transcripts are put in lower case."""
    punctuation: bool = True
    """Whether punctuation marks are written."""
    language: str = ""
    """Of the transcripts, such as tr, if lower case is to be that of a language."""
    strip: tuple[str, ...] = ()
    """What is left out, or written otherwise, see `Transcripts.strip`."""

    @classmethod
    def fit(
        cls,
        texts: Iterable[str],
        *,
        pieces: int = 0,
        lower: bool = True,
        punctuation: bool = True,
        language: str = "",
        strip: tuple[str, ...] = (),
    ) -> "Alphabet":
        """Learns the symbols of the training transcripts.

        Args:
            texts: Transcripts.
            pieces: How many SentencePiece pieces; 0 for single characters.
            lower: Whether to put transcripts in lower case.
            punctuation: Whether to keep punctuation marks.
            language: Whose lower case.
            strip: What to leave out, or to write otherwise.
        """
        rules = cls((), lower, punctuation, language, strip)
        cleaned = [rules.clean(text) for text in texts]
        characters = sorted({c for text in cleaned for c in text} | {" "})
        if not pieces:
            return replace(rules, symbols=tuple(characters))
        model = Tokenizer.train(cleaned, vocabulary=pieces, character_coverage=1.0)
        learned = [piece.replace(WORD_START, " ") for piece in model.pieces[_SPECIAL:]]
        return replace(rules, symbols=tuple(dict.fromkeys([*learned, *characters])))

    @property
    def assets(self) -> dict[str, bytes]:
        """The file that travels with a model."""
        table = {
            "symbols": list(self.symbols),
            "lower": self.lower,
            "punctuation": self.punctuation,
            "language": self.language,
            "strip": self.strip,
        }
        return {_FILE: json.dumps(table, ensure_ascii=False).encode()}

    @property
    def has_pieces(self) -> bool:
        """Whether symbols are longer than characters."""
        return any(len(symbol) > 1 for symbol in self.symbols)

    def clean(self, text: str) -> str:
        """A transcript as the model is to write it."""
        text = normalise(text)
        if self.lower:
            text = lowered(text, self.language)
        for entry in self.strip:
            # The first character is no sign of its own, so that = can be left out too.
            rest, _, new = entry[1:].partition("=")
            old = entry[0] + rest
            text = text.replace(lowered(old, self.language) if self.lower else old, new)
        return normalise(text) if self.punctuation else _without_marks(text)

    def unknown(self, text: str) -> list[str]:
        """Characters of a transcript that no symbol writes."""
        known = {c for symbol in self.symbols for c in symbol}
        return sorted(set(self.clean(text)) - known)

    def encode(self, text: str) -> Ids:
        """The numbers of a transcript: the fewest symbols that write it.

        Characters that no symbol writes are left out.

        Words of pieces begin with a space, that of the first word too.
        """
        text = self.clean(text)
        places = {symbol: i for i, symbol in enumerate(self.symbols)}
        if not self.has_pieces:
            return np.array([places[c] for c in text if c in places], np.int32)
        text = f" {text}" if text else ""
        longest = max(map(len, self.symbols))
        # Fewest symbols to each end, and the last of them.
        best: list[tuple[int, int, int]] = [(0, -1, -1)]
        for end in range(1, len(text) + 1):
            options = [
                (best[start][0] + 1, start, places[text[start:end]])
                for start in range(max(0, end - longest), end)
                if text[start:end] in places
            ]
            best.append(min(options, default=(best[end - 1][0] + 1, end - 1, -1)))
        backwards = []
        end = len(text)
        while end:
            _, start, symbol = best[end]
            backwards.append(symbol)
            end = start
        return np.array([i for i in reversed(backwards) if i >= 0], np.int32)

    def decode(self, ids: Sequence[int]) -> str:
        """The text of numbers, without spaces at its ends."""
        return "".join(self.symbols[i] for i in ids).strip()


def _without_marks(text: str) -> str:
    """Puts spaces for marks that are not said; an apostrophe within a word stays."""
    text = text.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    kept = (
        " " if c not in _SPOKEN and unicodedata.category(c).startswith("P") else c for c in text
    )
    return normalise(_LONE_APOSTROPHE.sub(" ", "".join(kept)))


def alphabet_in(assets: Mapping[str, bytes]) -> Alphabet:
    """The alphabet among the files that travel with a model.

    Raises:
        UserError: If it is missing or damaged.
    """
    try:
        table = json.loads(asset(assets, _FILE))
        symbols, lower = table["symbols"], table["lower"]
        # Bundles of earlier versions wrote what there was.
        punctuation, language = table.get("punctuation", True), table.get("language", "")
        strip = tuple(map(str, table.get("strip", ())))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise damaged_asset(_FILE, error) from None
    if (
        not isinstance(symbols, list)
        or not all(isinstance(s, str) and s for s in symbols)
        or len(set(symbols)) != len(symbols)
        or " " not in symbols
    ):
        raise damaged_asset(_FILE, "it must list different symbols, the space among them")
    return Alphabet(tuple(symbols), bool(lower), bool(punctuation), str(language), strip)
