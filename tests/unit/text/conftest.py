"""Tokenizers shared by the tests of text."""

import gzip
from pathlib import Path

import pytest

from seqapps.text.tokenizer import Tokenizer


def read_multi30k(folder: Path, *splits: str) -> list[str]:
    lines = []
    for split in splits:
        for language in ("en", "de"):
            with gzip.open(folder / f"{split}.{language}.gz", "rt", encoding="utf-8") as file:
                lines += file.read().splitlines()
    return lines


@pytest.fixture(scope="session")
def multi30k_lines(multi30k: Path) -> list[str]:
    """All English and German sentences of Multi30k."""
    return read_multi30k(multi30k, "train", "val", "test_2016_flickr")


@pytest.fixture(scope="session")
def toy() -> Tokenizer:
    """A tokenizer with pieces of many lengths, ties between them, and several alphabets."""
    words = (
        "the cat sees the theatre cats seeing café naïve über Übung straße ababab aaaa aaa aa a "
        "b ab привет мир приветмир 你好 世界 你好世界 한국어 0 00 000 95,000 ff fff "
        "toff stofffolie __ _a 😀😀 . , !"
    ).split()
    return Tokenizer.train(
        [" ".join(words[i::k]) for k in (1, 2, 3, 5) for i in range(k)] * 3, vocabulary=120
    )
