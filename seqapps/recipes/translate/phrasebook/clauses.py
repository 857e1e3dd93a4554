"""Clauses: who does what to whom, where and when, and their word order in both languages."""

from functools import cache
from typing import NamedTuple

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.heldout import DeadEnd, Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    DATIVE,
    Group,
    Words,
    at,
    coming_from,
    join,
    noun_phrase,
    to,
    verb_group,
)
from seqapps.recipes.translate.phrasebook.nouns import CITIES, NOUNS, PLACES, Noun, Place
from seqapps.recipes.translate.phrasebook.phrases import (
    NOTHING,
    PEOPLE,
    Complement,
    draw_noun_object,
    draw_object,
    draw_receiver,
    draw_subject,
    draw_time,
    english_of,
)
from seqapps.recipes.translate.phrasebook.verbs import (
    GIVING,
    MOVING,
    SHOPPING,
    STAYING,
    TRANSITIVE,
    Verb,
)
from seqapps.recipes.translate.phrasebook.words import Subject


class Clause(NamedTuple):
    """A clause before its words are put in order."""

    subject: Subject
    verb: Verb
    tense: str
    group: Group
    negated: bool
    """English says `not`; the German nicht or kein is in `middle`."""
    adverb: str
    """English, before the main verb."""
    complements: str
    """English, after the main verb."""
    time: Words
    pronouns: str
    """German, first in the middle field."""
    middle: str
    """German, what follows pronouns and time."""


class Marking(NamedTuple):
    """Negation and adverbs of a clause."""

    negated: bool = False
    adverb: str = ""
    """English, before the main verb."""
    german: str = ""
    """nicht, noch nicht, schon or gerade."""


class Parts(NamedTuple):
    """The complements of a verb."""

    thing: Complement = Complement("", "")
    receiver: Complement = Complement("", "")
    where: Words = NOTHING
    company: Words = NOTHING


def english_statement(clause: Clause, time: bool = True) -> str:
    """`my sister is buying a coat tomorrow`."""
    group = clause.group
    tail = join(clause.complements, clause.time.english if time else "")
    if not clause.negated:
        return join(clause.subject.english, group.auxiliary, clause.adverb, group.main, tail)
    negation = "cannot" if group.asking == "can" else f"{group.asking} not"
    return join(clause.subject.english, negation, clause.adverb, group.asking_main, tail)


def english_question(clause: Clause) -> str:
    """`is my sister buying a coat tomorrow`."""
    negation = "not" if clause.negated else ""
    return join(
        clause.group.asking,
        clause.subject.english,
        negation,
        clause.adverb,
        clause.group.asking_main,
        clause.complements,
        clause.time.english,
    )


def _field(clause: Clause, time: bool = True) -> str:
    return join(clause.pronouns, clause.time.german if time else "", clause.middle)


def german_statement(clause: Clause) -> str:
    """Verb second, the subject before it."""
    group = clause.group
    return join(clause.subject.german, group.finite, _field(clause), group.closing)


def german_inverted(clause: Clause, time: bool = True) -> str:
    """The finite verb, then the subject: questions, and all that stands behind another opening."""
    group = clause.group
    return join(group.finite, clause.subject.german, _field(clause, time), group.closing)


def german_final(clause: Clause) -> str:
    """The finite verb at the end: subordinate clauses."""
    return join(clause.subject.german, _field(clause), clause.group.final)


@cache
def verbs_for(tense: str, flag: str, places: bool, things: bool) -> tuple[Verb, ...]:
    """The verbs that have a tense, a flag (or any, `""`), a list of places, a thing as object."""
    return tuple(
        verb
        for verb in (*TRANSITIVE, *GIVING, *MOVING, *STAYING)
        if tense in words.tenses(verb)
        and (not flag or flag in verb.flags)
        and (not places or (verb.objects and verb.places and verb not in GIVING))
        and (
            not things
            or (verb in TRANSITIVE and not verb.preposition and not verb.dative and things_of(verb))
        )
    )


@cache
def things_of(verb: Verb) -> tuple[Noun, ...]:
    """The objects of a verb that are not people and can be counted; none where they are few."""
    things = tuple(n for n in verb.objects if not n.classes & PEOPLE and n.plural)
    return things if len(things) > 3 else ()


