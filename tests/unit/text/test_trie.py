from hypothesis import given, settings
from hypothesis import strategies as st

from seqapps.text.trie import DEAD, ROOT, Trie, build_trie


def look_up(trie: Trie, word: tuple[int, ...]) -> int:
    node = ROOT
    for symbol in word:
        slot = trie.base[node] + symbol
        node = slot if trie.parent[slot] == node else DEAD
    return -1 if node == DEAD else int(trie.value[node])


@settings(deadline=None)
@given(
    st.integers(1, 6).flatmap(
        lambda symbols: st.tuples(
            st.just(symbols),
            st.sets(st.lists(st.integers(1, symbols), min_size=1, max_size=5).map(tuple)),
            st.lists(st.lists(st.integers(0, symbols), min_size=1, max_size=6).map(tuple)),
        )
    )
)
def test_holds_exactly_its_words(case: tuple[int, set[tuple[int, ...]], list]) -> None:
    symbols, words, others = case
    values = {word: number for number, word in enumerate(sorted(words))}
    trie = build_trie(values, symbols=symbols)
    for word in [*words, *others, *(word[:-1] for word in words if len(word) > 1)]:
        assert look_up(trie, word) == values.get(word, -1)


def test_large_alphabet_stays_small() -> None:
    words = {(a, b): a * 100 + b for a in range(1, 1000, 3) for b in range(a % 7 + 1, 2000, 97)}
    trie = build_trie(words, symbols=2000)
    assert all(look_up(trie, word) == value for word, value in words.items())
    assert len(trie.base) < 4 * len(words)
