"""Layers that show features of known lengths otherwise than they are.

As another throat, another tempo or another microphone would have them: at random in training, and
several ways at once in hearing.
"""

# B batch, T frames, M mel bands, F factors, N views × batch, S steps, V outputs

import math
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from seqapps.audio.mel import hz_to_mel, mel_to_hz

_DEVIATION_DB = 8.0
"""What one unit of a normalised band counts as: about the deviation of a band in speech."""


@keras.saving.register_keras_serializable("seqapps")
class FeatureAugmentation(keras.layers.Layer):
    """Varies normalised features in training; does nothing else.

    The frequency axis (in Hz) is stretched or squeezed, as a longer or shorter throat does (Jaitly
    and Hinton 2013); bands are raised and lowered by a smooth curve, as another microphone does;
    blocks of frames and of bands are blanked out (SpecAugment, Park et al. 2019). Every row is
    varied in its own way.

    Args:
        warp: Share by which the axis is stretched or squeezed, at most.
        channel_tilt_db: How far a band is raised or lowered, at most; a normalised band's unit
            counts as 8 dB.
        time_masks: Blocks of frames.
        time_share: Longest block, as a share of the row's length.
        band_masks: Blocks of bands.
        band_share: Widest block, as a share of the bands.
        lowest_hz: Lower edge of the lowest band, of Slaney's mel scale.
        highest_hz: Upper edge of the highest.
        seed: None draws one.
        **kwargs: For `keras.layers.Layer`.
    """

    def __init__(
        self,
        *,
        warp: float = 0.0,
        channel_tilt_db: float = 0.0,
        time_masks: int = 0,
        time_share: float = 0.0,
        band_masks: int = 0,
        band_share: float = 0.0,
        lowest_hz: float = 20.0,
        highest_hz: float = 8000.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.warp, self.channel_tilt_db, self.seed = warp, channel_tilt_db, seed
        self.lowest_hz, self.highest_hz = lowest_hz, highest_hz
        self.time_masks, self.time_share = time_masks, time_share
        self.band_masks, self.band_share = band_masks, band_share
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(
        self, features_BTM: tf.Tensor, lengths_B: tf.Tensor, training: bool | None = None
    ) -> tf.Tensor:
        """Varies: float32, (batch, frames, bands) and int32, (batch,) → the same shape."""
        if not training:
            return features_BTM
        bands = features_BTM.shape[-1]
        if self.warp:
            features_BTM = self._warped(features_BTM, bands)
        if self.channel_tilt_db:
            frames = tf.shape(features_BTM)[1]
            real_BT1 = tf.sequence_mask(lengths_B, frames, tf.float32)[:, :, tf.newaxis]
            tilt_BM = self._tilt(tf.shape(features_BTM)[0], bands)
            features_BTM += tilt_BM[:, tf.newaxis] * real_BT1
        batch = tf.shape(features_BTM)[0]
        frame_T = tf.cast(tf.range(tf.shape(features_BTM)[1]), tf.float32)
        length_B = tf.cast(lengths_B, tf.float32)
        for _ in range(self.time_masks):
            blank_BT = self._block(batch, frame_T, length_B, self.time_share)
            features_BTM = tf.where(blank_BT[:, :, tf.newaxis], 0.0, features_BTM)
        width_B = tf.fill([batch], float(bands))
        for _ in range(self.band_masks):
            blank_BM = self._block(batch, tf.range(float(bands)), width_B, self.band_share)
            features_BTM = tf.where(blank_BM[:, tf.newaxis], 0.0, features_BTM)
        return features_BTM

    def _uniform(self, batch: Any, low: float, high: float) -> Any:
        return keras.random.uniform((batch,), low, high, seed=self.seed_generator)

    def _block(self, batch: Any, place: Any, size_B: Any, share: float) -> Any:
        """Where a block of random place and width lies: bool, (batch, places)."""
        width_B = tf.round(self._uniform(batch, 0.0, 1.0) * share * size_B)
        start_B = tf.floor(self._uniform(batch, 0.0, 1.0) * (size_B - width_B + 1.0))
        since = place[tf.newaxis] - start_B[:, tf.newaxis]
        return (since >= 0.0) & (since < width_B[:, tf.newaxis])

    def _warped(self, features_BTM: Any, bands: int) -> Any:
        """Each band as the one whose frequency is a factor away; beyond the edge, the last."""
        factor_B = self._uniform(tf.shape(features_BTM)[0], 1.0 - self.warp, 1.0 + self.warp)
        return tf.matmul(
            features_BTM,
            _warps(factor_B, bands, lowest_hz=self.lowest_hz, highest_hz=self.highest_hz),
        )

    def _tilt(self, batch: Any, bands: int) -> Any:
        """Three slow cosines over the bands, the slowest the largest: float32, (batch, bands)."""
        weights = np.array([4.0, 2.0, 1.0])
        place_M = (np.arange(bands) + 0.5) / bands
        curves_CM = np.cos(math.pi * np.arange(1, 4)[:, None] * place_M)
        curves_CM *= (weights / weights.sum() * self.channel_tilt_db / _DEVIATION_DB)[:, None]
        drawn_BC = keras.random.uniform((batch, 3), -1.0, 1.0, seed=self.seed_generator)
        return tf.matmul(drawn_BC, curves_CM.astype(np.float32))

    def compute_output_spec(self, features_BTM: Any, lengths_B: Any, training: Any = None) -> Any:
        """Says what `call` returns, for models built from `keras.Input`."""
        return keras.KerasTensor(features_BTM.shape, dtype="float32")

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = (
            "warp channel_tilt_db time_masks time_share band_masks band_share lowest_hz highest_hz "
            "seed"
        )
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}


