import io
import re
from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from seqapps import report
from seqapps.report import Reporter, card, label, plot_attention, plot_learning_curves

HISTORY = [
    {"epoch": 1, "steps": 10, "seconds": 61.0, "learning_rate": 0.1, "gradient_norm": 1.0}
    | {"loss": 3.0, "validation_loss": 2.5, "bleu": 3.25},
    {"epoch": 2, "steps": 20, "seconds": 3725.0, "learning_rate": 0.1, "gradient_norm": 9.0}
    | {"loss": 2.0, "validation_loss": 1.5, "bleu": 30.0},
]


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


def the_card(**changes):
    arguments = {
        "title": "A title.",
        "command": "python -m x",
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


def test_a_card_of_little():
    text = the_card(samples=[], history=HISTORY[:1], plots=[])
    assert "## Samples" not in text
    assert "1 epoch, 10 updates in 1:01" in text
    assert "## Training" not in the_card(history=[])


def test_learning_curves_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(report, "save_figure", lambda figure, path: drawn.append(figure))
    plot_learning_curves(HISTORY, tmp_path / "a.png")
    loss, score = drawn[0].axes
    assert [line.get_ydata().tolist() for line in loss.lines] == [[3.0, 2.0], [2.5, 1.5]]
    assert [t.get_text() for t in loss.get_legend().texts] == [
        "training (regularised)",
        "validation",
    ]
    assert score.get_ylabel() == "validation BLEU"
    assert [line.get_ydata().tolist() for line in score.lines] == [[3.25, 30.0]]
    plot_learning_curves([{"epoch": 1, "loss": 1.0}], tmp_path / "b.png")
    (axis,) = drawn[1].axes
    assert [t for t in axis.get_xticks().tolist() if t > 0.5 and t < 1.5] == [1]


def test_plots_become_pictures(tmp_path):
    plot_learning_curves(HISTORY, tmp_path / "curves.png")
    plot_learning_curves([], tmp_path / "nothing.png")
    assert imread(tmp_path / "curves.png").shape[1] == 1080


def test_attention_is_dark_where_the_decoder_looked(tmp_path):
    # Tokens that matplotlib would read as formulas, or has no letters for.
    source, target = ["▁$x$", "▁_{", "你好", "</s>"], ["▁a", "\\frac", "</s>"]
    weights_TS = np.zeros((3, 4))
    weights_TS[[0, 1, 2], [2, 1, 0]] = 1.0
    path = tmp_path / "attention.png"
    plot_attention(weights_TS, source=source, target=target, path=path)
    picture = imread(path)
    dark = (picture[:, :, 2] < 0.5) & (picture[:, :, 2] > picture[:, :, 0] + 0.2)
    # The colour bar on the right is dark at its top, too.
    rows, columns = np.nonzero(dark[:, : int(dark.shape[1] * 0.7)])
    assert rows.size > 100
    # From the upper right to the lower left.
    assert np.corrcoef(rows, columns)[0, 1] < -0.8
