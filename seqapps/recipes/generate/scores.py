"""How a language model is measured: on a whole text, beside a Kneser-Ney model, and as a writer."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from seqapps.data import files
from seqapps.data.splits import spread
from seqapps.fields import Rating
from seqapps.recipes.generate.examples import RunningExamples
from seqapps.recipes.generate.mixture import Losses, Mixture
from seqapps.recipes.generate.network import softmax_input, state_size
from seqapps.text.ngram import NGram
from seqapps.text.vocabulary import Ids

Writer = Callable[..., Sequence[dict[str, Any]]]

_WINDOW = 2048
"""Tokens that are read at once; the state is carried on, so this changes nothing but the time."""
_RANDOM_WINDOWS, _RANDOM_LENGTH = 512, 256
_RATED, _PASSAGE_LENGTH = 50_000, 5000
"""Characters that `rating` asks of, about, and of one passage, at most."""
_WRITTEN = 8
"""Texts that are written to be looked at and compared with the training text."""
_COPIED = (16, 32, 64)
_LONGEST_WORD = 20
"""Characters between spaces, on average, from which on what stands between them is no word."""
_PASSAGE = 640
"""Characters of the passage whose surprise is drawn."""


@dataclass(frozen=True)
class Measured:
    """What was measured."""

    metrics: dict[str, Any]
    """For metrics.json."""
    samples: list[dict[str, str]]
    """Texts that the model wrote."""
    passage: str
    """The first characters of the text it was measured on."""
    surprise: list[float]
    """Bits of each of them."""
    warnings: list[str]
    """What should keep people from using the model."""


def measure(
    network: keras.Model,
    losses: Losses,
    examples: RunningExamples,
    *,
    mixture: Mixture | None = None,
    write: Writer,
    seed: int,
    log: Callable[[str], None],
) -> Measured:
    """Measures a model on the text that is reported on, and as a writer.

    Args:
        network: From `build_recurrent_lm`.
        losses: What `token_losses` gave for that text.
        examples: The text.
        mixture: What is mixed into the network's probabilities.
        write: `write(prompts, **options)`: an answer with `text` and `samples` for each prompt.
        seed: Of the random windows and of what is written.
        log: Takes lines for the user.

    Returns:
        What was measured; without a training text the measures that compare with it are absent.
    """
    ids, documents = examples.test, examples.splits.test
    windowed = random_window_loss(network, ids, seed=seed, mixture=mixture)
    compared: dict[str, Any] = {}
    alone = float(losses.sum())
    if mixture:
        per_character = max(1, documents.characters) * math.log(2)
        beside = -float(mixture.model.log_probs(ids)[1:].sum())
        compared = {
            "network_bits_per_character": round(alone / per_character, 4),
            "ngram_order": mixture.model.order,
            "ngram_bits_per_character": round(beside / per_character, 4),
            "ngram_share": mixture.weight,
        }
        losses = mixture.losses(losses, ids)
    total, tokens = float(losses.sum()), len(losses)
    characters, words = max(1, documents.characters), max(1, documents.words)
    spaced = characters < _LONGEST_WORD * words
    warnings: list[str] = []
    written, shown = _write(write, examples, seed=seed)
    if len(examples.training) > 1:
        share = len(examples.counted) / len(examples.training)
        log(
            "Fitting the baseline: n-grams of the same tokens with Kneser-Ney smoothing"
            + (f", on the last {share:.0%} of the training text" if share < 1 else "")
        )
        order, baseline, five = kneser_ney(examples)
        single = _loss_of_order(1, examples)
        if alone >= single:
            warnings.append(
                f"the network's loss is {alone / tokens:.3f} nats a token, no better than that of "
                f"how often each token occurs ({single / tokens:.3f}); train longer, or give more "
                "text"
            )
        compared |= {
            "kneser_ney_order": order,
            "kneser_ney_loss": round(baseline / tokens, 4),
            "kneser_ney_bits_per_character": round(baseline / characters / math.log(2), 4),
            "kneser_ney_5_gram_bits_per_character": round(five / characters / math.log(2), 4),
            **_copied(written, examples),
            "compared_with_training_tokens": len(examples.counted),
        }
    separate = examples.splits.test is not examples.splits.validation
    metrics: dict[str, Any] = {
        "measured_on": "test text" if separate else "validation text",
        "loss": round(total / tokens, 4),
        "perplexity": round(math.exp(min(total / tokens, 50.0)), 4),
        "bits_per_character": round(total / characters / math.log(2), 4),
        **({"bits_per_word": round(total / words / math.log(2), 4)} if spaced else {}),
        "loss_of_random_windows": round(windowed, 4),
        **compared,
        **{f"distinct_{n}": round(distinct(written, n, spaced=spaced), 4) for n in (1, 2)},
        "tokens": tokens,
        "characters": characters,
    }
    passage, surprise = _passage(ids, losses, examples)
    return Measured(
        metrics=metrics, samples=shown, passage=passage, surprise=surprise, warnings=warnings
    )


def rating(examples: RunningExamples) -> Rating:
    """Loss of passages from all over the text that is reported on, by the signature `score`.

    Each is read from an empty state. The scores are `loss` per token in nats, `perplexity`, and
    `bits_per_character`.
    """
    splits = examples.splits
    passages = _passages([text.decode("utf-8", "replace") for text in splits.test.texts])

    def score(answers: list[dict[str, Any]]) -> dict[str, Any]:
        gains = [gain for answer in answers for gain in answer["token_log_probabilities"]]
        loss, characters = -sum(gains), max(1, sum(map(len, passages)))
        mean = loss / max(1, len(gains))
        return {
            "loss": round(mean, 4),
            "perplexity": round(math.exp(min(mean, 50.0)), 4),
            "bits_per_character": round(loss / characters / math.log(2), 4),
        }

    split = "test" if splits.test is not splits.validation else "validation"
    return Rating(
        questions=passages,
        score=score,
        on=f"{len(passages)} passage{'s' if len(passages) != 1 else ''} of at most "
        f"{_PASSAGE_LENGTH:,} characters from all over the {split} text, read from an empty state",
        signature="score",
    )


def _passages(texts: Sequence[str]) -> list[str]:
    """Texts in passages, evenly chosen so that there are about as many characters as wanted."""
    every = [
        text[start : start + _PASSAGE_LENGTH]
        for text in texts
        for start in range(0, len(text), _PASSAGE_LENGTH)
    ]
    characters = sum(map(len, every))
    wanted = len(every) * min(1.0, _RATED / max(1, characters))
    return [every[i] for i in spread(len(every), math.ceil(wanted))]


def token_losses(
    network: keras.Model, ids: Ids, *, advance: Callable[[int], None] = lambda _: None
) -> Losses:
    """Loss of each token after the first, in nats: the whole text in one pass, its state carried.

    Args:
        network: From `build_recurrent_lm`.
        ids: int32, (tokens,).
        advance: Called with the number of further tokens that are read.

    Returns:
        float64, (tokens - 1,).
    """
    losses = [losses_T.numpy() for losses_T, _ in read_whole(network, ids, advance=advance)]
    return np.concatenate([np.zeros(0), *losses]).astype(np.float64)


def read_whole(
    network: keras.Model, ids: Ids, *, advance: Callable[[int], None] = lambda _: None
) -> Iterator[tuple[tf.Tensor, tf.Tensor]]:
    """Reads a whole text in portions, the state carried from one to the next.

    Args:
        network: From `build_recurrent_lm`.
        ids: int32, (tokens,).
        advance: Called with the number of further tokens that are read.

    Yields:
        Of each portion the loss of every token but the first, in nats, float32 (T,), and what the
        softmax made its probability of, float32 (T, width of `softmax_input`).
    """
    read = _reader(network)
    state = tf.zeros([1, state_size(network)])
    for start in range(0, len(ids) - 1, _WINDOW):
        part = ids[np.newaxis, start : start + _WINDOW + 1]
        losses_BT, hidden_BTH, state = read(tf.constant(part, tf.int32), state)
        yield losses_BT[0], hidden_BTH[0]
        advance(part.shape[1] - 1)


def random_window_loss(
    network: keras.Model,
    ids: Ids,
    *,
    seed: int,
    length: int = _RANDOM_LENGTH,
    mixture: Mixture | None = None,
) -> float:
    """Mean loss per token of windows from anywhere, each read from an empty state.

    That is how nanoGPT validates: as many tokens as it can read, 256 in its larger configuration,
    from random places, the first of them without context.

    Args:
        network: From `build_recurrent_lm`.
        ids: int32, (tokens,).
        seed: Of the places.
        length: Tokens of a window.
        mixture: What is mixed into the network's probabilities.
    """
    rng = np.random.default_rng(seed)
    length = min(length, len(ids) - 1)
    starts = rng.integers(0, len(ids) - length, _RANDOM_WINDOWS)
    windows_NT = ids[starts[:, np.newaxis] + np.arange(length + 1)]
    return window_loss(network, windows_NT, mixture=mixture)


def window_loss(network: keras.Model, windows_NT: Ids, *, mixture: Mixture | None = None) -> float:
    """Mean loss per token of windows int32 (N, T), each read from an empty state.

    The first token of a window is read and not predicted.
    """
    read, losses = _reader(network), []
    for part in np.array_split(windows_NT, min(8, len(windows_NT))):
        start = tf.zeros([len(part), state_size(network)])
        losses_NT, *_ = read(tf.constant(part, tf.int32), start)
        losses.append(losses_NT.numpy())
    found_NT = np.concatenate(losses)
    return float((mixture.losses(found_NT, windows_NT) if mixture else found_NT).mean())


def _reader(network: keras.Model) -> Any:
    """`read(ids (B, T + 1), state) -> (losses (B, T), hidden (B, T, H), state)`."""

    def read(ids_BT: tf.Tensor, state_BS: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        tokens_BT = ids_BT[:, :-1]
        lengths_B = tf.fill([tf.shape(ids_BT)[0]], tf.shape(tokens_BT)[1])
        inputs = {"tokens": tokens_BT, "tokens_lengths": lengths_B, "state": state_BS}
        outputs = network(inputs, training=False)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(ids_BT[:, 1:], outputs["logits"])
        hidden_BTH = tf.cast(softmax_input(network, outputs["raw"]), tf.float32)
        return losses, hidden_BTH, outputs["state"]

    state = tf.TensorSpec([None, state_size(network)], tf.float32)
    return tf.function(
        read,
        input_signature=[tf.TensorSpec([None, None], tf.int32), state],
        autograph=False,
    )


def kneser_ney(examples: RunningExamples) -> tuple[int, float, float]:
    """An n-gram model of the same tokens, of the order that is best on another text.

    It is fitted on the last two million training tokens, or all if there are fewer.

    Returns:
        The order, from 2 to 10; the sum of its losses on the text that is reported on, in nats; and
        that of a 5-gram.
    """
    orders = examples.ngram_orders
    best = min(orders, key=lambda order: orders[order])
    whole = {order: _loss_of_order(order, examples) for order in {best, 5}}
    return best, whole[best], whole[5]


def _loss_of_order(order: int, examples: RunningExamples) -> float:
    """The sum of the losses, in nats, of n-grams on the text that is reported on."""
    model = NGram.fit([examples.counted], order=order, vocabulary=examples.vocabulary.size)
    # The first token, a mark, is given.
    return -float(model.log_probs(examples.test)[1:].sum())


def _write(
    write: Writer, examples: RunningExamples, *, seed: int
) -> tuple[list[str], list[dict[str, str]]]:
    """Texts for comparison, and some of them to be shown."""
    prompts = ["", *examples.samples[:3]]
    drawn = write([""], samples=_WRITTEN, seed=seed, max_length=500)[0]["samples"]
    # With one seed for all, all would soon draw the same.
    seeds = [seed + number for number in range(len(prompts))]
    continued = write(prompts, seed=seeds, max_length=300)
    shown = [
        {"prompt": prompt or "(nothing)", "text": answer["text"]}
        for prompt, answer in zip(prompts, continued, strict=True)
    ]
    return drawn, shown


def distinct(texts: Sequence[str], n: int, *, spaced: bool = True) -> float:
    """Share of different ones among all n-grams of words: low where a writer repeats itself.

    Without spaces between words, of characters.

    Source: Li et al. 2016, "A Diversity-Promoting Objective Function", section 5.
    """
    grams = [
        tuple(words[i : i + n])
        for words in (text.split() if spaced else text for text in texts)
        for i in range(len(words) - n + 1)
    ]
    return len(set(grams)) / len(grams) if grams else 0.0


def _copied(written: Sequence[str], examples: RunningExamples) -> dict[str, float]:
    """How much of what was written stands in the training text, beside held-out text's share."""
    encode = examples.vocabulary.encode
    texts = [encode(text.encode()) for text in written]
    held_out = [examples.test[:20_000]]
    shares = {}
    for n in _COPIED:
        known = _grams([examples.counted], n)
        shares[f"copied_{n}_grams"] = round(_share_of(known, _grams(texts, n)), 4)
        shares[f"copied_{n}_grams_of_held_out_text"] = round(
            _share_of(known, _grams(held_out, n)), 4
        )
    return shares


