"""Sentences made of one clause: statements, questions, requests; and those made of two."""

from collections.abc import Callable
from typing import NamedTuple

from seqapps.recipes.translate.phrasebook import words
from seqapps.recipes.translate.phrasebook.clauses import (
    Clause,
    Marking,
    build,
    draw_clause,
    english_question,
    english_statement,
    german_final,
    german_inverted,
    german_statement,
    things_of,
    verbs_for,
)
from seqapps.recipes.translate.phrasebook.heldout import DeadEnd, Draw
from seqapps.recipes.translate.phrasebook.morphology import (
    ACCUSATIVE,
    THIRD,
    Words,
    infinitive,
    join,
    noun_phrase,
    verb_group,
)
from seqapps.recipes.translate.phrasebook.phrases import NOTHING, draw_subject, english_of
from seqapps.recipes.translate.phrasebook.verbs import STAYING
from seqapps.recipes.translate.phrasebook.words import Subject

YOU = words.PRONOUNS[5]
_WHO = Subject("who", "wer", THIRD, "", Words("he", "er"), "name", True)
_ASKED = (
    "past",
    "future",
    "can",
    "have to",
    "want to",
    "should",
    "allowed",
    "had to",
)


_REASONED = tuple(tense for tense in _ASKED if tense != "can")


class Said(NamedTuple):
    """A sentence without capital and final mark."""

    english: str
    german: str
    mark: str = "."


Construction = Callable[[Draw], Said]
"""Draws a sentence."""


def statement(draw: Draw) -> Said:
    """`Anna is buying a coat.`."""
    clause = draw_clause(draw, "statement", negation=0.25)
    return Said(english_statement(clause), german_statement(clause))


def fronted(draw: Draw) -> Said:
    """`Tomorrow Anna will buy a coat.`: German keeps the verb second."""
    clause = draw_clause(draw, "fronted", opens=False, time=1.0, negation=0.15)
    if not clause.time.english:
        raise DeadEnd
    return Said(
        f"{clause.time.english} {english_statement(clause, time=False)}",
        f"{clause.time.german} {german_inverted(clause, time=False)}",
    )


def _check_asker(subject: Subject, tense: str) -> None:
    """People ask others what they do, and themselves only what they may or have to do."""
    if subject.english == "I" and tense not in ("can", "should", "have to", "allowed"):
        raise DeadEnd


def question(draw: Draw) -> Said:
    """`Is Anna buying a coat?`."""
    subject = YOU if draw.chance(0.4) else None
    clause = draw_clause(draw, "question", opens=False, subject=subject)
    _check_asker(clause.subject, clause.tense)
    return Said(english_question(clause), german_inverted(clause), "?")


def _asking(name: str, english: str, german: str) -> Construction:
    def ask(draw: Draw) -> Said:
        subject = YOU if draw.chance(0.35) else None
        clause = draw_clause(draw, name, opens=False, subject=subject, tenses=_ASKED, time=0.0)
        _check_asker(clause.subject, clause.tense)
        return Said(
            f"{english} {english_question(clause)}", f"{german} {german_inverted(clause)}", "?"
        )

    return ask


when = _asking("when", "when", "wann")


def why(draw: Draw) -> Said:
    """`Why did Anna buy the coat?`."""
    subject = YOU if draw.chance(0.35) else None
    clause = draw_clause(
        draw, "why", opens=False, subject=subject, tenses=_REASONED, time=0.2, negation=0.2
    )
    _check_asker(clause.subject, clause.tense)
    return Said(f"why {english_question(clause)}", f"warum {german_inverted(clause)}", "?")


def draw_local(draw: Draw, construction: str, avoid: str = "") -> Clause:
    """Draws a clause whose place is left open."""
    tense = draw.tense(construction, _ASKED)
    verb = draw.one(verbs_for(tense, "", True, False))
    subject = draw_subject(draw, opens=False, avoid=avoid)
    if not avoid and draw.chance(0.35):
        subject = YOU
    return build(draw, subject, verb, tense, Marking(), NOTHING, 0.0)


