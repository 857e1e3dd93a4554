import math
import random
from collections import Counter

import pytest
import sacrebleu
from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.recipes.translate import phrasebook
from seqapps.recipes.translate.baseline import NearestSource

SENTENCES = st.lists(st.sampled_from("a b c d e f".split()), max_size=6).map(" ".join)


def terms(sentence: str) -> Counter[str]:
    words = ["<", *sentence.split(), ">"]
    return Counter(words[1:-1]) + Counter(map(" ".join, zip(words, words[1:], strict=False)))


def brute_force(train: list[str], source: str) -> list[float]:
    counts = [terms(sentence) for sentence in train]
    frequency = Counter(term for count in counts for term in count)

    def vector(count: Counter[str]) -> dict[str, float]:
        raw = {
            t: n * math.log((1 + len(train)) / frequency[t])
            for t, n in count.items()
            if frequency[t]
        }
        norm = math.sqrt(sum(value**2 for value in raw.values())) or 1.0
        return {term: value / norm for term, value in raw.items()}

    query = vector(terms(source))
    return [sum(query.get(t, 0.0) * v for t, v in vector(count).items()) for count in counts]


@settings(max_examples=300, deadline=None)
@given(train=st.lists(SENTENCES, min_size=1, max_size=12), source=SENTENCES)
def test_no_training_sentence_is_nearer_and_ties_go_to_the_earliest(
    train: list[str], source: str
) -> None:
    rows = [str(row) for row in range(len(train))]
    answer = int(NearestSource().fit(train, rows).answer([source])[0])
    scores = brute_force(train, source)
    assert scores[answer] == pytest.approx(max(scores), abs=1e-8)
    # Nothing earlier is as near, except for what rounding cannot tell apart.
    assert answer == next(r for r, score in enumerate(scores) if score > max(scores) - 1e-8)


def test_known_sentences_get_their_own_target() -> None:
    train = phrasebook.pairs(train=2_000, validation=0, test=0).train
    lookup = NearestSource().fit([e for e, _ in train], [g for _, g in train])
    asked = random.Random(0).sample(train, 200)
    assert lookup.answer([english for english, _ in asked]) == [german for _, german in asked]


def test_rare_words_count_more_than_frequent_ones_and_order_counts() -> None:
    lookup = NearestSource().fit(
        [
            "the dog is in the house",
            "the cat is in the house",
            "the bird sings",
            "dog bites man",
            "man bites dog",
        ],
        ["house dog", "house cat", "bird", "dog first", "man first"],
    )
    assert lookup.answer(["the bird in the garden"]) == ["bird"]
    assert lookup.answer(["the cat"]) == ["house cat"]
    assert lookup.answer(["dog bites man"]) == ["dog first"]
    assert lookup.answer(["man bites dog"]) == ["man first"]


def test_case_and_punctuation_do_not_hide_a_word() -> None:
    lookup = NearestSource().fit(["Come here, please.", "Go away!"], ["komm", "geh"])
    assert lookup.answer(["please come", "AWAY"]) == ["komm", "geh"]


def test_sentences_that_share_nothing_go_to_the_first() -> None:
    assert NearestSource().fit(["a b", "c d"], ["x", "y"]).answer(["q r", ""]) == ["x", "x"]


def test_lists_of_different_length_and_empty_ones_are_refused() -> None:
    with pytest.raises(ValueError, match="same length, got 2 and 1"):
        NearestSource().fit(["a", "b"], ["x"])
    with pytest.raises(ValueError, match="must not be empty"):
        NearestSource().fit([], [])
    with pytest.raises(ValueError, match="call fit first"):
        NearestSource().answer(["a"])


def test_looking_up_does_not_solve_the_phrasebook() -> None:
    book = phrasebook.pairs(validation=0, test=300)
    lookup = NearestSource().fit([e for e, _ in book.train], [g for _, g in book.train])
    answers = lookup.answer([english for english, _ in book.test])
    assert sacrebleu.corpus_bleu(answers, [[german for _, german in book.test]]).score <= 50


def test_characters_are_the_words_of_a_script_without_spaces():
    known = ["設定を保存する", "今日は雨です"]
    baseline = NearestSource().fit(known, ["save", "rain"])
    assert baseline.answer(["昨日は雨だった", "保存した設定"]) == ["rain", "save"]
