"""Translation: a sentence in, the same sentence in another language out.

Many-to-many with attention. A bidirectional GRU reads the source; a GRU decoder writes the target
and, at every step, looks back at the source where attention points (Bahdanau et al. 2015, "Neural
Machine Translation by Jointly Learning to Align and Translate"; Luong et al. 2015). Words are cut
into SentencePiece pieces (Kudo 2018), a beam search finds the answer (Wu et al. 2016).

    python -m seqapps.recipes.translate
"""

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from seqapps.bundle import Answer, Application, Assets, Interface
from seqapps.data.pairs import PairData
from seqapps.fields import Field
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe, run, strategy_options
from seqapps.report import Reporter, plot_attention
from seqapps.training.settings import Training

with lazy_imports():
    import keras

    from seqapps import metrics
    from seqapps.data import lookup
    from seqapps.models import translation, translator
    from seqapps.training import loop, losses


@dataclass(frozen=True, kw_only=True)
class Text:
    """How sentences become numbers."""

    vocabulary: int = 2000
    """SentencePiece pieces of each language (of both together if `model.share_embeddings`)."""
    sampling: float = 0.0
    """Subword regularisation: in training, cut words at random, likelier cuts more often (to this
    power); 0 always takes the likeliest cut."""

    def __post_init__(self) -> None:
        if self.vocabulary < 8:
            raise ValueError(f"vocabulary must be at least 8, got {self.vocabulary}.")
        if self.sampling < 0:
            raise ValueError(f"sampling must be at least 0, got {self.sampling}.")


@dataclass(frozen=True, kw_only=True)
class Model:
    """The network's size and kind."""

    embedding: int = 128
    """Width of the token embeddings."""
    units: int = 256
    """Units of each decoder layer; the encoder has half of them in each direction."""
    encoder_depth: int = 1
    """Recurrent layers of the encoder."""
    decoder_depth: int = 2
    """Recurrent layers of the decoder: one below attention, the others above."""
    cell: Literal["gru", "lstm", "rnn", "mingru"] = "gru"
    """Kind of recurrence: `mingru` is fastest, `rnn` (vanilla) shows why the others exist."""
    attention: Literal["additive", "multiplicative"] = "multiplicative"
    """Bahdanau's or Luong's attention."""
    dropout: float = 0.1
    """Share of elements dropped between layers in training."""
    token_dropout: float = 0.0
    """Share of tokens whose whole embedding is dropped in training."""
    share_embeddings: bool = False
    """One vocabulary and one embedding table for both languages."""


@dataclass(frozen=True, kw_only=True)
class Decoding:
    """How an answer is found."""

    beam_width: int = 4
    """Hypotheses that a beam search keeps; 1 is greedy."""
    length_penalty: float = 1.0
    """0 compares log-probabilities, which favours short answers; 1 nearly means per token."""
    n_best: int = 1
    """Answers for each input, at most the beam width."""
    temperature: float = 0.0
    """Above 0: draw the answer at random instead, more freely the higher."""
    top_k: int = 0
    """When drawing: only among this many likeliest tokens; 0 for all."""
    top_p: float = 1.0
    """When drawing: only among the likeliest tokens that hold this much probability."""
    seed: int = 0
    """When drawing: equal seeds give equal answers."""

    def __post_init__(self) -> None:
        if not 1 <= self.n_best <= self.beam_width:
            raise ValueError(
                f"n_best must be from 1 to beam_width ({self.beam_width}), got {self.n_best}."
            )


@dataclass(frozen=True, kw_only=True)
class Config:
    """All settings of a translation model."""

    data: PairData = field(default_factory=PairData)
    text: Text = field(default_factory=Text)
    model: Model = field(default_factory=Model)
    training: Training = field(default_factory=lambda: Training(epochs=8))
    decoding: Decoding = field(default_factory=Decoding)
    seed: int = 0
    """Of everything random in training."""


def interface(config: Config) -> Interface:
    """A sentence in, a sentence and its score out; a beam search's options for each row."""
    return Interface(
        inputs=(Field(name="source", description=f"A sentence ({config.data.source})."),),
        outputs=(
            Field(name="translation", description=f"The sentence in {config.data.target}."),
            Field(
                name="score",
                dtype="float32",
                media="number",
                unit="nats, over the length penalty",
                description="Log-probability of the translation.",
            ),
        ),
        details=(
            Field(name="alternatives", rank=1, description="The n best, best first."),
            Field(name="alternative_scores", dtype="float32", rank=1, media="number"),
        ),
        options=strategy_options(config.decoding),
    )


