"""Pictures are the same pixels in the graph, in a SavedModel, and without TensorFlow."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from seqapps.images.decode import decode_pictures
from seqapps.images.header import MOST_PIXELS, picture_size
from seqapps.portable.runtime import picture

HEIGHT, WIDTH = 33, 58


def drawn(colours="RGB", kind="PNG", size=(WIDTH, HEIGHT), **how):
    noise = np.random.default_rng(len(colours)).integers(0, 256, (7, 9, 3)).astype(np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC).convert(colours).save(
        file, kind, **how
    )
    return file.getvalue()


def grey16():
    file = io.BytesIO()
    values = np.arange(HEIGHT * WIDTH, dtype=np.uint16).reshape(HEIGHT, WIDTH) * 34
    Image.fromarray(values).save(file, "PNG")
    return file.getvalue()


WHOLE = {
    **{f"PNG {colours}": drawn(colours) for colours in ("RGB", "RGBA", "L", "LA", "P", "1")},
    "PNG 16 bits": grey16(),
    **{
        f"JPEG {quality} {sampling}": drawn(kind="JPEG", quality=quality, subsampling=sampling)
        for quality in (40, 95)
        for sampling in (0, 1, 2)
    },
    "JPEG progressive": drawn(kind="JPEG", progressive=True),
    "JPEG L": drawn("L", "JPEG"),
    "JPEG CMYK": drawn("CMYK", "JPEG"),
    "JPEG and more": drawn(kind="JPEG") + b"junk",
}
PNG, JPEG = WHOLE["PNG RGB"], WHOLE["JPEG 95 0"]
BROKEN = {
    "nothing": b"",
    "text": b"no picture",
    "half a PNG": PNG[: len(PNG) // 2],
    "half a JPEG": JPEG[: len(JPEG) // 2],
    "a PNG without its end": PNG[:-8],
    "a JPEG without its end": JPEG[:-2],
    "the first bytes of a PNG": PNG[:12],
    "the first bytes of a JPEG": JPEG[:3],
    "a PNG with other bytes in it": PNG[:60] + b"????????" + PNG[68:],
    "GIF": drawn(kind="GIF"),
    "BMP": drawn(kind="BMP"),
    "a PNG of four gigapixels": PNG[:16] + b"\0\1\0\0" * 2 + PNG[24:],
}


@pytest.fixture(scope="module")
def reloaded(tmp_path_factory):
    """The function as a SavedModel has it."""

    def call(files):
        return dict(zip(("pixels", "sizes", "status"), decode_pictures(files), strict=True))

    module = tf.Module()
    spec = [tf.TensorSpec([None], tf.string)]
    module.call = tf.function(call, input_signature=spec, autograph=False)
    folder = str(tmp_path_factory.mktemp("pictures"))
    tf.saved_model.save(module, folder, signatures=module.call)
    return tf.saved_model.load(folder).signatures["serving_default"]


def test_every_form_reads_the_same_pixels(reloaded):
    files = [*WHOLE.values(), *BROKEN.values(), drawn(size=(5, 90))]
    pixels, sizes, statuses = (value.numpy() for value in decode_pictures(tf.constant(files)))
    ours = picture.decode_pictures(files)
    again = {name: value.numpy() for name, value in reloaded(tf.constant(files)).items()}
    found = {"pixels": pixels, "sizes": sizes, "status": statuses}
    for (name, one), two in zip(found.items(), ours, strict=True):
        np.testing.assert_array_equal(one, two, err_msg=name)
        np.testing.assert_array_equal(one, again[name], err_msg=name)
    assert pixels.shape == (len(files), 90, WIDTH, 3)
    named = dict(zip([*WHOLE, *BROKEN], statuses.tolist(), strict=False))
    assert {name for name, status in named.items() if status} == {*BROKEN}
    assert sizes[0].tolist() == [HEIGHT, WIDTH]
    # Padding is black, and so is what could not be read.
    assert not pixels[0, HEIGHT:].any()
    assert not pixels[statuses == 1].any()


@pytest.mark.parametrize("files", [[b""], [b"", b"x"], [PNG]])
def test_a_batch_of_nothing_but_damage_is_one_of_no_pixels(files):
    pixels, sizes, statuses = decode_pictures(tf.constant(files))
    ours = picture.decode_pictures(files)
    assert pixels.shape == ours[0].shape
    assert sizes.numpy().tolist() == ours[1].tolist()
    assert statuses.numpy().tolist() == [int(file != PNG) for file in files]


def test_headers_say_sizes():
    for name, file in WHOLE.items():
        assert picture_size(file) == (HEIGHT, WIDTH), name
    assert picture_size(BROKEN["a PNG of four gigapixels"]) == (1 << 16, 1 << 16)
    assert (1 << 32) > MOST_PIXELS
    for name in ("nothing", "text", "GIF", "the first bytes of a PNG", "the first bytes of a JPEG"):
        assert picture_size(BROKEN[name]) == (0, 0), name