def draw_clause(
    draw: Draw,
    construction: str,
    *,
    opens: bool = True,
    subject: Subject | None = None,
    tenses: tuple[str, ...] = words.TENSES,
    flag: str = "",
    time: float = 0.4,
    negation: float = 0.0,
    place: float = 0.25,
    avoid: str = "",
) -> Clause:
    """Draws a clause.

    Args:
        draw: Where chance comes from.
        construction: Its name in the held-out cells.
        opens: Whether the German sentence begins with the subject.
        subject: Who does it; drawn when None.
        tenses: The tenses to choose from.
        flag: A flag that the verb must have; any when empty.
        time: Probability of a time.
        negation: Probability of a negation.
        place: Probability of a place where the verb does not need one.
        avoid: English of a subject that somebody else has in the sentence.

    Returns:
        The clause.
    """
    tense = draw.tense(construction, tenses)
    verb = draw.one(verbs_for(tense, flag, False, False))
    subject = subject or draw_subject(draw, opens=opens, avoid=avoid)
    adverb, marker, negated = _adverb(draw, verb, tense, draw.chance(negation))
    when = NOTHING
    if tense == "habit":
        when = draw.one(words.REPEATED)
        rarely = "accident" in verb.flags  # Nobody loses a key every day.
        if negated or (rarely and time == 1):  # `not every day` is not `jeden Tag nicht`.
            raise DeadEnd
        if rarely or (draw.chance(0.6) and time < 1):
            often = draw.one(words.OFTEN)
            adverb, when = often.english, Words("", often.german)
    elif tense != "perfect" and _timed(verb, tense) and draw.chance(time):
        when = draw_time(draw, tense, verb)
    marking = Marking(negated, adverb, marker)
    return build(draw, subject, verb, tense, marking, when, place)


def _timed(verb: Verb, tense: str) -> bool:
    """Whether a time may stand: people like and know things without one."""
    if "state" in verb.flags:
        return verb.english == "need" and tense == "past"
    return tense != "present" or not verb.flags & {"perceive", "inner"}


def _adverb(draw: Draw, verb: Verb, tense: str, negated: bool) -> tuple[str, str, bool]:
    """English adverb, German particle, negation. The perfect always has an adverb."""
    if tense != "perfect":
        return "", "nicht" if negated else "", negated
    kind = draw.random()
    if kind < 0.45:
        return "already", "schon", False
    if kind < 0.7 or "accident" in verb.flags:
        return "just", "gerade", False
    return "", "noch nicht", True


def build(
    draw: Draw,
    subject: Subject,
    verb: Verb,
    tense: str,
    marking: Marking,
    when: Words,
    place: float,
) -> Clause:
    """Draws the complements of a verb and puts the clause together.

    Args:
        draw: Where chance comes from.
        subject: Who does it.
        verb: What is done.
        tense: One of `words.TENSES`, or `could`.
        marking: Negation and adverbs.
        when: The time, or `NOTHING`.
        place: Probability of a place where the verb does not need one.

    Returns:
        The clause.
    """
    parts = Parts()
    if verb in _PLACED:
        parts = parts._replace(where=draw_goal(draw, verb))
    elif verb in GIVING:
        noun = draw.fitting(verb.english, verb.objects, english_of)
        parts = parts._replace(
            receiver=draw_receiver(draw, subject),
            thing=draw_noun_object(draw, verb, noun, subject, negated=marking.negated),
        )
    else:
        habit = tense == "habit"
        thing, thing_noun = draw_object(draw, verb, subject, negated=marking.negated, habit=habit)
        parts = parts._replace(thing=thing)
        buying = verb.english == "buy"
        spots = SHOPPING[thing_noun.english] if thing_noun and buying else verb.places
        somewhere = (
            bool(spots) and not marking.negated and (not thing_noun or not is_place(thing_noun))
        )
        if somewhere and draw.chance(place):
            parts = parts._replace(where=at(draw.one(spots), "the", None))
    if "company" in verb.flags and not marking.negated and draw.chance(0.2):
        if verb in MOVING or parts.where is NOTHING:
            parts = parts._replace(company=draw_company(draw, subject, verb))
    clause = arrange(subject, verb, tense, marking, when, parts)
    if subject.english.split()[-1] in clause.complements.split():
        raise DeadEnd  # Right but odd: the guests know the guests.
    return clause


