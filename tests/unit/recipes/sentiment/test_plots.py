"""Pictures of a classifier show what they are given."""

import numpy as np
import pytest
from matplotlib.image import imread

from seqapps.recipes.sentiment import plots
from seqapps.recipes.sentiment.metrics import reliability_bins
from seqapps.recipes.sentiment.plots import plot_confusion, plot_reliability


def drawn_by(monkeypatch, draw):
    """The figure that is drawn, laid out as it would be saved."""
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    draw()
    drawn[0].draw_without_rendering()
    return drawn[0]


def cells(axis):
    """Texts by (row, column)."""
    return {
        (round(text.get_position()[1]), round(text.get_position()[0])): text for text in axis.texts
    }


PROBABILITIES = np.array([[0.9, 0.1], [0.8, 0.2], [0.55, 0.45], [0.3, 0.7]])


def test_classification_plots_become_pictures(tmp_path):
    plot_confusion(np.eye(2, dtype=int), classes=["a", "你"], path=tmp_path / "confusion.png")
    bins = reliability_bins(PROBABILITIES, [0, 0, 0, 1])
    plot_reliability({"as trained": bins}, tmp_path / "reliability.png")
    picture = imread(tmp_path / "confusion.png")
    dark = picture[:, :, 0] < 0.2
    # Dark cells in the upper left and the lower right.
    rows, columns = np.nonzero(dark & (picture[:, :, 2] > 0.3))
    assert rows.size > 1000
    assert np.corrcoef(rows, columns)[0, 1] > 0.5
    assert imread(tmp_path / "reliability.png").shape[:2] == (648, 600)


def test_confusions_are_counted_and_shared(tmp_path, monkeypatch):
    matrix_KK = np.array([[9000, 1000, 0], [1, 3, 0], [0, 0, 0]])
    names = ["$x$", "a\tname  that is much longer than its cell", "z"]
    figure = drawn_by(
        monkeypatch, lambda: plot_confusion(matrix_KK, classes=names, path=tmp_path / "a.png")
    )
    (axis,) = figure.axes
    found = {place: text.get_text() for place, text in cells(axis).items()}
    assert found[0, 0] == "9,000\n90.0%"
    assert found[0, 1] == "1,000\n10.0%"
    assert found[1, 0] == "1\n25.0%"
    # A class without rows divides nothing by zero.
    assert found[2, 2] == "0\n0.0%"
    # The letters stand out from the colour beneath.
    assert cells(axis)[0, 0].get_color() == "white"
    assert cells(axis)[0, 1].get_color() == "black"
    shown = ["$x$", "a name that is much…", "z"]
    assert [tick.get_text() for tick in axis.get_xticklabels()] == shown
    assert [tick.get_text() for tick in axis.get_yticklabels()] == shown
    assert (axis.get_xlabel(), axis.get_ylabel()) == ("answer", "right class")


@pytest.mark.parametrize("size", [2, 6, 7, 20])
def test_confusions_of_any_number_of_classes_fit_their_cells(size, tmp_path, monkeypatch):
    random = np.random.default_rng(0)
    matrix_KK = random.integers(1, 200, (size, size)) + 2000 * np.eye(size, dtype=int)
    matrix_KK[0, 1] = 0
    matrix_KK[1, 0] = 1
    names = [f"a class of the number {i}" for i in range(size)]
    figure = drawn_by(
        monkeypatch, lambda: plot_confusion(matrix_KK, classes=names, path=tmp_path / "a.png")
    )
    (axis,) = figure.axes
    found = cells(axis)
    # Many classes show no zeros, and no share that looks like none.
    assert ((0, 1) in found) == (size <= 6)
    if size > 6:
        assert found[1, 0].get_text() == "1\n<1%"
    cell = axis.transData.transform([[0, 1], [1, 0]])
    width, height = cell[1] - cell[0]
    for i in range(size):
        for j in range(size):
            if (i, j) in found and matrix_KK[i, j]:
                box = found[i, j].get_window_extent()
                assert box.width < width
                assert box.height < height
    # Names and labels stay on the picture, to two pixels.
    inside = axis.get_tightbbox()
    assert inside.x0 >= -2
    assert inside.y0 >= -2
    assert inside.x1 <= figure.bbox.x1 + 2
    assert inside.y1 <= figure.bbox.y1 + 2


def test_reliability_is_drawn_against_the_diagonal(tmp_path, monkeypatch):
    before = reliability_bins(PROBABILITIES, [0, 1, 0, 1], bins=5)
    after = reliability_bins(0.5 * PROBABILITIES + 0.25, [0, 1, 0, 1], bins=5)
    figure = drawn_by(
        monkeypatch,
        lambda: plot_reliability({"before": before, "after": after}, tmp_path / "a.png"),
    )
    upper, lower = figure.axes
    diagonal, first, second = upper.lines
    assert list(diagonal.get_xdata()) == list(diagonal.get_ydata()) == [0, 1]
    # 0.55 alone; 0.7 and 0.8, the upper edge, together; 0.9 alone. Empty bins are no points.
    np.testing.assert_allclose(first.get_xdata(), [0.55, 0.75, 0.9])
    np.testing.assert_allclose(first.get_ydata(), [1.0, 0.5, 1.0])
    np.testing.assert_allclose(second.get_xdata(), after.confidence[after.counts > 0])
    assert [text.get_text() for text in upper.get_legend().texts] == [
        "perfect",
        f"before (ECE {before.calibration_error:.3f})",
        f"after (ECE {after.calibration_error:.3f})",
    ]
    np.testing.assert_allclose(lower.patches[0].get_data().values, [0, 0, 0.25, 0.5, 0.25])
    # No bin below 0.4 has a row.
    assert lower.get_xlim() == pytest.approx((0.4, 1.0))
    assert upper.get_xlim() == lower.get_xlim()
