"""Whether data is that of another day."""

from seqapps.data.fingerprint import difference, fingerprint

ROWS = [("a", "x"), ("b", "y"), ("\ud800", "z")]


def test_what_differs_is_said_by_split():
    before = fingerprint({"train": ROWS, "validation": [], "test": [(b"a", 1)]})
    assert before["train"]["rows"] == 3
    assert difference(before, fingerprint({"train": iter(ROWS), "test": [(b"a", 1)]})) == ""
    now = fingerprint({"train": ROWS[:2], "test": [(b"a", 2)]})
    assert difference(before, now) == (
        "train had 3 rows and has 2; test has 1 other rows, or in another order"
    )


def test_cells_do_not_run_together():
    for other in ([("ab", "")], [("", "ab")], [("a", "b"), ("", "")], [("b", "a")], [("a",)]):
        assert (
            fingerprint({"t": [("a", "b")]})["t"]["hash"] != fingerprint({"t": other})["t"]["hash"]
        )
