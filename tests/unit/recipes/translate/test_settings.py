"""Settings that follow the training pairs and the minutes."""

from dataclasses import replace

from seqapps.recipe import settle
from seqapps.recipes.translate import RECIPE, Config
from seqapps.recipes.translate.data import PairData, Pairs, Sizes
from seqapps.recipes.translate.settings import settled_config
from seqapps.text.settings import Text

FEW = Sizes(pairs=2_500, characters=75, alphabet=100, copied=0.14)
MANY = Sizes(pairs=40_000, characters=41, alphabet=90, copied=0.06)


def test_the_pairs_and_the_time_decide():
    few, many = settled_config(Config(), FEW), settled_config(Config(), MANY)
    assert few.training.minutes == many.training.minutes == 5
    assert (few.text.vocabulary, many.text.vocabulary) == (1_100, 4_090)
    assert (few.model.copying, many.model.copying) == ("source", "none")
    assert few.model.dropout > many.model.dropout
    assert few.training.batch_tokens < many.training.batch_tokens
    hour = replace(Config().training, minutes=60.0)
    assert settled_config(replace(Config(), training=hour), MANY).model.units == 512


def test_what_somebody_chose_stays():
    chosen = Config(text=Text(vocabulary=500))
    settled = settled_config(chosen, FEW)
    assert settled.text.vocabulary == 500
    # As in a bundle of an earlier version, whose network does not copy.
    assert settled.model.copying == "none"
    assert settled.model.joint is False


def test_the_phrasebook_keeps_its_own():
    config, _ = settle(RECIPE, Config(), None)
    assert (config.text.vocabulary, config.training.epochs, config.training.minutes) == (1200, 3, 0)
    assert config.model.units == 256


def test_sizes_are_of_the_training_pairs(few_pairs):
    pairs = Pairs(["Open %1", "a b c d"], ["%1 öffnen", "a b x y"])
    assert Sizes.of(pairs) == Sizes(pairs=2, characters=(16 + 14) / 2, alphabet=11, copied=0.5)
    config = Config(data=PairData(train="train", folder=str(few_pairs)))
    assert settle(RECIPE, config, None)[0].text.vocabulary < 600
