"""A recogniser that is right by construction: weights set by hand to hear one tone a letter.

    python tests/tone_recogniser.py train --data.train MANIFEST --output BUNDLE

writes a bundle by the recipe's own `train`, whose one update is too small to change anything. Tests
that need a recogniser to be right take this one: a training, however short, may miss.
"""

import sys
from dataclasses import replace

import numpy as np

from seqapps.lazy import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
from speech_data import FEATURES, band_of  # noqa: E402

from seqapps.commands.program import run  # noqa: E402
from seqapps.recipes.transcribe.language import Weights  # noqa: E402
from seqapps.recipes.transcribe.recipe import RECIPE, build  # noqa: E402

ARGUMENTS = (
    "--features.sample_rate_hz",
    str(FEATURES.sample_rate_hz),
    "--features.mels",
    str(FEATURES.mels),
    "--features.normalise",
    FEATURES.normalise,
    "--model.channels",
    "8",
    "--model.time_strides",
    "[2,2]",
    "--model.projection",
    "32",
    "--model.units",
    "32",
    "--model.depth",
    "1",
    "--model.normalisation",
    "none",
    "--model.dropout",
    "0",
    "--training.epochs",
    "1",
    "--training.max_steps",
    "1",
    "--training.learning_rate",
    "1e-9",
    "--training.average_decay",
    "0",
    "--training.tensorboard",
    "false",
)
"""Settings of `train` that build such a network and let it be."""

_LOUD = -4.0
"""ln power of a band from which on it is a tone: silence is below -10, the faintest tone at 0."""
_SURE = 40.0
"""Log-odds of what is heard; half as much for the blank, which wins where nothing is."""


def set_weights(network: keras.Model, symbols: tuple[str, ...], *, causal: bool) -> None:
    """Makes a network hear `speech_data.tones`.

    Args:
        network: From `build_recogniser`, of the kind that `ARGUMENTS` name.
        symbols: What each output writes, but for the blank.
        causal: Whether it is a streaming one.
    """
    network.get_layer("normalisation").adapt(np.full(FEATURES.mels, _LOUD), np.ones(FEATURES.mels))
    front = network.get_layer("front_end")
    # The frame that an output stands for: the last of those that are looked at, or the middle one.
    now = -1 if causal else 1
    bands = [(band, 0) for band in range(FEATURES.mels)]
    for convolution in front.convolutions:
        kernel = np.zeros(convolution.kernel.shape, np.float32)
        # Half as many bands and twice as many channels: what band 2b had is at b, what 2b + 1 had
        # likewise, in channels of their own.
        for channel in range(kernel.shape[2]):
            if 2 * channel + 1 < kernel.shape[3]:
                kernel[now, 1, channel, 2 * channel] = 1.0
                kernel[now, 2, channel, 2 * channel + 1] = 1.0
        convolution.kernel.assign(kernel)
        bands = [(band // 2, 2 * channel + band % 2) for band, channel in bands]
    channels = front.channels
    projection = np.zeros(network.get_layer("projection").kernel.shape, np.float32)
    for number, symbol in enumerate(symbols):
        band, channel = bands[band_of(symbol)]
        projection[band * channels + channel, number] = 1.0
    network.get_layer("projection").kernel.assign(projection)
    for recurrence in network.get_layer("stack").recurrences:
        cell = recurrence.cell
        # Update gate shut, new value: tanh of the input; nothing is remembered.
        kernel, bias = np.zeros(cell.kernel.shape), np.zeros(cell.bias.shape)
        kernel[:, 2 * cell.units :] = np.eye(cell.units)
        bias[0, : cell.units] = -30.0
        cell.kernel.assign(kernel)
        cell.recurrent_kernel.assign(np.zeros(cell.recurrent_kernel.shape))
        cell.bias.assign(bias)
    if causal:
        ahead = network.get_layer("lookahead").weight
        ahead.assign(np.eye(ahead.shape[0], 1) * np.ones(ahead.shape))
    output = network.get_layer("output")
    kernel, bias = np.zeros(output.kernel.shape), np.zeros(output.bias.shape)
    kernel[: len(symbols), : len(symbols)] = _SURE * np.eye(len(symbols))
    bias[-1] = _SURE / 2
    output.kernel.assign(kernel)
    output.bias.assign(bias)


def _build(config, examples):
    network = build(config, examples)
    set_weights(network, examples.alphabet.symbols, causal=config.model.streaming)
    return network


def _finish(config, network, examples, reporter):
    # As much as a trained network needs: this one makes no mistake without it.
    return examples.assets_with(Weights(language=0.3, bonus=0.8))


if __name__ == "__main__":
    command, *arguments = sys.argv[1:]
    sys.exit(run(replace(RECIPE, build=_build, finish=_finish), [command, *ARGUMENTS, *arguments]))
