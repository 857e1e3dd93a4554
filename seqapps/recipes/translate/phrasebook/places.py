"""Sentences about places and belongings: what there is and where, orders, who owns what."""

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.constructions import Said
from seqapps.recipes.translate.phrasebook.heldout import Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    ACCUSATIVE,
    DATIVE,
    NOMINATIVE,
    Words,
    noun_phrase,
    to,
)
from seqapps.recipes.translate.phrasebook.nouns import CITIES, NOUNS, PLACES, Noun, matching
from seqapps.recipes.translate.phrasebook.phrases import english_of

_SIDES = (
    Words("next to", "neben"),
    Words("in front of", "vor"),
    Words("behind", "hinter"),
)
_LANDMARKS = matching("building bridge park harbour")
_LOCAL = matching("dining lodging shops museum church school theatre cinema library bank park")


def _side(draw: Draw, landmark: Noun) -> Words:
    side = draw.one(_SIDES)
    phrase = noun_phrase(landmark, "the", False, draw.adjective(landmark, 0.25), DATIVE)
    return Words(f"{side.english} {phrase.english}", f"{side.german} {phrase.german}")


def existence(draw: Draw) -> Said:
    """`There is a small bakery next to the church.`."""
    noun = draw.one(_LOCAL)
    plural = draw.chance(0.25)
    adjective = draw.adjective(noun, 0.4)
    count = draw.one(words.COUNTS[:3])
    determiner = f"{count.english}={count.german}" if plural else "a"
    thing = noun_phrase(noun, determiner, plural, adjective, ACCUSATIVE)
    be_ = "are" if plural else "is"
    kind = draw.random()
    if kind < 0.3:
        if draw.chance(0.5):
            return Said(
                f"{be_} there {thing.english} near here",
                f"gibt es hier in der Nähe {thing.german}",
                "?",
            )
        none = noun_phrase(noun, "no", False, adjective, ACCUSATIVE)
        english = none.english.partition(" ")[2]
        town = draw.one(_TOWNS[-3:])
        return Said(f"there is no {english} {town.english}", f"{town.german} gibt es {none.german}")
    landmark = draw.one(_LANDMARKS)
    if kind < 0.6 or landmark is noun:
        town = draw.one(_TOWNS)
        return Said(
            f"there {be_} {thing.english} {town.english}", f"{town.german} gibt es {thing.german}"
        )
    side = _side(draw, landmark)
    return Said(
        f"there {be_} {thing.english} {side.english}", f"{side.german} gibt es {thing.german}"
    )


_TOWNS = (
    *(Words(f"in {english}", f"in {german}") for english, german in CITIES[:9]),
    Words("in this village", "in diesem Dorf"),
    Words("in this street", "in dieser Straße"),
    Words("on the island", "auf der Insel"),
)


def position(draw: Draw) -> Said:
    """`The bakery is behind the church.`, `The key is lying on the table.`."""
    if draw.chance(0.5):
        noun, landmark = draw.one(_LANDMARKS), draw.one(_LANDMARKS)
        if landmark is not noun:
            thing = noun_phrase(noun, "the", False, draw.adjective(noun, 0.3), NOMINATIVE)
            side = _side(draw, landmark)
            return Said(f"{thing.english} is {side.english}", f"{thing.german} ist {side.german}")
    noun = draw.one(_LYING)
    plural = bool(noun.plural) and draw.chance(0.3)
    determiner = draw.one(("the", "my", "our", "his"))
    thing = noun_phrase(noun, determiner, plural, draw.adjective(noun, 0.3), NOMINATIVE)
    side = draw.one((Words("on", "auf"), Words("under", "unter"), Words("next to", "neben")))
    base = noun_phrase(draw.one(_FURNITURE), "the", False, None, DATIVE)
    place = Words(f"{side.english} {base.english}", f"{side.german} {base.german}")
    lies = ("are", "liegen") if plural else ("is", "liegt")
    if draw.chance(0.25):
        return Said(
            f"{lies[0]} {thing.english} lying {place.english}",
            f"{lies[1]} {thing.german} {place.german}",
            "?",
        )
    return Said(
        f"{thing.english} {lies[0]} lying {place.english}",
        f"{thing.german} {lies[1]} {place.german}",
    )


_LYING = matching("thing read paper image clothes camera phone money bag")
_FURNITURE = matching("table chair bed")


def way(draw: Draw) -> Said:
    """`Excuse me, where is the old castle?`, `How do I get to the station?`."""
    name = draw.one(tuple(PLACES)[:26])
    place = PLACES[name]
    adjective = draw.adjective(place.noun, 0.4)
    polite = draw.chance(0.4)
    excuse = Words("excuse me, ", "Entschuldigung, ") if polite else Words("", "")
    if draw.chance(0.4):
        thing = noun_phrase(place.noun, "the", False, adjective, NOMINATIVE)
        return Said(
            f"{excuse.english}where is {thing.english}",
            f"{excuse.german}wo ist {thing.german}",
            "?",
        )
    goal = to(place, "the", adjective)
    subject = draw.one((Words("I", "komme ich"), Words("we", "kommen wir")))
    return Said(
        f"{excuse.english}how do {subject.english} get {goal.english}",
        f"{excuse.german}wie {subject.german} {goal.german}",
        "?",
    )


_CUPS = {
    "cup": (Words("cup", "Tasse"), Words("cups", "Tassen"), "coffee tea"),
    "glass": (Words("glass", "Glas"), Words("glasses", "Gläser"), "water milk juice beer wine"),
    "bottle": (Words("bottle", "Flasche"), Words("bottles", "Flaschen"), "water juice beer wine"),
}


