"""Sentences of two clauses: reasons, conditions, relative clauses, infinitives with zu."""

from typing import Any

from seqapps.recipes.translate.phrasebook.clauses import (
    Clause,
    Marking,
    build,
    draw_clause,
    english_statement,
    german_final,
    german_inverted,
    german_statement,
    things_of,
    verbs_for,
)
from seqapps.recipes.translate.phrasebook.constructions import Said
from seqapps.recipes.translate.phrasebook.heldout import DeadEnd, Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    ACCUSATIVE,
    MANY,
    NOMINATIVE,
    THIRD,
    Words,
    be,
    join,
    noun_phrase,
    to,
    verb_group,
    zu_infinitive,
)
from seqapps.recipes.translate.phrasebook.nouns import NOUNS, PLACES, Noun, Place, matching
from seqapps.recipes.translate.phrasebook.phrases import (
    NOTHING,
    draw_noun_object,
    draw_subject,
    draw_time,
    english_of,
    unfit,
)
from seqapps.recipes.translate.phrasebook.verbs import MOVING, TRANSITIVE, Verb
from seqapps.recipes.translate.phrasebook.words import Subject

_UNWELL = (
    Words("tired", "müde"),
    Words("sick", "krank"),
    Words("hungry", "hungrig"),
    Words("thirsty", "durstig"),
)
_WELL = (Words("not tired", "nicht müde"), Words("not sick", "nicht krank"))
_MOODS = {
    "happy": (Words("happy", "glücklich"), ("past", "perfect", "future", "can", "allowed")),
    "sad": (Words("sad", "traurig"), ("past", "had to")),
    "tired": (Words("tired", "müde"), ("past", "had to")),
}


def again(subject: Subject) -> Subject:
    """The subject named a second time, by its pronoun."""
    english, german = subject.pronoun
    kind = "kin" if subject.kind == "kin" else "pronoun"
    return Subject(english, german, subject.person, subject.owner, subject.pronoun, kind, True)


def _is(subject: Subject, adjective: Words, past: bool = False) -> tuple[str, str, str]:
    """English statement, German finite verb, German rest."""
    english, german = be("past" if past else "present", subject.person)
    return f"{subject.english} {english} {adjective.english}", german, adjective.german


def because(draw: Draw) -> Said:
    """`Anna is happy because she found the key.`."""
    subject = draw_subject(draw, opens=True)
    mood = draw.one(("happy", "happy", "sad", "tired"))
    adjective, tenses = _MOODS[mood]
    clause = _reason(draw, "because", again(subject), mood, tenses)
    english, finite, rest = _is(subject, adjective)
    return Said(
        f"{english} because {english_statement(clause)}",
        f"{subject.german} {finite} {rest}, weil {german_final(clause)}",
    )


def _reason(
    draw: Draw, construction: str, subject: Subject, mood: str, tenses: tuple[str, ...]
) -> Clause:
    """A clause that explains the mood; the perfect without `not yet`, which would not."""
    while True:
        held = (len(draw.pairs), len(draw.cells))
        clause = draw_clause(
            draw, construction, subject=subject, tenses=tenses, flag=mood, time=0.3, place=0.15
        )
        if not clause.negated:
            return clause
        del draw.pairs[held[0] :], draw.cells[held[1] :]


_OPPOSITE = {"happy": "sad", "sad": "happy"}


def although(draw: Draw) -> Said:
    """`Anna is working although she is tired.`; `Although Anna lost the key, she is happy.`."""
    subject = draw_subject(draw, opens=True)
    if draw.chance(0.35):
        mood = draw.one(("happy", "sad"))
        adjective = _MOODS[mood][0]
        opposite = _OPPOSITE[mood]
        clause = _reason(draw, "although", again(subject), opposite, _MOODS[opposite][1])
        english, finite, rest = _is(subject, adjective)
        return Said(
            f"{english} although {english_statement(clause)}",
            f"{subject.german} {finite} {rest}, obwohl {german_final(clause)}",
        )
    tenses = ("present", "past", "future", "have to", "want to", "had to")
    reverse = draw.chance(0.4)
    clause = draw_clause(draw, "although", opens=not reverse, subject=subject, tenses=tenses)
    if clause.verb.flags & {"state", "perceive", "accident", "chance"}:
        raise DeadEnd
    past = clause.tense in ("past", "had to")
    english, finite, rest = _is(again(subject), draw.one(_UNWELL[:2]), past)
    pronoun = subject.pronoun.german
    if reverse:
        return Said(
            f"although {english}, {english_statement(clause)}",
            f"obwohl {pronoun} {rest} {finite}, {german_inverted(clause)}",
        )
    return Said(
        f"{english_statement(clause)} although {english}",
        f"{german_statement(clause)}, obwohl {pronoun} {rest} {finite}",
    )


