"""Sentences about things: what they are like, what they cost, and when they happen."""

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.constructions import Said
from seqapps.recipes.translate.phrasebook.heldout import Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    MANY,
    NOMINATIVE,
    THIRD,
    Words,
    be,
    join,
    noun_phrase,
)
from seqapps.recipes.translate.phrasebook.nouns import (
    CITIES,
    FITTING,
    NOUNS,
    OWNABLE,
    UNWANTED,
    Adjective,
    Noun,
    matching,
)
from seqapps.recipes.translate.phrasebook.phrases import draw_clock, draw_date, english_of

_ADJECTIVES = tuple(FITTING)
_COMPARED = tuple(adjective for adjective in FITTING if adjective.comparative)
_DEGREES = (
    Words("", ""),
    Words("", ""),
    Words("very", "sehr"),
    Words("too", "zu"),
    Words("not", "nicht"),
    Words("not very", "nicht sehr"),
)
_POSSESSIVES = ("my", "our", "his")
_PRIVATE = OWNABLE - frozenset(matching("womens money"))
_COLOURS = frozenset("red blue green white black yellow brown broken empty new".split())


def quality(draw: Draw) -> Said:
    """`The coat was very expensive.`, `Is this coat too expensive?`."""
    adjective = draw.one(_ADJECTIVES)
    noun = draw.fitting(adjective.english, FITTING[adjective], english_of)
    plural = bool(noun.plural) and draw.chance(0.3)
    determiner = draw.one(("the", "the", "this", *(_POSSESSIVES if noun in _PRIVATE else ())))
    thing = noun_phrase(noun, determiner, plural, None, NOMINATIVE)
    tense = "past" if draw.chance(0.35) else "present"
    english, german = be(tense, MANY if plural else THIRD)
    degree = draw.one(_DEGREES[:2] if adjective.english in _COLOURS else _DEGREES)
    if draw.chance(0.25) and not degree.english.startswith("not"):
        return Said(
            join(english, thing.english, degree.english, adjective.english),
            join(german, thing.german, degree.german, adjective.german),
            "?",
        )
    return Said(
        join(thing.english, english, degree.english, adjective.english),
        join(thing.german, german, degree.german, adjective.german),
    )


def presentation(draw: Draw) -> Said:
    """`This is a beautiful castle.`, `These are fresh apples.`."""
    noun = draw.one(_DESCRIBED)
    adjective = draw.adjective(noun, 1.0)
    plural = bool(noun.plural) and draw.chance(0.35)
    determiner = "a" if noun.plural and not plural else ""
    if noun in _PRIVATE and draw.chance(0.4):
        determiner = draw.one((*_POSSESSIVES, "her"))
    thing = noun_phrase(noun, determiner, plural, adjective, NOMINATIVE)
    opening = Words("these are", "das sind") if plural else Words("this is", "das ist")
    if draw.chance(0.2) and plural:
        return Said(f"are these {thing.english}", f"sind das {thing.german}", "?")
    return Said(f"{opening.english} {thing.english}", f"{opening.german} {thing.german}")


_DESCRIBED = tuple(
    noun for noun in NOUNS.values() if any(noun in nouns for nouns in FITTING.values())
)


def comparison(draw: Draw) -> Said:
    """`The train is faster than the bus.`, `My coat is as expensive as his coat.`."""
    adjective = draw.one(_COMPARED)
    noun = draw.fitting(adjective.english, FITTING[adjective], english_of)
    tense = "past" if draw.chance(0.2) else "present"
    if noun in _PRIVATE and draw.chance(0.4):
        other, determiners = noun, draw.one((("my", "his"), ("our", "her"), ("this", "my")))
    else:
        other = draw.fitting(adjective.english, FITTING[adjective], english_of)
        if other is noun or not other.classes & noun.classes - {"abstract"}:
            draw.pairs.pop()
            return _other(draw, adjective, noun, tense)
        determiners = ("the", "the")
    first = noun_phrase(noun, determiners[0], False, None, NOMINATIVE)
    second = noun_phrase(other, determiners[1], False, None, NOMINATIVE)
    return _compared(draw, adjective, first, second, tense)


def _other(draw: Draw, adjective: Adjective, noun: Noun, tense: str) -> Said:
    """`This coat is longer than the other one`, without leaving the noun out."""
    first = noun_phrase(noun, "this", False, None, NOMINATIVE)
    second = noun_phrase(noun, "the", False, _OTHER, NOMINATIVE)
    return _compared(draw, adjective, first, second, tense)


_OTHER = Adjective("other", "ander", "", "")


def _compared(draw: Draw, adjective: Adjective, first: Words, second: Words, tense: str) -> Said:
    english, german = be(tense, THIRD)
    kind = draw.random()
    if kind < 0.6:
        middle = Words(f"{adjective.comparative} than", f"{adjective.german_comparative} als")
    elif kind < 0.8:
        middle = Words(f"as {adjective.english} as", f"so {adjective.german} wie")
    else:
        middle = Words(f"not as {adjective.english} as", f"nicht so {adjective.german} wie")
    return Said(
        f"{first.english} {english} {middle.english} {second.english}",
        f"{first.german} {german} {middle.german} {second.german}",
    )


