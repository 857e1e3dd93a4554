"""Texts with an answer each: what is kept of their rows, and how they are held out."""

import pytest

from seqapps.data.answered import AnsweredTexts, check_split, text_problem
from seqapps.data.files import Problem, Row
from seqapps.errors import UserError


class Riddles(AnsweredTexts):
    pass


def _sifted(rows, split, **more):
    def problems(row):
        reason = text_problem(row.cells[0])
        return [Problem("r.tsv", row.line, reason)] if reason else []

    return Riddles.sifted(rows, problems, split, name="r.tsv", max_bad_share=0.5, **more)


ROWS = [Row(2, ("a", "x")), Row(3, ("", "y")), Row(4, ("b\udcff", "z")), Row(5, ("c", "\udcfe"))]


def test_training_rows_go_and_others_stay_repaired():
    train, test = _sifted(ROWS, "train"), _sifted(ROWS, "test")
    assert (train.texts, train.answers) == (["a", "c"], ["x", "\ufffd"])
    assert (test.texts, test.answers) == (["a", "", "b\ufffd", "c"], ["x", "y", "z", "\ufffd"])
    for part in (train, test):
        assert isinstance(part, Riddles)
        assert list(map(str, part.problems)) == [
            "r.tsv:3: the text is empty",
            "r.tsv:4: the text is not UTF-8",
        ]


def test_only_rows_that_stay_are_checked():
    def checked(rows):
        for row in rows:
            if row.cells[1] in "yz":
                raise UserError(f"line {row.line}")
            yield row

    assert len(_sifted(ROWS, "train", checked=checked)) == 2
    with pytest.raises(UserError, match="line 3"):
        _sifted(ROWS, "test", checked=checked)


def test_equal_keys_are_dealt_to_one_split():
    problems = [Problem("r.tsv", 9, "the text is empty")]
    all_of_them = Riddles(["a", "B", "b", "c"], ["1", "2", "3", "4"], problems)
    keys = map(str.lower, all_of_them.texts)
    parts = all_of_them.dealt(keys, {"b": "test"}, ["validation", "test"])
    assert parts == {
        "train": Riddles(["a", "c"], ["1", "4"], problems),
        "validation": Riddles([], []),
        "test": Riddles(["B", "b"], ["2", "3"]),
    }


def test_a_split_without_rows_stops_after_its_problems():
    lines = []
    part = Riddles([], [], [Problem("r.tsv", 2, "the text is empty")])
    with pytest.raises(UserError, match=r"no train riddles in r\.tsv: each needs two\. .*data\.t"):
        check_split(part, "train", "r.tsv", lines.append, kind="riddles", needs="each needs two")
    assert lines[1] == "  r.tsv:2: the text is empty"
