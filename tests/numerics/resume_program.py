"""A small training of a recipe: python resume_program.py RECIPE DATA FOLDER whole|killed|resumed.

`killed` is ended by SIGKILL while it writes a checkpoint in mid-pass; `resumed` goes on from there
(and a translator gets Ctrl-C twice, in mid-pass and while it validates); `whole` runs from start to
end. RECIPE is `translate` or `generate`, whose state goes from batch to batch.
"""

import hashlib
import os
import signal
import sys
import threading
from dataclasses import replace
from pathlib import Path

from seqapps.lazy import start_tensorflow

start_tensorflow()

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from tensorflow.python.checkpoint import checkpoint_management  # noqa: E402

from seqapps.recipes.generate import recipe as generate  # noqa: E402
from seqapps.recipes.translate import recipe as translate  # noqa: E402
from seqapps.report import Reporter  # noqa: E402
from seqapps.training import checkpoint, loop  # noqa: E402
from seqapps.training import run as training_run  # noqa: E402
from seqapps.training.settings import Training  # noqa: E402

SCORES = (2.0, 1.0, 1.5, 0.5, 9.0)
"""Of each epoch: the first is best, so that three without improvement end the run at the fourth."""

KILLED = (2, 7)
"""Epoch, from 0, and batches done in it."""

STOPPED = {"translate": ((3, 5), (3, None)), "generate": ()}
"""Likewise; None is during validation."""


def of_writer(text: Path) -> generate.Config:
    """Of what depends on chance and of what is carried on, everything."""
    default = generate.Config()
    return replace(
        default,
        data=replace(default.data, train=str(text)),
        text=replace(default.text, window=12),
        model=replace(
            default.model,
            cell="lstm",
            embedding=8,
            units=8,
            dropout=0.2,
            output_dropout=0.2,
            embedding_dropout=0.1,
            weight_drop=0.3,
            activation_penalty=0.1,
            change_penalty=0.1,
        ),
        training=Training(
            epochs=6,
            batch_tokens=96,
            average_decay=0.9,
            patience=3,
            warmup_steps=5,
            label_smoothing=0.0,
            checkpoint_minutes=2.5 / 60.0,
            tensorboard=False,
        ),
        seed=11,
    )


def of_translator(pairs: Path) -> translate.Config:
    default = translate.Config()
    return replace(
        default,
        data=replace(
            default.data, train="train", validation="validation", test="test", folder=str(pairs)
        ),
        text=replace(default.text, vocabulary=150, sampling=0.3),
        model=replace(default.model, embedding=8, units=8, dropout=0.2, token_dropout=0.1),
        training=Training(
            epochs=6,
            batch_tokens=1024,
            average_decay=0.9,
            schedule="plateau",
            plateau_epochs=1,
            patience=3,
            warmup_steps=5,
            checkpoint_minutes=2.5 / 60.0,
            tensorboard=False,
        ),
        seed=11,
    )


class Sitting:
    """Examples, reporter, clock and goal of one sitting; `act` is called at `moment`."""

    def __init__(self, examples, moment, act):
        self.examples, self.moment, self.act = examples, moment, act
        self.epoch = self.batch = 0
        self.clock = 0.0

    def training_pass(self, epoch):
        self.epoch = epoch
        whole = self.examples.training_pass(epoch)

        def dataset(skip):
            self.batch = skip
            return whole.dataset(skip)

        return replace(whole, dataset=dataset)

    def validation_batches(self):
        return self.examples.validation_batches()

    def score(self):
        if self.moment == (self.epoch, None):
            self.act()
        return {"score": SCORES[self.epoch]}

    # A checkpoint is due every three updates: one lasts a second.
    def monotonic(self):
        return self.clock

    def log(self, text):
        sys.stdout.write(text + "\n")

    def bar(self, *args, **kwargs):
        return self

    def advance(self, amount, status):
        self.clock += 1.0
        self.batch += 1
        if self.moment == (self.epoch, self.batch):
            self.act()

    def close(self):
        pass


def kill_in_the_next_save(folder: Path) -> None:
    """Ends this process as soon as the first file of the next checkpoint is there.

    If it is not looked for in time, as on a busy machine, then before the checkpoint counts.
    """
    save = checkpoint.Checkpoints.save

    def watched(self, progress):
        before = {path.name for path in folder.iterdir()}

        def watch():
            while {path.name for path in folder.iterdir()} <= before:
                pass
            os.kill(os.getpid(), signal.SIGKILL)

        checkpoint_management.update_checkpoint_state_internal = lambda *_, **__: os.kill(
            os.getpid(), signal.SIGKILL
        )
        threading.Thread(target=watch).start()
        save(self, progress)

    checkpoint.Checkpoints.save = watched


# Sums of several threads are those that could come in another order.
tf.config.threading.set_intra_op_parallelism_threads(2)

RECIPES = {"translate": (translate, of_translator), "generate": (generate, of_writer)}


def sit(name: str, data: Path, folder: Path, moment, act) -> None:
    recipe, config = RECIPES[name]
    settings = config(data)
    training_run.start(settings)
    sitting = Sitting(recipe.load(settings, None, Reporter()), moment, act)
    loop.time = sitting
    reporter = Reporter()
    reporter.log, reporter.bar = sitting.log, sitting.bar
    network = recipe.build(settings, sitting.examples)
    progress = loop.fit(
        network,
        sitting,
        loss=recipe.loss(settings),
        goal=loop.Goal("score", sitting.score),
        settings=settings.training,
        folder=folder,
        reporter=reporter,
        resume=True,
    )
    content = b"".join(weight.tobytes() for weight in network.get_weights())
    sitting.log(f"stopped at epoch {progress.epoch}: {hashlib.sha256(content).hexdigest()}")


def main(name: str, data: Path, folder: Path, how: str) -> None:
    # A shell starts background jobs with Ctrl-C ignored, and that is inherited.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if how == "killed":
        sit(name, data, folder, KILLED, lambda: kill_in_the_next_save(folder / "checkpoints"))
    for moment in STOPPED[name] if how == "resumed" else ():
        try:
            sit(name, data, folder, moment, lambda: os.kill(os.getpid(), signal.SIGINT))
        except KeyboardInterrupt:
            sys.stdout.write("interrupted\n")
            keras.backend.clear_session()
    sit(name, data, folder, None, None)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), sys.argv[4])
