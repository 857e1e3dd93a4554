"""Speech to text: a recording in, what is said in it out, with the times of the words.

Many-to-many without attention. Convolutions shorten a series of log-mel features; bidirectional
GRUs read it; connectionist temporal classification learns where the characters are without being
told (Graves et al. 2006; Amodei et al. 2016, "Deep Speech 2").

    python -m seqapps.recipes.transcribe
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from seqapps.audio.settings import Augmentation, Features
from seqapps.bundle.application import Application
from seqapps.fields import Answers, Assets, Interface, Parts, Rating
from seqapps.lazy import lazy_imports
from seqapps.recipe import Evaluation, Predict, Recipe, strategy_options
from seqapps.recipes.transcribe.predict import listen
from seqapps.recipes.transcribe.predict_stream import HearOptions, hear_input
from seqapps.recipes.transcribe.settings import FIXED, RECOGNISER_SPACE, Config, Recogniser, settled
from seqapps.recipes.transcribe.sizes import training_sizes
from seqapps.recipes.transcribe.stream_interface import streaming_interface
from seqapps.report import Reporter

with lazy_imports():
    from seqapps.recipes.transcribe import answer as transcription
    from seqapps.recipes.transcribe import examples as speech_examples
    from seqapps.recipes.transcribe import network as recogniser
    from seqapps.recipes.transcribe import parts as networks
    from seqapps.recipes.transcribe import plots
    from seqapps.recipes.transcribe import scores as word_errors
    from seqapps.recipes.transcribe import stream_answer as stream_transcription
    from seqapps.training import loop, losses

if TYPE_CHECKING:
    import keras

    from seqapps.recipes.transcribe.examples import SpeechExamples


def interface(config: Config) -> Interface:
    """A WAV file in, text and confidence out; samples in, words with their times out."""
    return streaming_interface(
        strategy_options(config.decoding), model=config.model, features=config.features
    )


def settle(config: Config, reporter: Reporter) -> Config:
    """Settings that nobody chose follow the recordings and the minutes; those of the demo stay."""
    found = training_sizes(config.data)
    return config if found is None else settled(config, found)


def load(config: Config, assets: Assets | None, reporter: Reporter) -> "SpeechExamples":
    """Reads the recordings and looks them over; the alphabet is that of training."""
    return speech_examples.SpeechExamples.load(config, assets, reporter.log)


def build_model(
    model: Recogniser,
    *,
    outputs: int,
    features: Features | None = None,
    augmentation: Augmentation | None = None,
    seed: int = 0,
) -> "keras.Model":
    """Builds the network; see `seqapps.recipes.transcribe.network.build_recogniser`."""
    return recogniser.build_recogniser(
        model, outputs=outputs, features=features, augmentation=augmentation, seed=seed
    )


def build(config: Config, examples: "SpeechExamples") -> "keras.Model":
    """The network for this alphabet."""
    network = build_model(
        config.model,
        outputs=len(examples.alphabet.symbols),
        features=config.features,
        augmentation=config.augmentation,
        seed=config.seed,
    )
    transcription.adapt(network, examples)
    return network


def loss(config: Config) -> Callable[[Any, Any, bool], tuple[Any, Any]]:
    """CTC, a mean per label."""
    return losses.ctc()


def goal(config: Config, network: "keras.Model", examples: "SpeechExamples") -> "loop.Goal":
    """Errors of greedy transcripts of the validation split: of words, if they are written apart."""
    greedy = transcription.GreedyRecogniser(network, examples)
    return loop.Goal(name=examples.headline, score=greedy.scores, highest=False, floor=100.0)


def finish(
    config: Config, network: "keras.Model", examples: "SpeechExamples", reporter: Reporter
) -> Assets:
    """Chooses on the validation split how much the language model counts, if there is one."""
    if examples.language is None:
        return examples.assets
    chosen, rate = transcription.tune_language(network, examples)
    reporter.log(
        f"Language model counts {chosen.language:g} times, {chosen.bonus:g} nats for each symbol: "
        f"validation {examples.headline.upper()} {rate:.2f} %"
    )
    return examples.assets_with(chosen)


def answers(config: Config, network: "keras.Model", assets: Assets) -> Answers:
    """What is served: WAV bytes to features, network, text, in the graph.

    Besides: the same of samples, and of a streaming model portion by portion.
    """
    return stream_transcription.answers(
        network, assets, features=config.features, model=config.model
    )


def parts(config: Config, network: "keras.Model", assets: Assets) -> Parts:
    """The network from power spectra on, for ONNX."""
    return networks.recogniser_parts(network, config.features, stride=config.model.stride)


def evaluate(
    config: Config, application: Application, examples: "SpeechExamples", reporter: Reporter
) -> Evaluation:
    """Word and character errors on the test split, and how long an answer takes."""
    test, features = examples.splits.test, config.features
    recordings = [examples.wav(samples) for samples in test.samples]
    with reporter.bar("Listening", total=len(test), unit="recordings") as bar:
        hypotheses = application(recordings, advance=bar.advance, **vars(config.decoding))
    references = [examples.alphabet.clean(text) for text in test.texts]
    metrics = word_errors.recognition_scores(
        hypotheses, references, speakers=test.speakers, seed=config.seed, words=examples.words
    )
    texts = [examples.alphabet.clean(text) for text in examples.splits.train.texts]
    constant = word_errors.constant_answer(texts, references)
    metrics |= {"constant_answer": constant}
    metrics |= word_errors.real_time_factor(application, recordings)
    some = (examples.splits.validation.samples or test.samples)[:3]
    return Evaluation(
        metrics=metrics,
        warnings=word_errors.warnings_of(hypotheses, metrics, constant),
        samples=word_errors.mistakes(hypotheses, references, count=5),
        draw=lambda folder: plots.draw_hearing(
            application, some, folder, features=features, stride=config.model.stride
        ),
    )


def rate(config: Config, examples: "SpeechExamples") -> Rating:
    """Word and character errors of answers, where there is no Keras model to look into."""
    return word_errors.rating(
        examples.splits.test,
        vars(config.decoding),
        wav=examples.wav,
        clean=examples.alphabet.clean,
    )


def predict(config: Config, application: Application, options: HearOptions) -> None:
    """Transcribes recordings of any kind and length, or a stream; writes text, JSON, subtitles."""
    (hear_input if options.stream else listen)(application, options, strategy=vars(config.decoding))


RECIPE = Recipe(
    name="transcribe",
    summary="Speech to text: a recording in, what is said in it out.",
    config=Config,
    interface=interface,
    settle=settle,
    load=load,
    build=build,
    loss=loss,
    goal=goal,
    finish=finish,
    # The search is tried with 21 weights of the language model.
    rest=lambda seconds: 30.0 + 10.0 * seconds,
    answers=answers,
    evaluate=evaluate,
    rate=rate,
    fixed=FIXED,
    parts=parts,
    space=RECOGNISER_SPACE,
    predict=Predict(
        help="Transcribe recordings: files, folders, or a WAV file on standard input",
        run=predict,
        options=HearOptions,
        examples=(
            "BUNDLE recording.wav",
            "BUNDLE talks/ --format srt --output subtitles",
            "BUNDLE --stream --rate 16000 < recording.raw",
        ),
    ),
)
