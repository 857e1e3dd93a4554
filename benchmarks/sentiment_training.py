"""How fast a text classifier trains: our step against a masked BiLSTM of stock Keras layers.

Both sides learn from the same random texts, as long as film reviews are, and alternate within one
run. The stock side is what one would write by hand: `Embedding(mask_zero=True)`,
`Bidirectional(LSTM)`, the same pooling and head, and plain `fit`. It has two turns in each round:
`stock_keras` with our batches (texts of similar length, under a budget of tokens), and
`stock_keras_usual` with those that people make: shuffled texts, 64 at a time, padded to the
longest. They go through our pipeline too, so only what is in them differs.

    python benchmarks/sentiment_training.py > result.json
"""

import argparse

import numpy as np

from seqapps.lazy import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from _alternating import OURS, Side, compare  # noqa: E402

from seqapps.data.batching import padding_share, token_batches  # noqa: E402
from seqapps.data.pipeline import batches  # noqa: E402
from seqapps.recipes.sentiment.network import build_classifier  # noqa: E402
from seqapps.recipes.sentiment.settings import Classifier  # noqa: E402
from seqapps.training.losses import class_cross_entropy  # noqa: E402
from seqapps.training.step import Trainee  # noqa: E402

FIRST_TOKEN = 4  # after padding, unknown, BOS and EOS
MEDIAN, SPREAD, LONGEST = 220, 0.65, 400  # pieces of a review; standard deviation of their logs
USUAL_ROWS = 64
CLASSES = 2
ATTENTION_UNITS = 64  # as in `SequencePooling`


def main() -> None:
    """Measures and prints."""
    wanted = _arguments()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(wanted.precision)
    columns = _examples(wanted)
    lengths = np.array([len(tokens) for tokens in columns["tokens"]])
    grouped = token_batches(lengths, tokens=wanted.batch_tokens, seed=0, epoch=0)
    shuffled = np.random.default_rng(1).permutation(len(lengths))
    usual = np.split(shuffled, range(USUAL_ROWS, len(lengths), USUAL_ROWS))
    paddings = {"padding_grouped": grouped, "padding_usual": usual}

    def stock(order: list[np.ndarray]) -> Side:
        model = _stock(wanted)
        return Side(model, lambda: batches(columns, order).map(_for_fit), len(lengths))

    compare(
        {
            OURS: Side(_seqapps(wanted), lambda: batches(columns, grouped), len(lengths)),
            "stock_keras": stock(grouped),
            "stock_keras_usual": stock(usual),
        },
        benchmark="sentiment_training",
        unit="texts",
        rounds=wanted.rounds,
        settings={
            **vars(wanted),
            **{name: round(padding_share(lengths, order), 3) for name, order in paddings.items()},
        },
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--units", type=int, default=128, help="in each direction")
    parser.add_argument("--embedding", type=int, default=128)
    parser.add_argument("--vocabulary", type=int, default=16000)
    parser.add_argument("--cell", choices=("gru", "lstm"), default="gru", help="of our side")
    parser.add_argument(
        "--stock-cell", choices=("gru", "lstm"), default="lstm", help="of the stock side"
    )
    parser.add_argument("--batch-tokens", type=int, default=16384)
    parser.add_argument("--texts", type=int, default=1024, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    return parser.parse_args()


def _examples(wanted: argparse.Namespace) -> dict[str, list[np.ndarray]]:
    """Random texts with random labels."""
    rng = np.random.default_rng(0)
    drawn = np.exp(rng.normal(np.log(MEDIAN), SPREAD, wanted.texts))
    lengths = np.clip(drawn, 10, LONGEST).astype(int)
    return {
        "tokens": [
            rng.integers(FIRST_TOKEN, wanted.vocabulary, n).astype("int32") for n in lengths
        ],
        "labels": list(rng.integers(0, CLASSES, (wanted.texts, 1)).astype("int32")),
        "weights": [np.ones(1, "float32")] * wanted.texts,
    }


def _settings(wanted: argparse.Namespace) -> Classifier:
    return Classifier(
        embedding=wanted.embedding,
        units=wanted.units,
        cell=wanted.cell,
        pools=("attention", "max", "mean"),
        dropout=0.4,
        channel_dropout=0.2,
        word_dropout=0.1,
    )


def _optimizer() -> keras.optimizers.Optimizer:
    return keras.optimizers.AdamW(1e-3, weight_decay=1e-4)


def _seqapps(wanted: argparse.Namespace) -> keras.Model:
    network = build_classifier(_settings(wanted), vocabulary=wanted.vocabulary, classes=CLASSES)
    trainee = Trainee(network, loss=class_cross_entropy(), clip_norm=1.0)
    trainee.compile(optimizer=_optimizer(), jit_compile=False)
    trainee.optimizer.build(network.trainable_variables)
    return trainee


def _stock(wanted: argparse.Namespace) -> keras.Model:
    """The same sizes from stock layers, with the masks of zeros that pass from layer to layer."""
    settings, layers = _settings(wanted), keras.layers
    tokens = keras.Input((None,), dtype="int32", name="tokens")
    words = layers.Embedding(wanted.vocabulary, settings.embedding, mask_zero=True)(tokens)
    words = layers.Dropout(settings.word_dropout, noise_shape=(None, None, 1))(words)
    words = layers.Dropout(settings.channel_dropout, noise_shape=(None, 1, None))(words)
    words = layers.Dropout(settings.dropout)(words)
    cell = {"gru": layers.GRU, "lstm": layers.LSTM}[wanted.stock_cell]
    read = layers.Bidirectional(cell(settings.units, return_sequences=True))(words)
    # Softmax and the largest element have to be told what is padding; the mean sees the mask.
    real = keras.ops.not_equal(tokens, 0)[:, :, None]
    hidden = layers.Dense(ATTENTION_UNITS, activation="tanh")(read)
    scores = layers.Dense(1, use_bias=False)(hidden)
    weights = layers.Softmax(axis=1)(scores, mask=real)
    weighted = layers.Reshape((2 * settings.units,))(layers.Dot(axes=1)([weights, read]))
    far_below = keras.ops.where(real, 0.0, -1e9)
    largest = layers.GlobalMaxPooling1D()(layers.Add()([read, far_below]))
    mean = layers.GlobalAveragePooling1D()(read)
    pooled = layers.Concatenate()([weighted, largest, mean])
    pooled = layers.Dropout(settings.dropout)(layers.BatchNormalization()(pooled))
    pooled = layers.Dense(settings.hidden, activation="relu")(pooled)
    logits = layers.Dense(CLASSES)(layers.Dropout(settings.dropout)(pooled))
    model = keras.Model({"tokens": tokens}, logits)
    optimizer = _optimizer()
    optimizer.global_clipnorm = 1.0
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=False,
    )
    return model


def _for_fit(batch: dict[str, tf.Tensor]) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
    return {"tokens": batch["tokens"]}, batch["labels"][:, 0]


if __name__ == "__main__":
    main()