def arrange(
    subject: Subject, verb: Verb, tense: str, marking: Marking, when: Words, parts: Parts
) -> Clause:
    """Puts the complements in the order of each language.

    German: pronouns, time, receiver, definite object, nicht or schon, company, place, indefinite
    object. English: receiver, object, place, company, yet (or the receiver after `to`).
    """
    thing, receiver = parts.thing, parts.receiver
    marker = marking.german
    if thing.kein:  # kein says nicht
        marker = marker.removesuffix("nicht").strip()
    pronouns = join(
        words.REFLEXIVE.get(subject.english, "uns" if subject.owner == "our" else "sich")
        if "reflexive" in verb.flags
        else "",
        thing.german if thing.pronoun else "",
        receiver.german if receiver.pronoun else "",
    )
    before = thing.german if thing.definite and not thing.pronoun else ""
    after = "" if thing.definite else thing.german
    middle = join(
        "" if receiver.pronoun else receiver.german,
        before,
        marker,
        parts.company.german,
        parts.where.german,
        after,
    )
    following = "to" in verb.flags and receiver.english
    objects = (
        join(thing.english, "to", receiver.english)
        if following
        else join(receiver.english, thing.english)
    )
    yet = "yet" if marking.german.startswith("noch") else ""
    complements = join(objects, parts.where.english, parts.company.english, yet)
    simple = tense == "present" and verb.flags & {"state", "perceive"}
    group = verb_group(verb, "habit" if simple else tense, subject.person)
    return Clause(
        subject,
        verb,
        tense,
        group,
        marking.negated,
        marking.adverb,
        complements,
        when,
        pronouns,
        middle,
    )


def is_place(noun: Noun) -> bool:
    """Whether it would be odd to name another place beside this object."""
    return noun.english in PLACES or "home" in noun.classes


def draw_goal(draw: Draw, verb: Verb) -> Words:
    """Draws where somebody goes, comes from or is: a city or a place; records the pair."""
    if not verb.places or (verb.english in _IN_CITIES and draw.chance(0.3)):
        name = draw.fitting(verb.english, CITIES, _city_name)
        if verb not in MOVING:
            return Words(f"in {name[0]}", f"in {name[1]}")
        if verb.english == "come back":
            return Words(f"from {name[0]}", f"aus {name[1]}")
        return Words(f"to {name[0]}", f"nach {name[1]}")
    place = draw.fitting(verb.english, verb.places, _place_name)
    adjective = draw.adjective(place.noun, 0.25)
    if verb in STAYING:
        return at(
            place, "a" if adjective and verb.english in ("work", "sleep") else "the", adjective
        )
    if verb.english == "come back":
        return coming_from(place, "the", adjective)
    return to(place, "the", adjective)


def _city_name(city: tuple[str, str]) -> str:
    return city[0]


def _place_name(place: Place) -> str:
    return place.noun.english


_PLACED = frozenset((*MOVING, *STAYING))
_IN_CITIES = frozenset({"drive", "come back", "work", "stay"})
_VEHICLES = tuple(NOUNS[name] for name in ("train", "bus", "car", "plane"))
_COMPANIONS = tuple(
    NOUNS[name]
    for name in ("brother sister mother father daughter son friend neighbour colleague".split())
)


def draw_company(draw: Draw, subject: Subject, verb: Verb) -> Words:
    """Draws who comes along, or by which vehicle one travels."""
    if verb.english == "travel" and draw.chance(0.6):
        vehicle = draw.one(_VEHICLES)
        german = noun_phrase(vehicle, "the", False, None, DATIVE).german
        return Words(f"by {vehicle.english}", f"mit {german}")
    if subject.kind != "kin" and draw.chance(0.6):
        phrase = noun_phrase(draw.one(_COMPANIONS), subject.owner or "my", False, None, DATIVE)
        return Words(f"with {phrase.english}", f"mit {phrase.german}")
    person = draw.one(words.NAMED_PERSONS)
    if person.english == subject.english:
        return NOTHING
    return Words(f"with {person.english}", f"mit {person.dative}")
