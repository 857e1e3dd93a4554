"""What clauses are made of: who, what, whom, when and where, drawn so that they fit together."""

from collections.abc import Sequence
from functools import cache
from typing import NamedTuple

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.heldout import Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    ACCUSATIVE,
    DATIVE,
    Words,
    after_preposition,
    join,
    noun_phrase,
)
from seqapps.recipes.translate.phrasebook.nouns import NOUNS, OWNABLE, UNWANTED, Noun
from seqapps.recipes.translate.phrasebook.verbs import Verb
from seqapps.recipes.translate.phrasebook.words import Subject

NOTHING = Words("", "")
_MANY = frozenset(
    "apple orange egg potato tomato roll ticket postcard letter book photo chair flower shirt "
    "brother sister question message room gift coat".split()
)
PEOPLE = frozenset({"adult", "kin", "young"})
_NO_CLOCK = frozenset("long state perceive inner accident chance".split())
_NO_PRONOUN = frozenset({"pick up"})  # English would take it apart: pick her up.


class Complement(NamedTuple):
    """An object in both languages."""

    english: str
    german: str
    definite: bool = True
    """German puts nicht and schon behind it."""
    pronoun: bool = False
    kein: bool = False
    """The negation is in the phrase."""


def draw_subject(draw: Draw, *, opens: bool, avoid: str = "") -> Subject:
    """Draws who does it.

    Args:
        draw: Where chance comes from.
        opens: Whether the German sentence begins with it.
        avoid: English of a subject that was named before.

    Returns:
        A subject other than `avoid`.
    """
    while True:
        kind = draw.random()
        pool: Sequence[Subject] = (
            words.PRONOUNS if kind < 0.4 else words.NAMED if kind < 0.7 else words.DESCRIBED
        )
        subject = draw.one(pool)
        if (subject.opens or not opens) and subject.english != avoid:
            return subject


def draw_time(draw: Draw, tense: str, verb: Verb, *, clock: bool = True) -> Words:
    """Draws when it happens: a day, a weekday, a date, or a time of day."""
    past = tense in ("past", "had to", "wanted to")
    choices = words.times(tense, verb)
    kind = draw.random()
    if choices is words.NOW or kind < 0.55:
        return draw.one(choices)
    if kind < 0.75:
        weekday = draw.one(words.WEEKDAYS)
        if draw.chance(0.5):
            return Words(f"on {weekday.english}", f"am {weekday.german}")
        side, german = ("last", "letzten") if past else ("next", "nächsten")
        return Words(f"{side} {weekday.english}", f"{german} {weekday.german}")
    if kind < 0.85 or not clock or verb.flags & _NO_CLOCK:
        return draw_date(draw)
    hour = draw_clock(draw)
    day = (
        NOTHING
        if draw.chance(0.4)
        else Words("yesterday", "gestern")
        if past
        else Words("tomorrow", "morgen")
    )
    return Words(join(day.english, hour.english), join(day.german, hour.german))


def draw_clock(draw: Draw) -> Words:
    """`at half past seven`."""
    position = draw.one(words.CLOCK[: 4 if draw.chance(0.7) else 8])
    hour = draw.fitting(position, words.HOURS, str)
    time = words.clock(hour, position)
    return Words(f"at {time.english}", f"um {time.german}")


def draw_date(draw: Draw) -> Words:
    """`on the third of May`."""
    month = draw.one(words.MONTHS)
    day = draw.fitting(month.english, words.ORDINALS, english_of)
    return Words(f"on the {day.english} of {month.english}", f"am {day.german} {month.german}")


def english_of(item: Words | Noun) -> str:
    """The English side, as the second word of a pair."""
    return item.english


def draw_person(draw: Draw, verb: Verb, subject: Subject, case: int) -> Complement | None:
    """Draws a pronoun or a name as the object, or None for a noun."""
    kind = draw.random()
    if kind < 0.25 and verb.english not in _NO_PRONOUN:
        pronouns = [p for s, p in words.OBJECT_PRONOUNS.items() if _distinct(s, subject)]
        person = draw.one(pronouns)
    elif kind < 0.45:
        person = draw.one(words.NAMED_PERSONS)
        if person.english == subject.english:
            return None
    else:
        return None
    german = person.dative if case == DATIVE else person.accusative
    return Complement(person.english, german, pronoun=kind < 0.25)


def _distinct(pronoun: str, subject: Subject) -> bool:
    """Whether the pronoun cannot mean the subject (or be taken for it)."""
    if pronoun in ("I", "we"):
        return subject.english not in ("I", "we")
    return pronoun not in (subject.english, subject.pronoun.english)


