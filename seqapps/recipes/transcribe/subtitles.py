"""Words with their times as subtitles: SRT and WebVTT."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

_LONGEST_LINE, _LONGEST_S, _PAUSE_S = 42, 7.0, 0.8
"""What is read with ease: characters of a line, time on the screen, and where a new one begins."""


@dataclass(frozen=True)
class Word:
    """A word and when it was said."""

    text: str
    start_s: float
    end_s: float
    confidence: float = 1.0
    """Probability, 0 to 1."""


@dataclass(frozen=True)
class Cue:
    """What stands on the screen at once."""

    text: str
    start_s: float
    end_s: float


def cues(words: Sequence[Word]) -> list[Cue]:
    """Groups words into lines of at most 42 characters and 7 s; a pause of 0.8 s ends a line."""
    groups: list[list[Word]] = []
    for word in words:
        line = groups[-1] if groups else []
        length = sum(len(each.text) + 1 for each in line) + len(word.text)
        if (
            not line
            or length > _LONGEST_LINE
            or word.start_s - line[-1].end_s > _PAUSE_S
            or word.end_s - line[0].start_s > _LONGEST_S
        ):
            groups.append([])
        groups[-1].append(word)
    shown = [
        # A cue of no length is never seen.
        Cue(" ".join(w.text for w in g), g[0].start_s, max(g[-1].end_s, g[0].start_s + 0.1))
        for g in groups
    ]
    # Nothing stands on the screen when the next line is due.
    return [
        Cue(one.text, one.start_s, min(one.end_s, max(following.start_s, one.start_s + 0.001)))
        for one, following in pairwise(shown)
    ] + shown[-1:]


def srt(lines: Sequence[Cue]) -> str:
    """Subtitles in SubRip's form; nothing for no lines."""
    return "\n".join(
        f"{number}\n{_clock(cue.start_s, ',')} --> {_clock(cue.end_s, ',')}\n{_plain(cue.text)}\n"
        for number, cue in enumerate(lines, 1)
    )


def vtt(lines: Sequence[Cue]) -> str:
    """Subtitles in the form of WebVTT (W3C)."""
    escaped = (
        f"\n{_clock(cue.start_s, '.')} --> {_clock(cue.end_s, '.')}\n"
        f"{_plain(cue.text).replace('&', '&amp;').replace('<', '&lt;')}\n"
        for cue in lines
    )
    return "WEBVTT\n" + "".join(escaped)


def _plain(text: str) -> str:
    # An arrow would be read as times.
    return text.replace("-->", "->")


def _clock(seconds: float, point: str) -> str:
    """Hours:minutes:seconds and thousandths."""
    thousandths = round(seconds * 1000)
    rest, thousandths = divmod(thousandths, 1000)
    rest, second = divmod(rest, 60)
    hours, minutes = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{second:02d}{point}{thousandths:03d}"