def load(config: Config, assets: Assets | None, reporter: Reporter) -> "translation.PairExamples":
    """Reads the pairs and cuts them into pieces; vocabularies are fitted on training pairs."""
    return translation.PairExamples.load(
        config.data,
        assets,
        vocabulary=config.text.vocabulary,
        joint=config.model.share_embeddings,
        sampling=config.text.sampling,
        batch_tokens=config.training.batch_tokens,
        seed=config.seed,
        log=reporter.log,
    )


def build_model(
    model: Model, *, source_vocabulary: int, target_vocabulary: int, seed: int = 0
) -> "keras.Model":
    """Builds the network; see `seqapps.models.translator.build_translator`.

    It trains with plain `fit` too: inputs `source`, `source_lengths`, `target` (BOS first) and
    `target_lengths`, labels the target one step later, and `sample_weight` 0 on padding.
    """
    return translator.build_translator(
        source_vocabulary=source_vocabulary,
        target_vocabulary=target_vocabulary,
        seed=seed,
        **vars(model),
    )


def build(config: Config, examples: "translation.PairExamples") -> "keras.Model":
    """The network for these vocabularies."""
    return build_model(
        config.model,
        source_vocabulary=examples.source.size,
        target_vocabulary=examples.target.size,
        seed=config.seed,
    )


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """Cross-entropy of each real target token, smoothed in training."""
    return losses.token_cross_entropy(label_smoothing=config.training.label_smoothing)


def goal(
    config: Config, network: "keras.Model", examples: "translation.PairExamples"
) -> "loop.Goal":
    """BLEU of greedy translations of the validation split."""
    greedy = translation.GreedyTranslator(network, examples.target)

    def score() -> dict[str, float]:
        hypotheses = greedy(examples.encoded_validation["source"])
        return {"bleu": metrics.bleu(hypotheses, examples.pairs.validation.targets).value}

    return loop.Goal(name="bleu", score=score)


def answer(config: Config, network: "keras.Model", assets: Assets) -> Answer:
    """What is served: text to pieces, beam search or sampling, pieces to text, in the graph."""
    return translation.Translate(network, assets)


def evaluate(
    config: Config,
    application: Application,
    examples: "translation.PairExamples",
    reporter: Reporter,
) -> Evaluation:
    """BLEU and chrF on the test split, beside the translation of the nearest training sentence."""
    test, train = examples.pairs.test, examples.pairs.train
    strategy = {option.name: option.default for option in interface(config).options}
    reporter.log(f"translating {len(test):,} test sentences")
    hypotheses = application(test.sources, **strategy)
    nearest = lookup.NearestSource().fit(train.sources, train.targets).answer(test.sources)
    bleu, chrf = (measure(hypotheses, test.targets) for measure in (metrics.bleu, metrics.chrf))
    every = max(1, len(test) // 5)
    return Evaluation(
        metrics={
            "bleu": round(bleu.value, 2),
            "chrf": round(chrf.value, 2),
            "bleu_of_nearest_training_sentence": round(
                metrics.bleu(nearest, test.targets).value, 2
            ),
            "sentences": len(test),
            "bleu_signature": bleu.signature,
            "chrf_signature": chrf.signature,
        },
        samples=[
            {
                "source": test.sources[i],
                "translation": hypotheses[i],
                "reference": test.targets[i],
            }
            for i in range(0, len(test), every)
        ][:5],
    )


def plots(
    config: Config, network: "keras.Model", examples: "translation.PairExamples", folder: Path
) -> None:
    """Heat maps: where the decoder looked while it wrote."""
    for number, found in enumerate(translation.attention_maps(network, examples, count=3), 1):
        plot_attention(
            found.weights_TS,
            source=found.source,
            target=found.target,
            path=folder / f"attention_{number}.png",
        )


def show(number: int, found: Mapping[str, Any]) -> str:
    """The translation; with several, one a line as `number ||| text ||| score`."""
    if len(found["alternatives"]) < 2:
        return str(found["translation"])
    rows = zip(found["alternatives"], found["alternative_scores"], strict=True)
    return "\n".join(f"{number} ||| {text} ||| {score:.4f}" for text, score in rows)


RECIPE = Recipe(
    name="translate",
    summary="Translation with attention: a sentence in, a sentence in another language out.",
    config=Config,
    interface=interface,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    answer=answer,
    evaluate=evaluate,
    plots=plots,
    show=show,
)

if __name__ == "__main__":
    sys.exit(run(RECIPE))
