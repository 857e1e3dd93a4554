"""PNG and JPEG files as pixels, in the graph: each row of a batch with its own status.

A file that is damaged would fail its whole batch in `tf.io.decode_image`. Here its row becomes a
picture of no pixels, and a status says so. Pixels are those that Pillow reads, bit for bit.
"""

# B batch, H height, W width of the largest

from typing import Any

import tensorflow as tf

from seqapps.images.header import MOST_PIXELS, PNG


def decode_pictures(files_B: Any) -> tuple[Any, Any, Any]:
    """Reads pictures, in red, green and blue whatever their colours are.

    Args:
        files_B: string, (B,). Bytes of PNG or JPEG files.

    Returns:
        uint8, (B, H, W, 3): pixels, padded below and on the right with 0, H and W at least 1.
        int32, (B, 2): real height and width; (0, 0) where nothing could be read.
        int32, (B,): statuses, `header.STATUSES` by number.
    """
    count = tf.size(files_B)

    def read(row: Any, file: Any) -> Any:
        pixels = tf.cond(
            tf.io.is_jpeg(file),
            lambda: tf.io.decode_jpeg(
                _jpeg(file),
                channels=3,
                # The default is faster, and rounds otherwise than every other program.
                dct_method="INTEGER_ACCURATE",
            ),
            lambda: tf.io.decode_png(_png(file), channels=3),
        )
        return row, pixels, tf.shape(pixels)[:2]

    # AutoGraph would look for the source file.
    plain = tf.autograph.experimental.do_not_convert(read)
    rows = tf.data.Dataset.from_tensor_slices((tf.range(count), files_B))
    # Stands for what could not be read, and is there even if nothing else is.
    nothing = (count, tf.zeros([1, 1, 3], tf.uint8), tf.zeros([2], tf.int32))
    good = rows.map(plain).ignore_errors().concatenate(tf.data.Dataset.from_tensors(nothing))
    together = good.padded_batch(tf.cast(count, tf.int64) + 1).get_single_element()
    rows_N, pixels_NHW3, sizes_N2 = together
    last = tf.size(rows_N) - 1
    place_B = tf.tensor_scatter_nd_update(
        tf.fill([count], last), rows_N[:-1, tf.newaxis], tf.range(last)
    )
    sizes_B2 = tf.gather(sizes_N2, place_B)
    return tf.gather(pixels_NHW3, place_B), sizes_B2, tf.cast(sizes_B2[:, 0] == 0, tf.int32)


def _jpeg(file: Any) -> Any:
    """The file, or nothing if its picture is too large."""
    return _fitting(file, tf.io.extract_jpeg_shape(file, tf.int64)[:2])


def _png(file: Any) -> Any:
    """The file, or nothing if it is no PNG file or its picture is too large."""
    file = tf.where(tf.strings.substr(file, 0, len(PNG)) == PNG, file, b"")
    sizes = tf.io.decode_raw(tf.strings.substr(file, 16, 8), tf.int32, little_endian=False)
    return _fitting(file, tf.cast(sizes, tf.int64))


def _fitting(file: Any, sizes: Any) -> Any:
    return tf.where(tf.reduce_prod(sizes) <= MOST_PIXELS, file, b"")
