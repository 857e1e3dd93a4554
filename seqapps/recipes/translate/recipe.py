"""Translation: a sentence in, the same sentence in another language out.

Many-to-many with attention. A bidirectional GRU reads the source; a GRU decoder writes the target
and, at every step, looks back at the source where attention points (Bahdanau et al. 2015, "Neural
Machine Translation by Jointly Learning to Align and Translate"; Luong et al. 2015). Words are cut
into SentencePiece pieces (Kudo 2018), a beam search finds the answer (Wu et al. 2016).

    python -m seqapps.recipes.translate
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from seqapps.bundle.application import Application
from seqapps.fields import MAIN, Answers, Assets, Field, Interface, Parts, Rating
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe, strategy_options
from seqapps.recipes.translate.settings import TRANSLATOR_SPACE, Config, Translator
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.recipes.translate import answer as translation
    from seqapps.recipes.translate import examples as sentence_pairs
    from seqapps.recipes.translate import metrics, plots
    from seqapps.recipes.translate import network as translator
    from seqapps.recipes.translate import parts as networks
    from seqapps.recipes.translate import scores as measures
    from seqapps.training import loop, losses

if TYPE_CHECKING:
    import keras

    from seqapps.recipes.translate.examples import PairExamples


def interface(config: Config) -> Interface:
    """A sentence in, a sentence and its score out; a beam search's options for each row."""
    return Interface(
        inputs=(Field(name="source", description=f"A sentence ({config.data.source})."),),
        outputs=(
            Field(
                name="translation",
                description=f"The sentence in {config.data.target}, of at most 1,000 pieces.",
            ),
            Field(
                name="score",
                dtype="float32",
                media="number",
                unit="log-probability, nats",
                description="Searched: divided by the length penalty. Drawn: as it is.",
            ),
        ),
        details=(
            Field(name="alternatives", rank=1, description="The n best, best first."),
            Field(name="alternative_scores", dtype="float32", rank=1, media="number"),
        ),
        options=strategy_options(config.decoding),
    )


def load(config: Config, assets: Assets | None, reporter: Reporter) -> "PairExamples":
    """Reads the pairs and cuts them into pieces; vocabularies are fitted on training pairs."""
    return sentence_pairs.PairExamples.load(config, assets, reporter.log)


def build_model(
    model: Translator, *, source_vocabulary: int, target_vocabulary: int, seed: int = 0
) -> "keras.Model":
    """Builds the network; see `seqapps.recipes.translate.network.build_translator`.

    It trains with plain `fit` too: inputs `source`, `source_lengths`, `target` (BOS first) and
    `target_lengths`, labels the target one step later, `sample_weight` 1 on real labels and 0 on
    padding. The loss is then a mean per token, as `train` has it, with
    `SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight")`.
    """
    return translator.build_translator(
        model, source_vocabulary=source_vocabulary, target_vocabulary=target_vocabulary, seed=seed
    )


def build(config: Config, examples: "PairExamples") -> "keras.Model":
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


def goal(config: Config, network: "keras.Model", examples: "PairExamples") -> "loop.Goal":
    """BLEU of greedy translations of the validation split."""
    greedy = translation.GreedyTranslator(network, examples.target)

    def score() -> dict[str, float]:
        hypotheses = greedy(examples.encoded_validation["source"])
        return {"bleu": metrics.bleu(hypotheses, examples.pairs.validation.targets).value}

    return loop.Goal(name="bleu", score=score)


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    """What is served: text to pieces, beam search or sampling, pieces to text, in the graph."""
    return {MAIN: translation.Translate(network, assets)}


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    """Encoder and decoder, for ONNX."""
    return networks.translator_parts(network)


def evaluate(
    config: Config, application: Application, examples: "PairExamples", reporter: Reporter
) -> Evaluation:
    """BLEU and chrF on the test split, beside the translation of the nearest training sentence.

    Heat maps show where the decoder looked while it wrote.
    """
    test = examples.pairs.test
    with reporter.bar("Translating the test split", total=len(test), unit="sentences") as bar:
        hypotheses = application(test.sources, advance=bar.advance, **vars(config.decoding))
    return Evaluation(
        metrics=measures.scores(hypotheses, examples.pairs),
        samples=measures.side_by_side(hypotheses, test, count=5),
        draw=lambda folder: plots.draw_attention(application.model, examples, folder),
    )


def rate(config: Config, examples: "PairExamples") -> Rating:
    """BLEU and chrF of answers, where there is no Keras model to look into."""
    return measures.rating(examples.pairs.test, vars(config.decoding))


def show(config: Config, number: int, answer: Mapping[str, Any]) -> str:
    """The translation; if several are asked for, one a line as `number ||| text ||| score`."""
    if config.decoding.n_best == 1:
        return str(answer["translation"])
    rows = zip(answer["alternatives"], answer["alternative_scores"], strict=True)
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
    answers=answers,
    evaluate=evaluate,
    rate=rate,
    parts=parts,
    space=TRANSLATOR_SPACE,
    show=show,
)
