"""Shows which words a prediction hangs on, on a terminal and as a web page."""

import html
import math
import os
import sys
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_SUPPORTING = ((231, 22), (231, 28), (16, 34), (16, 40))
"""Letters and background, from weak to strong, among a terminal's 256 colours: green."""
_OPPOSING = ((231, 52), (231, 88), (231, 124), (231, 160))
"""The same in red."""
_NEGLIGIBLE = 0.05
"""Words below this share of the text's largest importance are not coloured."""
_LISTED = 5
"""Words listed in each direction where there are no colours."""
_REORDERING = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Controls that would turn the text after them around."""


@dataclass(frozen=True, kw_only=True)
class Explanation:
    """One text, what was predicted for it, and how much each of its words matters.

    Raises:
        ValueError: Words and importances differ in number, or a number is not finite.
    """

    words: Sequence[str]
    """The words of the text, in its order."""
    importance: Sequence[float]
    """For each word, by how much the predicted label's log-odds (or probability) fall when it is
    left out: positive supports the prediction, negative opposes it."""
    label: str
    """The predicted label."""
    probability: float
    """Its probability."""

    def __post_init__(self) -> None:
        if len(self.words) != len(self.importance):
            raise ValueError(
                "words and importance must have the same length, got "
                f"{len(self.words)} and {len(self.importance)}; pass one number for each word."
            )
        for number in (*self.importance, self.probability):
            if not math.isfinite(number):
                raise ValueError(
                    f"importance and probability must be finite, got {number}; look for the step "
                    "that divides by zero or overflows."
                )


def for_terminal(explanation: Explanation, *, colour: bool) -> str:
    """Renders a text for a terminal: the label, then the text.

    Args:
        explanation: The text.
        colour: Whether to colour the words' backgrounds: green supports, red (underlined) opposes,
            the stronger the brighter relative to the text's strongest word. Without, the strongest
            words are listed below the text. Colours belong on a terminal whose user has not set
            NO_COLOR.

    Returns:
        Lines without a newline at the end. Control characters of the text are replaced, so that
        nothing in it can steer the terminal.
    """
    head = f"{visible(explanation.label)}  {explanation.probability:.1%}"
    words = [visible(word) for word in explanation.words]
    if not words:
        return f"{head}\n(no words)"
    if colour:
        shares = _shares(explanation.importance)
        return f"{head}\n{' '.join(map(_coloured, words, shares))}"
    # The earlier of equals first.
    ranked = sorted(zip(words, explanation.importance, strict=True), key=lambda pair: -abs(pair[1]))
    lines = [head, " ".join(words)]
    for title, sign in (("supports", 1), ("opposes", -1)):
        named = [f"{word} {_signed(n)}" for word, n in ranked if n * sign > 0][:_LISTED]
        if named:
            lines.append(f"  {title + ':':9} {', '.join(named)}")
    if len(lines) == 2:
        lines.append("  no single word matters")
    return "\n".join(lines)


def for_html(explanations: Sequence[Explanation]) -> str:
    """Renders texts as one web page that needs nothing else: no scripts, no other files.

    Args:
        explanations: The texts, in the order of the page.

    Returns:
        An HTML document. Green words support the label, red and underlined ones oppose it, the
        stronger the deeper relative to the text's strongest word; a word's title is its number.
        Nothing of the texts is taken for markup, and each is written in its script's direction.
    """
    return _PAGE.replace("<!-- texts -->", "\n".join(map(_article, explanations)))


def coloured(answer: Mapping[str, Any]) -> str:
    """One answer of a signature `explain`, for standard output as it is now.

    Args:
        answer: The fields of an `Explanation`, by name.
    """
    colour = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    return for_terminal(Explanation(**answer), colour=colour)


def web_page(answers: Sequence[Mapping[str, Any]]) -> str:
    """All answers of a signature `explain`, as one web page."""
    return for_html([Explanation(**answer) for answer in answers])


def visible(text: str) -> str:
    """Text with its control characters replaced by signs that stand for them.

    Args:
        text: Any text. May hold escape sequences, line ends, lone surrogates, and controls that
            change the direction of what follows.

    Returns:
        The text on one line: control characters as their pictures (the escape character as "␛"),
        others that cannot be shown as "�".
    """
    return "".join(map(_visible, text))


def _visible(character: str) -> str:
    code = ord(character)
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "\u2421"
    # C1 controls and lone surrogates; line and paragraph separators; what Unicode reserves for
    # programs and HTML forbids.
    if (
        unicodedata.category(character) in {"Cc", "Cs", "Zl", "Zp"}
        or character in _REORDERING
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    ):
        return "\ufffd"
    return character


def _shares(importance: Sequence[float]) -> list[float]:
    """Importances divided by the largest magnitude among them, between -1 and 1."""
    largest = max(map(abs, importance), default=0.0)
    shares = [number / largest if largest else 0.0 for number in importance]
    return [share if abs(share) >= _NEGLIGIBLE else 0.0 for share in shares]


def _coloured(word: str, share: float) -> str:
    if not share:
        return word
    ramp = _SUPPORTING if share > 0 else _OPPOSING
    letters, background = ramp[min(int(abs(share) * len(ramp)), len(ramp) - 1)]
    # Not everybody can tell red from green.
    underline = "" if share > 0 else ";4"
    return f"\x1b[38;5;{letters};48;5;{background}{underline}m{word}\x1b[0m"


def _signed(number: float) -> str:
    return f"{number:+.2f}" if abs(number) >= 0.01 else f"{number:+.1e}"


def _article(explanation: Explanation) -> str:
    spans = map(_span, explanation.words, explanation.importance, _shares(explanation.importance))
    text = " ".join(spans) or "(no words)"
    return (
        f'<article>\n<h2><bdi lang="">{_escaped(explanation.label)}</bdi> '
        f"<small>{explanation.probability:.1%}</small></h2>\n"
        f'<p dir="auto" lang="">{text}</p>\n</article>'
    )


def _span(word: str, number: float, share: float) -> str:
    title = f'title="{_signed(number)}"' if number else 'title="0"'
    if not share:
        return f"<span {title}>{_escaped(word)}</span>"
    side = "for" if share > 0 else "against"
    # At most this deep, the page's letters stay readable on it, black or white.
    depth = f"{0.6 * abs(share):.2f}"
    return f'<span class="{side}" style="--depth: {depth}" {title}>{_escaped(word)}</span>'


def _escaped(text: str) -> str:
    return html.escape(visible(text), quote=True)


_PAGE = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Words that matter</title>
<style>
:root { color-scheme: light dark; }
body { font-family: system-ui, sans-serif; line-height: 1.7; max-width: 46rem; margin: 2rem auto;
  padding: 0 1rem; }
article { border-top: 1px solid rgb(128 128 128 / 0.5); }
h2 { font-size: 1.1rem; margin: 1rem 0 0; }
small { font-weight: normal; }
p { margin: 0.4rem 0 1rem; overflow-wrap: anywhere; }
span { border-radius: 0.2rem; padding: 0.1rem 0.15rem; }
.for { background-color: rgb(0 160 60 / var(--depth)); }
.against { background-color: rgb(225 40 40 / var(--depth)); text-decoration: underline; }
</style>
</head>
<body>
<h1>Words that matter</h1>
<p><span class="for" style="--depth: 0.45">Green words</span> support the label above their text,
<span class="against" style="--depth: 0.45">red words</span> oppose it. The number, shown where the
pointer rests on a word, is what the label loses when the word is left out.</p>
<!-- texts -->
</body>
</html>
"""
