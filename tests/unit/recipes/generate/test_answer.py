"""Writing with a network: one call, portions, beams and scores agree with each other."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

from seqapps.decoding.settings import Sampling
from seqapps.recipe import strategy_options
from seqapps.recipes.generate import answer as generation
from seqapps.recipes.generate import mixed as mixed_network
from seqapps.recipes.generate.answer import GenerateText
from seqapps.recipes.generate.interface import writer_interface
from seqapps.recipes.generate.network import build_recurrent_lm, read, state_size
from seqapps.recipes.generate.settings import LanguageModel
from seqapps.text.vocabulary import MARK, Vocabulary

# Keras 3.15 reads a TensorFlow variable in the way that NumPy 2 deprecates.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

VOCABULARY = Vocabulary.fit("characters", [b"abc \n"], size=0)
SETTINGS = LanguageModel(embedding=5, units=8, depth=2)
OPTIONS = strategy_options(Sampling())
INTERFACE = writer_interface(OPTIONS, state_size=SETTINGS.state_size)


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(11)
    made = build_recurrent_lm(SETTINGS, vocabulary=VOCABULARY.size, seed=1)
    # Louder than fresh weights, so that texts differ.
    made.set_weights([3.0 * weight for weight in made.get_weights()])
    return made


@pytest.fixture(scope="module")
def served(network):
    """The served functions as graphs that take any batch."""
    writer = GenerateText(network, VOCABULARY.assets)
    options = {o.name: tf.TensorSpec(o.batch_shape, o.dtype) for o in OPTIONS}

    def traced(name, function):
        specs = {}
        for field in INTERFACE.inputs_of(name):
            specs[field.name] = tf.TensorSpec(field.batch_shape, field.dtype)
            if field.varies:
                specs[field.lengths] = tf.TensorSpec([None], tf.int32)
        return tf.function(function, input_signature=[specs, options], autograph=False)

    names = {"write": writer, "init": writer.init, "step": writer.step, "score": writer.score}
    return {name: traced(name, function) for name, function in names.items()}


def values(**given):
    """Options as tensors: one for all rows, or a list of one for each."""
    unknown = given.keys() - {o.name for o in OPTIONS}
    assert not unknown
    found = {}
    for option in OPTIONS:
        value = given.get(option.name, option.default)
        if option.rank:
            found[option.name] = tf.constant([list(value)], tf.string, shape=(1, len(value)))
        else:
            found[option.name] = tf.constant(np.atleast_1d(value), option.dtype)
    return found


def write(served, prompts, **options):
    prompts = tf.constant([prompt.encode() for prompt in prompts])
    return served["write"]({"prompt": prompts}, values(**options))


def texts(found):
    return [text.decode() for text in found["text"].numpy()]


PROMPTS = ["", "a", "abc cab", "x☃", "ab\n" * 400]


def test_prompts_of_any_length_alone_and_together(served):
    together = write(served, PROMPTS, max_length=40, seed=5)
    for row, prompt in enumerate(PROMPTS):
        alone = write(served, [prompt], max_length=40, seed=5)
        assert texts(alone) == [texts(together)[row]]
        np.testing.assert_allclose(
            alone["log_probability"][0], together["log_probability"][row], atol=1e-4
        )
    assert len(set(texts(together))) > 2
    assert "�" not in "".join(texts(together))


def test_seeds_and_samples(served):
    found = write(served, ["a", "b"], max_length=30, samples=[4, 2], seed=[10, 10])
    assert found["samples_lengths"].numpy().tolist() == [4, 2]
    for number in range(4):
        alone = write(served, ["a"], max_length=30, seed=10 + number)
        assert alone["text"][0] == found["samples"][0, number]
        np.testing.assert_allclose(
            alone["log_probability"][0], found["sample_log_probabilities"][0, number], atol=1e-4
        )
    assert found["text"][1] == found["samples"][1, 0]
    assert len(set(found["samples"][0].numpy().tolist())) == 4
    assert texts(write(served, ["a"], max_length=30, seed=10)) == texts(
        write(served, ["a"], max_length=30, seed=10)
    )


@pytest.mark.parametrize("portions", [[1] * 30, [7, 1, 22], [30]], ids=str)
def test_steps_write_the_text_of_one_call(served, portions):
    options = {
        "max_length": 30,
        "temperature": 0.9,
        "seed": 3,
        "stop": ("ca", "b\n"),
        "min_length": 4,
        "repetition_penalty": 1.1,
    }
    for prompt in PROMPTS[:3]:
        whole = write(served, [prompt], **options)
        pen = served["init"]({"prompt": tf.constant([prompt])}, values())
        text, log_probs = b"", []
        for length in portions:
            given = {k: v for k, v in pen.items() if k not in ("text", "token_log_probabilities")}
            given.pop("token_log_probabilities_lengths", None)
            pen = served["step"]({**given, "length": tf.constant([length])}, values(**options))
            text += pen["text"].numpy()[0]
            size = int(pen["token_log_probabilities_lengths"][0])
            log_probs += pen["token_log_probabilities"].numpy()[0, :size].tolist()
        assert (int(pen["done"][0]), int(pen["held"][0])) == (1, 0)
        assert text == whole["text"].numpy()[0]
        wanted = whole["token_log_probabilities"].numpy()[0]
        np.testing.assert_allclose(log_probs, wanted, atol=1e-5)


def test_written_text_scores_what_it_was_given(served, network):
    found = write(served, ["abc "], max_length=25, temperature=1.5, banned=("\n",), seed=8)
    text = texts(found)[0]
    assert "\n" not in text
    scored = served["score"]({"text": tf.constant(["abc " + text])}, values())
    count = int(found["token_log_probabilities_lengths"][0])
    given = found["token_log_probabilities"].numpy()[0, : min(count, len(text))]
    np.testing.assert_allclose(
        scored["token_log_probabilities"].numpy()[0, 4 : 4 + len(given)], given, atol=1e-5
    )


def test_a_score_is_the_networks_and_of_nothing_it_is_nothing(served, network):
    given = ["", "a", "cab cab\n", "ab" * 60]
    found = served["score"]({"text": tf.constant(given)}, values())
    for row, text in enumerate(given):
        ids = [MARK, *VOCABULARY.encode(text.encode())]
        logits, _ = read(
            network,
            tf.constant([[*ids[:-1], MARK]]),
            tf.constant([len(ids) - 1]),
            tf.zeros([1, state_size(network)]),
        )
        log_probs = tf.nn.log_softmax(logits[0]).numpy()
        wanted = sum(log_probs[place, token] for place, token in enumerate(ids[1:]))
        assert float(found["log_probability"][row]) == pytest.approx(wanted, abs=1e-4)
        bits = -wanted / np.log(2) / max(1, len(text))
        assert float(found["bits_per_character"][row]) == pytest.approx(bits, abs=1e-5)
        perplexity = np.exp(-wanted / max(1, len(text)))
        assert float(found["perplexity"][row]) == pytest.approx(perplexity, rel=1e-4)
        assert int(found["token_log_probabilities_lengths"][row]) == len(text)


def test_long_texts_are_read_in_windows(served, network, monkeypatch):
    """Windows of 16 tokens, their edges inside, at the ends and past the ends of texts."""
    texts_ = ["ab c\n" * 10, "c" * 16, "a" * 17, "", "b" * 32]
    monkeypatch.setattr(generation, "_WINDOW", 16)
    writer = GenerateText(network, VOCABULARY.assets)
    read_lengths = []

    def spy(network, tokens, lengths, state):
        read_lengths.append(tokens.shape[1])
        return read(network, tokens, lengths, state)

    monkeypatch.setattr(mixed_network, "read", spy)
    scored = writer.score({"text": tf.constant(texts_)}, values())
    assert read_lengths == [16, 16, 16, 2]
    for name, value in served["score"]({"text": tf.constant(texts_)}, values()).items():
        np.testing.assert_allclose(scored[name], value, atol=1e-5, rtol=1e-5)
    pen = writer.init({"prompt": tf.constant(texts_)}, values())
    for name, value in served["init"]({"prompt": tf.constant(texts_)}, values()).items():
        if name in ("state", "counts", "token"):
            np.testing.assert_allclose(pen[name], value, atol=1e-5)


def test_forced_beginnings_and_lengths(served):
    found = write(served, ["a", ""], max_length=12, begin="ccb", seed=1, banned=("a",))
    for text in texts(found):
        assert text.startswith("ccb")
        assert "a" not in text
    assert texts(write(served, ["a"], max_length=0)) == [""]
    assert len(texts(write(served, ["a"], max_length=50, min_length=50))[0]) == 50


def test_a_text_that_its_limit_cut_says_so(served):
    stopped = write(served, ["a"], begin="cc", stop=("cc",), max_length=9)
    assert (texts(stopped), stopped["truncated"].numpy().tolist()) == ([""], [0])
    # The stop string's last letter is the last that there is room for.
    assert write(served, ["a"], begin="cc", stop=("cc",), max_length=2)["truncated"][0] == 0
    for width in (1, 4):
        cut = write(served, ["a", "b"], min_length=3, max_length=[3, 0], beam_width=width)
        # A search knows no minimum, and holds the empty text to be cut as well.
        ended = [len(text) < 3 for text in texts(cut)]
        assert cut["truncated"].numpy().tolist() == [int(not ended[0]), 1]


def test_a_beam_finds_what_brute_force_finds(served, network):
    """All texts of up to three tokens, each with or without its end."""
    letters = range(2, VOCABULARY.size)
    prompt = [MARK, *VOCABULARY.encode(b"ab")]

    def log_prob(tail):
        ids = [*prompt, *tail]
        logits, _ = read(
            network, tf.constant([ids]), tf.constant([len(ids)]), tf.zeros([1, state_size(network)])
        )
        found = tf.nn.log_softmax(logits[0]).numpy()
        return sum(found[len(prompt) - 1 + i, token] for i, token in enumerate(tail))

    # A search prefers texts that ended; those cut at the limit come after them.
    ended = [(*tail, MARK) for n in range(3) for tail in itertools.product(letters, repeat=n)]
    best = max(ended, key=log_prob)
    found = write(served, ["ab"], max_length=3, beam_width=200, samples=3)
    assert VOCABULARY.decode(best) == found["text"].numpy()[0]
    assert float(found["log_probability"][0]) == pytest.approx(log_prob(best), abs=1e-4)
    assert found["samples_lengths"].numpy().tolist() == [3]
    # A row that draws beside one that searches is as it would be alone.
    mixed = write(served, ["ab", "c"], max_length=3, beam_width=[200, 1], samples=[3, 1], seed=4)
    assert mixed["text"][0] == found["text"][0]
    assert texts(mixed)[1] == texts(write(served, ["c"], max_length=3, seed=4))[0]


def test_settings_are_checked():
    for settings, message in (
        ({"max_length": -1}, "max_length must be from 0 to 100000, got -1"),
        ({"samples": 0}, "samples must be from 1 to 256, got 0"),
        ({"temperature": -0.1}, "temperature must be at least 0, got -0.1"),
        ({"top_p": 0.0}, "top_p must be above 0"),
        ({"min_p": 1.5}, "min_p must be from 0 to 1, got 1.5"),
        ({"repetition_penalty": 0.0}, "repetition_penalty must be above 0"),
        ({"stop": ("x" * 257,)}, "stop strings must have at most 256 bytes"),
    ):
        with pytest.raises(ValueError, match=message):
            Sampling(**settings)
