"""Constructions of two opinions of opposite sign: the rule says which of them decides.

Either opinion may itself be negated or emphasised; which forms meet in which construction is the
matter of `heldout.CELLS`.
"""

from seqapps.recipes.sentiment.reviews.clauses import PAST_TENSE, PRESENT, Tense, clause
from seqapps.recipes.sentiment.reviews.constructions import Scene, adjective, distinct, whole
from seqapps.recipes.sentiment.reviews.heldout import Draw
from seqapps.recipes.sentiment.reviews.lexicon import PAST, Word, article
from seqapps.recipes.sentiment.reviews.things import Subject


def _conceded(
    draw: Draw,
    name: str,
    about: Subject,
    sign: int,
    tense: Tense,
    *,
    impersonal: bool = False,
    dated: bool = False,
) -> str:
    form = draw.form(name, "conceded")
    return clause(
        draw, name, about, -sign, form=form, tense=tense, impersonal=impersonal, dated=dated
    )


def _deciding(
    draw: Draw, name: str, about: Subject, sign: int, tense: Tense, *, dated: bool = False
) -> str:
    form = draw.form(name, "deciding")
    return clause(draw, name, about, sign, form=form, tense=tense, dated=dated)


def _two(draw: Draw, at: Scene) -> tuple[Subject, Subject]:
    """What is conceded (an aspect), and what decides (another, or the thing itself)."""
    if draw.chance(0.5):
        return draw.one(at.thing.aspects), whole(draw, at)
    return distinct(draw, at)


def contrast(draw: Draw, at: Scene, sign: int) -> str:
    """The turn: "C, but D", "C. However, D". Rule: what comes after it decides."""
    one, two = _two(draw, at)
    c = _conceded(draw, "contrast", one, sign, at.tense)
    d = _deciding(draw, "contrast", two, sign, at.tense)
    turn = draw.one((", but ", ", but ", ", yet ", "; still, ", ". However, ", ". Nevertheless, "))
    return f"{c}{turn}{d}."


def although_before(draw: Draw, at: Scene, sign: int) -> str:
    """A concession first: "Although C, D". Rule: the main clause decides."""
    one, two = _two(draw, at)
    c = _conceded(draw, "although before", one, sign, at.tense)
    d = _deciding(draw, "although before", two, sign, at.tense)
    return f"{draw.one(('although', 'though', 'even though', 'while'))} {c}, {d}."


def although_after(draw: Draw, at: Scene, sign: int) -> str:
    """A concession last: "D, although C". Rule: the main clause decides."""
    one, two = _two(draw, at)
    d = _deciding(draw, "although after", two, sign, at.tense)
    c = _conceded(draw, "although after", one, sign, at.tense)
    return f"{d}, {draw.one(('although', 'though', 'even though', 'even if'))} {c}."


def despite(draw: Draw, at: Scene, sign: int) -> str:
    """Despite an aspect: "Despite the A acting, D" or "D despite ...". Rule: the clause decides."""
    one, two = _two(draw, at)
    kind = "adverb" if one.made and draw.chance(0.2) else "adjective"
    word = draw.word("despite", -sign, kind, field=one.field)
    made = f" {one.made}" if kind == "adverb" else ""
    noun = f"{draw.one(('despite', 'in spite of'))} the {word.text}{made} {one.text[4:]}"
    d = _deciding(draw, "despite", two, sign, at.tense)
    return f"{noun}, {d}." if draw.chance(0.5) else f"{d} {noun}."


def outweighing(draw: Draw, at: Scene, sign: int) -> str:
    """Two aspects on the scales: "the A plot outweighs the B ending". Rule: the heavier decides."""
    light, heavy = distinct(draw, at)
    x = adjective(draw, "outweighing", light, -sign)
    y = adjective(draw, "outweighing", heavy, sign, other=x)
    number = int(light.plural), int(heavy.plural)
    return draw.one(_SCALES[at.tense.past]).format(
        light=f"the {x.text} {light.text[4:]}",
        heavy=f"the {y.text} {heavy.text[4:]}",
        lighter=("matters", "matter")[number[0]],
        heavier=("matters", "matter")[number[1]],
        outweighs=("outweighs", "outweigh")[number[1]],
        is_light=at.tense.be[number[0]],
    )


_SCALES = {
    False: (
        "to me {heavy} {heavier} more than {light}.",
        "to me {light} {lighter} less than {heavy}.",
        "in the end {heavy} {outweighs} {light}.",
        "in the end {light} {is_light} outweighed by {heavy}.",
        "{heavy} far {outweighs} {light}.",
    ),
    True: (
        "to me {heavy} mattered more than {light}.",
        "to me {light} mattered less than {heavy}.",
        "in the end {heavy} outweighed {light}.",
        "in the end {light} {is_light} outweighed by {heavy}.",
        "{heavy} far outweighed {light}.",
    ),
}


