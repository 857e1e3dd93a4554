"""How good transcripts are: word and character errors, by speaker and by length."""

import os
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from seqapps.data.recordings import Recordings
from seqapps.data.splits import spread
from seqapps.errors import UserError
from seqapps.fields import Rating

_RATED = 200
"""Recordings of which `rating` measures the transcripts, at most."""
_RESAMPLES = 1000
_MOST_CONFUSED = 12
_FEW_SPEAKERS = 20
"""Speakers that are listed one by one, at most."""


def recognition_scores(
    hypotheses: Sequence[str],
    references: Sequence[str],
    *,
    speakers: Sequence[str],
    seed: int,
    words: bool = True,
) -> dict[str, Any]:
    """Measures transcripts.

    Args:
        hypotheses: What was understood.
        references: What was said. Recordings in which no word is said are left out.
        speakers: By whom; empty where nobody knows.
        seed: Of the bootstrap.
        words: Whether spaces stand between words; else characters are counted alone.

    Returns:
        What `json` can write, rates in per cent: `wer` and `cer` with `wer_interval` and
        `cer_interval` (percentile bootstrap over recordings, 95 %); `insertions`, `deletions`,
        `substitutions` of words; `sentence_error_rate`; `wer_by_speaker` (the worst ten of more
        than twenty, with `speakers` and `wer_of_median_speaker`) and `wer_by_words` (number of
        words said); `confused`: [said, understood, times] of the most frequent; `recordings`,
        and `without_words` if some were left out. Without words, all of it is of characters:
        there is no `wer`, and `cer_by_speaker`.

    Raises:
        ValueError: The lists differ in length or are empty.
        UserError: No reference has words.
    """
    import jiwer

    if not references or len(hypotheses) != len(references) or len(speakers) != len(references):
        raise ValueError(
            "word errors need one hypothesis and one speaker for each reference and at least one, "
            f"got {len(hypotheses)}, {len(speakers)} and {len(references)}."
        )
    rows = _with_words(references)
    left_out = len(references) - len(rows)
    hypotheses, references, speakers = (
        [values[i] for i in rows] for values in (hypotheses, references, speakers)
    )
    letters = jiwer.process_characters(list(references), list(hypotheses))
    counted = jiwer.process_words(list(references), list(hypotheses)) if words else letters
    headline = "wer" if words else "cer"
    errors_N, said_N = _counts(counted)
    letter_errors_N, letters_N = _counts(letters)
    groups = {who: [i for i, s in enumerate(speakers) if s == who] for who in sorted(set(speakers))}
    lengths: dict[str, list[int]] = {}
    for i in np.argsort(said_N, kind="stable"):
        lengths.setdefault(_length_group(int(said_N[i])), []).append(int(i))
    return {
        headline: _rate(errors_N, said_N),
        f"{headline}_interval": _interval(errors_N, said_N, seed),
        "cer": _rate(letter_errors_N, letters_N),
        "cer_interval": _interval(letter_errors_N, letters_N, seed),
        "sentence_error_rate": round(100.0 * float((errors_N > 0).mean()), 3),
        "insertions": counted.insertions,
        "deletions": counted.deletions,
        "substitutions": counted.substitutions,
        **_by_speaker(
            headline,
            {who or "unknown": _rate(errors_N[rows], said_N[rows]) for who, rows in groups.items()},
        ),
        **(
            {
                "wer_by_words": {
                    name: _rate(errors_N[rows], said_N[rows]) for name, rows in lengths.items()
                }
            }
            if words
            else {}
        ),
        "confused": confusions(counted),
        "recordings": len(references),
        **({"without_words": left_out} if left_out else {}),
    }


def constant_answer(texts: Sequence[str], references: Sequence[str]) -> dict[str, Any]:
    """How good it is to answer every recording with the commonest transcript of training.

    Args:
        texts: Training transcripts, as they are written; none where the training recordings are
            gone, and the answer is empty.
        references: What was said, at least one with a word.

    Returns:
        `text`, `wer` and `cer`, per cent, of that transcript; never above 100, which the empty
        answer has.
    """
    text = Counter(texts).most_common(1)[0][0] if texts else ""
    rates = error_rates([text] * len(references), references)
    return {"text": text} | {name: round(min(100.0, rate), 3) for name, rate in rates.items()}


def warnings_of(
    hypotheses: Sequence[str], metrics: Mapping[str, Any], constant: Mapping[str, Any]
) -> list[str]:
    """What whoever uses the model must know, a sentence each; nothing as a rule.

    Args:
        hypotheses: What was understood.
        metrics: From `recognition_scores`.
        constant: From `constant_answer`.
    """
    name = "wer" if "wer" in metrics else "cer"
    rate, best = metrics[name], constant[name]
    warnings = []
    if len(hypotheses) > 1 and len(set(hypotheses)) == 1 and rate > 0:
        warnings.append(
            f"The model answers all {len(hypotheses):,} recordings with {hypotheses[0][:60]!r}: it "
            "has not learned to listen. More recordings and a longer training may help."
        )
    elif rate >= best:
        warnings.append(
            f"The model's {name.upper()} of {rate:.1f} % is no better than that of always "
            f"answering {constant['text'][:60]!r} or nothing, {best:.1f} %."
        )
    return warnings


def _with_words(references: Sequence[str]) -> list[int]:
    """The references that have words; they are what rates are of."""
    if rows := [i for i, text in enumerate(references) if text.split()]:
        return rows
    raise UserError(
        f"none of the {len(references):,} transcripts has a word, so there are no word errors to "
        "count; give recordings in which something is said."
    )


