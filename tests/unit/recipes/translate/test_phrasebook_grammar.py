"""The grammar of the phrasebook against examples and tables written out by hand."""

import re

import pytest

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.clauses import (
    Marking,
    Parts,
    arrange,
    english_question,
    english_statement,
    german_final,
    german_inverted,
    german_statement,
)
from seqapps.recipes.translate.phrasebook.morphology import (
    ACCUSATIVE,
    DATIVE,
    NOMINATIVE,
    Words,
    at,
    coming_from,
    noun_phrase,
    to,
    zu_infinitive,
)
from seqapps.recipes.translate.phrasebook.nouns import FITTING, NOUNS, PLACES
from seqapps.recipes.translate.phrasebook.phrases import NOTHING, Complement
from seqapps.recipes.translate.phrasebook.verbs import GIVING, MOVING, STAYING, TRANSITIVE, Verb
from seqapps.recipes.translate.phrasebook.words import clock, number

VERBS = {verb.english: verb for verb in (*GIVING, *TRANSITIVE, *MOVING, *STAYING)}
ADJECTIVES = {adjective.english: adjective for adjective in FITTING}
SUBJECTS = {s.english: s for s in (*words.PRONOUNS, *words.NAMED, *words.DESCRIBED)}


def thing(verb: Verb, noun: str, determiner: str, adjective: str = "", plural: bool = False):
    case = DATIVE if verb.dative else ACCUSATIVE
    phrase = noun_phrase(
        NOUNS[noun], determiner, plural, ADJECTIVES[adjective] if adjective else None, case
    )
    german = f"{verb.preposition} {phrase.german}" if verb.preposition else phrase.german
    definite = determiner not in ("a", "no", "") and not verb.preposition
    return Complement(phrase.english, german, definite, kein=determiner == "no")


def sentence(
    subject: str,
    verb: str,
    tense: str,
    form: str,
    *,
    object_: tuple = (),
    receiver: Complement | None = None,
    where: Words = NOTHING,
    time: Words = NOTHING,
    negated: bool = False,
    adverb: tuple[str, str] = ("", ""),
) -> tuple[str, str]:
    entry = VERBS[verb]
    german = adverb[1] or ("nicht" if negated else "")
    parts = Parts(
        thing=thing(entry, *object_) if object_ else Complement("", ""),
        receiver=receiver or Complement("", ""),
        where=where,
    )
    marking = Marking(negated, adverb[0], german)
    clause = arrange(SUBJECTS[subject], entry, tense, marking, time, parts)
    if form == "question":
        return english_question(clause), german_inverted(clause)
    if form == "final":
        return english_statement(clause), german_final(clause)
    return english_statement(clause), german_statement(clause)


