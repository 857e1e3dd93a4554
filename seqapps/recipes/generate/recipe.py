"""Text generation: a prompt (or nothing) in, text out, as it is written.

One-to-many. A recurrent language model reads a text character by character and predicts each next
one (Mikolov et al. 2010; Graves 2013), regularised as an AWD-LSTM (Merity et al. 2018: weight drop,
locked dropout, averaged weights). Training carries the state along a continuous stream of text.
Drawing from the predictions, one after another, writes text.

    python -m seqapps.recipes.generate
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqapps.bundle.application import Application
from seqapps.bundle.folder import read_assets
from seqapps.fields import MAIN, Answers, Assets, Interface, Parts
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Predict, Recipe, strategy_options
from seqapps.recipes.generate.data import EMBEDDED, sizes
from seqapps.recipes.generate.interface import writer_interface
from seqapps.recipes.generate.predict import WriteOptions, write_texts
from seqapps.recipes.generate.settings import (
    FIXED,
    LANGUAGE_MODEL_SPACE,
    Config,
    LanguageModel,
    settled,
)
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.recipes.generate import answer as generation
    from seqapps.recipes.generate import cache as neural_cache
    from seqapps.recipes.generate import examples as running_examples
    from seqapps.recipes.generate import mixture as mixtures
    from seqapps.recipes.generate import network as recurrent_lm
    from seqapps.recipes.generate import parts as networks
    from seqapps.recipes.generate import plots
    from seqapps.recipes.generate import scores as writing_scores
    from seqapps.training import loop, losses

if TYPE_CHECKING:
    import keras

    from seqapps.recipes.generate.examples import RunningExamples


def interface(config: Config) -> Interface:
    """A prompt in, text out; or state in, state out; or a text in and how likely it is."""
    # An n-gram model's context stands behind the network's state.
    state_size = config.model.state_size + int(config.ngrams.order > 0)
    return writer_interface(strategy_options(config.decoding), state_size=state_size)


def settle(config: Config, reporter: Reporter) -> Config:
    """Fills in what nobody chose, from the length of the training text and the minutes."""
    if config.data.train == EMBEDDED:
        return config
    return settled(config, **sizes(config.data, utf8=config.text.kind != "bytes"))


def load(config: Config, assets: Assets | None, reporter: Reporter) -> "RunningExamples":
    """Reads the text; the vocabulary is that of training."""
    return running_examples.RunningExamples.load(config, assets, reporter.log)


def build_model(model: LanguageModel, *, vocabulary: int, seed: int = 0) -> "keras.Model":
    """Builds the network; see `seqapps.recipes.generate.network.build_recurrent_lm`."""
    return recurrent_lm.build_recurrent_lm(model, vocabulary=vocabulary, seed=seed)


def build(config: Config, examples: "RunningExamples") -> "keras.Model":
    """The network for this vocabulary."""
    return build_model(config.model, vocabulary=examples.vocabulary.size, seed=config.seed)


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """Cross-entropy of each next token, and penalties on the last layer's outputs."""
    return losses.language_model_cross_entropy(
        label_smoothing=config.training.label_smoothing,
        activation_penalty=config.model.activation_penalty,
        change_penalty=config.model.change_penalty,
    )


def goal(config: Config, network: "keras.Model", examples: "RunningExamples") -> "loop.Goal":
    """Bits per character of the validation text."""
    return loop.Goal(
        name="bits_per_character",
        score=dict,
        highest=False,
        of_loss=lambda loss: {"bits_per_character": examples.bits_per_character(loss)},
    )


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    """What is served: text to tokens, drawing one after another, tokens to text, in the graph.

    Besides: writing in portions, and judging a text.
    """
    served = generation.GenerateText(network, assets)
    return {
        MAIN: served,
        "init": served.init,
        "read": served.read,
        "step": served.step,
        "score": served.score,
    }


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    """The language model, for ONNX."""
    return networks.writer_parts(network)


def evaluate(
    config: Config, application: Application, examples: "RunningExamples", reporter: Reporter
) -> Evaluation:
    """Loss, perplexity and bits of the whole held-out text, beside Kneser-Ney's and a cache's."""
    network, total = application.model, len(examples.test) - 1
    with reporter.bar("Reading the text", total=total, unit="tokens") as bar:
        losses_N = writing_scores.token_losses(network, examples.test, advance=bar.advance)
    mixture = mixtures.Mixture.from_assets(read_assets(application.path))
    measured = writing_scores.measure(
        network,
        losses_N,
        examples,
        mixture=mixture,
        write=application.answers,
        seed=config.seed,
        log=reporter.log,
    )
    window = config.evaluation.cache_window
    cached = neural_cache.measure_cache(
        network, examples, window=window, mixture=mixture, reporter=reporter
    )
    return Evaluation(
        metrics={**measured.metrics, **cached},
        samples=measured.samples,
        warnings=measured.warnings,
        title="What it writes",
        on=f"the {measured.metrics['measured_on']}",
        draw=lambda folder: plots.plot_surprise(
            measured.passage, measured.surprise, folder / "surprise.png"
        ),
    )


def finish(
    config: Config, network: "keras.Model", examples: "RunningExamples", reporter: Reporter
) -> Assets:
    """Chooses on the validation text how much an n-gram model counts beside the network."""
    if not config.ngrams.order:
        return examples.assets
    ids = examples.unreported
    reporter.log(f"Choosing the share of n-grams beside the network on {len(ids):,} tokens")
    losses_N = writing_scores.token_losses(network, ids)
    chosen = mixtures.Mixture.choose(examples.ngrams(config.ngrams.order), losses_N, ids)
    return {**examples.assets, **(chosen.assets if chosen else mixtures.NONE)}


def predict(config: Config, application: Application, options: WriteOptions) -> None:
    """Prints texts as they are written: for one prompt, or for each line."""
    write_texts(application, options, strategy=vars(config.decoding))


RECIPE = Recipe(
    name="generate",
    summary="Text generation: a prompt (or nothing) in, text out.",
    config=Config,
    interface=interface,
    settle=settle,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    answers=answers,
    evaluate=evaluate,
    finish=finish,
    rate=lambda config, examples: writing_scores.rating(examples),
    # Of five signatures, some of which write step by step.
    rest=lambda seconds: 40.0 + 2.0 * seconds,
    fixed=FIXED,
    parts=parts,
    space=LANGUAGE_MODEL_SPACE,
    predict=Predict(
        help="Write text, from a prompt or from each line of files or standard input. A text may "
        "hold line ends: a program that reads several should ask for --json",
        run=predict,
        options=WriteOptions,
        examples=(
            'BUNDLE --prompt "The "',
            "BUNDLE < prompts.txt > texts.txt",
            "BUNDLE --prompt '' --decoding.temperature 0.5 --decoding.seed 7",
        ),
    ),
)
