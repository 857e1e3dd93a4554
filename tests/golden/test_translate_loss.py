"""The loss curve of a short training, as recorded: a refactor keeps it.

After a change that is meant to alter it, record it again and say why in the commit:

    python tests/golden/test_translate_loss.py
"""

import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from seqapps.recipes.translate import phrasebook
from seqapps.recipes.translate import recipe as translate
from seqapps.report import Reporter
from seqapps.training.loop import Goal, fit
from seqapps.training.settings import Training

RECORD = Path(__file__).with_name("translate_loss.json")
COLUMNS = ("steps", "learning_rate", "gradient_norm", "loss", "validation_loss")


def curve(folder: Path) -> list[dict[str, float]]:
    """Trains a small translator on 500 pairs for about 30 updates."""
    splits = phrasebook.pairs(seed=0, train=500, validation=50, test=50)
    for split, pairs in splits._asdict().items():
        for language, lines in zip(("en", "de"), zip(*pairs, strict=True), strict=True):
            text = "".join(f"{line}\n" for line in lines)
            (folder / f"{split}.{language}").write_text(text, encoding="utf-8")
    default = translate.Config()
    config = replace(
        default,
        data=replace(
            default.data, train="train", validation="validation", test="test", folder=str(folder)
        ),
        text=replace(default.text, vocabulary=200),
        model=replace(default.model, embedding=16, units=32),
        training=Training(
            epochs=4,
            batch_tokens=2048,
            learning_rate=1e-2,
            warmup_steps=4,
            patience=0,
            average_decay=0.5,
            tensorboard=False,
        ),
    )
    keras.utils.set_random_seed(config.seed)
    reporter = Reporter(io.StringIO())
    examples = translate.load(config, None, reporter)
    progress = fit(
        translate.build(config, examples),
        examples,
        loss=translate.loss(config),
        goal=Goal("none", lambda: {"none": 0.0}),
        settings=config.training,
        folder=folder,
        reporter=reporter,
    )
    return [{name: row[name] for name in COLUMNS} for row in progress.history]


def test_the_loss_curve_is_the_recorded_one(tmp_path):
    wanted = json.loads(RECORD.read_text(encoding="utf-8"))
    found = curve(tmp_path)
    assert len(found) == len(wanted)
    for row, recorded in zip(found, wanted, strict=True):
        # Processors differ in the last bits, and training spreads that.
        assert row == pytest.approx(recorded, rel=1e-3)
    assert wanted[-1]["validation_loss"] < 0.9 * wanted[0]["validation_loss"]


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        RECORD.write_text(json.dumps(curve(Path(name)), indent=2) + "\n", encoding="utf-8")