TOMORROW = Words("tomorrow", "morgen")
YESTERDAY = Words("yesterday", "gestern")
RULES = [
    # separable verbs: main clause, subordinate clause, participle, infinitive
    (
        dict(object_=("luggage", "the"), s="she", v="pick up", t="present", f="main"),
        "she is picking up the luggage",
        "sie holt das Gepäck ab",
    ),
    (
        dict(object_=("luggage", "the"), s="she", v="pick up", t="present", f="final"),
        "she is picking up the luggage",
        "sie das Gepäck abholt",
    ),
    (
        dict(object_=("friend", "my"), s="I", v="invite", t="past", f="main"),
        "I invited my friend",
        "ich habe meinen Freund eingeladen",
    ),
    (
        dict(object_=("friend", "my"), s="I", v="invite", t="want to", f="question"),
        "do I want to invite my friend",
        "will ich meinen Freund einladen",
    ),
    # first person of stems in n
    (
        dict(object_=("language", "this"), s="I", v="learn", t="present", f="main"),
        "I am learning this language",
        "ich lerne diese Sprache",
    ),
    (
        dict(object_=("door", "the"), s="I", v="open", t="present", f="main"),
        "I am opening the door",
        "ich öffne die Tür",
    ),
    # stem changes
    (
        dict(object_=("bread", "", "fresh"), s="he", v="eat", t="habit", f="main"),
        "he eats fresh bread",
        "er isst frisches Brot",
    ),
    (
        dict(object_=("tram", "the"), s="Anna", v="take", t="present", f="question"),
        "is Anna taking the tram",
        "nimmt Anna die Straßenbahn",
    ),
    # perfect with sein, with haben; preterite of haben, mögen, kennen, brauchen
    (
        dict(s="we", v="go", t="past", f="main", where=Words("to the park", "in den Park")),
        "we went to the park",
        "wir sind in den Park gegangen",
    ),
    (
        dict(object_=("man", "the"), s="I", v="follow", t="past", f="final"),
        "I followed the man",
        "ich dem Mann gefolgt bin",
    ),
    (
        dict(object_=("dog", "a", "big"), s="they", v="have", t="past", f="main"),
        "they had a big dog",
        "sie hatten einen großen Hund",
    ),
    (
        dict(object_=("film", "the"), s="I", v="like", t="past", f="main"),
        "I liked the film",
        "ich mochte den Film",
    ),
    (
        dict(object_=("film", "the"), s="I", v="like", t="present", f="main"),
        "I like the film",
        "ich mag den Film",
    ),
    (
        dict(object_=("address", "the"), s="you", v="know", t="present", f="question"),
        "do you know the address",
        "kennen Sie die Adresse",
    ),
    # negation: nicht behind definite objects and before prepositions, kein, noch nicht, noch kein
    (
        dict(object_=("coat", "the", "red"), s="he", v="buy", t="past", f="main", negated=True),
        "he did not buy the red coat",
        "er hat den roten Mantel nicht gekauft",
    ),
    (
        dict(object_=("coat", "no", "red"), s="he", v="buy", t="past", f="main", negated=True),
        "he did not buy a red coat",
        "er hat keinen roten Mantel gekauft",
    ),
    (
        dict(object_=("ticket", "no", "", True), s="I", v="have", t="past", f="main", negated=True),
        "I did not have any tickets",
        "ich hatte keine Fahrkarten",
    ),
    (
        dict(object_=("money", "no"), s="she", v="have", t="present", f="main", negated=True),
        "she does not have any money",
        "sie hat kein Geld",
    ),
    (
        dict(object_=("train", "the"), s="I", v="wait for", t="can", f="main", negated=True),
        "I cannot wait for the train",
        "ich kann nicht auf den Zug warten",
    ),
    (
        dict(
            object_=("letter", "the"),
            s="he",
            v="answer",
            t="perfect",
            f="main",
            negated=True,
            adverb=("", "noch nicht"),
        ),
        "he has not answered the letter yet",
        "er hat den Brief noch nicht beantwortet",
    ),
    (
        dict(
            object_=("letter", "no"),
            s="he",
            v="write",
            t="perfect",
            f="main",
            negated=True,
            adverb=("", "noch nicht"),
        ),
        "he has not written a letter yet",
        "er hat noch keinen Brief geschrieben",
    ),
    (
        dict(
            object_=("letter", "a"),
            s="he",
            v="write",
            t="perfect",
            f="final",
            adverb=("already", "schon"),
        ),
        "he has already written a letter",
        "er schon einen Brief geschrieben hat",
    ),
    # dative verbs and the n-declension
    (
        dict(object_=("boy", "the"), s="Anna", v="help", t="present", f="main", time=TOMORROW),
        "Anna is helping the boy tomorrow",
        "Anna hilft morgen dem Jungen",
    ),
    (
        dict(object_=("neighbour", "my"), s="I", v="thank", t="past", f="main", time=YESTERDAY),
        "I thanked my neighbour yesterday",
        "ich habe gestern meinem Nachbarn gedankt",
    ),
    (
        dict(object_=("student", "a"), s="we", v="visit", t="future", f="final"),
        "we will visit a student",
        "wir einen Studenten besuchen werden",
    ),
    (
        dict(object_=("child", "the", "", True), s="she", v="help", t="have to", f="main"),
        "she has to help the children",
        "sie muss den Kindern helfen",
    ),
    # prepositions that verbs demand, reflexive verbs
    (
        dict(object_=("bird", "a", "blue"), s="he", v="dream of", t="past", f="main"),
        "he dreamed of a blue bird",
        "er hat von einem blauen Vogel geträumt",
    ),
    (
        dict(object_=("trip", "the"), s="we", v="look forward to", t="present", f="main"),
        "we are looking forward to the trip",
        "wir freuen uns auf die Reise",
    ),
    (
        dict(object_=("trip", "the"), s="I", v="look forward to", t="past", f="final"),
        "I looked forward to the trip",
        "ich mich auf die Reise gefreut habe",
    ),
    (
        dict(object_=("trip", "the"), s="you", v="look forward to", t="present", f="question"),
        "are you looking forward to the trip",
        "freuen Sie sich auf die Reise",
    ),
    # two objects: the receiver first, pronouns before times
    (
        dict(
            object_=("book", "the"),
            s="he",
            v="give",
            t="past",
            f="main",
            time=YESTERDAY,
            receiver=Complement("his sister", "seiner Schwester"),
        ),
        "he gave his sister the book yesterday",
        "er hat gestern seiner Schwester das Buch gegeben",
    ),
    (
        dict(
            object_=("book", "the"),
            s="he",
            v="give",
            t="past",
            f="main",
            time=YESTERDAY,
            receiver=Complement("me", "mir", pronoun=True),
        ),
        "he gave me the book yesterday",
        "er hat mir gestern das Buch gegeben",
    ),
    (
        dict(
            object_=("way", "the"),
            s="you",
            v="explain",
            t="could",
            f="question",
            receiver=Complement("us", "uns", pronoun=True),
        ),
        "could you explain the way to us",
        "könnten Sie uns den Weg erklären",
    ),
    # modals
    (
        dict(object_=("car", "the"), s="I", v="sell", t="had to", f="final"),
        "I had to sell the car",
        "ich das Auto verkaufen musste",
    ),
    (
        dict(object_=("car", "the"), s="she", v="sell", t="allowed", f="main", negated=True),
        "she is not allowed to sell the car",
        "sie darf das Auto nicht verkaufen",
    ),
    (
        dict(object_=("car", "the"), s="she", v="rent", t="have to", f="main", negated=True),
        "she does not have to rent the car",
        "sie muss das Auto nicht mieten",
    ),
    (
        dict(object_=("tea", "", "hot"), s="we", v="drink", t="would like", f="main"),
        "we would like to drink hot tea",
        "wir möchten heißen Tee trinken",
    ),
]


