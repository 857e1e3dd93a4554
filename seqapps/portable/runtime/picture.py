"""Pictures without TensorFlow, as `seqapps.images.decode` reads them."""

# B batch, H height, W width of the largest

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from seqapps.images.header import MOST_PIXELS, PNG, picture_size


def decode_pictures(files: Sequence[bytes]) -> tuple[Any, Any, Any]:
    """Reads PNG and JPEG files.

    Returns:
        uint8, (B, H, W, 3): pixels, padded below and on the right with 0, H and W at least 1.
        int32, (B, 2): real height and width; (0, 0) where nothing could be read.
        int32, (B,): 0 where a picture was read, else 1.
    """
    pictures = [_pixels(file) for file in files]
    sizes = np.array([picture.shape[:2] for picture in pictures], np.int32)
    shape = (len(pictures), *np.maximum(1, sizes.max(0)), 3)
    padded = np.zeros(shape, np.uint8)
    for place, picture in zip(padded, pictures, strict=True):
        place[: len(picture), : picture.shape[1]] = picture
    return padded, sizes, (sizes[:, 0] == 0).astype(np.int32)


def _pixels(file: bytes) -> Any:
    """One picture: uint8, (H, W, 3); without pixels where the file is damaged."""
    none = np.zeros((0, 0, 3), np.uint8)
    height, width = picture_size(file)
    # Pillow takes a file whose last bytes are missing; TensorFlow does not.
    ended = (b"IEND" if file.startswith(PNG) else b"\xff\xd9") in file
    if not 0 < height * width <= MOST_PIXELS or not ended:
        return none
    try:
        with Image.open(io.BytesIO(file), formats=("PNG", "JPEG")) as picture:
            # A second header, which only some readers follow.
            if picture.size != (width, height):
                return none
            if picture.mode.startswith("I"):
                # Of 16 bits of grey, which Pillow would cut off at 255.
                grey = (np.asarray(picture) >> 8).astype(np.uint8)
                return np.repeat(grey[:, :, np.newaxis], 3, axis=2)
            return np.asarray(picture.convert("RGB"))
    # What Pillow raises for damage, by its kind; a second header may promise any size.
    except (OSError, SyntaxError, ValueError, EOFError, Image.DecompressionBombError):
        return none