def _grams(sequences: Sequence[Ids], n: int) -> npt.NDArray[np.uint64]:
    """A hash of every n-gram of tokens."""
    hashes = []
    for ids in sequences:
        if len(ids) < n:
            continue
        count = len(ids) - n + 1
        total = np.zeros(count, np.uint64)
        for i in range(n):
            # A polynomial modulo 2^64; its factor is Knuth's of the linear congruential generator.
            total = total * np.uint64(6364136223846793005) + ids[i : i + count].astype(np.uint64)
            total ^= total >> np.uint64(29)
        hashes.append(total)
    return np.concatenate([np.zeros(0, np.uint64), *hashes])


def _share_of(known: npt.NDArray[np.uint64], grams: npt.NDArray[np.uint64]) -> float:
    return float(np.isin(grams, known).mean()) if len(grams) else 0.0


def _passage(ids: Ids, losses: Losses, examples: RunningExamples) -> tuple[str, list[float]]:
    """The first characters, each with the surprise of its bytes: their shares of their tokens'."""
    content, bits_of_bytes = b"", []
    for token, loss in zip(ids[1:], losses, strict=True):
        surface = examples.vocabulary.surfaces[int(token)]
        content += surface
        bits_of_bytes += [float(loss) / math.log(2) / max(1, len(surface))] * len(surface)
        # A character has at most four bytes.
        if len(content) >= 4 * _PASSAGE:
            break
    # Of all bytes together: a token may be a part of a character. Others stay apart as surrogates.
    characters = content.decode("utf-8", "surrogateescape")[:_PASSAGE]
    ends = np.cumsum([len(c.encode("utf-8", "surrogateescape")) for c in characters], dtype=int)
    sums = np.concatenate([[0.0], np.cumsum(bits_of_bytes)])
    bits = sums[ends] - sums[np.concatenate([[0], ends[:-1]])] if len(ends) else np.zeros(0)
    return files.repaired(characters), bits.tolist()