# What is sold | the prices that are believable: euros (and cents), tens, hundreds, thousands
_SOLD = (
    ("food ticket flower city_map book postcard", words.SMALL_PRICES),
    ("clothes bag umbrella lamp chair watch room", words.PRICES),
    ("camera computer phone bicycle table bed flight trip picture", words.HUNDREDS),
    ("car horse", words.THOUSANDS),
)
_PRICED = tuple((noun, prices) for selection, prices in _SOLD for noun in matching(selection))


def _priced(item: tuple[Noun, tuple[Words, ...]]) -> str:
    return item[0].english


def price(draw: Draw) -> Said:
    """`The red coat costs forty euros.`, `How much does this coat cost?`."""
    noun, prices = draw.fitting("cost", _PRICED, _priced)
    plural = bool(noun.plural) and draw.chance(0.3)
    determiner = draw.one(("the", "this"))
    thing = noun_phrase(noun, determiner, plural, draw.adjective(noun, 0.35, UNWANTED), NOMINATIVE)
    german = "kosten" if plural else "kostet"
    if draw.chance(0.35):
        do = "do" if plural else "does"
        return Said(f"how much {do} {thing.english} cost", f"wie viel {german} {thing.german}", "?")
    euros = draw.one(prices)
    cents = Words("", "")
    if prices is words.SMALL_PRICES and draw.chance(0.4):
        cents = draw.one(words.CENTS)
    english = "cost" if plural else "costs"
    return Said(
        join(thing.english, english, euros.english, "euros", cents.english),
        join(thing.german, german, euros.german, "Euro", cents.german),
    )


# What it is about | English (plain, he, past) | German present, closing, past
_SCHEDULES = (
    ("train bus ship", ("leave", "leaves", "left"), ("fährt", "ab", "ist", "abgefahren")),
    ("event game", ("begin", "begins", "began"), ("beginnt", "", "hat", "begonnen")),
    ("event", ("end", "ends", "ended"), ("endet", "", "hat", "geendet")),
    (
        "museum market castle library bank bakery pharmacy shops café cinema",
        ("open", "opens", "opened"),
        ("öffnet", "", "hat", "geöffnet"),
    ),
    (
        "museum market castle library bank bakery pharmacy shops café",
        ("close", "closes", "closed"),
        ("schließt", "", "hat", "geschlossen"),
    ),
)
_SCHEDULED = tuple((matching(nouns), english, german) for nouns, english, german in _SCHEDULES)
_INFINITIVES = {"ab": "abfahren", "begonnen": "beginnen", "geendet": "enden"}
_INFINITIVES |= {"geöffnet": "öffnen", "geschlossen": "schließen"}


def schedule(draw: Draw) -> Said:
    """`The train to Berlin leaves at half past seven.`, `When does the museum open?`."""
    nouns, (plain, third, past), (finite, prefix, auxiliary, participle) = draw.one(_SCHEDULED)
    noun = draw.one(nouns)
    adjective = draw.adjective(noun, 0.3)
    thing = noun_phrase(noun, draw.one(("the", "this")), False, adjective, NOMINATIVE)
    if noun.english in ("train", "bus") and draw.chance(0.6):
        city = draw.one(CITIES[:9])
        thing = Words(f"{thing.english} to {city[0]}", f"{thing.german} nach {city[1]}")
    infinitive = _INFINITIVES[prefix or participle]
    if draw.chance(0.2):
        if draw.chance(0.3):
            return Said(
                f"when did {thing.english} {plain}",
                f"wann {auxiliary} {thing.german} {participle}",
                "?",
            )
        return Said(
            f"when does {thing.english} {plain}", join("wann", finite, thing.german, prefix), "?"
        )
    time = draw_clock(draw)
    tense = draw.tense("schedule", ("present", "present", "past", "future"))
    if tense == "past":
        english, german, end = past, auxiliary, participle
    elif tense == "future":
        english, german, end = f"will {plain}", "wird", infinitive
    else:
        english, german, end = third, finite, prefix
    return Said(
        f"{thing.english} {english} {time.english}", join(thing.german, german, time.german, end)
    )


def hour(draw: Draw) -> Said:
    """`It is half past seven.`."""
    time = draw_clock(draw)
    english, german = time.english.removeprefix("at "), time.german.removeprefix("um ")
    if draw.chance(0.3):
        return Said(f"is it already {english}", f"ist es schon {german}", "?")
    already = draw.one((Words("", ""), Words("already", "schon"), Words("now", "jetzt")))
    return Said(f"it is {join(already.english, english)}", f"es ist {join(already.german, german)}")


def date(draw: Draw) -> Said:
    """`The concert is on the third of May.`."""
    day = draw_date(draw)
    if draw.chance(0.4):
        owner = draw.one((Words("my", "mein"), Words("his", "sein"), Words("our", "unser")))
        if owner.english == "our":
            thing = Words("our flight", "unser Flug")
        else:
            thing = Words(f"{owner.english} birthday", f"{owner.german} Geburtstag")
    else:
        noun = draw.one(_EVENTS)
        thing = noun_phrase(noun, "the", False, draw.adjective(noun, 0.3), NOMINATIVE)
    english, german = be(draw.one(("present", "present", "past")), THIRD)
    return Said(f"{thing.english} {english} {day.english}", f"{thing.german} {german} {day.german}")


_EVENTS = matching("event game")
