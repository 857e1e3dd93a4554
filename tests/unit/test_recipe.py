"""What the machinery of recipes does line by line."""

import io

import pytest

from seqapps.commands.predict import _portions


class Pipe(io.BytesIO):
    """Gives a few bytes at a time."""

    def __init__(self, content, step):
        super().__init__(content)
        self.step = step

    def read1(self, size=-1):
        return self.read(min(size, self.step))


@pytest.mark.parametrize("step", [1, 2, 3, 5, 1000])
@pytest.mark.parametrize(
    ("content", "lines"),
    [
        (b"", []),
        (b"a", [b"a"]),
        (b"a\n", [b"a"]),
        (b"\n", [b""]),
        (b"\n\na", [b"", b"", b"a"]),
        (b"a\r\n\r\nlong line\r\nb\r", [b"a", b"", b"long line", b"b"]),
    ],
)
def test_lines_come_whole_and_numbered_however_they_arrive(content, lines, step):
    found = [numbered for portion in _portions(Pipe(content, step)) for numbered in portion]
    assert found == list(enumerate(lines, 1))


def test_lines_that_are_there_are_given_before_more_is_read():
    portions = _portions(Pipe(b"one\ntwo\nthr" + b"ee\n", 11))
    assert next(portions) == [(1, b"one"), (2, b"two")]
    assert next(portions) == [(3, b"three")]