def where(draw: Draw) -> Said:
    """`Where did Anna buy the coat?`."""
    clause = draw_local(draw, "where")
    _check_asker(clause.subject, clause.tense)
    return Said(f"where {english_question(clause)}", f"wo {german_inverted(clause)}", "?")


def who(draw: Draw) -> Said:
    """`Who bought the coat?`."""
    clause = draw_clause(draw, "who", subject=_WHO, tenses=_ASKED, time=0.4)
    return Said(english_statement(clause), german_statement(clause), "?")


def which(draw: Draw) -> Said:
    """`Which coat did Anna buy?`."""
    tense = draw.tense("which", _ASKED)
    verb = draw.one(verbs_for(tense, "", False, True))
    subject = YOU if draw.chance(0.4) else draw_subject(draw, opens=False)
    _check_asker(subject, tense)
    noun = draw.fitting(verb.english, things_of(verb), english_of)
    adjective = draw.adjective(noun)
    plural = draw.chance(0.3) and "one" not in verb.flags
    if plural and draw.chance(0.25):
        bare = noun_phrase(noun, "", True, adjective, ACCUSATIVE)
        thing = Words(f"how many {bare.english}", f"wie viele {bare.german}")
    else:
        thing = noun_phrase(noun, "which", plural, adjective, ACCUSATIVE)
    group = verb_group(verb, tense, subject.person)
    return Said(
        join(thing.english, group.asking, subject.english, group.asking_main),
        join(thing.german, group.finite, subject.german, group.closing),
        "?",
    )


_INTRODUCTIONS = (
    Words("I think", "ich denke"),
    Words("I know", "ich weiß"),
    Words("I hope", "ich hoffe"),
    Words("we know", "wir wissen"),
    Words("we hope", "wir hoffen"),
    Words("he says", "er sagt"),
    Words("she thinks", "sie denkt"),
    Words("everybody says", "jeder sagt"),
    Words("nobody believes", "niemand glaubt"),
    Words("my father believes", "mein Vater glaubt"),
    Words("my sister hopes", "meine Schwester hofft"),
    Words("I have heard", "ich habe gehört"),
    Words("it is good", "es ist gut"),
)


def that(draw: Draw) -> Said:
    """`I hope that Anna will buy the coat.`."""
    opening = draw.one(_INTRODUCTIONS)
    avoid = "I" if opening.english.startswith("we ") else ""
    clause = draw_clause(draw, "that", opens=False, negation=0.15, avoid=avoid)
    if clause.tense == "should" and ("hope" in opening.english or "good" in opening.english):
        raise DeadEnd
    return Said(
        f"{opening.english} that {english_statement(clause)}",
        f"{opening.german}, dass {german_final(clause)}",
    )


_DOUBTS = (
    (Words("do you know", "wissen Sie"), "?"),
    (Words("can you tell me", "können Sie mir sagen"), "?"),
    (Words("I do not know", "ich weiß nicht"), "."),
    (Words("nobody knows", "niemand weiß"), "."),
    (Words("we do not know", "wir wissen nicht"), "."),
    (Words("he wants to know", "er will wissen"), "."),
    (Words("the policeman is asking", "der Polizist fragt"), "."),
)


def _partner(mark: str) -> str:
    """Who is asked, if anybody: people know about themselves."""
    return "you" if mark == "?" else "none"


def whether(draw: Draw) -> Said:
    """`Do you know whether Anna bought the coat?`."""
    opening, mark = draw.one(_DOUBTS)
    clause = draw_clause(draw, "whether", opens=False, avoid=_partner(mark))
    return Said(
        f"{opening.english} whether {english_statement(clause)}",
        f"{opening.german}, ob {german_final(clause)}",
        mark,
    )


