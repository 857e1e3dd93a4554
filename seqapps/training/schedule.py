"""The learning rate as a function of the step."""

from typing import Any

import keras
import tensorflow as tf


@keras.saving.register_keras_serializable("seqapps")
class Schedule(keras.optimizers.schedules.LearningRateSchedule):
    """Linear warm-up, then a cosine to a hundredth of the peak, or a constant rate.

    `scale`, a variable, multiplies the whole: the plateau rule halves it.

    Args:
        peak: Highest learning rate.
        steps: Updates of the whole training.
        warmup: Updates over which the rate rises from zero.
        cosine: Whether the rate falls after warm-up.

    Source: Loshchilov and Hutter 2017 (cosine annealing, one cycle).
    """

    def __init__(self, *, peak: float, steps: int, warmup: int, cosine: bool) -> None:
        super().__init__()
        self.peak = peak
        self.steps = max(1, steps)
        # A short run must reach its peak too.
        self.warmup = min(warmup, max(1, self.steps // 10))
        self.cosine = cosine
        self.scale = tf.Variable(1.0, trainable=False, name="learning_rate_scale")

    def __call__(self, step: Any) -> tf.Tensor:
        """The rate of update `step`, counted from 0: float32, ()."""
        done = tf.cast(step, tf.float32)
        rise = tf.minimum((done + 1.0) / max(1, self.warmup), 1.0)
        if self.cosine:
            share = (done - self.warmup) / max(1, self.steps - self.warmup)
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
