"""Language model over whole texts, forwards or in both directions, with a tied output layer.

It is made of the same layers as a classifier (embedding and encoder), under the same names, so
that what they learn here can be copied there.

Source: Press and Wolf 2017 (tied output layer); Peters et al. 2018 (both directions); Jean et al.
2015 (sampled softmax).
"""

# B batch, T tokens, D embedding width, N predictions, S samples, V vocabulary

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.recipes.sentiment.network import EMBEDDING, embedding_layer, encoder_layer
from seqapps.recipes.sentiment.settings import Classifier


@keras.saving.register_keras_serializable("seqapps")
class NegativeSamples(keras.layers.Layer):
    """Draws the wrong words that a batch is compared with.

    Args:
        probabilities: Of each word, (V,); they are made to sum to 1.
        samples: How many are drawn, with replacement.
        seed: Of the draws.
        **kwargs: For `keras.layers.Layer`.
    """

    def __init__(
        self, probabilities: Sequence[float], samples: int, *, seed: int, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        self.probabilities, self.samples, self.seed = list(probabilities), samples, seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        cumulative = np.cumsum(np.asarray(self.probabilities, np.float64))
        self._cumulative = (cumulative / cumulative[-1]).astype(np.float32)

    def call(self, tokens_BT: tf.Tensor) -> tf.Tensor:
        """Draws: int32, (samples,), whatever the tokens."""
        drawn = keras.random.uniform((self.samples,), seed=self.seed_generator)
        tokens = tf.searchsorted(tf.constant(self._cumulative), drawn, side="right")
        return tf.minimum(tokens, len(self.probabilities) - 1)

    def compute_output_spec(self, tokens_BT: Any) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor((self.samples,), dtype="int32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = ("probabilities", "samples", "seed")
        return {**super().get_config(), **{name: getattr(self, name) for name in names}}


def build_language_model(
    settings: Classifier,
    *,
    probabilities: npt.NDArray[np.float64],
    samples: int,
    dropout: float,
    seed: int = 0,
) -> keras.Model:
    """Builds the network: tokens → what it expects at each step, before the output layer.

    Args:
        settings: Size and kind of embedding and encoder.
        probabilities: Of each word of the vocabulary, (V,), for sampling.
        samples: Wrong words a batch.
        dropout: Share of elements dropped between layers in training.
        seed: Of embeddings, dropout and samples.

    Returns:
        A model of the inputs `tokens` int32 (B, T) and `tokens_lengths` int32 (B,). Its outputs are
        `forward` float (B, T, D), which at each step expects the next token; `backward`, where the
        encoder reads both ways, which expects the one before; and `samples` int32 (S,).
    """
    seeds = iter(range(seed * 1000, (seed + 1) * 1000))
    inputs = {
        "tokens": keras.Input((None,), dtype="int32", name="tokens"),
        "tokens_lengths": keras.Input((), dtype="int32", name="tokens_lengths"),
    }
    table = embedding_layer(len(probabilities), settings.embedding, seed=next(seeds))
    encoder = encoder_layer(settings, dropout=dropout, seed=next(seeds))
    read_BTO, _ = encoder(table(inputs["tokens"]), inputs["tokens_lengths"])
    halves = [read_BTO]
    if settings.bidirectional:
        halves = keras.ops.split(read_BTO, 2, axis=-1)
    outputs = {}
    for name, half in zip(("forward", "backward"), halves, strict=False):
        if dropout:
            half = keras.layers.Dropout(dropout, seed=next(seeds))(half)
        outputs[name] = keras.layers.Dense(settings.embedding, name=f"{name}_readout")(half)
    draw = NegativeSamples(probabilities.tolist(), samples, seed=next(seeds), name="samples")
    outputs["samples"] = draw(inputs["tokens"])
    return keras.Model(inputs, outputs, name="language_model")


def language_model_loss(network: keras.Model) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """Cross-entropy of each next token and, backwards, of each token before.

    In training against samples of the vocabulary, each once, each logit lowered by the logarithm of
    the chance that its word is among them (Jean et al. 2015, eq. 8); in validation against all.

    Args:
        network: From `build_language_model`.

    Returns:
        `loss(outputs, batch, training) -> (sum, count)` in nats.
    """
    table = network.get_layer(EMBEDDING)
    layer = network.get_layer("samples")
    share = np.asarray(layer.probabilities) / np.sum(layer.probabilities)
    # The chance to be drawn at all, 1 - (1 - share)^samples: for frequent words far below how often
    # they are drawn, by which their own logit would be lowered too much, and so learned too high.
    drawn_V = -np.expm1(layer.samples * np.log1p(-share))
    log_drawn_V = np.log(np.maximum(drawn_V, 1e-30)).astype(np.float32)

    def loss(outputs: dict[str, Any], batch: dict[str, Any], training: bool) -> tuple[Any, Any]:
        tokens_BT, lengths_B = batch["tokens"], batch["tokens_lengths"]
        real_BT = tf.sequence_mask(lengths_B - 1, tf.shape(tokens_BT)[1] - 1)
        features = [tf.boolean_mask(outputs["forward"][:, :-1], real_BT)]
        labels = [tf.boolean_mask(tokens_BT[:, 1:], real_BT)]
        if "backward" in outputs:
            features.append(tf.boolean_mask(outputs["backward"][:, 1:], real_BT))
            labels.append(tf.boolean_mask(tokens_BT[:, :-1], real_BT))
        features_ND, labels_N = tf.concat(features, 0), tf.concat(labels, 0)
        weights_VD = tf.convert_to_tensor(table.embeddings)
        if training:
            samples_S, _ = tf.unique(outputs["samples"])
            loss_N = _sampled(
                features_ND, labels_N, samples_S, weights_VD, tf.constant(log_drawn_V)
            )
        else:
            logits_NV = tf.matmul(tf.cast(features_ND, tf.float32), weights_VD, transpose_b=True)
            loss_N = tf.nn.sparse_softmax_cross_entropy_with_logits(labels_N, logits_NV)
        return tf.reduce_sum(loss_N), tf.cast(tf.size(labels_N), tf.float32)

    return loss


def _sampled(
    features_ND: tf.Tensor,
    labels_N: tf.Tensor,
    samples_S: tf.Tensor,
    weights_VD: tf.Tensor,
    log_drawn_V: tf.Tensor,
) -> tf.Tensor:
    """Cross-entropy of the label among itself and distinct samples: float32, (N,)."""
    # The large product in the features' type: in bfloat16 it costs half.
    right_ND = tf.gather(weights_VD, labels_N)
    wrong_SD = tf.cast(tf.gather(weights_VD, samples_S), features_ND.dtype)
    right_N = tf.reduce_sum(tf.cast(features_ND, tf.float32) * right_ND, -1)
    wrong_NS = tf.cast(tf.matmul(features_ND, wrong_SD, transpose_b=True), tf.float32)
    wrong_NS -= tf.gather(log_drawn_V, samples_S)
    # A sample that is the label itself is no wrong word.
    wrong_NS = tf.where(labels_N[:, tf.newaxis] == samples_S, wrong_NS.dtype.min, wrong_NS)
    right_N -= tf.gather(log_drawn_V, labels_N)
    # -ln p with p = e^right / (e^right + Σ e^wrong).
    return tf.nn.softplus(tf.reduce_logsumexp(wrong_NS, 1) - right_N)
