"""Synthetic voices beside recordings: eSpeak NG speaks their transcripts and more of the kind."""

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence

import numpy as np

from seqapps.data.recordings import Recordings, resampled, to_int16
from seqapps.recipes.transcribe.data_settings import SyntheticVoices
from seqapps.recipes.transcribe.spoken import synthesis
from seqapps.recipes.transcribe.spoken.splits import VARIANTS
from seqapps.text.alphabet import Alphabet
from seqapps.text.ngram import NGram

_SCRIPTS = {
    "DEVANAGARI": "hi",
    "CYRILLIC": "ru",
    "GREEK": "el",
    "ARABIC": "ar",
    "HANGUL": "ko",
    "BENGALI": "bn",
    "TAMIL": "ta",
    "TELUGU": "te",  # codespell:ignore te
    "GUJARATI": "gu",
    "GURMUKHI": "pa",
    "KANNADA": "kn",
    "MALAYALAM": "ml",
    "GEORGIAN": "ka",
    "ARMENIAN": "hy",
}
"""Scripts with one language that most texts in it have."""
_COMMON = {
    "en-us": "the of and to in is was that it for with as on be at by this are from he you",
    "es": "de la que el en y los se del las un por con no una su para es lo como más esta",
    "fr": "de la le et les des en un du une que est pour qui dans par plus pas au sur ne ce",
    "de": "der die und in den von zu das mit sich des auf für ist im dem nicht ein eine auch es",
    "it": "di e il la che in un a per è una sono con non del si da come le della i gli lo",
    "pt": "de a o que e do da em um para com não uma os no se na por mais as dos como mas",
    "nl": "de van een het en in is dat op zijn met voor niet aan er om ook dan maar bij",
    "sv": "och i att det en på är av för med den till inte har de ett om var jag så",
    "da": "og i at det er en på til af den for ikke der med de har jeg et om var",
    "pl": "w i na z się nie do to że jest o jak od za po przez co tak dla ale czy",
    "tr": "bir ve da de için ile çok ne daha gibi ama var olarak en kadar o mi sonra",
    "fi": "ja on ei se että oli hän mutta joka ovat kun niin myös tai ole sen kuin",
    "ro": "de și în a la cu pe nu o un din ce care este mai să se pentru că au",
    "cs": "a se v na je že to s z o do i za ve k pro jsem ale by jako po",
    "hu": "a az és hogy nem is egy ez van de meg el csak volt már mint ha még",
    "id": "yang dan di itu dengan untuk tidak ini dari dalam akan pada juga ke karena ada",
    "vi": "và của là có không được cho trong một người những với các này đã để",
}
"""The commonest words of languages with Latin letters, by eSpeak NG's name."""
_DIFFERENT = 4
"""Different ones that there must be to tell a language."""
_LONGEST = 100
"""Characters of a text that is made up, about."""
_ORDER = 5
"""Characters that hang together in what is made up."""
_MADE_UP = 2000
"""Texts that are made up, at most."""
_MOST = 20_000
"""Texts that are spoken, at most."""
_SHORTEST_S = 0.1
"""What is shorter says nothing."""
_PLAIN = re.compile(r"[A-Za-z ,.;:'()-]{20,130}")
_CODE = re.compile(r"[a-z][A-Z]|\(\)|\.\w")
"""What is no plain English in a sentence of plain characters: names with capitals, calls, dots."""
_SEED = 11
"""Of the voices: set apart from the seeds of what else is random."""


def language_of(texts: Sequence[str]) -> str:
    """The language of texts by its script and commonest words, as eSpeak NG names it.

    Returns:
        Its name; empty where it is none of those that are known here.
    """
    # The lower case of İ would be two characters.
    plain = (text.replace("İ", "i").lower() for text in texts)
    words = Counter(word for text in plain for word in re.findall(r"[^\W\d_]+", text))
    letters = Counter[str]()
    for word, count in words.items():
        for letter in word:
            letters[unicodedata.name(letter, "?").split()[0]] += count
    if not letters:
        return ""
    script, most = letters.most_common(1)[0]
    if most < 0.6 * letters.total():
        return ""
    if script != "LATIN":
        return _SCRIPTS.get(script, "")
    hits = {
        name: [words[word] for word in common.split() if words[word]]
        for name, common in _COMMON.items()
    }
    best = max(hits, key=lambda name: sum(hits[name]))
    # A few commands tell nothing: "no" is a word of many languages.
    enough = len(hits[best]) >= _DIFFERENT and sum(hits[best]) >= 0.05 * words.total()
    return best if enough else ""


