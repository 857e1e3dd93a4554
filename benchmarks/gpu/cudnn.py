"""Shows on a real GPU that training takes cuDNN kernels and that the exported graph does not.

    python benchmarks/gpu/cudnn.py

Traces one training step of the translator with GRU and LSTM cells where a GPU is visible, runs
it, and traces decoding after `reset_cudnn(model, False)`. Prints one line of JSON a cell. Exits
with 1 if there is no GPU, or a kernel is not what it should be.
"""

import json
import sys

from seqapps.lazy import start_tensorflow

start_tensorflow()

import tensorflow as tf  # noqa: E402 (after the quiet start)

from seqapps.layers.cudnn import cudnn_operations, reset_cudnn  # noqa: E402
from seqapps.recipes.translate import network as translator  # noqa: E402


def check(cell: str) -> dict[str, object]:
    """Kernels of a training step and of an exported decoder."""
    network = translator.build_translator(
        source_vocabulary=100, target_vocabulary=100, embedding=32, units=64, cell=cell
    )
    tokens, lengths = tf.ones([4, 7], tf.int32), tf.constant([7, 5, 3, 1])
    inputs = dict(zip(network.input, [tokens, lengths, tokens, lengths], strict=True))

    def train(inputs: dict[str, tf.Tensor]) -> list[tf.Tensor]:
        with tf.GradientTape() as tape:
            loss = tf.reduce_mean(network(inputs, training=True))
        return tape.gradient(loss, network.trainable_variables)

    step = tf.function(train).get_concrete_function(inputs)
    step(inputs)
    reset_cudnn(network, False)
    encode = tf.function(lambda source, lengths: translator.encode(network, source, lengths))
    served = encode.get_concrete_function(tokens, lengths)
    return {
        "cell": cell,
        "training": cudnn_operations(step),
        "exported": cudnn_operations(served),
    }


def main() -> int:
    """Checks both cells that cuDNN knows."""
    if not tf.config.list_physical_devices("GPU"):
        sys.stderr.write("this check needs a GPU that TensorFlow sees; there is none.\n")
        return 1
    good = True
    for cell in ("gru", "lstm"):
        row = check(cell)
        good = good and "CudnnRNNV3" in row["training"] and not row["exported"]
        print(json.dumps(row))
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
