"""A bundle that has been checked and loaded, and where it runs."""

import logging
from pathlib import Path
from typing import Any

import tensorflow as tf

from seqapps.bundle.folder import read_config
from seqapps.errors import UserError
from seqapps.fields import MAIN, Interface
from seqapps.portable.certificate import check_certified, compare_answers
from seqapps.serving.contract import Arrays, contracts_of, probe
from seqapps.serving.refusals import Refused, short
from seqapps.serving.settings import Serve

log = logging.getLogger("seqapps.serving")

_REQUESTS_OWN = (
    tf.errors.InvalidArgumentError,
    tf.errors.OutOfRangeError,
    tf.errors.FailedPreconditionError,
)
"""What TensorFlow raises when the values of a request make no sense."""


class Servable:
    """A bundle's SavedModel in this process."""

    copies = 1
    alive = True

    def __init__(self, folder: Path, limits: Serve) -> None:
        """Checks, loads and tries a bundle; takes seconds.

        Raises:
            UserError: If it is not what was certified, or does not answer.
        """
        check_certified(folder)
        interface = read_config(folder).interface
        self.contracts = contracts_of(interface)
        servable = folder / "servable" / "1"
        try:
            # Signatures die with the object they come from, so it is kept.
            self._loaded = tf.saved_model.load(str(servable))
            self._functions = {name: self._loaded.signatures[name] for name in self.contracts}
            self.signature_defs = signature_defs(servable)
        except Exception as error:
            raise UserError(f"{servable} cannot be loaded ({short(str(error), 300)}).") from error
        # What was loaded is what was checked, even if somebody wrote meanwhile.
        check_certified(folder)
        self._try(limits)
        self._answers_as_certified(folder, interface)

    def _answers_as_certified(self, folder: Path, interface: Interface) -> None:
        """Asks what the certificate keeps: files may be whole and the answers others."""
        exact = tf.config.experimental
        was = exact.tensor_float_32_execution_enabled()
        # Some GPUs round products to ten bits unless told not to.
        exact.enable_tensor_float_32_execution(False)
        try:
            rows = compare_answers(folder, interface, self.run)
        except Refused as refused:
            raise UserError(f"the inputs of the certificate get no answer: {refused}") from None
        finally:
            exact.enable_tensor_float_32_execution(was)
        if not rows:
            log.warning("answers_unknown", extra={"reason": "the certificate keeps none"})
        for row in rows:
            if not row["equal"]:
                raise UserError(
                    f"the bundle answers otherwise than its certificate says ({row['form']}: "
                    f"{row['first']}); train or copy it again."
                )

    def _try(self, limits: Serve) -> None:
        """Makes the first call of each signature, which takes longer than the others."""
        for name, contract in self.contracts.items():
            try:
                self.run(name, probe(contract, limits).arrays)
            except Refused:
                # A signature that goes on from a state need not take zeros.
                if name == MAIN:
                    raise UserError(f"signature {name} does not answer.") from None

    def run(self, name: str, arrays: Arrays) -> Arrays:
        """Calls a signature with a batch.

        Raises:
            Refused: If the batch makes no sense to the model, or there is no memory for it.
        """
        inputs = self.contracts[name].inputs
        try:
            tensors = {n: tf.constant(v, inputs[n].dtype) for n, v in arrays.items()}
            return {n: value.numpy() for n, value in self._functions[name](**tensors).items()}
        except _REQUESTS_OWN:
            # TensorFlow's message may quote the request.
            raise Refused(
                "invalid", f"signature {name} cannot compute with these values."
            ) from None
        except tf.errors.ResourceExhaustedError:
            raise Refused(
                "busy", "there is no memory for this request now.", retry_after_s=1
            ) from None


def signature_defs(servable: Path) -> dict[str, Any]:
    """Inputs and outputs of a SavedModel, read from its file."""
    from tensorflow.core.protobuf import saved_model_pb2

    proto = saved_model_pb2.SavedModel()
    proto.ParseFromString((servable / "saved_model.pb").read_bytes())
    return dict(proto.meta_graphs[0].signature_def)
