"""Pictures show what they are given."""

from matplotlib.figure import Figure
from matplotlib.image import imread
from training_history import HISTORY

from seqapps import plots
from seqapps.plots import plot_learning_curves, save_figure


def test_learning_curves_are_drawn(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
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


def test_signs_that_the_font_lacks_are_drawn_with_another_or_it_is_said(tmp_path):
    # Matplotlib brings a second font, with letters for mathematics.
    figure = Figure()
    figure.subplots().set_xticks([0, 1], ["Wo", "\U0001d50e"])
    save_figure(figure, tmp_path / "known.png")
    (axis,) = figure.axes
    assert len(axis.get_xticklabels()[1].get_fontfamily()) == 2
    assert figure.get_supxlabel() == ""
    # Private use: no font that is made for a language has it.
    axis.set_ylabel("\ue0ff\ue0fe words")
    save_figure(figure, tmp_path / "unknown.png")
    assert "2 of these characters" in figure.get_supxlabel()