_CONDITIONS = (
    Words("if the weather is good", "wenn das Wetter gut ist"),
    Words("if it is warm", "wenn es warm ist"),
    Words("if it rains tomorrow", "wenn es morgen regnet"),
    Words("if it snows tomorrow", "wenn es morgen schneit"),
    Words("if the weather is bad", "wenn das Wetter schlecht ist"),
    Words("if it is cold", "wenn es kalt ist"),
)
_OUTDOORS = frozenset({"swim", "play", "dance", "paint", "photograph", "smoke", "run"})


def _condition(draw: Draw, subject: Subject, verb: Verb) -> Words:
    """A condition that fits any plan, some of them about the subject."""
    if draw.chance(0.55):
        return draw.one(_CONDITIONS[:2] if verb.english in _OUTDOORS else _CONDITIONS)
    english, german = subject.pronoun
    have = verb_group(_HAVE, "habit", subject.person)
    kind = draw.random()
    if kind < 0.35:
        return Words(f"if {english} {have.main} time", f"wenn {german} Zeit {have.finite}")
    if kind < 0.6 and "costs" in verb.flags:
        return Words(
            f"if {english} {have.main} enough money", f"wenn {german} genug Geld {have.finite}"
        )
    statement, finite, rest = _is(again(subject), draw.one(_WELL))
    return Words(f"if {statement}", f"wenn {german} {rest} {finite}")


_HAVE = next(verb for verb in verbs_for("past", "state", False, False) if verb.english == "have")


def condition(draw: Draw) -> Said:
    """`If it rains tomorrow, Anna will visit the museum.`."""
    subject = draw_subject(draw, opens=True)
    clause = draw_clause(
        draw,
        "if",
        subject=subject,
        tenses=("future", "can", "want to", "should", "would like"),
        time=0.0,
    )
    if "chance" in clause.verb.flags:
        raise DeadEnd  # Nobody finds a key because the weather is good.
    given = _condition(draw, subject, clause.verb)
    if draw.chance(0.6):
        return Said(
            f"{given.english}, {english_statement(clause)}",
            f"{given.german}, {german_inverted(clause)}",
        )
    return Said(
        f"{english_statement(clause)} {given.english}",
        f"{german_statement(clause)}, {given.german}",
    )


def before(draw: Draw) -> Said:
    """`Before Anna goes to the station, she has to buy a ticket.`."""
    subject = draw_subject(draw, opens=False)
    goal = draw.fitting("go", _GO.places, _place_name)
    where = to(goal, "the", None)
    go = verb_group(_GO, "habit", subject.person)
    tenses = ("have to", "want to", "would like", "should", "future")
    later = again(subject)
    clause = draw_clause(draw, "before", subject=later, tenses=tenses, time=0.0, place=0.0)
    if not clause.verb.objects:
        raise DeadEnd
    return Said(
        f"before {subject.english} {go.main} {where.english}, {english_statement(clause)}",
        f"bevor {subject.german} {where.german} {go.finite}, {german_inverted(clause)}",
    )


def _place_name(place: Place) -> str:
    return place.noun.english


_GO = MOVING[0]
_IMPERSONAL = Subject("one", "man", THIRD, "", Words("one", "man"), "noun", True)