@pytest.mark.parametrize(("given", "english", "german"), RULES)
def test_grammar_rules(given: dict, english: str, german: str) -> None:
    options = dict(given)
    subject, verb = options.pop("s"), options.pop("v")
    assert sentence(subject, verb, options.pop("t"), options.pop("f"), **options) == (
        english,
        german,
    )


# Written out by hand: determiner, adjective ending and noun in every case.
DECLENSION = {
    "coat": (
        "der neue Mantel, den neuen Mantel, dem neuen Mantel; "
        "die neuen Mäntel, die neuen Mäntel, den neuen Mänteln",
        "ein neuer Mantel, einen neuen Mantel, einem neuen Mantel",
        "neue Mäntel, neue Mäntel, neuen Mänteln",
        "keine neuen Mäntel, keine neuen Mäntel, keinen neuen Mänteln",
    ),
    "camera": (
        "die neue Kamera, die neue Kamera, der neuen Kamera; "
        "die neuen Kameras, die neuen Kameras, den neuen Kameras",
        "eine neue Kamera, eine neue Kamera, einer neuen Kamera",
        "neue Kameras, neue Kameras, neuen Kameras",
        "keine neuen Kameras, keine neuen Kameras, keinen neuen Kameras",
    ),
    "book": (
        "das neue Buch, das neue Buch, dem neuen Buch; "
        "die neuen Bücher, die neuen Bücher, den neuen Büchern",
        "ein neues Buch, ein neues Buch, einem neuen Buch",
        "neue Bücher, neue Bücher, neuen Büchern",
        "keine neuen Bücher, keine neuen Bücher, keinen neuen Büchern",
    ),
    "colleague": (
        "der neue Kollege, den neuen Kollegen, dem neuen Kollegen; "
        "die neuen Kollegen, die neuen Kollegen, den neuen Kollegen",
        "ein neuer Kollege, einen neuen Kollegen, einem neuen Kollegen",
        "neue Kollegen, neue Kollegen, neuen Kollegen",
        "keine neuen Kollegen, keine neuen Kollegen, keinen neuen Kollegen",
    ),
}


