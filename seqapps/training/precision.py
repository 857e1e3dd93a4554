"""Which precision pays here: bfloat16 is quick where the processor has instructions for it."""

import re
from pathlib import Path

from seqapps.lazy import lazy_imports

with lazy_imports():
    import tensorflow as tf

_FLAGS = {"avx512_bf16", "amx_bf16"}
"""Of a processor that multiplies in bfloat16, as Linux names them."""


def policy(precision: str) -> str:
    """The Keras dtype policy that the setting `training.precision` means on this machine.

    Args:
        precision: A policy, or `auto`: `mixed_bfloat16` on a processor with AMX or AVX-512 BF16,
            else `float32`; on a GPU `float32` too.
    """
    if precision != "auto":
        return precision
    return "mixed_bfloat16" if has_bfloat16() and not _gpus() else "float32"


def remark(precision: str) -> str:
    """What to tell of the setting before training; empty if nothing."""
    if precision == "auto":
        return f"Precision on this machine: {policy(precision)}"
    if precision == "mixed_bfloat16" and not has_bfloat16() and not _gpus():
        return (
            "This processor has no instructions for bfloat16 (AMX or AVX-512 BF16), so training "
            "in it is slow; take --training.precision float32 or auto"
        )
    return ""


def has_bfloat16(cpuinfo: Path = Path("/proc/cpuinfo")) -> bool:
    """Whether the processor multiplies in bfloat16; False where nothing tells.

    Args:
        cpuinfo: Where Linux describes it.
    """
    try:
        text = cpuinfo.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    flags = re.search(r"^flags\s*:(.*)$", text, re.MULTILINE)
    return bool(flags and _FLAGS & set(flags[1].split()))


def _gpus() -> bool:
    return bool(tf.config.list_physical_devices("GPU"))