def expectation(draw: Draw, at: Scene, sign: int) -> str:
    """What was expected: "I expected an A film and got a B one". Rule: what came decides."""
    about = at.thing.whole()
    if draw.chance(0.4):
        unmet = adjective(draw, "expectation", about, -sign)
        x, y = unmet.text, adjective(draw, "expectation", about, sign, other=unmet).text
        if not at.thing.plural:
            x, y = article(x), article(y)
        return draw.one(_GOT).format(
            x=x, y=y, noun=at.thing.noun, one="ones" if at.thing.plural else "one"
        )
    if draw.chance(0.6):
        about = draw.one(at.thing.aspects)
    if draw.chance(0.5):
        c = _conceded(draw, "expectation", about, sign, PAST_TENSE, impersonal=True)
        d = _deciding(draw, "expectation", about.pronoun, sign, PAST_TENSE)
        return f"{draw.one(_ASSUMED)} {c}, but {d}."
    d = _deciding(draw, "expectation", about, sign, PAST_TENSE)
    c = _conceded(draw, "expectation", about.pronoun, sign, PAST_TENSE, impersonal=True)
    return f"{d}, although {draw.one(_ASSUMED)} {c}."


_GOT = (
    "I expected {x} {noun} and got {y} {one}.",
    "I expected {x} {noun} but got {y} {one}.",
    "I got {y} {noun} instead of {x} {one}.",
    "instead of {x} {noun}, I got {y} {one}.",
    "I was promised {x} {noun} and was given {y} {one}.",
    "what I got was {y} {noun}, not {x} {one}.",
)
_ASSUMED = ("I had assumed that", "I had been told that", "I had been sure that", "I had read that")


def reported(draw: Draw, at: Scene, sign: int) -> str:
    """Others' opinion: "My friends say that C, but D". Rule: the writer's own decides."""
    about = whole(draw, at) if draw.chance(0.5) else draw.one(at.thing.aspects)
    who, many = draw.one(_OTHERS)
    say = draw.one(_SAY)[int(many)]
    if draw.chance(0.3):
        return _verbs(draw, about, sign, who)
    if draw.chance(0.5):
        c = _conceded(draw, "reported", about, sign, at.tense, impersonal=True)
        d = _deciding(draw, "reported", about.pronoun, sign, at.tense)
        return f"{who} {say} that {c}{draw.one((', but ', '; '))}{d}."
    d = _deciding(draw, "reported", about, sign, at.tense)
    c = _conceded(draw, "reported", about.pronoun, sign, at.tense, impersonal=True)
    return f"{d}, {draw.one(('although', 'but', 'even if', 'while'))} {who} {say} that {c}."


def _verbs(draw: Draw, about: Subject, sign: int, who: str) -> str:
    """The short form, "My friends hated it, I loved it", in either order."""
    kind = draw.one(("verb", "adjective"))
    draw.cells += [("reported", "conceded plain"), ("reported", "deciding plain")]
    theirs = draw.word("reported", -sign, kind, field=about.field)
    mine = draw.word("reported", sign, kind, field=about.field)
    halves = [(who, theirs), ("I", mine)]
    if draw.chance(0.5):
        halves.reverse()
    join = draw.one((", but ", ", whereas ", "; ", ", while "))
    (first, one), (second, two) = halves
    one_said = _said(one, about.object)
    return f"{first} {one_said}{join}{second} {_said(two, about.pronoun.object)}."


def _said(word: Word, about: str) -> str:
    return f"{PAST[word.text]} {about}" if word.kind == "verb" else f"found {about} {word.text}"


_OTHERS = (
    ("my friends", True),
    ("my colleagues", True),
    ("the critics", True),
    ("my neighbours", True),
    ("my parents", True),
    ("my sister", False),
    ("my brother", False),
    ("my cousin", False),
    ("a friend", False),
    ("a colleague", False),
)
_SAY = (("says", "say"), ("claims", "claim"), ("insists", "insist"), ("thinks", "think"))


def time(draw: Draw, at: Scene, sign: int) -> str:
    """Then and now: "At first C, but now D" in either order. Rule: the later opinion decides."""
    early, late, now = draw.one(_TIMES[at.thing.domain])
    tense = PRESENT if now else PAST_TENSE
    about = whole(draw, at) if draw.chance(0.5) else draw.one(at.thing.lasting)
    if draw.chance(0.5):
        c = _conceded(draw, "time", about, sign, PAST_TENSE, dated=True)
        d = _deciding(draw, "time", about.pronoun, sign, tense, dated=True)
        return f"{early} {c}{draw.one((', but ', '; ', ', and '))}{late} {d}."
    d = _deciding(draw, "time", about, sign, tense, dated=True)
    c = _conceded(draw, "time", about.pronoun, sign, PAST_TENSE, dated=True)
    return f"{late} {d}{draw.one((', although ', ', but ', '; '))}{early} {c}."


_TIMES: dict[str, tuple[tuple[str, str, bool], ...]] = {
    "screen": (
        ("at first", "by the end", False),
        ("at first", "the second time", False),
        ("for the first ten minutes", "after an hour", False),
        ("years ago", "now", True),
    ),
    "page": (
        ("at first", "by the end", False),
        ("at first", "on a second reading", False),
        ("for the first ten pages", "after fifty pages", False),
        ("years ago", "now", True),
    ),
    "gear": (
        ("at first", "now", True),
        ("in the first week", "these days", True),
        ("in the beginning", "by now", True),
        ("at first", "after a month", False),
    ),
    "place": (
        ("at first", "by the end of our stay", False),
        ("on the first day", "by the last day", False),
        ("a year ago", "this time", False),
        ("years ago", "now", True),
    ),
}
"""For each domain: when the first opinion held, when the later one, and whether that is now."""
