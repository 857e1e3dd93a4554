"""What the first bytes of a PNG or JPEG file say, before anything is decoded."""

import struct

PNG = b"\x89PNG\r\n\x1a\n"
"""How a PNG file begins."""
JPEG = b"\xff\xd8\xff"
"""How a JPEG file begins."""
MOST_PIXELS = 1 << 24
"""Height × width of a picture that is decoded, at most: 4096 × 4096."""
STATUSES = ("ok", "not a PNG or JPEG file of at most 4096 × 4096 pixels, or a damaged one")
"""What a status means, by its number."""

_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
"""Markers of a JPEG file that are followed by its size."""
_ALONE = {0x01, *range(0xD0, 0xD9)}
"""Markers that are followed by no length."""


def picture_size(file: bytes) -> tuple[int, int]:
    """Height and width in pixels, as the header has them; (0, 0) where there is none."""
    if file.startswith(PNG):
        if len(file) < 24:
            return 0, 0
        width, height = struct.unpack(">II", file[16:24])
        return height, width
    if not file.startswith(JPEG):
        return 0, 0
    place = 2
    while place + 9 <= len(file) and file[place] == 0xFF:
        marker = file[place + 1]
        if marker in _FRAMES:
            height, width = struct.unpack(">HH", file[place + 5 : place + 9])
            return height, width
        if marker == 0xFF:
            # Any number of these may stand before a marker.
            place += 1
        elif marker in _ALONE:
            place += 2
        else:
            place += 2 + struct.unpack(">H", file[place + 2 : place + 4])[0]
    return 0, 0
