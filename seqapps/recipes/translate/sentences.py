"""Where a line is cut that is longer than training showed: by the marks of its script.

A line becomes sentences. A sentence that is still too long is cut at commas and the like, and at
spaces at last, into parts of about equal length. Abbreviations, initials, ordinals and decimals
are not torn: a full stop ends a sentence only before a space and something that is no small letter,
and not behind what `_ABBREVIATIONS` and `_SHORT` know. Marks that scripts without spaces have need
no space behind them. Thai and its like have no marks: their spaces are where they are cut.

The patterns mean the same to Python and to RE2, so the graph has the same rule.
"""

import re
from collections.abc import Callable, Sequence

# Text that was normalised has no control characters.
CUT = "\x1f"
_NO_END = "\x1e"
"""In place of a full stop that ends nothing."""

_ABBREVIATIONS = (
    "Mr|Mrs|Ms|Mx|Dr|Dres|Prof|St|Ste|Mt|Gen|Col|Capt|Lt|Sgt|Rev|Hon|Sen|Gov|Ph\\.D|vs|approx|viz|"
    "Hr|Fr|Frl|Dipl|Ing|Str|bzw|ca|vgl|evtl|ggf|inkl|sog|bspw|zzgl|MM|Mgr|ex|env|cf|Sr|Sra|Srta|"
    "Dra|Ud|Uds|Sig|Dott|Avv|dhr|mevr|drs|např|tzv|MUDr|JUDr|np|tzn|ul|ул|им|др|пр"
)
"""What stands with a full stop before a name or a noun."""
_BEFORE_NUMBERS = (
    "No|Nos|no|nos|Nr|Nrn|Art|Abs|Bd|Vol|vol|Fig|Figs|Abb|Tab|Eq|Kap|Ch|Sec|pp|S|č|str"
)
"""What stands with a full stop before a number."""
_LETTER = "A-Za-z\u00c0-\u024f\u0370-\u052f"
_SHORT = f"(?:[{_LETTER}]\\.)*[{_LETTER}]|[0-9]{{1,2}}"
"""Initials and what is made of single letters (U.S., z. B.); ordinals (3. Mai)."""
_BEGINS = "(^|[ (\\[\"'„“«‹‘‚/-])"
_SMALL = "a-z\u00df-\u00f6\u00f8-\u00ffα-ωά-ώа-џա-և"
"""Small letters of the scripts that have such; others of the Latin script are told below."""
_CLOSE = "\"'”’“‘»«›‹)\\]}"
_WIDE_CLOSE = "」』）】〕”’〉》］"
_WIDE_END = "。！？｡"


def _small() -> str:
    """Small letters beyond Latin 1, one by one: capitals stand between them."""
    return "".join(c for c in map(chr, range(0x100, 0x250)) if c.islower())


Rule = tuple[tuple[str, str], ...]
"""Patterns and what they become, in this order; `CUT` then stands where a text is cut."""

_SENTENCES: Rule = (
    (f"{_BEGINS}({_ABBREVIATIONS}|{_SHORT})\\.", f"\\1\\2{_NO_END}"),
    (f"{_BEGINS}({_BEFORE_NUMBERS})\\. ([0-9])", f"\\1\\2{_NO_END} \\3"),
    (
        f"([.!?…‼⁇⁈⁉؟۔։।॥።፧။៕།][{_CLOSE}]*) ([^{_SMALL}{_small()}])",
        f"\\1 {CUT}\\2",
    ),
    (f"([{_WIDE_END}]+)([^{_WIDE_END}{_WIDE_CLOSE}])", f"\\1{CUT}\\2"),
    # A quotation goes on behind its end: 「…。」と言った。
    (
        f"([{_WIDE_END}]+[{_WIDE_CLOSE}]+)([^{_WIDE_END}{_WIDE_CLOSE}、，ぁ-ゟ])",
        f"\\1{CUT}\\2",
    ),
    (_NO_END, "."),
)
_CLAUSES: Rule = ((f"([,;:،؛][{_CLOSE}]* |[–—] ?|[、，；：])", f"\\1{CUT}"),)
_WORDS: Rule = ((" ", f" {CUT}"),)

LEVELS: tuple[tuple[Rule, bool], ...] = ((_SENTENCES, False), (_CLAUSES, True), (_WORDS, True))
"""What is cut, in this order, where it is still too long; and whether what comes of it is put
together again to parts of about equal length."""

# Behind these no space stands before the next sentence.
_WIDE = "\u3000-\u303f\u3040-\u30ff\u3400-\u9fff\uff00-\uffef"
JOINS: Rule = (
    (f"^{CUT}+|{CUT}+$", ""),
    (f"([{_WIDE}]){CUT}+", "\\1"),
    (f"{CUT}+", " "),
)
"""What becomes of `CUT` between translations."""

FILLED = (4, 5)
"""Share of the longest text that a part should fill, as a fraction."""


def rewritten(text: str, rule: Rule) -> str:
    """Applies a rule's patterns."""
    for pattern, replacement in rule:
        text = re.sub(pattern, replacement, text)
    return text


def parts(text: str, count: Callable[[Sequence[str]], Sequence[int]], longest: int) -> list[str]:
    """Cuts a text that is too long.

    Args:
        text: Normalised.
        count: Gives the pieces of each of some texts.
        longest: Pieces of a text that need not be cut, at most.

    Returns:
        The text in parts; itself alone if it is not too long or has no place to be cut.
    """
    found = [text]
    for rule, together in LEVELS:
        sizes = count(found)
        if max(sizes) <= longest:
            break
        cut: list[str] = []
        for part, size in zip(found, sizes, strict=True):
            units = [part]
            if size > longest:
                units = [unit for unit in rewritten(part, rule).split(CUT) if unit]
            cut += _evened(units, count(units), longest) if together else units
        found = cut
    return found


def join(translations: Sequence[str]) -> str:
    """Joins the translations of parts."""
    return rewritten(CUT.join(translations), JOINS)


def _evened(units: Sequence[str], sizes: Sequence[int], longest: int) -> list[str]:
    """Puts neighbours together to as few parts as fill their share, about equally long."""
    total, done = max(1, sum(sizes)), 0
    share, whole = FILLED
    wanted = -(-total * whole // (share * longest))
    made: dict[int, str] = {}
    for unit, size in zip(units, sizes, strict=True):
        # The part in which the middle of the unit falls.
        place = (2 * done + size) * wanted // (2 * total)
        made[place] = made.get(place, "") + unit
        done += size
    return list(made.values())