def meanwhile(draw: Draw) -> Said:
    """`While Anna is cooking the soup, Peter is reading a book.`."""
    options: dict[str, Any] = {"tenses": ("present",), "flag": "long", "time": 0.0, "opens": False}
    first = draw_clause(draw, "while", **options)
    second = draw_clause(draw, "while", avoid=first.subject.english, **options)
    if (
        second.subject.english in english_statement(first)
        or first.subject.english in second.complements
    ):
        raise DeadEnd
    return Said(
        f"while {english_statement(first)}, {english_statement(second)}",
        f"während {german_final(first)}, {german_inverted(second)}",
    )


_RELATIVE_TENSES = ("past", "want to", "would like", "have to", "had to", "wanted to", "allowed")


def relative_object(draw: Draw) -> Said:
    """`The coat that Anna bought is warm.`."""
    tense = draw.tense("relative", _RELATIVE_TENSES)
    while True:
        verb = draw.one(verbs_for(tense, "", False, True))
        noun = draw.fitting(verb.english, things_of(verb), english_of)
        adjective = draw.adjective(noun, 1.0, unfit(verb))
        if adjective:
            break
        draw.pairs.pop()
    subject = draw_subject(draw, opens=False)
    plural = draw.chance(0.3) and "one" not in verb.flags
    thing = noun_phrase(noun, "the", plural, None, NOMINATIVE)
    relative = noun_phrase(noun, "the", plural, None, ACCUSATIVE).german.split()[0]
    time = draw_time(draw, tense, verb, clock=False) if draw.chance(0.4) else NOTHING
    group = verb_group(verb, tense, subject.person)
    english_be, german_be = be("present", MANY if plural else THIRD)
    english = join(thing.english, "that", subject.english, group.auxiliary, group.main)
    return Said(
        f"{join(english, time.english)} {english_be} {adjective.english}",
        f"{thing.german}, {relative} {join(subject.german, time.german, group.final)}, "
        f"{german_be} {adjective.german}",
    )


_MEN = tuple(NOUNS[n] for n in ("brother father son friend neighbour colleague boss").split())
_WOMEN = tuple(NOUNS[n] for n in ("sister mother daughter grandmother").split())
_KNOWING = (
    (Words("I know", "ich kenne"), "know"),
    (Words("we are looking for", "wir suchen"), "look for"),
    (Words("I would like to meet", "ich möchte"), "meet"),
    (Words("do you know", "kennen Sie"), "know"),
)


def relative_person(draw: Draw) -> Said:
    """`The man who is waiting for the bus is my brother.`."""
    noun = NOUNS[draw.one(("man", "woman", "tourist", "student", "guest"))]
    plural = noun.english not in ("man", "woman") and draw.chance(0.7)
    person = noun_phrase(noun, "the", plural, None, NOMINATIVE)
    relative, _, _ = person.german.partition(" ")
    owner = "" if plural else "her" if noun.gender == "f" else "his"
    pronoun = Words("she", "sie") if noun.gender == "f" else Words("he", "er")
    number = MANY if plural else THIRD
    subject = Subject("who", relative, number, owner, pronoun, "kin", True)
    tenses = ("present", "past", "want to", "have to", "would like")
    clause = draw_clause(draw, "relative", subject=subject, tenses=tenses, time=0.2)
    if {noun.english, noun.plural} & set(clause.complements.split()):
        raise DeadEnd
    english, german = english_statement(clause), german_final(clause)
    if draw.chance(0.35):
        opening, verb = draw.one(_KNOWING)
        draw.insist(verb, noun.english)
        known = noun_phrase(noun, "the", plural, None, ACCUSATIVE)
        mark = "?" if opening.english == "do you know" else "."
        end = " treffen" if opening.german == "ich möchte" else ""
        return Said(
            f"{opening.english} {known.english} {english}",
            f"{opening.german} {known.german}{end}, {german}",
            mark,
        )
    english_be, german_be = be("present", number)
    if plural or draw.chance(0.4):
        what = draw.one((*_UNWELL, Words("happy", "glücklich"), Words("sad", "traurig")))
    else:
        kin = draw.one(_WOMEN if noun.gender == "f" else _MEN)
        what = noun_phrase(kin, draw.one(("my", "our")), False, None, NOMINATIVE)
    return Said(
        f"{person.english} {english} {english_be} {what.english}",
        f"{person.german}, {german}, {german_be} {what.german}",
    )


