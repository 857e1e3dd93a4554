"""A phase before the training of a text classifier: its encoder learns to predict words."""

import dataclasses
from pathlib import Path

import keras

from seqapps.recipes.sentiment.examples import UnlabelledExamples
from seqapps.recipes.sentiment.network import EMBEDDING, ENCODER
from seqapps.recipes.sentiment.settings import Classifier, Pretraining
from seqapps.recipes.sentiment.teacher import build_language_model, language_model_loss
from seqapps.report import Reporter
from seqapps.training.loop import Goal, fit
from seqapps.training.optimizer import LayerGroup
from seqapps.training.settings import Training


def pretrain_encoder(
    network: keras.Model,
    examples: UnlabelledExamples,
    *,
    model: Classifier,
    pretraining: Pretraining,
    training: Training,
    seed: int,
    folder: Path,
    reporter: Reporter,
    resume: bool,
) -> list[dict[str, float]]:
    """Trains embedding and encoder of a classifier as a language model.

    Args:
        network: From `build_classifier`; gets what was learned.
        examples: Texts without labels.
        model: Size and kind of the classifier.
        pretraining: Epochs, rate and samples of this phase.
        training: Everything else, as in the training after it.
        seed: Of the language model.
        folder: For checkpoints.
        reporter: Shows progress.
        resume: Go on from the newest checkpoint of `folder`.

    Returns:
        The history, a row for each epoch.

    Source: Dai and Le 2015, "Semi-supervised Sequence Learning" (section 2.2).
    """
    reporter.log("Pre-training: predicting each word from those before and those after it")
    teacher = build_language_model(
        model,
        probabilities=examples.frequencies**0.75,
        samples=pretraining.samples,
        dropout=pretraining.dropout,
        seed=seed + 1,
    )
    settings = dataclasses.replace(
        training,
        minutes=0.0,
        epochs=pretraining.epochs,
        learning_rate=pretraining.learning_rate,
        batch_tokens=pretraining.batch_tokens,
        schedule="cosine",
        monitor="loss",
        patience=0,
        average_decay=0.0,
    )
    progress = fit(
        teacher,
        examples,
        loss=language_model_loss(teacher),
        goal=Goal(name="loss", score=dict),
        settings=settings,
        folder=folder,
        reporter=reporter,
        resume=resume,
    )
    for name in (EMBEDDING, ENCODER):
        network.get_layer(name).set_weights(teacher.get_layer(name).get_weights())
    return progress.history


def layer_groups(network: keras.Model, pretraining: Pretraining) -> list[LayerGroup]:
    """Groups a pretrained classifier's layers from the top: head, encoder layers, embedding.

    Each group learns slower than the one above it and begins later, so that what was learned before
    is not lost while the head is still random.

    Source: Howard and Ruder 2018, sections 3.2 and 3.3.
    """
    encoder, embedding = network.get_layer(ENCODER), network.get_layer(EMBEDDING)
    count = len(encoder.directions)
    levels = [
        [v for r in encoder.recurrences[i : i + count] for v in r.trainable_variables]
        for i in range(0, len(encoder.recurrences), count)
    ]
    lower = [*reversed(levels), embedding.trainable_variables]
    return [
        LayerGroup(
            variables,
            pretraining.layer_rate**place,
            first_epoch=place * pretraining.unfreeze_epochs,
        )
        for place, variables in enumerate(lower, 1)
    ]
