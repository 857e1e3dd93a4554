"""Which rows are asked together."""

from seqapps.bundle.application import _SOUND_BUDGET, _groups


def test_short_rows_are_not_padded_to_a_very_long_one():
    sizes = [5] * 100 + [200_000] + [1_200] * 60
    groups = list(_groups(sizes))
    # Alone, though it is larger than the budget.
    assert groups[0] == [100]
    assert [len(group) for group in groups] == [1, 54, 54, 52]
    for group in groups[1:]:
        assert len(group) * max(sizes[i] for i in group) <= 65_536


def test_every_row_is_asked_once_the_longest_first():
    sizes = [0, 3, 0, 7, 3]
    assert list(_groups(sizes)) == [[3, 1, 4, 0, 2]]
    assert list(_groups([0] * 130)) == [list(range(64)), list(range(64, 128)), [128, 129]]
    assert list(_groups([])) == []


def test_recordings_may_be_large():
    # Five of 300 kB, some ten seconds each, go together.
    assert list(_groups([300_000] * 5, _SOUND_BUDGET)) == [[0, 1, 2, 3, 4]]
    assert len(list(_groups([300_000] * 5))) == 5
