"""One opinion as a clause: plain, negated, emphasised, or negated twice.

A form multiplies the sign of its polar word: `negation` turns it round ("anything but dull" is
praise), `emphasis` keeps it although it speaks of nothing, never or hardly ("nothing if not dull",
"could hardly be more dull"), and `double negation` keeps it too ("nobody could say that the plot
is not dull").
"""

from typing import NamedTuple

from seqapps.recipes.sentiment.reviews.heldout import Draw
from seqapps.recipes.sentiment.reviews.lexicon import PAST, Word, article
from seqapps.recipes.sentiment.reviews.things import Subject

SIGNS = {"plain": +1, "negation": -1, "emphasis": +1, "double negation": +1}
"""What each form does to the sign of its polar word."""

_DENY = (
    "nobody could say that",
    "I would never claim that",
    "it would be wrong to say that",
    "I cannot say that",
    "it is simply not true that",
    "I do not agree that",
)
_AFFIRM = (
    "nobody can deny that",
    "there is no denying that",
    "it cannot be denied that",
    "I have to say that",
    "I would not deny that",
    "there is no doubt that",
)

_JUDGED = (*_DENY, *_AFFIRM, "I would", "nobody could", "you could")

_BE: dict[str, tuple[str, ...]] = {
    "plain": ("{s} {be} {stressed}", "{s} {be} {stressed}", "I {find} {o} {stressed}"),
    "negation": (
        "{s} {be} not {x} at all",
        "{s} {be} not at all {x}",
        "{s} {be} anything but {x}",
        "{s} {be} far from {x}",
        "{s} {be} in no way {x}",
        "{s} {be} by no means {x}",
        "{s} {be} never {x}",
        "{s} {be} hardly {x}",
        "nothing about {o} {is} {x}",
        "I would not call {o} {x}",
        "nobody could call {o} {x}",
        "you could hardly call {o} {x}",
        *(f"{deny} {{s}} {{be}} {{x}}" for deny in _DENY),
    ),
    "emphasis": (
        "{s} {be} nothing if not {x}",
        "{s} never {fail} to be {x}",
        "{s} never {stop} being {x}",
        *(f"{affirm} {{s}} {{be}} {{x}}" for affirm in _AFFIRM),
    ),
    "double negation": (
        "there {is} not a moment when {s} {be} not {x}",
        "at no point {be} {s} anything but {x}",
        "nobody could call {o} anything but {x}",
        *(f"{deny} {{s}} {{be}} not {{x}}" for deny in _DENY),
        *(f"{deny} {{s}} {{be}} anything but {{x}}" for deny in _DENY),
    ),
}
_ADJECTIVE: dict[str, tuple[str, ...]] = {
    "negation": (
        "there {is} nothing {x} about {o}",
        "I could barely find anything {x} about {o}",
    ),
}
_GRADABLE: dict[str, tuple[str, ...]] = {
    "emphasis": ("{s} could hardly {been} more {x}", "{s} could not {been} more {x}")
}
_EXTREME: dict[str, tuple[str, ...]] = {"emphasis": ("{s} {be} nothing short of {x}",)}
_FEELING: dict[str, tuple[str, ...]] = {
    "plain": ("I {am} {stressed} with {o}", "{s} {left} me {stressed}"),
    "negation": (
        "I {am} anything but {x} with {o}",
        "I {am} far from {x} with {o}",
        "I {am} not at all {x} with {o}",
        "I {am} in no way {x} with {o}",
        "I {am} never {x} with {o}",
        "I {am} hardly {x} with {o}",
        "{s} never {left} me {x}",
        *(f"{deny} {{s}} {{left}} me {{x}}" for deny in _DENY),
    ),
    "emphasis": (
        "I could hardly {been} more {x} with {o}",
        "I could not {been} more {x} with {o}",
        "I {am} nothing if not {x} with {o}",
        "{s} never {fail} to leave me {x}",
        *(f"{affirm} {{s}} {{left}} me {{x}}" for affirm in _AFFIRM),
    ),
    "double negation": (
        "at no point {am} I anything but {x} with {o}",
        "there {is} not a moment when {s} {do} not leave me {x}",
        *(f"{deny} I {{am}} anything but {{x}} with {{o}}" for deny in _DENY),
    ),
}
_VERB: dict[str, tuple[str, ...]] = {
    "plain": ("I {i}{v} {o}",),
    "negation": (
        "there {is} nothing about {o} that I {v}",
        "I could find nothing to {x} about {o}",
        "there {is} hardly a thing about {o} that I {v}",
    ),
    "emphasis": (
        "there {is} no end of things that I {v} about {o}",
        *(f"{affirm} I {{v}} {{o}}" for affirm in _AFFIRM),
    ),
    "double negation": (
        "there {is} nothing about {o} that I {do} not {x}",
        "there {is} not a thing about {o} that I {do} not {x}",
        "there {is} hardly a thing about {o} that I {do} not {x}",
    ),
}

