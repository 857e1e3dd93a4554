"""The learning rate as a function of the step."""

import math
from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqapps")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine to a hundredth of the peak, or a constant rate.

    `scale`, a variable, multiplies the whole: the plateau rule halves it.

    Args:
        peak: Highest learning rate.
        steps: Updates of the whole training; 0 while nobody knows, and then the rate stays at its
            peak after warm-up until `lay_out` says.
        warmup: Updates over which the rate rises from zero, at most a tenth of all.
        cosine: Whether the rate falls after warm-up.

    Source: Loshchilov and Hutter 2017 (cosine annealing, one cycle).
    """

    def __init__(self, *, peak: float, steps: int, warmup: int, cosine: bool) -> None:
        super().__init__()
        self.peak, self.steps, self.warmup, self.cosine = peak, steps, warmup, cosine
        self.scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")
        # First update of the fall, and how many there are.
        self._rise = tf.Variable(0.0, trainable=False, name="learning_rate_rise")
        self._fall = tf.Variable(0.0, trainable=False, name="learning_rate_fall")
        self.lay_out(steps)

    def lay_out(self, steps: int) -> None:
        """Says how many updates there will be."""
        self.steps = steps
        # A short run must reach its peak too.
        rise = min(self.warmup, max(1, steps // 10)) if steps else self.warmup
        self._rise.assign(float(rise))
        self._fall.assign(float(max(1, steps - rise)) if steps else math.inf)

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of update `step`, counted from 0: float32, ()."""
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1.0) / tf.maximum(1.0, self._rise), 1.0)
        if self.cosine:
            share = (done - self._rise) / self._fall
            share = tf.clip_by_value(share, 0.0, 1.0)
            fall = 0.01 + 0.99 * 0.5 * (1.0 + tf.cos(3.141592653589793 * share))
        else:
            fall = tf.constant(1.0)
        return self.peak * rise * fall * self.scale

    def get_config(self) -> dict[str, Any]:
        """Every argument."""
        return {
            "peak": self.peak,
            "steps": self.steps,
            "warmup": self.warmup,
            "cosine": self.cosine,
        }