def _by_speaker(name: str, rates: Mapping[str, float]) -> dict[str, Any]:
    """The rates of all speakers, or of the worst of many."""
    if len(rates) <= _FEW_SPEAKERS:
        return {f"{name}_by_speaker": dict(rates)}
    worst = sorted(rates.items(), key=lambda item: (-item[1], item[0]))
    return {
        "speakers": len(rates),
        f"{name}_of_median_speaker": round(float(np.median(list(rates.values()))), 3),
        f"{name}_by_speaker": dict(worst[: _FEW_SPEAKERS // 2]),
    }


def error_rates(hypotheses: Sequence[str], references: Sequence[str]) -> dict[str, float]:
    """Word and character error rates: `wer` and `cer`, per cent.

    References without words count for nothing.

    Raises:
        UserError: No reference has words.
    """
    import jiwer

    rows = _with_words(references)
    said, heard = [references[i] for i in rows], [hypotheses[i] for i in rows]
    return {"wer": 100.0 * jiwer.wer(said, heard), "cer": 100.0 * jiwer.cer(said, heard)}


def rating(
    test: Recordings,
    options: Mapping[str, Any],
    *,
    wav: Callable[[Any], bytes],
    clean: Callable[[str], str],
) -> Rating:
    """Word and character errors of some hundred recordings, per cent.

    Args:
        test: Recordings with what is said in them.
        options: Strategy values by name.
        wav: Samples to the bytes of a WAV file.
        clean: What is said as it is written.
    """
    rows = spread(len(test), _RATED)
    references = [clean(test.texts[i]) for i in rows]

    def score(answers: list[dict[str, Any]]) -> dict[str, Any]:
        rates = error_rates([answer["text"] for answer in answers], references)
        return {name: round(value, 3) for name, value in rates.items()}

    return Rating(
        questions=[wav(test.samples[i]) for i in rows],
        score=score,
        on=f"{len(rows):,} of {len(test):,} recordings of the test split",
        options=options,
    )


def confusions(output: Any) -> list[list[Any]]:
    """The most frequent confusions: [said, understood, times]; nothing is an empty string.

    Args:
        output: From `jiwer.process_words` or `jiwer.process_characters`.
    """
    counted: Counter[tuple[str, str]] = Counter()
    for said, heard, chunks in zip(
        output.references, output.hypotheses, output.alignments, strict=True
    ):
        for chunk in chunks:
            if chunk.type == "equal":
                continue
            left = said[chunk.ref_start_idx : chunk.ref_end_idx]
            right = heard[chunk.hyp_start_idx : chunk.hyp_end_idx]
            for i in range(max(len(left), len(right))):
                pair = (left[i] if i < len(left) else "", right[i] if i < len(right) else "")
                counted[pair] += 1
    ranked = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    return [[*pair, count] for pair, count in ranked[:_MOST_CONFUSED]]


def _counts(output: Any) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """Errors and reference length of each recording."""
    errors, lengths = [], []
    for said, chunks in zip(output.references, output.alignments, strict=True):
        lengths.append(len(said))
        errors.append(
            sum(
                max(c.ref_end_idx - c.ref_start_idx, c.hyp_end_idx - c.hyp_start_idx)
                for c in chunks
                if c.type != "equal"
            )
        )
    return np.array(errors, np.int64), np.array(lengths, np.int64)


def _rate(errors_N: npt.NDArray[np.int64], lengths_N: npt.NDArray[np.int64]) -> float:
    return round(100.0 * float(errors_N.sum() / lengths_N.sum()), 3)


def _interval(
    errors_N: npt.NDArray[np.int64], lengths_N: npt.NDArray[np.int64], seed: int
) -> list[float]:
    """The middle 95 % of the rates of recordings drawn with replacement.

    Source: Bisani and Ney 2004, "Bootstrap estimates for confidence intervals in ASR performance
    evaluation".
    """
    rng = np.random.default_rng(seed)
    rows_RN = rng.integers(len(errors_N), size=(_RESAMPLES, len(errors_N)))
    rates_R = errors_N[rows_RN].sum(1) / lengths_N[rows_RN].sum(1)
    return [round(100.0 * float(value), 3) for value in np.quantile(rates_R, [0.025, 0.975])]


def _length_group(words: int) -> str:
    for least, most in ((1, 1), (2, 3), (4, 7), (8, 15), (16, 31)):
        if words <= most:
            return str(most) if least == most else f"{least} to {most}"
    return "32 and more"


def real_time_factor(application: Any, recordings: Sequence[bytes]) -> dict[str, Any]:
    """Time that an answer takes over the time that the recording takes, one at a time.

    Args:
        application: A loaded bundle.
        recordings: WAV files, of which the first 30 are asked.
    """
    chosen = list(recordings[:30])
    # The first calls of a shape prepare it.
    for recording in chosen[:3]:
        application.answers([recording])
    spent, heard = 0.0, 0.0
    for recording in chosen:
        began = time.perf_counter()
        (answer,) = application.answers([recording])
        spent += time.perf_counter() - began
        heard += answer["seconds"]
    return {
        "real_time_factor": round(spent / max(heard, 1e-9), 4),
        "real_time_factor_cores": len(os.sched_getaffinity(0)),
    }


def mistakes(
    hypotheses: Sequence[str], references: Sequence[str], *, count: int
) -> list[dict[str, str]]:
    """Transcripts that differ from what was said; if there are too few, others after them."""
    order = sorted(range(len(references)), key=lambda i: hypotheses[i] == references[i])
    return [{"said": references[i], "understood": hypotheses[i]} for i in order[:count]]