_GRADED = ("", "", "", "very ", "really ", "truly ", "utterly ", "remarkably ")
_UTTER = ("", "", "", "absolutely ", "really ", "truly ", "utterly ", "simply ")
_STRESS = {
    "adverb": ("", "", "really ", "truly "),
    "noun": ("", "", "real ", "absolute ", "complete ", "utter "),
    "feeling": ("", "", "really ", "truly ", "thoroughly "),
    "verb": ("", "", "really ", "truly ", "simply "),
}

_KINDS = ("adjective",) * 9 + ("adverb",) * 3 + ("noun",) * 3 + ("feeling",) * 3 + ("verb",) * 2


class Tense(NamedTuple):
    """The verb forms of a tense, by the name that templates call them."""

    be: tuple[str, str]
    is_: str
    been: str
    am: str
    find: str
    fail: tuple[str, str]
    stop: tuple[str, str]
    left: tuple[str, str]
    do: tuple[str, str]
    past: bool


PRESENT = Tense(
    ("is", "are"),
    "is",
    "be",
    "am",
    "find",
    ("fails", "fail"),
    ("stops", "stop"),
    ("leaves", "leave"),
    ("do", "do"),
    False,
)
PAST_TENSE = Tense(
    ("was", "were"),
    "was",
    "have been",
    "was",
    "found",
    ("failed", "failed"),
    ("stopped", "stopped"),
    ("left", "left"),
    ("did", "did"),
    True,
)


def _stress(draw: Draw, word: Word) -> str:
    """An intensifier that fits the word, or nothing."""
    if word.kind == "adjective":
        return draw.one(_GRADED if word.gradable else _UTTER)
    return draw.one(_STRESS[word.kind])


def predicate(word: Word, subject: Subject, stress: str = "") -> str:
    """What stands after the copula: "dull", "badly written", "an utter mess"."""
    if word.kind == "noun":
        return article(stress + word.text)
    return f"{stress}{word.text} {subject.made}" if word.kind == "adverb" else stress + word.text


def _templates(word: Word, form: str) -> tuple[str, ...]:
    if word.kind == "feeling":
        return _FEELING[form]
    if word.kind == "verb":
        return _VERB[form]
    templates = _BE[form]
    if word.kind == "adjective":
        templates += _ADJECTIVE.get(form, ()) + (_GRADABLE if word.gradable else {}).get(form, ())
    if word.kind == "noun" or not (word.gradable or word.kind == "adverb"):
        templates += _EXTREME.get(form, ())
    return templates


def _impersonal(template: str) -> bool:
    """Whether it can be put into another's mouth: no "I", and no clause within the clause."""
    return not (template.startswith("I ") or " I " in template or " that " in template)


def clause(
    draw: Draw,
    construction: str,
    subject: Subject,
    sign: int,
    *,
    form: str = "plain",
    tense: Tense = PRESENT,
    impersonal: bool = False,
    dated: bool = False,
) -> str:
    """An opinion on the subject.

    Args:
        draw: Where chance comes from.
        construction: The construction that the clause stands in.
        subject: What it is about.
        sign: The sign of the whole clause: +1 praise, -1 blame.
        form: `plain`, `negation`, `emphasis` or `double negation`.
        tense: Present or past.
        impersonal: The clause is said by or of others: no "I", and no that-clause within.
        dated: A time stands before the clause: no judgement of another time within ("I would say").

    Returns:
        The clause, without capital or full stop.

    Raises:
        DeadEnd: The split may say none.
    """
    kind = draw.one(_KINDS)
    if (kind == "adverb" and not subject.made) or (impersonal and kind in ("feeling", "verb")):
        kind = "adjective"
    word = draw.word(construction, sign * SIGNS[form], kind, field=subject.field, form=form)
    templates = _templates(word, form)
    if impersonal:
        templates = tuple(filter(_impersonal, templates))
    if dated:
        templates = tuple(t for t in templates if not t.startswith(_JUDGED))
    number = int(subject.plural)
    text = draw.one(templates)
    stress = _stress(draw, word) if "{stressed}" in text or "{i}" in text else ""
    return text.format(
        s=subject.text,
        o=subject.object,
        x=predicate(word, subject),
        v=PAST.get(word.text, "") if tense.past else word.text,
        i=stress,
        stressed=predicate(word, subject, stress),
        be=tense.be[number],
        been=tense.been,
        am=tense.am,
        find=tense.find,
        fail=tense.fail[number],
        stop=tense.stop[number],
        left=tense.left[number],
        do=tense.do[0] if word.kind == "verb" else _does(tense, subject),
        **{"is": tense.is_},
    )


def _does(tense: Tense, subject: Subject) -> str:
    return "did" if tense.past else "do" if subject.plural else "does"


def tense_of(past: bool) -> Tense:
    """The past or the present."""
    return PAST_TENSE if past else PRESENT
