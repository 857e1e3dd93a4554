"""Settings that follow the text and the time there is."""

from seqapps.automatic import plain
from seqapps.recipes.generate.data import TextData, sizes
from seqapps.recipes.generate.settings import Config, LanguageModel, settled
from seqapps.training.settings import Training


def test_a_short_text_and_a_long_training_are_dropped_more():
    short = settled(Config(), characters=100_000, different=90)
    long = settled(Config(), characters=10_000_000, different=90)
    assert short.model.dropout > 0.3 > 0.1 > long.model.dropout
    assert short.training.batch_tokens < long.training.batch_tokens
    assert short.training.minutes == long.training.minutes == 5.0
    hour = Config(training=Training(minutes=60.0))
    longer = settled(hour, characters=1_000_000, different=4000)
    assert longer.model.units > short.model.units
    assert longer.model.dropout > long.model.dropout
    assert longer.model.embedding > short.model.embedding
    assert longer.training.minutes == 60.0


def test_what_somebody_chose_stays():
    chosen = Config(
        model=LanguageModel(units=32, dropout=0.0), training=Training(epochs=3, learning_rate=0.01)
    )
    found = settled(chosen, characters=100_000, different=90)
    assert found.model == chosen.model
    # Passes were asked for, and no minutes.
    assert (found.training.epochs, found.training.minutes) == (3, 0.0)
    assert found.training.learning_rate == 0.01


def test_the_sizes_are_those_of_the_training_text(tmp_path):
    (tmp_path / "text.txt").write_text("né" * 50, encoding="utf-8")
    data = TextData(train="text.txt", folder=str(tmp_path), held_out_share=0.2)
    assert sizes(data, utf8=True) == {"characters": 80, "different": 2}
    assert plain(Config()).training.epochs == 12
