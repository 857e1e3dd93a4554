"""Small words of the phrasebook: subjects, pronouns, times, numbers; the tenses of verbs."""

from typing import NamedTuple

from seqapps.recipes.translate.phrasebook.morphology import (
    FIRST,
    MANY,
    NOMINATIVE,
    THIRD,
    Words,
    noun_phrase,
)
from seqapps.recipes.translate.phrasebook.nouns import MEN, NOUNS, SURNAMES, WOMEN
from seqapps.recipes.translate.phrasebook.verbs import Verb


class Subject(NamedTuple):
    """Who does it."""

    english: str
    german: str
    person: int
    owner: str
    """The possessive that points back to the subject; empty where English `their` would."""
    pronoun: Words
    """What stands for the subject when it is named again."""
    kind: str
    """`pronoun`, `name`, `kin` or `noun`."""
    opens: bool
    """Whether a German sentence may begin with it (Sie, Ihr and ihr would be ambiguous)."""


class Person(NamedTuple):
    """Somebody as the object: the German accusative and dative."""

    english: str
    accusative: str
    dative: str


def _pronoun(english: str, german: str, person: int, owner: str, opens: bool = True) -> Subject:
    return Subject(english, german, person, owner, Words(english, german), "pronoun", opens)


HE, SHE = Words("he", "er"), Words("she", "sie")
THEY = _pronoun("they", "sie", MANY, "", opens=False)
PRONOUNS = (
    _pronoun("I", "ich", FIRST, "my"),
    _pronoun("I", "ich", FIRST, "my"),
    _pronoun("he", "er", THIRD, "his"),
    _pronoun("she", "sie", THIRD, "her"),
    _pronoun("we", "wir", MANY, "our"),
    _pronoun("you", "Sie", MANY, "your"),
    THEY,
)
NAMED = (
    *(Subject(n, n, THIRD, "her", SHE, "name", True) for n in WOMEN),
    *(Subject(n, n, THIRD, "his", HE, "name", True) for n in MEN),
    *(Subject(f"Mr {n}", f"Herr {n}", THIRD, "his", HE, "name", True) for n in SURNAMES),
    *(Subject(f"Mrs {n}", f"Frau {n}", THIRD, "her", SHE, "name", True) for n in SURNAMES),
)


def _described(noun: str, determiner: str, plural: bool = False) -> Subject:
    entry = NOUNS[noun]
    words = noun_phrase(entry, determiner, plural, None, NOMINATIVE)
    kind = "kin" if "kin" in entry.classes else "noun"
    opens = determiner != "your"
    if plural:
        return Subject(words.english, words.german, MANY, "", THEY.pronoun, kind, opens)
    # A girl is `es` by grammar and `sie` by sense, so young people are no subjects of this kind.
    owner, pronoun = ("her", SHE) if entry.gender == "f" else ("his", HE)
    return Subject(words.english, words.german, THIRD, owner, pronoun, kind, opens)


_KIN = "brother sister mother father daughter son grandmother grandfather".split()
_OWNED = "friend neighbour colleague boss".split()
_OTHERS = "man woman doctor teacher waiter guest tourist customer policeman student".split()
DESCRIBED = (
    *(_described(n, d) for n in (*_KIN, *_OWNED) for d in ("my", "our", "his", "your")),
    *(_described(n, "the") for n in (*_OTHERS, "saleswoman") for _ in range(2)),
    *(_described(n, "the", plural=True) for n in _OTHERS),
    *(_described(n, d, plural=True) for n in ("friend", "colleague") for d in ("my", "our")),
)
OBJECT_PRONOUNS = {
    "I": Person("me", "mich", "mir"),
    "he": Person("him", "ihn", "ihm"),
    "she": Person("her", "sie", "ihr"),
    "we": Person("us", "uns", "uns"),
    "you": Person("you", "Sie", "Ihnen"),
}
NAMED_PERSONS = (
    *(Person(n, n, n) for n in (*WOMEN, *MEN)),
    *(Person(f"Mr {n}", f"Herrn {n}", f"Herrn {n}") for n in SURNAMES),
    *(Person(f"Mrs {n}", f"Frau {n}", f"Frau {n}") for n in SURNAMES),
)
REFLEXIVE = {"I": "mich", "we": "uns"}

WEEKDAYS = tuple(
    Words(*line.split())
    for line in (
        "Monday Montag",
        "Tuesday Dienstag",
        "Wednesday Mittwoch",
        "Thursday Donnerstag",
        "Friday Freitag",
        "Saturday Samstag",
        "Sunday Sonntag",
    )
)
MONTHS = tuple(
    Words(*line.split())
    for line in (
        "January Januar",
        "February Februar",
        "March März",
        "April April",
        "May Mai",
        "June Juni",
        "July Juli",
        "August August",
        "September September",
        "October Oktober",
        "November November",
        "December Dezember",
    )
)
ORDINALS = tuple(
    Words(*line.split())
    for line in (
        "first ersten",
        "second zweiten",
        "third dritten",
        "fourth vierten",
        "fifth fünften",
        "sixth sechsten",
        "seventh siebten",
        "eighth achten",
        "ninth neunten",
        "tenth zehnten",
        "twelfth zwölften",
        "twentieth zwanzigsten",
    )
)