@pytest.mark.parametrize("name", DECLENSION)
def test_declension_by_hand(name: str) -> None:
    def row(determiner: str, plural: bool) -> str:
        cases = (NOMINATIVE, ACCUSATIVE, DATIVE)
        noun, new = NOUNS[name], ADJECTIVES["new"]
        return ", ".join(noun_phrase(noun, determiner, plural, new, case).german for case in cases)

    definite, indefinite, bare, negative = DECLENSION[name]
    assert f"{row('the', False)}; {row('the', True)}" == definite
    assert row("a", False) == indefinite
    assert row("", True) == row("two=", True) == bare
    assert row("no", True) == negative
    for english, german in (("my", "mein"), ("our", "unser"), ("her", "ihr"), ("your", "Ihr")):
        assert row(english, False) == re.sub(r"\bein", german, indefinite)
    assert row("this", True) == definite.split("; ")[1].replace("die ", "diese ").replace(
        "den ", "diesen "
    )


def test_mass_nouns_decline_strongly_and_teuer_drops_its_e() -> None:
    def german(noun: str, adjective: str, case: int) -> str:
        return noun_phrase(NOUNS[noun], "", False, ADJECTIVES[adjective], case).german

    assert [german("wine", "sweet", case) for case in range(3)] == [
        "süßer Wein",
        "süßen Wein",
        "süßem Wein",
    ]
    assert [german("milk", "cold", case) for case in range(3)] == [
        "kalte Milch",
        "kalte Milch",
        "kalter Milch",
    ]
    assert [german("bread", "fresh", case) for case in range(3)] == [
        "frisches Brot",
        "frisches Brot",
        "frischem Brot",
    ]
    expensive = noun_phrase(NOUNS["hotel"], "a", False, ADJECTIVES["expensive"], DATIVE)
    assert expensive == ("an expensive hotel", "einem teuren Hotel")
    assert noun_phrase(NOUNS["university"], "a", False, None, NOMINATIVE).english == "a university"


def test_places() -> None:
    old = ADJECTIVES["old"]
    assert at(PLACES["station"], "the", None) == ("at the station", "am Bahnhof")
    assert at(PLACES["library"], "the", None) == ("in the library", "in der Bibliothek")
    assert at(PLACES["hotel"], "a", old) == ("at an old hotel", "in einem alten Hotel")
    assert at(PLACES["bridge"], "the", old) == ("on the old bridge", "auf der alten Brücke")
    assert to(PLACES["station"], "the", None) == ("to the station", "zum Bahnhof")
    assert to(PLACES["bakery"], "the", None) == ("to the bakery", "zur Bäckerei")
    assert to(PLACES["cinema"], "the", None) == ("to the cinema", "ins Kino")
    assert to(PLACES["park"], "the", None) == ("to the park", "in den Park")
    assert to(PLACES["island"], "the", None) == ("to the island", "auf die Insel")
    assert coming_from(PLACES["park"], "the", None) == ("from the park", "aus dem Park")
    assert coming_from(PLACES["market"], "the", old) == ("from the old market", "vom alten Markt")


@pytest.mark.parametrize(
    ("hour", "position", "english", "german"),
    [
        (1, "full", "one o'clock", "ein Uhr"),
        (8, "full", "eight o'clock", "acht Uhr"),
        (7, "half", "half past seven", "halb acht"),
        (12, "half", "half past twelve", "halb eins"),
        (1, "quarter past", "a quarter past one", "Viertel nach eins"),
        (9, "quarter to", "a quarter to nine", "Viertel vor neun"),
        (3, "ten past", "ten past three", "zehn nach drei"),
        (4, "five to", "five to four", "fünf vor vier"),
    ],
)
def test_clock(hour: int, position: str, english: str, german: str) -> None:
    assert clock(hour, position) == (english, german)


def test_numbers() -> None:
    assert [number(n).german for n in (6, 7, 12, 16, 17, 20, 21, 27, 30, 36, 99)] == (
        "sechs sieben zwölf sechzehn siebzehn zwanzig einundzwanzig siebenundzwanzig dreißig "
        "sechsunddreißig neunundneunzig"
    ).split()
    assert [number(n).english for n in (12, 15, 18, 24, 40, 99)] == (
        "twelve fifteen eighteen twenty-four forty ninety-nine"
    ).split()


def test_zu_goes_inside_separable_verbs() -> None:
    assert [zu_infinitive(VERBS[v]) for v in ("call", "come back", "visit", "look after")] == [
        "anzurufen",
        "zurückzukommen",
        "zu besuchen",
        "aufzupassen",
    ]