def measured(draw: Draw) -> Words:
    """`two glasses of cold water`, accusative."""
    kind = draw.one(tuple(_CUPS))
    one, many, contents = _CUPS[kind]
    noun = draw.fitting(kind, _CONTENTS[kind], english_of)
    what = noun_phrase(noun, "", False, draw.adjective(noun), ACCUSATIVE)
    if draw.chance(0.5):
        german = f"ein {one.german}" if kind == "glass" else f"eine {one.german}"
        return Words(f"a {one.english} of {what.english}", f"{german} {what.german}")
    count = draw.one(words.COUNTS[:5])
    return Words(
        f"{count.english} {many.english} of {what.english}",
        f"{count.german} {many.german} {what.german}",
    )


_CONTENTS = {kind: matching(contents) for kind, (_, _, contents) in _CUPS.items()}
_BOOKED = matching("room table ticket")
_ORDERED = matching("cake salad soup pizza ice_cream fish orange apple egg roll")
_WISHERS = (
    (Words("I would like", "ich möchte"), "like"),
    (Words("we would like", "wir möchten"), "like"),
    (Words("my sister would like", "meine Schwester möchte"), "like"),
    (Words("he is ordering", "er bestellt"), "order"),
    (Words("she ordered", "sie hat"), "order"),
    (Words("do you have", "haben Sie"), "have"),
    (Words("we need", "wir brauchen"), "need"),
)


def wish(draw: Draw) -> Said:
    """`I would like two glasses of water, please.`."""
    kind = draw.random()
    opening, verb = draw.one(_WISHERS)
    closing = " bestellt" if opening.german == "sie hat" else ""
    if kind < 0.5:
        thing = measured(draw)
    elif kind < 0.65:
        noun = draw.fitting(verb, _ORDERED, english_of)
        determiner = "a" if noun.plural else ""
        thing = noun_phrase(noun, determiner, False, draw.adjective(noun), ACCUSATIVE)
    else:
        opening, verb = draw.one((_WISHERS[0], _WISHERS[1], *_WISHERS[5:]))
        closing = ""
        thing = _booking(draw, verb)
    please = draw.chance(0.4) and "would like" in opening.english
    return Said(
        f"{opening.english} {thing.english}{', please' if please else ''}",
        f"{opening.german} {'bitte ' if please else ''}{thing.german}{closing}",
        "?" if verb == "have" else ".",
    )


def _booking(draw: Draw, verb: str) -> Words:
    """`a quiet room for two nights`, `a table for four people`, `two tickets to Berlin`."""
    noun = draw.fitting(verb, _BOOKED, english_of)
    name = noun.english
    adjective = draw.adjective(noun, 0.4)
    if name == "ticket":
        count = draw.one(words.COUNTS[:6])
        several = draw.chance(0.6)
        determiner = f"{count.english}={count.german}" if several else "a"
        thing = noun_phrase(noun, determiner, several, adjective, ACCUSATIVE)
        city = draw.fitting("ticket", CITIES, _city_name)
        return Words(f"{thing.english} to {city[0]}", f"{thing.german} nach {city[1]}")
    thing = noun_phrase(noun, "a", False, adjective, ACCUSATIVE)
    count = draw.fitting(name, words.COUNTS, english_of)
    many = Words("people", "Personen")
    if name == "room":
        many = draw.one(
            (Words("nights", "Nächte"), Words("days", "Tage"), Words("weeks", "Wochen"))
        )
    return Words(
        f"{thing.english} for {count.english} {many.english}",
        f"{thing.german} für {count.german} {many.german}",
    )


def _city_name(city: tuple[str, str]) -> str:
    return city[0]


_OWNED = matching("clothes bag device thing vehicle home image animal garden camera book letter")
_OWNERS = tuple(
    NOUNS[n]
    for n in (
        "brother sister mother father daughter son neighbour friend grandmother boss colleague"
    ).split()
)


def belonging(draw: Draw) -> Said:
    """`The red coat belongs to my sister.`."""
    noun = draw.fitting("belong", _OWNED, english_of)
    plural = draw.chance(0.25)
    determiner = draw.one(("the", "this"))
    thing = noun_phrase(noun, determiner, plural, draw.adjective(noun), NOMINATIVE)
    kind = draw.random()
    if kind < 0.35:
        person = draw.one(tuple(words.OBJECT_PRONOUNS.values()))
        owner = Words(person.english, person.dative)
    elif kind < 0.55:
        named = draw.one(words.NAMED_PERSONS)
        owner = Words(named.english, named.dative)
    else:
        owner = noun_phrase(draw.one(_OWNERS), draw.one(("my", "our")), False, None, DATIVE)
    german = "gehören" if plural else "gehört"
    kind = draw.random()
    if kind < 0.3:
        do = "do" if plural else "does"
        return Said(
            f"{do} {thing.english} belong to {owner.english}",
            f"{german} {thing.german} {owner.german}",
            "?",
        )
    if kind < 0.5:
        do = "do" if plural else "does"
        return Said(
            f"{thing.english} {do} not belong to {owner.english}",
            f"{thing.german} {german} {owner.german} nicht",
        )
    belong = "belong" if plural else "belongs"
    return Said(
        f"{thing.english} {belong} to {owner.english}", f"{thing.german} {german} {owner.german}"
    )