_ENGLISH_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen"
).split()
_ENGLISH_TENS = "- - twenty thirty forty fifty sixty seventy eighty ninety".split()
_GERMAN_SMALL = (
    "null ein zwei drei vier fünf sechs sieben acht neun zehn elf zwölf dreizehn vierzehn "
    "fünfzehn sechzehn siebzehn achtzehn neunzehn"
).split()
_GERMAN_TENS = "- - zwanzig dreißig vierzig fünfzig sechzig siebzig achtzig neunzig".split()


def number(value: int) -> Words:
    """A number from 1 to 99 in words, as it stands before a noun (`ein Euro`)."""
    if value < 20:
        return Words(_ENGLISH_SMALL[value], _GERMAN_SMALL[value])
    tens, ones = divmod(value, 10)
    if not ones:
        return Words(_ENGLISH_TENS[tens], _GERMAN_TENS[tens])
    return Words(
        f"{_ENGLISH_TENS[tens]}-{_ENGLISH_SMALL[ones]}",
        f"{_GERMAN_SMALL[ones]}und{_GERMAN_TENS[tens]}",
    )


COUNTS = tuple(number(value) for value in range(2, 11))
SMALL_PRICES = tuple(number(value) for value in range(2, 21))
PRICES = tuple(number(value) for value in (*range(12, 31), 40, 50, 60, 70, 80, 90))
HUNDREDS = tuple(
    Words(f"{n.english} hundred", f"{n.german}hundert") for n in map(number, range(2, 10))
)
THOUSANDS = tuple(
    Words(f"{n.english} thousand", f"{n.german}tausend") for n in map(number, range(2, 10))
)
CENTS = tuple(number(value) for value in (20, 30, 40, 50, 60, 70, 80, 90))
_NAMED_HOURS = tuple(
    Words(_ENGLISH_SMALL[h], "eins" if h == 1 else _GERMAN_SMALL[h]) for h in range(13)
)
HOURS = tuple(range(1, 13))
CLOCK = ("full", "half", "quarter past", "quarter to", "five past", "five to", "ten past", "ten to")
_MINUTES = {"quarter": ("a quarter", "Viertel"), "five": ("five", "fünf"), "ten": ("ten", "zehn")}


def clock(hour: int, position: str) -> Words:
    """A time of day without its preposition: `half past seven`, `halb acht`.

    Args:
        hour: 1 to 12, the hour that English names.
        position: One of `CLOCK`.

    Returns:
        The time in both languages.
    """
    if position == "full":
        return Words(f"{_NAMED_HOURS[hour].english} o'clock", f"{_GERMAN_SMALL[hour]} Uhr")
    if position == "half":
        return Words(
            f"half past {_NAMED_HOURS[hour].english}", f"halb {_NAMED_HOURS[hour % 12 + 1].german}"
        )
    minutes, side = position.split()
    english, german = _MINUTES[minutes]
    german_side = "nach" if side == "past" else "vor"
    return Words(
        f"{english} {side} {_NAMED_HOURS[hour].english}",
        f"{german} {german_side} {_NAMED_HOURS[hour].german}",
    )


def _times(text: str) -> tuple[Words, ...]:
    return tuple(Words(*line.strip().split(" | ")) for line in text.strip().splitlines())


NOW = _times("""now | jetzt
today | heute
at the moment | im Moment""")
SOON = _times("""tomorrow | morgen
tomorrow evening | morgen Abend
this evening | heute Abend
this afternoon | heute Nachmittag
today | heute
later | später
at the weekend | am Wochenende""")
LATER = SOON + _times("""next week | nächste Woche
next month | nächsten Monat
next year | nächstes Jahr
in two days | in zwei Tagen
in three weeks | in drei Wochen
in summer | im Sommer""")
BEFORE = _times("""yesterday | gestern
yesterday evening | gestern Abend
yesterday afternoon | gestern Nachmittag
this morning | heute Morgen
two days ago | vor zwei Tagen
today | heute""")
LONG_AGO = BEFORE + _times("""last week | letzte Woche
last month | letzten Monat
last year | letztes Jahr
three weeks ago | vor drei Wochen
last summer | letzten Sommer""")
REPEATED = _times("""every day | jeden Tag
every morning | jeden Morgen
every evening | jeden Abend
every week | jede Woche
in the morning | am Morgen
in the evening | am Abend""")
OFTEN = _times("""always | immer
often | oft
sometimes | manchmal
never | nie
usually | meistens
rarely | selten""")

_ACTS = (
    "present",
    "past",
    "perfect",
    "future",
    "can",
    "have to",
    "want to",
    "should",
    "would like",
    "allowed",
    "had to",
    "wanted to",
)
_TENSES = {
    "state": ("present", "past"),
    "perceive": ("present", "past", "perfect", "future", "can", "want to", "would like"),
    "accident": ("past", "perfect"),
    "chance": ("past", "perfect", "future", "can"),
    "arrival": ("present", "past", "perfect", "future"),
    "inner": ("present", "past"),
}
TENSES = (*_ACTS, "habit")


def tenses(verb: Verb) -> tuple[str, ...]:
    """The tenses in which the verb makes sense (nobody wants to miss a train)."""
    limited = next((_TENSES[flag] for flag in _TENSES if flag in verb.flags), _ACTS)
    return (*limited, "habit") if "habit" in verb.flags else limited


def times(tense: str, verb: Verb) -> tuple[Words, ...]:
    """The times that go with a tense of the verb."""
    if tense in ("past", "had to", "wanted to"):
        return LONG_AGO if "far" in verb.flags else BEFORE
    if tense == "present" and verb.flags & {"now", "state", "perceive", "inner", "long"}:
        return NOW
    return LATER if "far" in verb.flags else SOON
