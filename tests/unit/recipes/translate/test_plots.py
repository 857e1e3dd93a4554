"""Pictures of attention show what they are given."""

import numpy as np
from matplotlib.image import imread

from seqapps.recipes.translate.plots import plot_attention


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
