"""What the processor computes with: numbers of 8 and 16 bits are rounded otherwise on another."""

import platform
from pathlib import Path

_SETS = ("avx2", "avx_vnni", "avx512f", "avx512_vnni", "avx512_bf16", "amx_bf16", "amx_int8")


def _processor() -> str:
    flags: set[str] = set()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    for line in lines:
        name, _, value = line.partition(":")
        if name.strip() == "flags":
            flags |= set(value.split())
    return " ".join((platform.machine(), *(name for name in _SETS if name in flags)))


PROCESSOR = _processor()
"""Architecture and the instruction sets that matter; a failing test of such numbers says it."""
