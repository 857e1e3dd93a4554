"""Constructions of one opinion, each with the rule that decides the label.

Plain and negated opinions balance each other; each of the others says words of praise and of blame
under both labels. So the label is in the order and the scope, hardly in the words.
"""

from collections.abc import Callable
from typing import NamedTuple

from seqapps.recipes.sentiment.reviews.clauses import Tense, clause, predicate, tense_of
from seqapps.recipes.sentiment.reviews.heldout import DeadEnd, Draw
from seqapps.recipes.sentiment.reviews.lexicon import Word, article
from seqapps.recipes.sentiment.reviews.things import Subject, Thing


class Scene(NamedTuple):
    """What one review is about, in which tense, and whether its thing has been named already."""

    thing: Thing
    tense: Tense
    named: bool = False


Construction = Callable[[Draw, Scene, int], str]
"""Draws the deciding sentence for a thing and a sign; without capital, with its final mark."""


def scene(draw: Draw, thing: Thing) -> Scene:
    """A scene for the thing: devices mostly in the present, hotels mostly in the past."""
    past = {"gear": 0.3, "place": 0.8}.get(thing.domain, 0.5)
    return Scene(thing, tense_of(draw.chance(past)))


def whole(draw: Draw, at: Scene) -> Subject:
    """The thing itself: "the film" or "this film"."""
    return at.thing.whole() if draw.chance(0.6) else at.thing.this()


def subject(draw: Draw, at: Scene) -> Subject:
    """The thing itself or one of its aspects."""
    if not at.named and draw.chance(0.4):
        return whole(draw, at)
    return draw.one(at.thing.aspects)


def adjective(
    draw: Draw,
    name: str,
    about: Subject,
    sign: int,
    *,
    gradable: bool = False,
    other: Word | None = None,
) -> Word:
    """A polar adjective that fits the subject."""
    return draw.word(name, sign, "adjective", field=about.field, gradable=gradable, other=other)


def plain(draw: Draw, at: Scene, sign: int) -> str:
    """An opinion said straight. Rule: the sign of its word."""
    return _single(draw, at, sign, "plain")


def negation(draw: Draw, at: Scene, sign: int) -> str:
    """A negated opinion: "The plot is anything but dull". Rule: the opposite of its word."""
    return _single(draw, at, sign, "negation")


def emphasis(draw: Draw, at: Scene, sign: int) -> str:
    """A stressed opinion: "The plot could hardly be more dull". Rule: the sign of its word."""
    return _single(draw, at, sign, "emphasis")


def double_negation(draw: Draw, at: Scene, sign: int) -> str:
    """Two negations: "Nobody could say that the plot is not dull". Rule: the sign of its word."""
    return _single(draw, at, sign, "double negation")


def _single(draw: Draw, at: Scene, sign: int, form: str) -> str:
    return clause(draw, form, subject(draw, at), sign, form=form, tense=at.tense) + "."


def conjunction(draw: Draw, at: Scene, sign: int) -> str:
    """Two adjectives under one negation, or one of them under it.

    Rule: "neither A nor B" and "not A or B" turn both round; "both A and B" and "not only A but
    also B" turn neither; in "not A but B" and "B, not A" the word outside the negation decides.
    """
    about = subject(draw, at)
    be = at.tense.be[about.plural]
    kind = draw.one(("flip", "keep", "mixed", "mixed"))
    one = adjective(draw, "conjunction", about, sign if kind == "keep" else -sign)
    two = adjective(draw, "conjunction", about, -sign if kind == "flip" else sign, other=one)
    return draw.one(_CONJOINED[kind]).format(
        s=about.text, o=about.object, be=be, x=one.text, y=two.text
    )


_CONJOINED = {
    "flip": (
        "{s} {be} neither {x} nor {y}.",
        "{s} {be} not {x} or {y}.",
        "I would not call {o} {x} or {y}.",
        "nobody could call {o} {x} or {y}.",
        "{s} {be} never {x} or {y}.",
    ),
    "keep": (
        "{s} {be} both {x} and {y}.",
        "{s} {be} not only {x} but also {y}.",
        "{s} {be} not just {x}, but {y} too.",
        "nobody can deny that {s} {be} {x} and {y}.",
        "I would not only call {o} {x} but also {y}.",
    ),
    "mixed": (
        "{s} {be} not {x} but {y}.",
        "{s} {be} {y}, not {x}.",
        "{s} {be} {y} and not at all {x}.",
        "I would call {o} {y}, but never {x}.",
        "I would not call {o} {x} but {y}.",
        "{s} {be} {y} and never {x}.",
    ),
}


