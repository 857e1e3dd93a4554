import ast
import io
import re
import shlex
from pathlib import Path

import pytest
from training_history import HISTORY

from seqapps import report
from seqapps.report import Reporter, card, label


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test moves."""
    now = [0.0]
    monkeypatch.setattr(report.time, "monotonic", lambda: now[0])
    return now


def advance(stream, clock, seconds, *, status=""):
    """Ten units of work a second on a bar of 1,000 that began at 100."""
    asked = []
    with Reporter(stream).bar("epoch 1/8", total=1000, unit="tok", start=100) as bar:
        for _ in range(seconds):
            clock[0] += 1.0
            bar.advance(10, lambda: asked.append(1) or status)
    return stream.getvalue(), len(asked)


def test_a_terminal_gets_a_bar_that_is_drawn_anew(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    text, _ = advance(Terminal(), clock, 3, status="loss 2.000")
    drawn = text.split("\r\x1b[K")
    assert drawn[1] == "epoch 1/8   11%  10 tok/s  1:29 left  loss 2.000"
    assert drawn[3] == "epoch 1/8   13%  10 tok/s  1:27 left  loss 2.000"
    # And is gone at the end.
    assert drawn[4] == ""
    assert "\n" not in text


def test_a_narrow_terminal_is_not_overflowed(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    text, _ = advance(Terminal(), clock, 3)
    assert max(map(len, text.split("\r\x1b[K"))) == 19


def test_a_pipe_gets_a_line_now_and_then(clock):
    text, asked = advance(io.StringIO(), clock, 40, status="loss 2.000")
    assert text == (
        "epoch 1/8   25%  10 tok/s  1:15 left  loss 2.000\n"
        "epoch 1/8   40%  10 tok/s  1:00 left  loss 2.000\n"
    )
    # What costs time to know is asked for only when it is shown.
    assert asked == 2


def test_quick_work_shows_no_bar(clock):
    with Reporter(io.StringIO()).bar("x", total=10, unit="rows") as bar:
        bar.advance(10)
    stream = io.StringIO()
    with Reporter(stream).bar("x", total=0, unit="rows"):
        pass
    assert stream.getvalue() == ""


def test_an_epoch_is_one_line():
    stream = io.StringIO()
    for row, best in zip(HISTORY, (True, False), strict=True):
        Reporter(stream).epoch(row, best=best, of=10)
    assert stream.getvalue() == (
        "epoch  1/10  1:01  loss 3.000  validation loss 2.500  BLEU 3.250  (best)\n"
        "epoch  2/10  1:02:05  loss 2.000  validation loss 1.500  BLEU 30.000\n"
    )


METRICS = {"bleu": 38.123456, "sentences": 1000, "bleu_signature": "nrefs:1|case:mixed"}
SAMPLES = [{"source": "A | b", "translation": "c\nd"}]


def test_an_evaluation_stands_in_columns():
    stream = io.StringIO()
    Reporter(stream).evaluation(METRICS, SAMPLES)
    assert stream.getvalue() == (
        "\n  source       A | b\n  translation  c\nd\n"
        "\nMeasured on the test split:\n"
        "  BLEU            38.12\n"
        "  sentences       1,000\n"
        "  BLEU signature  nrefs:1|case:mixed\n"
    )


def test_names_are_written_as_the_field_writes_them():
    assert label("validation_bleu") == "validation BLEU"
    assert label("chrf") == "chrF"


def test_the_next_steps_name_the_bundle():
    stream = io.StringIO()
    Reporter(stream).next_steps("python -m seqapps.recipes.x", Path("a/b"))
    assert "  python -m seqapps.recipes.x predict a/b\n" in stream.getvalue()
    assert "--dir a/b/servable/1\n" in stream.getvalue()
    assert """python -c 'import seqapps; print(seqapps.load("a/b").metrics)'\n""" in (
        stream.getvalue()
    )


def test_the_next_steps_can_be_pasted_whatever_the_path_is():
    path = """a b/it's "so" $HOME"""
    stream = io.StringIO()
    Reporter(stream).next_steps("python -m seqapps.recipes.x", Path(path))
    steps = [shlex.split(line) for line in stream.getvalue().splitlines()[2:]]
    assert steps[0][3:] == ["predict", path]
    assert steps[1][3:] == ["evaluate", path]
    assert steps[2][-1] == f"{path}/servable/1"
    assert ast.literal_eval(re.search(r"load\((.*)\)\.", steps[3][-1])[1]) == path


def the_card(**changes):
    arguments = {
        "title": "A title.",
        "command": "python -m x",
        "typed": "train --config x.toml",
        "seed": 3,
        "cores": 2,
        "bundle": Path("saved_models/x/demo"),
        "metrics": METRICS,
        "samples": SAMPLES,
        "history": HISTORY,
        "settings": '{"a": 1}',
        "plots": ["learning_curves.png"],
    }
    return card(**{**arguments, **changes})


def test_a_card_is_sound_markdown():
    text = the_card()
    assert "with seed 3 on 2 cores:\n\n```sh\npython -m x train --config x.toml\n```\n" in text
    assert "python -m x predict saved_models/x/demo" in text
    assert 'seqapps.load("saved_models/x/demo")' in text
    assert "2 epochs, 20 updates in 1:02:05" in text
    assert "![learning curves](plots/learning_curves.png)" in text
    assert '```json\n{"a": 1}\n```' in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    # A bar or a line's end inside of a cell would break the table.
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {3}
    assert "| BLEU signature | nrefs:1\\|case:mixed |" in rows
    assert "| A \\| b | c d |" in rows


def test_a_card_can_be_pasted_whatever_the_path_is():
    text = the_card(bundle=Path('a b/"c"'), cores=1)
    assert "on 1 core:" in text
    assert """python -m x predict 'a b/"c"'\n""" in text
    assert 'seqapps.load("a b/\\"c\\"")' in text


def test_a_card_of_little():
    text = the_card(samples=[], history=HISTORY[:1], plots=[])
    assert "## Samples" not in text
    assert "1 epoch, 10 updates in 1:01" in text
    assert "## Training" not in the_card(history=[])


def test_what_was_measured_on_is_said():
    text = the_card(on="the validation text")
    assert "## Measured on the validation text\n" in text
    assert "## Measured on the test split\n" in the_card()
