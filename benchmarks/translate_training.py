"""How fast a translator trains: our step against the same network of stock Keras layers.

Both sides learn from the same batches (random tokens, lengths as in Multi30k, batches made by
our pipeline) and alternate within one run. The stock side is what one would write by hand: masked
`Embedding`, `Bidirectional(GRU)`, `GRU`, `Attention`, tied logits, and plain `fit`.

    python benchmarks/translate_training.py > result.json
"""

import argparse
from collections.abc import Callable

import numpy as np

from seqapps.lazy import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from _alternating import OURS, Side, compare  # noqa: E402

from seqapps.data.batching import token_batches  # noqa: E402
from seqapps.data.pipeline import batches  # noqa: E402
from seqapps.recipes.translate.network import build_translator  # noqa: E402
from seqapps.recipes.translate.settings import Translator  # noqa: E402
from seqapps.training.losses import token_cross_entropy  # noqa: E402
from seqapps.training.step import Trainee  # noqa: E402

FIRST_TOKEN = 4  # after padding, unknown, BOS and EOS


def main() -> None:
    """Measures and prints."""
    wanted = _arguments()
    keras.utils.set_random_seed(0)
    keras.config.set_dtype_policy(wanted.precision)
    columns, order = _examples(wanted)
    tokens = sum(len(columns["labels"][row]) for batch in order for row in batch)
    stock, prepare = _stock(wanted)
    compare(
        {
            OURS: Side(_seqapps(wanted), lambda: batches(columns, order), tokens),
            "stock_keras": Side(stock, lambda: prepare(batches(columns, order)), tokens),
        },
        benchmark="translate_training",
        unit="target tokens",
        rounds=wanted.rounds,
        settings=vars(wanted),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--units", type=int, default=512)
    parser.add_argument("--embedding", type=int, default=256)
    parser.add_argument("--vocabulary", type=int, default=5000)
    parser.add_argument("--batch-tokens", type=int, default=1536)
    parser.add_argument("--batches", type=int, default=8, help="in each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--precision", choices=("float32", "mixed_bfloat16"), default="float32")
    return parser.parse_args()


def _examples(wanted: argparse.Namespace) -> tuple[dict[str, list[np.ndarray]], list[np.ndarray]]:
    """Random sentence pairs with the lengths of Multi30k's in pieces, in batches."""
    rng = np.random.default_rng(0)
    count = wanted.batches * wanted.batch_tokens // 8
    source_lengths = np.clip(rng.normal(15, 4.5, count), 5, 40).astype(int)
    target_lengths = np.clip(source_lengths + rng.normal(0, 2.5, count), 5, 45).astype(int)
    draw = [
        [rng.integers(FIRST_TOKEN, wanted.vocabulary, n).astype("int32") for n in lengths]
        for lengths in (source_lengths, target_lengths, target_lengths)
    ]
    columns = dict(zip(("source", "target", "labels"), draw, strict=True))
    lengths = np.stack([source_lengths, target_lengths], axis=1)
    order = token_batches(lengths, tokens=wanted.batch_tokens, seed=0, epoch=0)
    return columns, order[: wanted.batches]


def _optimizer() -> keras.optimizers.Optimizer:
    return keras.optimizers.AdamW(1e-3, weight_decay=1e-4)


def _seqapps(wanted: argparse.Namespace) -> keras.Model:
    network = build_translator(
        Translator(units=wanted.units, embedding=wanted.embedding, dropout=0.3),
        source_vocabulary=wanted.vocabulary,
        target_vocabulary=wanted.vocabulary,
    )
    trainee = Trainee(network, loss=token_cross_entropy(), clip_norm=1.0)
    trainee.compile(optimizer=_optimizer(), jit_compile=False)
    trainee.optimizer.build(network.trainable_variables)
    return trainee


def _stock(
    wanted: argparse.Namespace,
) -> tuple[keras.Model, Callable[[tf.data.Dataset], tf.data.Dataset]]:
    """The same sizes from stock layers with masks, for `fit` with sample weights."""
    units, width = wanted.units, wanted.embedding
    layers = keras.layers
    source = keras.Input((None,), dtype="int32", name="source")
    target = keras.Input((None,), dtype="int32", name="target")

    def embed(tokens, layer):
        return layers.Dropout(0.3)(layer(tokens))

    source_table = layers.Embedding(wanted.vocabulary, width, mask_zero=True)
    target_table = layers.ReversibleEmbedding(wanted.vocabulary, width, mask_zero=True)
    # The masks of zeros pass from layer to layer.
    memory, forward, backward = layers.Bidirectional(
        layers.GRU(units // 2, return_sequences=True, return_state=True)
    )(embed(source, source_table))
    start = layers.Dense(units, activation="tanh")(layers.Concatenate()([forward, backward]))
    below = layers.GRU(units, return_sequences=True)(
        embed(target, target_table), initial_state=start
    )
    keys = layers.Dense(units, use_bias=False)(memory)
    context = layers.Attention()([below, memory, keys])
    joined = layers.Dropout(0.3)(layers.Concatenate()([below, context]))
    above = layers.GRU(units, return_sequences=True)(joined, initial_state=start)
    read = layers.Dense(width)(layers.Concatenate()([above, context]))
    logits = target_table(layers.Dropout(0.3)(read), reverse=True)
    model = keras.Model({"source": source, "target": target}, logits)
    optimizer = _optimizer()
    optimizer.global_clipnorm = 1.0
    model.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction="mean_with_sample_weight"
        ),
        jit_compile=False,
    )

    def prepare(dataset):
        def example(batch):
            weights = tf.sequence_mask(batch["labels_lengths"], tf.shape(batch["labels"])[1])
            inputs = {"source": batch["source"], "target": batch["target"]}
            return inputs, batch["labels"], tf.cast(weights, tf.float32)

        return dataset.map(example)

    return model, prepare


if __name__ == "__main__":
    main()
