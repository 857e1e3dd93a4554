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
from seqapps.bundle.folder import read_assets
from seqapps.fields import MAIN, Answers, Assets, Parts, Rating
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe
from seqapps.recipes.translate.data import Sizes, load_pairs
from seqapps.recipes.translate.interface import interface
from seqapps.recipes.translate.settings import (
    FIXED,
    TRANSLATOR_SPACE,
    Config,
    Translator,
    settled_config,
)
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.recipes.translate import answer as translation
    from seqapps.recipes.translate import examples as sentence_pairs
    from seqapps.recipes.translate import memory_fit, metrics, plots
    from seqapps.recipes.translate import network as translator
    from seqapps.recipes.translate import parts as networks
    from seqapps.recipes.translate import scores as measures
    from seqapps.training import loop, losses

if TYPE_CHECKING:
    import keras

    from seqapps.recipes.translate.examples import PairExamples


def settle(config: Config, reporter: Reporter) -> Config:
    """Fills in what nobody chose, see `settled_config`; the phrasebook's settings stay."""
    if config.data.train == "phrasebook":
        return config
    train = load_pairs(config.data, seed=config.seed, log=lambda _: None).train
    return settled_config(config, Sizes.of(train))


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

    return loop.Goal(name="bleu", score=score, floor=0.0)


def finish(
    config: Config, network: "keras.Model", examples: "PairExamples", reporter: Reporter
) -> Assets:
    """Adds a memory of the training pairs where it translates the validation split better."""
    greedy = translation.GreedyTranslator(network, examples.target)
    memory = memory_fit.fit_memory(
        examples, lambda: greedy(examples.encoded_validation["source"]), reporter.log
    )
    return examples.assets | ({sentence_pairs.MEMORY: memory} if memory else {})


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    """What is served: text to pieces, beam search or sampling, pieces to text, in the graph."""
    return {MAIN: translation.Translate(network, assets)}


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    """Encoder and decoder, for ONNX."""
    return networks.translator_parts(
        network,
        longest_source=sentence_pairs.longest_source(assets),
        remembers=sentence_pairs.MEMORY in assets,
    )


def evaluate(
    config: Config, application: Application, examples: "PairExamples", reporter: Reporter
) -> Evaluation:
    """BLEU and chrF on the test split, beside the translation of the nearest training sentence.

    Heat maps show where the decoder looked while it wrote.
    """
    test = examples.pairs.test
    with reporter.bar("Translating the test split", total=len(test), unit="sentences") as bar:
        hypotheses = application(test.sources, advance=bar.advance, **vars(config.decoding))
    measured = measures.scores(hypotheses, examples.pairs)
    measured |= measures.of_memory(sentence_pairs.memory_in(read_assets(application.path)))
    return Evaluation(
        metrics=measured,
        samples=measures.side_by_side(hypotheses, test, count=5),
        draw=lambda folder: plots.draw_attention(application.model, examples, folder),
        warnings=measures.warnings(measured),
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
    settle=settle,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    answers=answers,
    finish=finish,
    rest=lambda seconds: 30.0 + 5.0 * seconds,
    evaluate=evaluate,
    rate=rate,
    fixed=FIXED,
    parts=parts,
    space=TRANSLATOR_SPACE,
    show=show,
)
