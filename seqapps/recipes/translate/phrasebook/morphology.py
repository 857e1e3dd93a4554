"""Inflection in both languages: noun phrases in every case, verb groups in every tense."""

from functools import cache
from typing import NamedTuple

from seqapps.recipes.translate.phrasebook.nouns import Adjective, Noun, Place
from seqapps.recipes.translate.phrasebook.verbs import Verb

NOMINATIVE, ACCUSATIVE, DATIVE = range(3)
FIRST, THIRD, MANY = range(3)
"""Persons as far as verbs tell them apart: I; he, she, it; we, you, they."""

_COLUMN = {"m": 0, "f": 1, "n": 2, "plural": 3}
# Rows: nominative, accusative, dative. Columns: masculine, feminine, neuter, plural.
_DEFINITE = (
    ("der", "die", "das", "die"),
    ("den", "die", "das", "die"),
    ("dem", "der", "dem", "den"),
)
_DIESER = (("er", "e", "es", "e"), ("en", "e", "es", "e"), ("em", "er", "em", "en"))
_EIN = (("", "e", "", "e"), ("en", "e", "", "e"), ("em", "er", "em", "en"))
_WEAK = (("e", "e", "e", "en"), ("en", "e", "e", "en"), ("en", "en", "en", "en"))
_MIXED = (("er", "e", "es", "en"), ("en", "e", "es", "en"), ("en", "en", "en", "en"))
_STRONG = (("er", "e", "es", "e"), ("en", "e", "es", "e"), ("em", "er", "em", "en"))

_EIN_WORDS = {
    "a": "ein",
    "no": "kein",
    "my": "mein",
    "your": "Ihr",
    "his": "sein",
    "her": "ihr",
    "our": "unser",
}
_DER_WORDS = {"this": "dies", "which": "welch"}


class Words(NamedTuple):
    """The same words in both languages."""

    english: str
    german: str


def join(*parts: str) -> str:
    """Joins what is not empty with single spaces."""
    return " ".join(part for part in parts if part)


def article(word: str) -> str:
    """`a` or `an` before `word`, by its sound."""
    if word.startswith("university"):
        return "a"
    return "an" if word[0] in "aeiou" else "a"


def decline(adjective: str, ending: str) -> str:
    """A German adjective with its ending (`teuer` loses an e)."""
    stem = "teur" if adjective == "teuer" else adjective
    return stem + ending


def dative_plural(plural: str) -> str:
    """The dative plural: adds n unless the plural ends with n or s."""
    return plural if plural[-1] in "ns" else plural + "n"


@cache
def noun_phrase(
    noun: Noun, determiner: str, plural: bool, adjective: Adjective | None, case: int
) -> Words:
    """A noun phrase in both languages.

    Args:
        noun: The noun.
        determiner: `the`, `this`, `which`, `a`, `no`, a possessive, nothing (`""`), or
            `english=german` for a word that is not declined (numbers).
        plural: Whether it stands in the plural; not with the determiner `a`.
        adjective: Stands before the noun, if any.
        case: `NOMINATIVE`, `ACCUSATIVE` or `DATIVE`.

    Returns:
        The phrase. The determiner `no` is `any` (or `a`) in English, where the verb says `not`.
    """
    column = _COLUMN["plural" if plural else noun.gender]
    english = join(adjective.english if adjective else "", noun.plural if plural else noun.english)
    counted = bool(noun.plural)
    if determiner == "the":
        english_determiner, german_determiner = "the", _DEFINITE[case][column]
        endings = _WEAK
    elif determiner in _DER_WORDS:
        english_determiner = "these" if plural and determiner == "this" else determiner
        german_determiner = _DER_WORDS[determiner] + _DIESER[case][column]
        endings = _WEAK
    elif determiner in _EIN_WORDS:
        english_determiner = determiner
        if determiner == "a" or (determiner == "no" and counted and not plural):
            english_determiner = article(english)
        elif determiner == "no":
            english_determiner = "any"
        german_determiner = _EIN_WORDS[determiner] + _EIN[case][column]
        endings = _MIXED
    else:
        english_determiner, _, german_determiner = determiner.partition("=")
        endings = _STRONG
    if plural:
        german = dative_plural(noun.german_plural) if case == DATIVE else noun.german_plural
    else:
        german = noun.german if case == NOMINATIVE else noun.oblique
    declined = decline(adjective.german, endings[case][column]) if adjective else ""
    return Words(join(english_determiner, english), join(german_determiner, declined, german))


_CONTRACTED = {
    ("in", "dem"): "im",
    ("an", "dem"): "am",
    ("zu", "dem"): "zum",
    ("zu", "der"): "zur",
    ("von", "dem"): "vom",
    ("bei", "dem"): "beim",
    ("in", "das"): "ins",
}


def after_preposition(preposition: str, phrase: str) -> str:
    """Sets a German preposition before a noun phrase and contracts it with the article."""
    first, _, rest = phrase.partition(" ")
    contracted = _CONTRACTED.get((preposition, first))
    return f"{contracted} {rest}" if contracted else f"{preposition} {phrase}"


@cache
def at(place: Place, determiner: str, adjective: Adjective | None) -> Words:
    """`at the old station`."""
    phrase = noun_phrase(place.noun, determiner, False, adjective, DATIVE)
    return Words(f"{place.at} {phrase.english}", after_preposition(place.german_at, phrase.german))