def degree(draw: Draw, at: Scene, sign: int) -> str:
    """One adjective weighed against another. Rule: the one said to hold more decides.

    "Less A than B", "more B than A", "too B to be A", "not so much A as B": B decides.
    """
    about = subject(draw, at)
    most = adjective(draw, "degree", about, sign, gradable=True)
    least = adjective(draw, "degree", about, -sign, gradable=True, other=most)
    return draw.one(_WEIGHED).format(
        s=about.text, be=at.tense.be[about.plural], x=least.text, y=most.text
    )


_WEIGHED = (
    "{s} {be} less {x} than {y}.",
    "{s} {be} much less {x} than {y}.",
    "{s} {be} more {y} than {x}.",
    "{s} {be} far more {y} than {x}.",
    "{s} {be} too {y} to be {x}.",
    "{s} {be} far too {y} to be {x}.",
    "{s} {be} not so much {x} as {y}.",
    "{s} {be} {y} rather than {x}.",
    "rather than {x}, {s} {be} {y}.",
)


def exception(draw: Draw, at: Scene, sign: int) -> str:
    """A trifle is set apart from the thing. Rule: what holds of the thing decides.

    "The only A thing is the poster" turns A round; "the only thing that is not A" keeps it.
    """
    about = whole(draw, at)
    flip = draw.chance(0.5)
    word = adjective(draw, "exception", about, -sign if flip else sign)
    return draw.one(_EXCEPTED[flip]).format(
        o=about.object, x=word.text, trifle=draw.one(at.thing.trifles), **{"is": at.tense.is_}
    )


_EXCEPTED = {
    True: (
        "the only {x} thing about {o} {is} the {trifle}.",
        "apart from the {trifle}, nothing about {o} {is} {x}.",
        "if anything about {o} {is} {x}, it {is} the {trifle}.",
        "the {trifle} {is} the only thing about {o} that {is} {x}.",
    ),
    False: (
        "the only thing about {o} that {is} not {x} {is} the {trifle}.",
        "apart from the {trifle}, everything about {o} {is} {x}.",
        "if anything about {o} {is} not {x}, it {is} the {trifle}.",
        "the {trifle} {is} the only thing about {o} that {is} not {x}.",
    ),
}


def question(draw: Draw, at: Scene, sign: int) -> str:
    """A rhetorical question. Rule: it denies what it asks.

    "Who could call it A?" turns A round, "Who could deny that it is A?" keeps it.
    """
    about = subject(draw, at)
    flip = draw.chance(0.5)
    kind = "adverb" if about.made and draw.chance(0.2) else "adjective"
    word = draw.word("question", -sign if flip else sign, kind, field=about.field)
    return draw.one(_ASKED[flip]).format(
        s=about.text, o=about.object, be=at.tense.be[about.plural], x=predicate(word, about)
    )


_ASKED = {
    True: (
        "who could possibly call {o} {x}?",
        "how could anyone say that {s} {be} {x}?",
        "who would ever say that {s} {be} {x}?",
        "why would anyone call {o} {x}?",
    ),
    False: (
        "who could possibly deny that {s} {be} {x}?",
        "how could anyone say that {s} {be} not {x}?",
        "who would ever say that {s} {be} not {x}?",
        "why would anyone deny that {s} {be} {x}?",
    ),
}


def advice(draw: Draw, at: Scene, sign: int) -> str:
    """Whom to believe. Rule: "do not believe those who say that ..." turns the claim round."""
    flip = draw.chance(0.5)
    claim = clause(
        draw,
        "advice",
        subject(draw, at),
        -sign if flip else sign,
        form=draw.form("advice", "deciding"),
        tense=at.tense,
        impersonal=True,
    )
    return draw.one(_ADVISED[flip]).format(c=claim)


