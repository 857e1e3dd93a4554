"""The polar words: what praises and what blames, each with the things it can be said of."""

from typing import NamedTuple

ANY = ""
"""The field of what can be said of everything."""


class Word(NamedTuple):
    """A polar expression.

    `sign` is +1 for praise and -1 for blame. `kind` is its part of speech: `adjective`, `adverb`
    (before a participle: "badly written"), `noun` ("a mess"), `feeling` ("annoyed with it") or
    `verb` ("I hate it"). `field` limits what it is said of: `story`, `gear`, `place` or `ANY`.
    `gradable` words can be more or less so (dull); the others are extreme already (awful).
    """

    text: str
    sign: int
    kind: str
    field: str = ANY
    gradable: bool = False


def _words(
    sign: int, kind: str, texts: str, *, field: str = ANY, gradable: bool = False
) -> list[Word]:
    return [Word(text.strip(), sign, kind, field, gradable) for text in texts.split(",")]


WORDS: tuple[Word, ...] = (
    *_words(
        +1,
        "adjective",
        "excellent, superb, wonderful, brilliant, fantastic, outstanding, splendid, marvellous, "
        "terrific, magnificent, first-rate, glorious",
    ),
    *_words(
        -1,
        "adjective",
        "awful, terrible, dreadful, horrible, appalling, abysmal, atrocious, dismal, hopeless, "
        "woeful, second-rate, lousy",
    ),
    *_words(+1, "adjective", "impressive, satisfying, pleasing", gradable=True),
    *_words(-1, "adjective", "disappointing, annoying, frustrating", gradable=True),
    *_words(
        +1,
        "adjective",
        "gripping, moving, witty, clever, charming, original, touching, engaging, fascinating, "
        "absorbing, compelling, memorable",
        field="story",
        gradable=True,
    ),
    *_words(
        -1,
        "adjective",
        "dull, boring, tedious, clumsy, predictable, tiresome, lifeless, confusing, forgettable, "
        "shallow, contrived, dreary",
        field="story",
        gradable=True,
    ),
    *_words(
        +1,
        "adjective",
        "reliable, sturdy, dependable, robust, durable, trustworthy",
        field="gear",
        gradable=True,
    ),
    *_words(
        -1,
        "adjective",
        "unreliable, flimsy, shoddy, fragile, useless, temperamental",
        field="gear",
        gradable=True,
    ),
    *_words(
        +1,
        "adjective",
        "welcoming, comfortable, cosy, inviting, pleasant, stylish",
        field="place",
        gradable=True,
    ),
    *_words(
        -1,
        "adjective",
        "unwelcoming, uncomfortable, shabby, dingy, unpleasant, gloomy",
        field="place",
        gradable=True,
    ),
    *_words(
        +1,
        "adverb",
        "beautifully, brilliantly, superbly, wonderfully, skilfully, carefully, expertly, "
        "admirably",
    ),
    *_words(
        -1,
        "adverb",
        "badly, poorly, clumsily, terribly, carelessly, dreadfully, sloppily, horribly",
    ),
    *_words(+1, "noun", "joy, triumph, delight, treat, pleasure, marvel, success, treasure"),
    *_words(
        -1, "noun", "disaster, mess, failure, disgrace, letdown, nuisance, embarrassment, nightmare"
    ),
    *_words(+1, "feeling", "delighted, thrilled, impressed, pleased, happy, satisfied, enchanted"),
    *_words(
        -1, "feeling", "annoyed, disappointed, frustrated, bored, unhappy, dissatisfied, angry"
    ),
    *_words(+1, "verb", "love, adore, enjoy, like, admire"),
    *_words(-1, "verb", "hate, loathe, dislike, resent, despise"),
)
"""All polar words; for each one another of the opposite sign, of equal kind, field and degree."""

PAST = {
    "love": "loved",
    "adore": "adored",
    "enjoy": "enjoyed",
    "like": "liked",
    "admire": "admired",
    "hate": "hated",
    "loathe": "loathed",
    "dislike": "disliked",
    "resent": "resented",
    "despise": "despised",
}
"""The past of each polar verb."""


def article(phrase: str) -> str:
    """The phrase with "a" or "an" before it."""
    return f"{'an' if phrase[0] in 'aeiou' and phrase[:3] != 'use' else 'a'} {phrase}"