@cache
def to(place: Place, determiner: str, adjective: Adjective | None) -> Words:
    """`to the old station`."""
    case = DATIVE if place.german_to == "zu" else ACCUSATIVE
    phrase = noun_phrase(place.noun, determiner, False, adjective, case)
    return Words(f"to {phrase.english}", after_preposition(place.german_to, phrase.german))


@cache
def coming_from(place: Place, determiner: str, adjective: Adjective | None) -> Words:
    """`from the old station`: German comes `aus` what one goes `in`, `von` all else."""
    preposition = "aus" if place.german_to == "in" else "von"
    phrase = noun_phrase(place.noun, determiner, False, adjective, DATIVE)
    return Words(f"from {phrase.english}", after_preposition(preposition, phrase.german))


class Group(NamedTuple):
    """A verb group: English auxiliary and main words, German finite verb and what closes it."""

    auxiliary: str
    """Of the affirmative statement; may be empty."""
    main: str
    asking: str
    """The auxiliary of questions and negations."""
    asking_main: str
    finite: str
    """German, in a main clause."""
    closing: str
    """German end of a main clause: separable prefix, participle, infinitive."""
    final: str
    """German end of a subordinate clause, finite verb included."""


_BE = (("am", "was"), ("is", "was"), ("are", "were"))
_HABEN = ("habe", "hat", "haben")
_SEIN = ("bin", "ist", "sind")
# English affirmative (first, third, many), auxiliary and main of questions | German finite forms.
_MODALS: dict[str, tuple[tuple[str, str, str, str], tuple[str, str, str]]] = {
    "future": (("will", "", "will", ""), ("werde", "wird", "werden")),
    "can": (("can", "", "can", ""), ("kann", "kann", "können")),
    "should": (("should", "", "should", ""), ("sollte", "sollte", "sollten")),
    "would like": (("would", "like to", "would", "like to"), ("möchte", "möchte", "möchten")),
    "could": (("could", "", "could", ""), ("könnte", "könnte", "könnten")),
    "have to": (("", "have to", "do", "have to"), ("muss", "muss", "müssen")),
    "want to": (("", "want to", "do", "want to"), ("will", "will", "wollen")),
    "had to": (("", "had to", "did", "have to"), ("musste", "musste", "mussten")),
    "wanted to": (("", "wanted to", "did", "want to"), ("wollte", "wollte", "wollten")),
    "allowed": (("be", "allowed to", "be", "allowed to"), ("darf", "darf", "dürfen")),
}


def infinitive(verb: Verb) -> str:
    """The German infinitive, prefix included."""
    return verb.prefix + verb.german


def zu_infinitive(verb: Verb) -> str:
    """The German infinitive with zu, which goes inside separable verbs."""
    return f"{verb.prefix}zu{verb.german}" if verb.prefix else f"zu {verb.german}"


def german_present(verb: Verb, person: int) -> str:
    """The German finite present without the prefix."""
    if person == MANY:
        return verb.german
    if person == THIRD or not verb.german_third.endswith("t"):  # ich mag = er mag
        return verb.german_third
    return verb.german.removesuffix("n").removesuffix("e") + "e"


def _with_modal(verb: Verb, tense: str, person: int) -> Group:
    (auxiliary, words, asking, asking_words), finite = _MODALS[tense]
    if auxiliary == "be":
        auxiliary = asking = _BE[person][0]
    if person == THIRD:
        asking = {"do": "does"}.get(asking, asking)
        words = {"have to": "has to", "want to": "wants to"}.get(words, words)
    closing = infinitive(verb)
    return Group(
        auxiliary,
        join(words, verb.english),
        asking,
        join(asking_words, verb.english),
        finite[person],
        closing,
        f"{closing} {finite[person]}",
    )


@cache
def verb_group(verb: Verb, tense: str, person: int) -> Group:
    """The verb in a tense and person.

    Args:
        verb: The verb.
        tense: `present` (English progressive), `habit` (English simple present), `past` (German
            perfect, or preterite where the verb has one), `perfect` (both languages), or one of
            the modal groups.
        person: `FIRST`, `THIRD` or `MANY`.

    Returns:
        The group in both languages.
    """
    if tense in _MODALS:
        return _with_modal(verb, tense, person)
    do = "does" if person == THIRD else "do"
    if tense == "present":
        be = _BE[person][0]
        english = (be, verb.gerund, be, verb.gerund)
    elif tense == "habit":
        english = ("", verb.third if person == THIRD else verb.english, do, verb.english)
    elif tense == "perfect":
        have = "has" if person == THIRD else "have"
        english = (have, verb.participle, have, verb.participle)
    else:
        english = ("", verb.past, "did", verb.english)
    if tense in ("past", "perfect") and not (tense == "past" and verb.preterite):
        finite = (_SEIN if verb.auxiliary == "sein" else _HABEN)[person]
        participle = verb.german_participle
        return Group(*english, finite, participle, f"{participle} {finite}")
    if tense == "past":
        finite = verb.preterite + ("n" if person == MANY else "")
    else:
        finite = german_present(verb, person)
    return Group(*english, finite, verb.prefix, verb.prefix + finite)


def be(tense: str, person: int) -> tuple[str, str]:
    """To be / sein, finite, `present` or `past`."""
    english = _BE[person][tense == "past"]
    german = ("war", "war", "waren") if tense == "past" else _SEIN
    return english, german[person]