def made_up(
    texts: Sequence[str], alphabet: Alphabet, *, count: int, rng: np.random.Generator
) -> list[str]:
    """Texts that look like others: drawn from the n-grams of their characters.

    Args:
        texts: What they are to look like.
        alphabet: Their symbols, single characters.
        count: How many.
        rng: Draws them.
    """
    space = alphabet.symbols.index(" ")
    rows = [np.concatenate([[space], alphabet.encode(text), [space]]) for text in texts]
    size = len(alphabet.symbols)
    model = NGram.fit(rows, order=_ORDER, vocabulary=size)
    lengths = np.minimum([len(row) for row in rows], _LONGEST)
    start = int(model.advance(model.root, space)[1])
    made = []
    for length in rng.choice(lengths, size=count):
        node = start
        ids: list[int] = []
        while len(ids) < length or (ids[-1] != space and len(ids) < 2 * length):
            scores, following = model.advance(np.full(size, node), np.arange(size))
            odds = np.exp(scores)
            ids.append(int(rng.choice(size, p=odds / odds.sum())))
            node = int(following[ids[-1]])
        made.append(alphabet.clean(alphabet.decode(ids)))
    return [text for text in made if text]


def english() -> list[str]:
    """Sentences of Python's own help that are plain English."""
    from pydoc_data.topics import topics

    paragraphs = [part for topic in topics.values() for part in re.split(r"\n\s*\n", topic)]
    return [
        sentence
        for paragraph in paragraphs
        for sentence in re.split(r"(?<=[.;:])\s", " ".join(paragraph.split()))
        if _PLAIN.fullmatch(sentence) and not _CODE.search(sentence)
    ]


def spoken(
    transcripts: Sequence[str],
    alphabet: Alphabet,
    settings: SyntheticVoices,
    *,
    others: Sequence[str],
    rate_hz: int,
    seed: int,
) -> Recordings:
    """What synthetic voices say: half of it transcripts, half other text of the kind.

    Args:
        transcripts: Of the training recordings.
        alphabet: Of the model.
        settings: How much, and in which language.
        others: Text that is like the transcripts, of which lines with characters outside the
            alphabet are left out; if there is none, it is made up from the transcripts.
        rate_hz: Samples a second wanted.
        seed: Of all that is random.

    Raises:
        UserError: If eSpeak NG is not installed, or has no such language.
    """
    rng = np.random.default_rng([seed, _SEED])
    usable = [
        text
        for text in others
        if text.strip() and len(text) <= 2 * _LONGEST and not alphabet.unknown(text)
    ]
    if usable:
        usable = [usable[i] for i in rng.permutation(len(usable))]
    else:
        # Half of the minutes, and most texts take more than a second.
        count = min(_MADE_UP, math.ceil(30.0 * settings.minutes))
        usable = made_up(transcripts, alphabet, count=count, rng=rng)
    recordings = Recordings()
    for texts in filter(None, (transcripts, usable)):
        _speak(texts, recordings, settings.language, rate_hz, 30.0 * settings.minutes, rng)
    return recordings


def _speak(
    texts: Sequence[str],
    recordings: Recordings,
    language: str,
    rate_hz: int,
    seconds: float,
    rng: np.random.Generator,
) -> None:
    """Adds texts in many voices, in order and again from the first, until it is so much."""
    native_hz, samples_left, number = synthesis.native_rate_hz(), seconds * rate_hz, 0
    # Texts of which nothing can be said must not keep it busy for ever.
    while samples_left > 0 and number < _MOST:
        text = texts[number % len(texts)]
        voice = f"{language}+{VARIANTS['train'][rng.integers(len(VARIANTS['train']))]}"
        said = synthesis.say(
            text, voice=voice, rate=int(rng.integers(130, 211)), pitch=int(rng.integers(25, 76))
        )
        samples = to_int16(resampled(said.astype(np.float32) / 32768.0, native_hz, rate_hz))
        number += 1
        # Of some texts there is nothing to say.
        if len(samples) >= _SHORTEST_S * rate_hz:
            recordings.add(samples, text, speaker=voice, place=("synthetic voices", number))
            samples_left -= len(samples)


def mixed(
    recordings: Recordings, voices: Recordings, settings: SyntheticVoices, *, seed: int, epoch: int
) -> Recordings:
    """What a training pass hears: each recording at least once, and synthetic voices.

    Every pass has as many samples, about: where the voices have less to say, recordings are heard
    again. A function of the seed and the pass alone.
    """
    rng = np.random.default_rng([seed, _SEED, epoch])
    own = sum(map(len, recordings.samples))
    whole = own / (1.0 - settings.share)
    share = settings.share * max(0.0, 1.0 - epoch / settings.passes)
    rows = [*range(len(recordings)), *_drawn(recordings, (1.0 - share) * whole - own, rng)]
    chosen = recordings.take(rows)
    chosen.extend(voices.take(_drawn(voices, share * whole, rng)))
    return chosen


def _drawn(recordings: Recordings, samples: float, rng: np.random.Generator) -> list[int]:
    """Rows that hold so many samples together, each once before one comes again."""
    rows: list[int] = []
    # Of some texts nothing can be said at all.
    while samples > 0 and len(recordings):
        for row in rng.permutation(len(recordings)).tolist():
            samples -= max(1, len(recordings.samples[row]))
            if samples < 0:
                return rows
            rows.append(row)
    return rows
