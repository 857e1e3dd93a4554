"""eSpeak NG, called through its C interface: text in, samples out.

The library and its voices come from the package `espeakng-loader`, so nothing has to be installed
on the system.

An utterance is a function of its text, voice, rate and pitch alone. The library does not make it
one by itself: breath and noise come from generators of random numbers that go on from what was said
before, and so do the phase of the pitch's flutter, the count of the glottis's cycles and the
automatic gain, which its own restart leaves as they are. So it is loaded anew for each utterance,
which takes some 3 ms, and its generators are seeded by what is said.
"""

# N samples

import _ctypes
import ctypes
import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
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
_ONE_AT_A_TIME = threading.Lock()
"""The library has one state for the whole process."""


def say(text: str, *, voice: str, rate: int = 175, pitch: int = 50) -> npt.NDArray[np.int16]:
    """Speaks a text: always the same samples, whatever was spoken before.

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
    parts = [np.zeros(0, np.int16)]

    def take(samples: Any, count: int, _: Any) -> int:
        if samples and count > 0:
            parts.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    # Kept in a name, or the library would call what is gone.
    callback = _CALLBACK(take)
    with _fresh_library() as (library, _):
        library.espeak_SetSynthCallback(callback)
        if library.espeak_SetVoiceByName(voice.encode()):
            raise UserError(f"eSpeak NG has no voice {voice!r}; install espeakng-loader anew.")
        library.espeak_SetParameter(_RATE, rate, 0)
        library.espeak_SetParameter(_PITCH, pitch, 0)
        seed = _seed(text, voice, rate, pitch)
        # Its own generator, and that of C, from which some voices take their noise: the library's
        # handle leads to the C library that it calls itself.
        library.espeak_ng_SetRandSeed(ctypes.c_long(seed))
        library.srand(ctypes.c_uint(seed))
        line = text.encode()
        library.espeak_Synth(line, len(line) + 1, 0, 0, 0, _UTF8, None, None)
    return np.concatenate(parts)


@lru_cache(maxsize=1)
def native_rate_hz() -> int:
    """Samples a second of what `say` returns.

    Raises:
        UserError: If eSpeak NG is not installed.
    """
    with _fresh_library() as (_, rate_hz):
        return rate_hz


@contextmanager
def _fresh_library() -> Iterator[tuple[Any, int]]:
    """The library as it is when a process loads it, and its sample rate; gone afterwards."""
    try:
        import espeakng_loader
    except ModuleNotFoundError:
        raise UserError(
            'the embedded recordings are spoken by eSpeak NG: pip install "seqapps[speech]", '
            "or name your own with --data.train."
        ) from None
    data = espeakng_loader.get_data_path().encode()
    with _ONE_AT_A_TIME:
        library = ctypes.CDLL(espeakng_loader.get_library_path())
        try:
            rate_hz = int(library.espeak_Initialize(_SYNCHRONOUS, 1000, data, 0))
            if rate_hz <= 0:
                raise UserError(
                    f"eSpeak NG does not start with the data in {data.decode()}; install "
                    "espeakng-loader anew."
                )
            yield library, rate_hz
        finally:
            library.espeak_Terminate()
            _ctypes.dlclose(library._handle)


def _seed(*said: str | int) -> int:
    """A number of 32 bits that is the same in every process, which `hash` is not."""
    return int.from_bytes(hashlib.blake2b(repr(said).encode(), digest_size=4).digest(), "big")
