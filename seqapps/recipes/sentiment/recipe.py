"""Sentiment: a text in, a label with its probability out, and how much each word mattered.

Many-to-one. Words are cut into SentencePiece pieces (Kudo 2018); a bidirectional GRU reads them;
attention pools what it read into one vector (Yang et al. 2016), from which a small head makes
class probabilities. A linear model of pieces, pairs and n-grams of characters stands beside it
(Wang and Manning 2012) and has the say that validation texts give it. Probabilities are calibrated
by one temperature (Guo et al. 2017). On request the reader first learns the language of the
training texts (Dai and Le 2015; Howard and Ruder 2018).

    python -m seqapps.recipes.sentiment
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqapps.bundle.application import Application
from seqapps.fields import MAIN, Answers, Assets, Interface, Parts
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Recipe, View
from seqapps.recipes.sentiment.importance import coloured, web_page
from seqapps.recipes.sentiment.interface import classifier_interface
from seqapps.recipes.sentiment.settings import CLASSIFIER_SPACE, FIXED, Classifier, Config, settle
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.recipes.sentiment import answer as text_classifier
    from seqapps.recipes.sentiment import calibration, metrics, plots, pretraining
    from seqapps.recipes.sentiment import examples as labelled_texts
    from seqapps.recipes.sentiment import network as classifier
    from seqapps.recipes.sentiment import parts as networks
    from seqapps.recipes.sentiment import scores as classification
    from seqapps.training import loop, losses

if TYPE_CHECKING:
    import keras

    from seqapps.recipes.sentiment.examples import LabelledExamples
    from seqapps.training.optimizer import LayerGroup


def interface(config: Config) -> Interface:
    """A text in; a label and the probabilities of all classes out; and the words that mattered."""
    return classifier_interface()


def load(config: Config, assets: Assets | None, reporter: Reporter) -> "LabelledExamples":
    """Reads the texts and cuts them into pieces; tokenizer and classes are those of training."""
    return labelled_texts.LabelledExamples.load(config, assets, reporter.log)


def build_model(
    model: Classifier, *, vocabulary: int, classes: int, seed: int = 0
) -> "keras.Model":
    """Builds the network; see `seqapps.recipes.sentiment.network.build_classifier`.

    It trains with plain `fit` too: inputs `tokens` and `tokens_lengths`, labels the classes'
    numbers, `SparseCategoricalCrossentropy(from_logits=True)`.
    """
    return classifier.build_classifier(model, vocabulary=vocabulary, classes=classes, seed=seed)


def build(config: Config, examples: "LabelledExamples") -> "keras.Model":
    """The network for this vocabulary and these classes."""
    size, classes = examples.tokenizer.size, len(examples.classes)
    network = build_model(config.model, vocabulary=size, classes=classes, seed=config.seed)
    return calibration.spelling(network, examples.tokenizer)


def pretrain(
    config: Config,
    network: "keras.Model",
    examples: "LabelledExamples",
    folder: Path,
    reporter: Reporter,
    resume: bool,
) -> list[dict[str, float]]:
    """Teaches the reader the language of the training texts first, if asked."""
    if not config.pretraining.epochs:
        return []
    return pretraining.pretrain_encoder(
        network,
        examples.unlabelled(batch_tokens=config.pretraining.batch_tokens),
        model=config.model,
        pretraining=config.pretraining,
        training=config.training,
        seed=config.seed,
        folder=folder,
        reporter=reporter,
        resume=resume,
    )


def groups(config: Config, network: "keras.Model") -> "Sequence[LayerGroup]":
    """Lets a pretrained reader go layer by layer, the lower ones later and slower."""
    if not config.pretraining.epochs:
        return ()
    return pretraining.layer_groups(network, config.pretraining)


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """Cross-entropy of each text's class."""
    return losses.class_cross_entropy(label_smoothing=config.training.label_smoothing)


def goal(config: Config, network: "keras.Model", examples: "LabelledExamples") -> "loop.Goal":
    """Accuracy on the validation split."""

    def score() -> dict[str, float]:
        logits_NK, labels_N = calibration.validation_logits(network, examples)
        return {"accuracy": float((logits_NK.argmax(1) == labels_N).mean())}

    floor = metrics.commonest(examples.labels_of(examples.splits.validation))
    return loop.Goal(name="accuracy", score=score, floor=floor)


def finish(
    config: Config, network: "keras.Model", examples: "LabelledExamples", reporter: Reporter
) -> Assets:
    """Calibrates the probabilities on the validation split."""
    # Who doubts the labels in training doubts them here, but less: these texts are new.
    doubt = config.training.label_smoothing / 2
    temperature = calibration.calibrate(network, examples, reporter.log, doubt=doubt)
    reporter.log(f"Temperature {temperature:.3f}, fitted on the validation split")
    return examples.assets


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    """What is served: text to pieces, network, class probabilities; and each word's importance."""
    cut, apart = config.text.cut, config.apart
    served = text_classifier.ClassifyText(network, assets, cut, apart=apart)
    return {MAIN: served, "explain": served.explain}


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    """The classifier, for ONNX."""
    return networks.classifier_parts(network, config.text.cut, apart=config.apart)


def evaluate(
    config: Config, application: Application, examples: "LabelledExamples", reporter: Reporter
) -> Evaluation:
    """Accuracy, F1, AUC and calibration on the test split, beside the baseline's on the same."""
    asked = examples.splits.test.texts
    with reporter.bar("Classifying the test split", total=len(asked), unit="texts") as bar:
        answers = application.answers(asked, advance=bar.advance)
    measured = classification.measure(
        answers,
        examples,
        temperature=calibration.temperature_of(application.model),
        share=calibration.share_of(application.model),
        pairs_NK=calibration.pairs_say(application.model, examples, asked),
        seed=config.seed,
        log=reporter.log,
    )
    return Evaluation(
        metrics=measured.metrics,
        samples=measured.mistakes,
        title="The surest mistakes",
        draw=lambda folder: plots.draw(measured, examples.classes, folder),
        warnings=measured.warnings,
    )


def show(config: Config, number: int, answer: Mapping[str, Any]) -> str:
    """Label and probability, separated by a tab."""
    return f"{answer['label']}\t{answer['probabilities'][0]:.4f}"


RECIPE = Recipe(
    name="sentiment",
    summary="Sentiment: a text in, a label with its probability out.",
    config=Config,
    settle=settle,
    rest=lambda seconds: 25.0 + 4.0 * seconds,
    interface=interface,
    load=load,
    build=build,
    pretrain=pretrain,
    groups=groups,
    loss=loss,
    goal=goal,
    unfinish=lambda network: calibration.uncalibrate(network),
    finish=finish,
    answers=answers,
    evaluate=evaluate,
    rate=lambda config, examples: classification.rating(examples),
    fixed=FIXED,
    adopt=lambda config, assets, reporter: labelled_texts.adopt(config, assets, reporter.log),
    heads=("logits", "pairs"),
    parts=parts,
    space=CLASSIFIER_SPACE,
    show=show,
    views={
        "words": View(help="how much each word mattered", signature="explain", show=coloured),
        "html": View(help="the same as a web page", signature="explain", page=web_page),
    },
)