def draw_noun_object(
    draw: Draw, verb: Verb, noun: Noun, subject: Subject, *, negated: bool, habit: bool = False
) -> Complement:
    """Draws the determiner, number and adjective of an object, and declines it."""
    case = DATIVE if verb.dative else ACCUSATIVE
    allowed = verb.determiners
    if habit and "a" in allowed:
        allowed = "a"
    kin = "kin" in noun.classes
    options = [d for d in allowed if _fits(d, noun, subject, negated)]
    choice = "o" if kin and "n" not in options else draw.one(options) if options else "t"
    plural = False
    if choice == "n":
        plural = True
    elif noun.plural and "one" not in verb.flags and not kin:
        plural = draw.chance(0.25)
    adjective = None if kin else draw.adjective(noun, 0.35, unfit(verb))
    determiner = "the"
    if choice == "a":
        determiner = "a" if noun.plural and not plural else ""
        if negated and not verb.preposition:
            determiner = "no"
    elif choice == "d":
        determiner = "this"
    elif choice == "o":
        determiner = subject.owner or "my"
    elif choice == "n":
        count = draw.one(words.COUNTS[: 3 if noun.english in ("brother", "sister") else 9])
        determiner = f"{count.english}={count.german}"
    phrase = noun_phrase(noun, determiner, plural, adjective, case)
    german = (
        after_preposition(verb.preposition, phrase.german) if verb.preposition else phrase.german
    )
    definite = choice in "tdo" and not verb.preposition
    return Complement(phrase.english, german, definite, kein=determiner == "no")


@cache
def unfit(verb: Verb) -> frozenset[str]:
    """Adjectives of the object that would make no sense: to clean a clean room."""
    if verb.english in ("clean", "wash"):
        return frozenset({"clean"})
    if verb.english == "write":
        return frozenset({"old", "famous"})
    return UNWANTED if "chosen" in verb.flags else frozenset()


def _fits(determiner: str, noun: Noun, subject: Subject, negated: bool) -> bool:
    if determiner == "o":
        mens = subject.owner in ("his", "our") and "womens" in noun.classes
        owned = "owned" in noun.classes or noun in OWNABLE
        return bool(subject.owner) and owned and not mens
    if determiner == "n":
        return noun.english in _MANY and not negated
    if noun.classes & {"unique"}:
        return determiner == "t"
    if noun.classes & {"time", "money"}:
        return determiner in "at"
    return True


def draw_object(
    draw: Draw, verb: Verb, subject: Subject, *, negated: bool, habit: bool = False
) -> tuple[Complement, Noun | None]:
    """Draws the object of a verb; the noun is None for pronouns and names."""
    case = DATIVE if verb.dative else ACCUSATIVE
    if NOUNS["doctor"] in verb.objects and NOUNS["brother"] in verb.objects:
        person = draw_person(draw, verb, subject, case)
        if person:
            if not verb.preposition:
                return person, None
            german = f"{verb.preposition} {person.german}"
            return Complement(person.english, german, definite=False), None
    pairs = len(draw.pairs)
    while True:
        noun = draw.fitting(verb.english, verb.objects, english_of)
        twice = "kin" in noun.classes and subject.kind == "kin"
        mens = (
            subject.owner == "his"
            and "womens" in noun.classes
            and verb.english in ("wear", "have", "need")
        )
        if not twice and not mens:
            break
        del draw.pairs[pairs:]
    return draw_noun_object(draw, verb, noun, subject, negated=negated, habit=habit), noun


def draw_receiver(draw: Draw, subject: Subject) -> Complement:
    """Draws who receives something, in the German dative."""
    if draw.chance(0.5):
        pronouns = [p for s, p in words.OBJECT_PRONOUNS.items() if _distinct(s, subject)]
        person = draw.one(pronouns)
        return Complement(person.english, person.dative, pronoun=True)
    if draw.chance(0.4):
        person = draw.one(words.NAMED_PERSONS)
        if person.english != subject.english:
            return Complement(person.english, person.dative)
    noun = draw.one(_RECEIVERS)
    determiner = "the"
    if noun.classes & {"kin", "owned"}:
        determiner = subject.owner or "my"
        if subject.kind == "kin":
            determiner, noun = "the", NOUNS["child"]
    phrase = noun_phrase(noun, determiner, False, None, DATIVE)
    return Complement(phrase.english, phrase.german)


_RECEIVERS = tuple(
    NOUNS[name]
    for name in (
        "brother sister mother father daughter son friend neighbour colleague boss child boy girl "
        "teacher doctor guest tourist customer policeman student waiter woman man"
    ).split()
)
