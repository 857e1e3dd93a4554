"""eSpeak NG, called through its C interface: text in, samples out.

The library and its voices come from the package `espeakng-loader`, so nothing has to be installed
on the system.
"""

# N samples

import ctypes
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.errors import UserError

_SYNCHRONOUS, _UTF8 = 2, 1
_RATE, _PITCH = 1, 3
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p
)


class _Engine:
    """The library, which has one state for the whole process."""

    def __init__(self) -> None:
        try:
            import espeakng_loader
        except ModuleNotFoundError:
            raise UserError(
                'the embedded recordings are spoken by eSpeak NG: pip install "seqapps[speech]", '
                "or name your own with --data.train."
            ) from None
        self._library: Any = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz = int(self._library.espeak_Initialize(_SYNCHRONOUS, 1000, data, 0))
        if self.rate_hz <= 0:
            raise UserError(
                f"eSpeak NG does not start with the data in {data.decode()}; install "
                "espeakng-loader anew."
            )
        self._parts: list[npt.NDArray[np.int16]] = []
        # Kept, or the library would call what is gone.
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            self._parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    def say(self, text: str, *, voice: str, rate: int, pitch: int) -> npt.NDArray[np.int16]:
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise UserError(f"eSpeak NG has no voice {voice!r}; install espeakng-loader anew.")
        self._library.espeak_SetParameter(_RATE, rate, 0)
        self._library.espeak_SetParameter(_PITCH, pitch, 0)
        self._parts = []
        line = text.encode()
        self._library.espeak_Synth(line, len(line) + 1, 0, 0, 0, _UTF8, None, None)
        return np.concatenate([np.zeros(0, np.int16), *self._parts])


@lru_cache(maxsize=1)
def _engine() -> _Engine:
    return _Engine()


def say(text: str, *, voice: str, rate: int = 175, pitch: int = 50) -> npt.NDArray[np.int16]:
    """Speaks a text.

    Args:
        text: What to say.
        voice: A voice and a variant, such as `en-us+f3`.
        rate: Words a minute, 80 to 450.
        pitch: 0 to 99.

    Returns:
        int16, (N,), at `native_rate_hz()`.

    Raises:
        UserError: If eSpeak NG is not installed, or has no such voice.
    """
    return _engine().say(text, voice=voice, rate=rate, pitch=pitch)


def native_rate_hz() -> int:
    """Samples a second of what `say` returns."""
    return _engine().rate_hz
