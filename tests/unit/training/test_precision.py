"""bfloat16 is taken where it is quick."""

import pytest
import tensorflow as tf

from seqapps.training import precision

FLAGS = "processor\t: 0\nflags\t\t: fpu avx2 {}\nbogomips\t: 1\n"


@pytest.mark.parametrize(
    ("text", "quick"),
    [
        (FLAGS.format("avx512_bf16 rdpid"), True),
        (FLAGS.format("amx_bf16"), True),
        (FLAGS.format("avx512f avx512_bf16x"), False),
        ("model name\t: avx512_bf16\nflags\t\t: fpu\n", False),
        ("Features\t: fp asimd\n", False),
        (None, False),
    ],
)
def test_what_the_processor_tells(tmp_path, text, quick):
    if text is not None:
        (tmp_path / "cpuinfo").write_text(text)
    assert precision.has_bfloat16(tmp_path / "cpuinfo") is quick


@pytest.mark.parametrize("quick", [False, True])
def test_auto_takes_what_is_quick_and_says_so(monkeypatch, quick):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: quick)
    expected = "mixed_bfloat16" if quick else "float32"
    assert precision.policy("auto") == expected
    assert precision.remark("auto") == f"Precision on this machine: {expected}"
    for asked in ("float32", "mixed_float16", "mixed_bfloat16"):
        assert precision.policy(asked) == asked
    assert precision.remark("float32") == precision.remark("mixed_float16") == ""
    assert ("is slow; take" in precision.remark("mixed_bfloat16")) is not quick


def test_on_a_gpu_auto_is_float32(monkeypatch):
    monkeypatch.setattr(precision, "has_bfloat16", lambda: True)
    monkeypatch.setattr(tf.config, "list_physical_devices", lambda kind: [kind])
    assert precision.policy("auto") == "float32"