_ADVISED = {
    True: (
        "do not believe anyone who says that {c}.",
        "do not listen to people who say that {c}.",
        "never trust a reviewer who says that {c}.",
        "people who say that {c} are wrong.",
    ),
    False: (
        "do not doubt anyone who says that {c}.",
        "do listen to people who say that {c}.",
        "never doubt a reviewer who says that {c}.",
        "people who say that {c} are not wrong.",
    ),
}


def conditional(draw: Draw, at: Scene, sign: int) -> str:
    """An unmet condition. Rule: the thing is the opposite of what it would have been."""
    about = at.thing.whole()
    part = draw.one(at.thing.lasting)
    would = draw.word("conditional", -sign, "adjective")
    less = adjective(draw, "conditional", part, sign, gradable=True)
    return draw.one(_UNMET).format(s=about.text, a=part.text, x=would.text, y=less.text)


_UNMET = (
    "{s} would have been {x} if {a} had been less {y}.",
    "if {a} had been less {y}, {s} would have been {x}.",
    "{s} would have been {x} if {a} had not been so {y}.",
    "if {a} had not been so {y}, {s} would have been {x}.",
    "had {a} been less {y}, {s} would have been {x}.",
    "{s} could have been {x} if {a} had been less {y}.",
)


def comparison(draw: Draw, at: Scene, sign: int) -> str:
    """Another of its kind is compared. Rule: better or worse decides, not how the other one was."""
    this = at.thing.this()
    word = adjective(draw, "comparison", this, draw.one((+1, -1)))
    be = at.tense.be[this.plural]
    other = draw.one(at.thing.earlier)
    values = {
        "this": this.text,
        "be": be,
        "old": other,
        "was": "were" if this.plural else "was",
        "x": word.text,
        "up": "better" if sign > 0 else "worse",
        "down": "worse" if sign > 0 else "better",
        "far": draw.one(("far", "much", "a lot")),
    }
    return draw.one(_COMPARED).format(**values)


_COMPARED = (
    "{this} {be} {far} {up} than {old}, which {was} {x}.",
    "{old}, which {was} {x}, {was} {far} {down} than {this}.",
    "{old} {was} {x}, and {this} {be} {far} {up}.",
    "{old} {was} {x} and {far} {down} than {this}.",
)


def intensity(draw: Draw, at: Scene, sign: int) -> str:
    """A mild and a strong opinion in either order. Rule: the stronger decides."""
    one, two = distinct(draw, at)
    mild = adjective(draw, "intensity", one, -sign, gradable=True)
    strong = adjective(draw, "intensity", two, sign)
    brief = draw.chance(0.3)
    weak = f"{draw.one(_MILD[:3] if brief else _MILD)} {mild.text}"
    great = f"{draw.one(_STRONG)} {strong.text}"
    if brief:
        halves = [article(f"{how} {part.text[4:]}") for how, part in ((weak, one), (great, two))]
        if any(part.plural or part.text in _UNCOUNTED for part in (one, two)):
            raise DeadEnd
        join = draw.one((", ", " and ", " and then "))
    else:
        halves = [
            f"{part.text} {at.tense.be[part.plural]} {how}"
            for how, part in ((weak, one), (great, two))
        ]
        join = draw.one((", ", " and ", ", and "))
    if draw.chance(0.5):
        halves.reverse()
    return f"{halves[0]}{join}{halves[1]}."


_MILD = ("mildly", "slightly", "somewhat", "a little", "a bit")
"""The first three also stand before a noun."""
_UNCOUNTED = frozenset(
    f"the {noun}"
    for noun in (
        *("acting", "camera work", "dialogue", "music", "prose", "research"),
        *("customer service", "food", "service"),
    )
)
"""Aspects that take no "a"."""
_STRONG = ("utterly", "absolutely", "truly", "simply", "incredibly")


def distinct(draw: Draw, at: Scene) -> tuple[Subject, Subject]:
    """Two different aspects of the thing."""
    one, two = draw.one(at.thing.aspects), draw.one(at.thing.aspects)
    if one == two:
        raise DeadEnd
    return one, two
