"""Settings of how recordings become numbers."""

from dataclasses import dataclass
from typing import Literal

from seqapps.automatic import auto

__all__ = ["Augmentation", "Features"]


@dataclass(frozen=True, kw_only=True)
class Features:
    """How a recording becomes a series of log-mel features.

    Raises:
        ValueError: If a value is outside its range.
    """

    sample_rate_hz: int = auto(16_000)
    """Rate to which every recording is brought."""
    mels: int = auto(64)
    """Bands of the mel scale (Slaney's)."""
    window_ms: float = 25.0
    """Length of the Hann window."""
    hop_ms: float = 10.0
    """From one frame to the next."""
    lowest_hz: float = 20.0
    """Lower edge of the lowest band."""
    highest_hz: float = 0.0
    """Upper edge of the highest band; 0: half the sample rate."""
    centre: bool = True
    """Frames are centred on their time, with silence around the recording. A streaming model
    cannot look back before the start and takes false."""
    normalise: Literal["utterance", "global"] = "utterance"
    """Bring each band to mean 0 and variance 1 over the recording, or by the statistics of the
    training data, which a streaming model needs."""

    def __post_init__(self) -> None:
        for name, least in (("sample_rate_hz", 4000), ("mels", 8), ("window_ms", 5), ("hop_ms", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"{name} must be at least {least}, got {getattr(self, name)}.")
        if self.hop_ms > self.window_ms:
            raise ValueError(
                f"hop_ms must be at most window_ms, or samples are skipped; got {self.hop_ms} and "
                f"{self.window_ms}."
            )
        if not 0 <= self.lowest_hz < self.top_hz <= self.sample_rate_hz / 2:
            raise ValueError(
                f"lowest_hz must be below highest_hz and that at most {self.sample_rate_hz / 2:g} "
                f"(half the sample rate), got {self.lowest_hz:g} and {self.top_hz:g}."
            )

    @property
    def top_hz(self) -> float:
        """Upper edge of the highest band."""
        return self.highest_hz or self.sample_rate_hz / 2

    @property
    def window(self) -> int:
        """Samples of a window."""
        return round(self.sample_rate_hz * self.window_ms / 1000)

    @property
    def hop(self) -> int:
        """Samples from one frame to the next."""
        return round(self.sample_rate_hz * self.hop_ms / 1000)

    @property
    def fft(self) -> int:
        """Points of the Fourier transform: the power of two that holds a window."""
        return 1 << (self.window - 1).bit_length()


@dataclass(frozen=True, kw_only=True)
class Augmentation:
    """How training recordings are changed each time they are read.

    Raises:
        ValueError: If a value is outside its range.
    """

    speed: float = 0.1
    """Play faster or slower by up to this share; pitch changes with it (Ko et al. 2015)."""
    gain_db: float = 6.0
    """Louder or softer by up to this much. Features that are normalised by recording
    (`features.normalise=utterance`) do not show it."""
    noise_db: float = 15.0
    """Lowest signal-to-noise ratio of the noise that is added, the highest being 40; 0 for none."""
    shift_ms: float = 100.0
    """Silence (noise, if there is any) before and after, up to this long each."""
    warp: float = 0.12
    """Stretch or squeeze the frequency axis (in Hz) by up to this share, as a longer or shorter
    throat does (Jaitly and Hinton 2013)."""
    channel_tilt_db: float = 0.0
    """Raise and lower the mel bands by up to this much along a smooth curve, a new one for each
    recording, as another microphone does; a band's deviation counts as 8 dB."""
    tempo: float = 0.0
    """Speak faster or slower by up to this share at the same pitch: whole frames are repeated or
    left out."""
    time_masks: int = auto(2)
    """Blocks of frames that are blanked out (SpecAugment, Park et al. 2019)."""
    time_share: float = 0.08
    """Longest block, as a share of the recording."""
    band_masks: int = auto(2)
    """Blocks of mel bands that are blanked out."""
    band_share: float = 0.2
    """Widest block, as a share of the bands."""

    def __post_init__(self) -> None:
        for name in (
            "gain_db",
            "noise_db",
            "shift_ms",
            "channel_tilt_db",
            "time_masks",
            "band_masks",
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be at least 0, got {getattr(self, name)}.")
        for name in ("speed", "warp", "tempo", "time_share", "band_share"):
            if not 0 <= getattr(self, name) <= 0.5:
                raise ValueError(f"{name} must be from 0 to 0.5, got {getattr(self, name)}.")