def _warps(factor_F: Any, bands: int, *, lowest_hz: float, highest_hz: float) -> Any:
    """Matrices, (F, M, M), by which bands become those whose frequency is a factor away."""
    low, high = hz_to_mel([lowest_hz, highest_hz])
    edge_mel = np.linspace(low, high, bands + 2)
    wanted_FM = _mel(mel_to_hz(edge_mel[1:-1]).astype(np.float32) * factor_F[:, tf.newaxis])
    read_FM = (wanted_FM - edge_mel[1]) / (edge_mel[1] - edge_mel[0])
    read_FM = tf.clip_by_value(read_FM, 0.0, float(bands - 1))
    # Between two bands, each counts by its nearness.
    apart_FMM = tf.abs(tf.range(float(bands))[tf.newaxis, :, tf.newaxis] - read_FM[:, None])
    return tf.maximum(0.0, 1.0 - apart_FMM)


def _mel(hz: Any) -> Any:
    """`audio.mel.hz_to_mel` in the graph: Slaney's scale is linear to 1,000 Hz."""
    break_mel, step = float(hz_to_mel(1000.0)), float(hz_to_mel(math.e * 1000.0))
    above = break_mel + tf.math.log(tf.maximum(hz, 1000.0) / 1000.0) * (step - break_mel)
    return tf.where(hz < 1000.0, hz * (break_mel / 1000.0), above)