def indirect(draw: Draw) -> Said:
    """`Do you know where Anna bought the coat?`."""
    opening, mark = draw.one(_DOUBTS)
    kind = draw.one(("where", "when", "why"))
    if kind == "where":
        clause = draw_local(draw, "indirect", _partner(mark))
    else:
        avoid = _partner(mark)
        tenses = _REASONED if kind == "why" else _ASKED
        clause = draw_clause(draw, "indirect", opens=False, tenses=tenses, time=0.0, avoid=avoid)
    german = {"where": "wo", "when": "wann", "why": "warum"}[kind]
    return Said(
        f"{opening.english} {kind} {english_statement(clause)}",
        f"{opening.german}, {german} {german_final(clause)}",
        mark,
    )


def _acting(draw: Draw, construction: str) -> Clause:
    """A clause for somebody who is asked to do something: present tense, nothing accidental."""
    verb = draw.one(verbs_for("should", "", False, False))
    draw.tense(construction, ("present",))
    when_ = draw.one(words.SOON) if draw.chance(0.25) else NOTHING
    return build(draw, YOU, verb, "habit", Marking(), when_, 0.2)


def please(draw: Draw) -> Said:
    """`Please open the window.`: `Bitte öffnen Sie das Fenster.`."""
    clause = _acting(draw, "please")
    return Said(
        join("please", clause.verb.english, clause.complements, clause.time.english),
        f"bitte {german_inverted(clause)}",
    )


def let_us(draw: Draw) -> Said:
    """`Let us buy the coat.`: `Lassen Sie uns den Mantel kaufen.`."""
    verb = draw.one(verbs_for("should", "", False, False))
    when_ = draw.one(words.SOON) if draw.chance(0.25) else NOTHING
    clause = build(draw, words.PRONOUNS[4], verb, "habit", Marking(), when_, 0.2)
    field = join(clause.pronouns, clause.time.german, clause.middle)
    return Said(
        join("let us", verb.english, clause.complements, clause.time.english),
        join("lassen Sie uns", field, infinitive(verb)),
    )


def could_you(draw: Draw) -> Said:
    """`Could you please help me?`."""
    verb = draw.one(verbs_for("should", "", False, False))
    clause = build(draw, YOU, verb, "could", Marking(), NOTHING, 0.1)
    return Said(
        join("could you please", verb.english, clause.complements),
        join("könnten Sie", clause.pronouns, "bitte", clause.middle, infinitive(verb)),
        "?",
    )


def gladly(draw: Draw) -> Said:
    """`Anna likes to drink tea.`: `Anna trinkt gern Tee.`."""
    verb = draw.one(_LIKED)
    subject = draw_subject(draw, opens=True)
    clause = build(draw, subject, verb, "habit", Marking(), Words("", "gern"), 0.25)
    like = "likes" if subject.person == THIRD else "like"
    return Said(
        join(subject.english, like, "to", verb.english, clause.complements),
        german_statement(clause),
    )


_LIKED = tuple(verb for verb in verbs_for("should", "habit", False, False))
_SPANS = (
    (Words("days", "Tage"), "day"),
    (Words("weeks", "Wochen"), "week"),
    (Words("nights", "Nächte"), "night"),
)


def duration(draw: Draw) -> Said:
    """`We are staying in Berlin for three days.`."""
    tense = draw.tense("duration", ("present", "past", "future", "want to", "can", "have to"))
    verb = _STAY if draw.chance(0.7) else _WORK
    span, name = draw.one(_SPANS[:2] if verb is _WORK else _SPANS)
    count = draw.fitting(name, words.COUNTS, english_of)
    subject = draw_subject(draw, opens=True)
    long = Words("", f"{count.german} {span.german}")
    clause = build(draw, subject, verb, tense, Marking(), long, 0.0)
    return Said(
        f"{english_statement(clause)} for {count.english} {span.english}",
        german_statement(clause),
    )


_STAY = STAYING[0]
_WORK = STAYING[1]