# Where one goes | what one does there | to what
_ERRANDS = """
market | buy | food flower
supermarket | buy | food drink
bakery | buy | bread roll cake
shop | buy | clothes bag
station | buy | ticket newspaper
station | pick up | kin friend luggage guest
airport | pick up | kin friend luggage guest
hotel | pick up | bag key luggage
restaurant | eat | fish soup pizza salad meat potato
café | eat | cake ice_cream
café | drink | coffee tea juice milk
restaurant | drink | wine beer
library | read | book newspaper magazine
museum | see | exhibition
cinema | see | film
park | photograph | bird flower
harbour | photograph | ship bridge
lake | paint | bridge village
garden | paint | flower house
café | meet | friend colleague
office | write | letter message
bank | talk to | boss
hospital | visit | kin friend
school | pick up | kin child
"""


def _errand(line: str) -> tuple[Place, Verb, tuple[Noun, ...]]:
    place, verb, selection = (part.strip() for part in line.split("|"))
    return PLACES[place], next(v for v in TRANSITIVE if v.english == verb), matching(selection)


_ERRAND_LIST = tuple(map(_errand, _ERRANDS.strip().splitlines()))


def purpose(draw: Draw) -> Said:
    """`Anna is going to the market to buy bread.`."""
    tenses = ("present", "past", "future", "want to", "have to", "would like", "had to")
    tense = draw.tense("purpose", tenses)
    place, verb, nouns = draw.one(_ERRAND_LIST)
    subject = draw_subject(draw, opens=True)
    go = draw.one(MOVING[:2])
    draw.insist(go.english, place.noun.english)
    noun = draw.fitting(verb.english, nouns, english_of)
    if "kin" in noun.classes and subject.kind == "kin":
        raise DeadEnd
    thing = draw_noun_object(draw, verb, noun, subject, negated=False)
    group = verb_group(go, tense, subject.person)
    where = to(place, "the", None)
    return Said(
        join(subject.english, group.auxiliary, group.main, where.english, "to", verb.english)
        + f" {thing.english}",
        join(subject.german, group.finite, where.german, group.closing)
        + f", um {thing.german} {zu_infinitive(verb)}",
    )


# English (I, she, we) | German finite (ich, sie, wir) and what closes the clause
_INTENTIONS = (
    (("forgot", "forgot", "forgot"), ("habe", "hat", "haben"), "vergessen"),
    (("tried", "tried", "tried"), ("habe", "hat", "haben"), "versucht"),
    (("decided", "decided", "decided"), ("habe", "hat", "haben"), "beschlossen"),
    (("promised", "promised", "promised"), ("habe", "hat", "haben"), "versprochen"),
    (("hope", "hopes", "hope"), ("hoffe", "hofft", "hoffen"), ""),
    (("plan", "plans", "plan"), ("plane", "plant", "planen"), ""),
    (("am trying", "is trying", "are trying"), ("versuche", "versucht", "versuchen"), ""),
)
_JUDGEMENTS = (
    Words("it is important", "es ist wichtig"),
    Words("it is difficult", "es ist schwierig"),
    Words("it is easy", "es ist einfach"),
    Words("it is possible", "es ist möglich"),
    Words("it is not possible", "es ist nicht möglich"),
    Words("it is nice", "es ist schön"),
)


def with_zu(draw: Draw) -> Said:
    """`Anna forgot to close the window.`."""
    verb = draw.one(verbs_for("should", "", False, False))
    judged = draw.chance(0.3)
    subject = _IMPERSONAL if judged else draw_subject(draw, opens=True)
    clause = build(draw, subject, verb, "habit", Marking(), NOTHING, 0.25)
    english = join("to", verb.english, clause.complements)
    german = join(clause.pronouns, clause.middle, zu_infinitive(verb))
    if judged:
        opening = draw.one(_JUDGEMENTS)
        return Said(f"{opening.english} {english}", f"{opening.german}, {german}")
    forms, finite, closing = draw.one(_INTENTIONS)
    return Said(
        f"{subject.english} {forms[subject.person]} {english}",
        f"{join(subject.german, finite[subject.person], closing)}, {german}",
    )