@keras.saving.register_keras_serializable("seqapps")
class TempoAugmentation(keras.layers.Layer):
    """Makes rows longer or shorter in training, their frequencies untouched; else does nothing.

    Whole frames are repeated or left out, evenly over the row.

    Args:
        tempo: Share by which a row grows or shrinks, at most: 0.15 for 0.85 to 1.15 times.
        seed: None draws one.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: If `tempo` is not from 0 to 0.5.
    """

    def __init__(self, tempo: float = 0.0, *, seed: int | None = None, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not 0.0 <= tempo <= 0.5:
            raise ValueError(f"tempo must be from 0 to 0.5, got {tempo}; 0 switches it off.")
        self.tempo, self.seed = tempo, seed
        self.seed_generator = keras.random.SeedGenerator(seed)

    def call(
        self, features_BTM: tf.Tensor, lengths_B: tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Stretches each row by its own factor.

        Args:
            features_BTM: float32, (batch, frames, bands).
            lengths_B: int32, (batch,). Real frames of each row.
            training: Whether anything is done.

        Returns:
            float32, (batch, most frames, bands), 0 past each row's length, and int32, (batch,),
            the new lengths, rounded.
        """
        if not training or not self.tempo:
            return features_BTM, lengths_B
        factor_B = keras.random.uniform(
            (tf.shape(features_BTM)[0],),
            1.0 - self.tempo,
            1.0 + self.tempo,
            seed=self.seed_generator,
        )
        length_B = tf.cast(lengths_B, tf.float32)
        new_B = tf.cast(tf.round(length_B * factor_B), tf.int32)
        new_B = tf.maximum(tf.minimum(lengths_B, 1), new_B)
        frames = tf.maximum(tf.reduce_max(new_B), 1)
        # A frame shows the old one in which its middle lies.
        middle_T = 2 * tf.range(tf.cast(frames, tf.int64)) + 1
        old_B1, new_B1 = (tf.cast(n, tf.int64)[:, tf.newaxis] for n in (lengths_B, new_B))
        read_BT = middle_T * old_B1 // tf.maximum(2 * new_B1, 1)
        read_BT = tf.minimum(read_BT, tf.maximum(old_B1 - 1, 0))
        stretched_BTM = tf.gather(features_BTM, read_BT, batch_dims=1)
        return stretched_BTM * tf.sequence_mask(new_B, frames, tf.float32)[:, :, tf.newaxis], new_B

    def compute_output_spec(
        self, features_BTM: Any, lengths_B: Any, training: Any = None
    ) -> tuple[Any, Any]:
        """Says what `call` returns, for models built from `keras.Input`."""
        shape = (features_BTM.shape[0], None, features_BTM.shape[2])
        return (
            keras.KerasTensor(shape, dtype="float32"),
            keras.KerasTensor(lengths_B.shape, dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "tempo": self.tempo, "seed": self.seed}


@keras.saving.register_keras_serializable("seqapps")
class WarpedViews(keras.layers.Layer):
    """Shows each row several times, as throats of several lengths would say it; not in training.

    The frequency axis (in Hz) is stretched or squeezed, as `FeatureAugmentation` does it;
    `MeanView` brings the answers together.

    Args:
        factors: By which; 1 for as it is.
        lowest_hz: Lower edge of the lowest band, of Slaney's mel scale.
        highest_hz: Upper edge of the highest.
        **kwargs: For `keras.layers.Layer`.

    Raises:
        ValueError: No factor, or one that is not from 0.5 to 2.

    Source: Jaitly and Hinton 2013 (averaging over warped features when recognising).
    """

    def __init__(
        self,
        factors: Sequence[float],
        *,
        lowest_hz: float = 20.0,
        highest_hz: float = 8000.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        if not factors or not all(0.5 <= factor <= 2.0 for factor in factors):
            raise ValueError(f"factors must be from 0.5 to 2, at least one, got {list(factors)}.")
        self.factors = tuple(float(factor) for factor in factors)
        self.lowest_hz, self.highest_hz = lowest_hz, highest_hz

    def call(
        self, features_BTM: tf.Tensor, lengths_B: tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Shows: float32, (batch, frames, bands) and int32, (batch,) → (views × batch, ...)."""
        if training:
            return features_BTM, lengths_B
        warp_FMM = _warps(
            tf.constant(self.factors),
            features_BTM.shape[-1],
            lowest_hz=self.lowest_hz,
            highest_hz=self.highest_hz,
        )
        views = [tf.matmul(features_BTM, warp_FMM[i]) for i in range(len(self.factors))]
        return tf.concat(views, 0), tf.tile(lengths_B, [len(self.factors)])

    def compute_output_spec(
        self, features_BTM: Any, lengths_B: Any, training: Any = None
    ) -> tuple[Any, Any]:
        """Says what `call` returns, for models built from `keras.Input`."""
        return (
            keras.KerasTensor((None, *features_BTM.shape[1:]), dtype="float32"),
            keras.KerasTensor((None,), dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {
            **super().get_config(),
            "factors": self.factors,
            "lowest_hz": self.lowest_hz,
            "highest_hz": self.highest_hz,
        }


@keras.saving.register_keras_serializable("seqapps")
class MeanView(keras.layers.Layer):
    """Takes the mean log-probability of what was shown several times; not in training.

    Args:
        views: How often each row was shown.
        **kwargs: For `keras.layers.Layer`.
    """

    def __init__(self, views: int, **kwargs: Any) -> None:
        super().__init__(**{**kwargs, "dtype": "float32"})
        self.views = views

    def call(
        self, logits_NSV: tf.Tensor, lengths_N: tf.Tensor, training: bool | None = None
    ) -> tuple[tf.Tensor, tf.Tensor]:
        """Brings views together.

        Args:
            logits_NSV: float32, (views × batch, steps, outputs).
            lengths_N: int32, (views × batch,).
            training: Whether nothing is done.

        Returns:
            float32, (batch, steps, outputs), logits; and int32, (batch,), the lengths.
        """
        if training:
            return logits_NSV, lengths_N
        shape = tf.shape(logits_NSV)
        batch = shape[0] // self.views
        split = tf.stack([self.views, batch, shape[1], logits_NSV.shape[2]])
        log_probs_NSV = tf.nn.log_softmax(logits_NSV)
        return tf.reduce_mean(tf.reshape(log_probs_NSV, split), 0), lengths_N[:batch]

    def compute_output_spec(
        self, logits_NSV: Any, lengths_N: Any, training: Any = None
    ) -> tuple[Any, Any]:
        """Says what `call` returns, for models built from `keras.Input`."""
        return (
            keras.KerasTensor(logits_NSV.shape, dtype="float32"),
            keras.KerasTensor(lengths_N.shape, dtype="int32"),
        )

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        return {**super().get_config(), "views": self.views}
