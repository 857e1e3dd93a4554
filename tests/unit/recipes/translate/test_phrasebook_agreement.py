"""What the phrasebook says in 200,000 sentences: agreement, word order, one to one."""

import re

import pytest

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.heldout import SPLITS, Draw
from seqapps.recipes.translate.phrasebook.nouns import FITTING, NOUNS
from seqapps.recipes.translate.phrasebook.splits import Sentence, draw_sentence
from seqapps.recipes.translate.phrasebook.verbs import GIVING, MOVING, STAYING, TRANSITIVE

VERBS = {verb.english: verb for verb in (*GIVING, *TRANSITIVE, *MOVING, *STAYING)}
ADJECTIVES = {adjective.english: adjective for adjective in FITTING}


DRAWN = 200_000


@pytest.fixture(scope="module")
def sample() -> list[Sentence]:
    """Sentences of all splits together."""
    share = {"train": DRAWN // 2, "validation": DRAWN // 4, "test": DRAWN // 4}
    drawers = {split: Draw(f"test {split}", split) for split in SPLITS}
    return [draw_sentence(drawers[split]) for split in SPLITS for _ in range(share[split])]


# -- agreement in what is drawn, by tables that the generator does not use ---------------------

GENDERS = {
    "m": "Mantel Rock Hut Brief Bahnhof Zug Bus Tisch Stuhl Hund Salat Apfel Flughafen Markt "
    "Strand Garten Film Stadtplan Wein Kaffee Tee Käse",
    "f": "Suppe Jacke Tasche Lampe Kirche Brücke Schule Küche Insel Wohnung Frage Kamera Katze "
    "Milch Zeitung Fahrkarte Bäckerei Straßenbahn Bibliothek Reise",
    "n": "Buch Kleid Hemd Haus Auto Fahrrad Schloss Dorf Konzert Spiel Lied Bier Brot Wasser Bett "
    "Hotel Restaurant Kino Museum Bild Pferd Ei Wort",
}
_MINE = "mein sein ihr Ihr unser kein ein".split()
_THIS = "dies welch".split()


def allowed_endings() -> dict[str, set[tuple[str, str]]]:
    """Gender → (determiner, adjective ending) in the singular, nominative to dative."""
    table: dict[str, set[tuple[str, str]]] = {
        "m": {("der", "e"), ("den", "en"), ("dem", "en"), ("", "er"), ("", "en"), ("", "em")},
        "f": {("die", "e"), ("der", "en"), ("", "e"), ("", "er")},
        "n": {("das", "e"), ("dem", "en"), ("", "es"), ("", "em")},
    }
    table["m"] |= {(c, "en") for c in ("im", "am", "zum", "vom")}
    table["n"] |= {(c, "en") for c in ("im", "am", "zum", "vom")} | {("ins", "e")}
    table["f"] |= {("zur", "en")}
    for stem in _MINE:
        table["m"] |= {(stem, "er"), (stem + "en", "en"), (stem + "em", "en")}
        table["f"] |= {(stem + "e", "e"), (stem + "er", "en")}
        table["n"] |= {(stem, "es"), (stem + "em", "en")}
    for stem in _THIS:
        table["m"] |= {(stem + "er", "e"), (stem + "en", "en"), (stem + "em", "en")}
        table["f"] |= {(stem + "e", "e"), (stem + "er", "en")}
        table["n"] |= {(stem + "es", "e"), (stem + "em", "en")}
    return table


def test_determiners_adjectives_and_nouns_agree(sample: list[Sentence]) -> None:
    table = allowed_endings()
    gender = {noun: g for g, nouns in GENDERS.items() for noun in nouns.split()}
    determiners = {d.lower() for rows in table.values() for d, _ in rows if d}
    stems = {("teur" if a.german == "teuer" else a.german) for a in FITTING}
    checked = 0
    for _, german, *_ in sample[::4]:
        tokens = re.findall(r"\w+|,", german)
        for position, noun in enumerate(tokens):
            if noun not in gender or not position:
                continue
            before = tokens[position - 1]
            ending = next(
                (
                    before[len(stem) :]
                    for stem in stems
                    if before.startswith(stem)
                    and before[len(stem) :] in ("e", "er", "es", "en", "em")
                ),
                None,
            )
            place = position - 2 if ending and position > 1 else position - 1
            first = tokens[place]
            if place and tokens[place - 1] == ",":
                continue  # A relative pronoun.
            if first == "ihr":
                continue  # Perhaps the pronoun: to her.
            rows = {(d.lower(), e) for d, e in table[gender[noun]]}
            if first.lower() in determiners:
                options = {e for d, e in rows if d == first.lower()}
                assert options, german
                assert ending is None or ending in options, german
                checked += 1
            elif ending:
                assert ("", ending) in rows, german
                checked += 1
    assert checked > 15_000


DATIVE_DETERMINERS = set(
    "dem der den meinem meiner seinem seiner ihrem ihrer Ihrem Ihrer unserem unserer einem einer "
    "mir ihm ihr uns Ihnen Herrn Frau diesem dieser diesen meinen seinen ihren Ihren "
    "unseren".split()
)


def test_mit_takes_the_dative(sample: list[Sentence]) -> None:
    names = {name for name, *_ in words.NAMED_PERSONS}
    endings = ("n", "s")
    seen = 0
    for _, german, *_ in sample:
        for word in re.findall(r"\bmit (\w+)", german):
            bare_plural = word.endswith(endings)
            assert word in DATIVE_DETERMINERS or word in names or bare_plural, german
            seen += 1
    assert seen > 2_000


FINITE = set(
    "habe hat haben hatte hatten bin ist sind werde wird werden kann können sollte sollten möchte "
    "möchten muss müssen will wollen musste mussten wollte wollten darf dürfen".split()
)


def test_subordinate_clauses_end_with_the_finite_verb_and_follow_a_comma(
    sample: list[Sentence],
) -> None:
    opener = re.compile(
        r"(?:^|, )(dass|ob|weil|obwohl|wenn|bevor|während|Obwohl|Wenn|Bevor|Während"
        r"|wo|wann|warum) ([^,.?]+)[,.?]"
    )
    seen = 0
    for english, german, *_ in sample[::3]:
        if english.startswith("Excuse"):
            continue  # What follows is no clause of its own.
        for word in ("dass", "weil", "obwohl", "wenn", "ob"):
            assert f" {word} " not in german.replace(f", {word} ", "")
        for _, clause in opener.findall(german):
            *before, last = clause.split()
            if last not in FINITE:
                assert not FINITE & set(before), (english, german)
            seen += 1
    assert seen > 8_000


def test_you_is_always_sie_with_a_capital_and_she_and_they_never(sample: list[Sentence]) -> None:
    formal = re.compile(r"\b(Sie|Ihnen|Ihr|Ihre|Ihrem|Ihren|Ihrer)\b")
    for english, german, *_ in sample[::2]:
        said = set(re.findall(r"[a-z']+", english.lower()))
        # The first word has a capital in any case.
        later = formal.search(german, pos=german.index(" "))
        opening = re.match(r"(Sie|Ihr\w*)\b", german)
        polite = english.startswith(("Please", "Let us", "Excuse"))
        if said & {"you", "your"} or polite and not english.startswith("Excuse"):
            assert later or opening, (english, german)
        else:
            assert not later, (english, german)
        if opening:
            assert english.startswith(("You ", "She ")), (english, german)


VERBS_TOO = set("frage fragen reise reisen spiele spielen junge jungen".split())


def test_text_is_clean(sample: list[Sentence]) -> None:
    noun_forms = {f for n in NOUNS.values() for f in (n.german, n.german_plural) if f}
    lower = {form[0].lower() + form[1:] for form in noun_forms} - VERBS_TOO
    for english, german, *_ in sample[::3]:
        for text in (english, german):
            assert text == " ".join(text.split())
            assert text[0].isupper()
            assert text[-1] in ".?"
            assert re.fullmatch(r"[A-Za-zÄÖÜäöüßéé ,'-]+[.?]", text), text
            assert " ," not in text
        assert english[-1] == german[-1]
        assert not lower & set(german[:-1].replace(",", "").split()), german
        assert not re.search(r"\ba [aeio]|\ban [^aeiou]", english), english


# -- one to one, and many ----------------------------------------------------------------------


def test_no_english_sentence_has_two_german_ones_nor_the_reverse(sample: list[Sentence]) -> None:
    german: dict[str, str] = {}
    english: dict[str, str] = {}
    for item in sample:
        assert german.setdefault(item.english, item.german) == item.german
        assert english.setdefault(item.german, item.english) == item.english


def test_there_are_millions_of_sentences(sample: list[Sentence]) -> None:
    """Chao's lower bound for the number of classes, from those drawn once and twice."""
    counts: dict[str, int] = {}
    for item in sample:
        counts[item.english] = counts.get(item.english, 0) + 1
    once, twice = (sum(count == n for count in counts.values()) for n in (1, 2))
    assert len(counts) > 0.8 * DRAWN
    assert len(counts) + once**2 / (2 * twice) > 1_000_000


ENGLISH_FORMS = {
    name: {verb.english, verb.third, verb.past, verb.participle, verb.gerund}
    for name, verb in VERBS.items()
}


def listed_pairs() -> set[str]:
    """Every adjective-noun and verb-object pair of the tables."""
    return {f"{a.english} {noun.english}" for a, nouns in FITTING.items() for noun in nouns} | {
        f"{verb.english} {noun.english}" for verb in VERBS.values() for noun in verb.objects
    }


def test_recorded_pairs_stand_in_the_sentence(sample: list[Sentence]) -> None:
    """A pair that was drawn and then dropped would let an easy sentence into the test."""
    listed = listed_pairs()
    nouns = {n.english: {n.english, n.plural} for n in NOUNS.values()}
    for item in sample[::5]:
        text = " " + re.sub(r"[,.?]", "", item.english).lower() + " "
        for pair in set(item.pairs) & listed:
            head = next(
                h
                for h in (*ADJECTIVES, *VERBS)
                if pair.startswith(h + " ") and pair.removeprefix(h + " ") in nouns
            )
            noun = pair.removeprefix(head + " ")
            comparative = {ADJECTIVES[head].comparative} if head in ADJECTIVES else set()
            assert any(f" {f} " in text for f in nouns[noun] if f), item
            head_forms = ENGLISH_FORMS.get(head, set()) | {head} | comparative
            assert any(f" {f} " in text for f in head_forms if f), item
