"""Pictures of surprise show what they are given."""

import numpy as np
from matplotlib.image import imread

from seqapps.recipes.generate import plots
from seqapps.recipes.generate.plots import plot_surprise


def test_a_surprise_is_dark_where_it_was_not_expected(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "save_figure", lambda figure, path: drawn.append(figure))
    # What matplotlib would read as a formula, a script that it has no letters for, long lines.
    text = "$a$\n你" + "x" * 100
    bits = [0.0, 9.0, 1.0, 2.0, *[0.5] * 101]
    plot_surprise(text, bits, tmp_path / "a.png")
    axis = drawn[0].axes[0]
    shown = [label.get_text() for label in axis.texts]
    assert "".join(shown) == text.replace("\n", "⏎")
    rows = [round(label.get_position()[1] - 0.55) for label in axis.texts]
    assert [rows.count(number) for number in range(3)] == [4, 80, 21]
    darkness = [-sum(patch.get_facecolor()[:3]) for patch in axis.patches]
    assert np.argsort(darkness)[-1] == 1
    assert darkness[0] < darkness[2] < darkness[3] < darkness[1]
    monkeypatch.undo()
    plot_surprise(text, bits, tmp_path / "a.png")
    assert imread(tmp_path / "a.png").shape[1] == 1152
