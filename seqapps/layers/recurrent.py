"""Stacks of recurrent layers that take lengths instead of masks."""

# B batch, T time steps, D input width, U units, O output width (U, or 2 × U bidirectional)

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from contextvars import ContextVar
from typing import Any, Literal, get_args

import keras
import tensorflow as tf

from seqapps.layers.cudnn import gpu_visible
from seqapps.layers.gru import gru
from seqapps.layers.mingru import MinGRU

Cell = Literal["gru", "lstm", "rnn", "mingru"]
Normalisation = Literal["none", "layer"]

_STOCK = {"gru": keras.layers.GRU, "lstm": keras.layers.LSTM, "rnn": keras.layers.SimpleRNN}

Fused = Callable[..., tuple[tf.Tensor, list[tf.Tensor]]]
"""`fused(layer, inputs_BTD, lengths_B, before, backwards=...) -> outputs_BTU, after`: one
recurrence as a single operation."""
fused_recurrence: ContextVar[Fused | None] = ContextVar("fused_recurrence", default=None)
"""What runs GRUs and LSTMs while a network is translated into another format, which has operations
for them."""


def last_real_step(values_BTU: tf.Tensor, lengths_B: tf.Tensor, before_BU: tf.Tensor) -> tf.Tensor:
    """Gathers each row's value at `length - 1`, or what it was before for a row without steps.

    Args:
        values_BTU: float, (batch, time, units).
        lengths_B: int32, (batch,). Real steps in each row.
        before_BU: float, (batch, units).

    Returns:
        float, (batch, units).
    """
    last_BU = tf.gather(values_BTU, tf.maximum(lengths_B - 1, 0), batch_dims=1)
    return tf.where(lengths_B[:, tf.newaxis] > 0, last_BU, tf.cast(before_BU, last_BU.dtype))


@keras.saving.register_keras_serializable("seqapps")
class RecurrentStack(keras.layers.Layer):
    """Recurrent layers on top of each other, over right-padded rows of known lengths.

    A row's outputs and state do not depend on padding, on its batch-mates or on the batch size.
    Each layer is: dropout on its input, the recurrence (both directions, concatenated), layer
    normalisation if asked, plus its input if `residual` and the widths are equal.

    Args:
        units: width of each direction.
        cell: "gru" (Cho et al. 2014), "lstm" (Hochreiter and Schmidhuber 1997), "rnn" (Elman 1990:
            to show why not) or "mingru" (Feng et al. 2024: several times faster).
        depth: how many layers.
        bidirectional: also read each row from its last real step to its first; outputs are the
            forward and the backward output side by side, 2 × units wide.
        independent: of a bidirectional stack, whether each direction reads only its own outputs
            below, so that no output has seen both sides of its step: what a language model of
            both directions needs (Peters et al. 2018).
        residual: add a layer's input to its output where widths are equal (He et al. 2016).
        dropout: share of each layer's input set to zero in training, the first layer's included.
        locked_dropout: drop the same inputs at every step of a row (Gal and Ghahramani 2016)
            instead of drawing anew at each.
        normalisation: "layer" normalises each layer's output (Ba et al. 2016).
        weight_drop: share of each layer's recurrent weights set to zero in training, the same for
            all rows and steps of a call (Merity et al. 2018); a minGRU has no such weights.
        seed: for dropout; None draws one.
        **kwargs: for `keras.layers.Layer`.

    Raises:
        ValueError: an argument outside its range.
    """

    def __init__(
        self,
        units: int,
        *,
        cell: Cell = "gru",
        depth: int = 1,
        bidirectional: bool = False,
        independent: bool = False,
        residual: bool = False,
        dropout: float = 0.0,
        locked_dropout: bool = False,
        normalisation: Normalisation = "none",
        weight_drop: float = 0.0,
        seed: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        if units < 1 or depth < 1:
            raise ValueError(f"units and depth must be at least 1, got {units} and {depth}.")
        for name, share in (("dropout", dropout), ("weight_drop", weight_drop)):
            if not 0.0 <= share < 1.0:
                raise ValueError(f"{name} must be in [0, 1), got {share}; 0.0 switches it off.")
        if independent and (not bidirectional or normalisation == "layer"):
            raise ValueError(
                "independent directions need bidirectional=True, and normalisation='none' (its "
                f"means are over both), got {bidirectional} and {normalisation!r}."
            )
        for name, value, known in (
            ("cell", cell, get_args(Cell)),
            ("normalisation", normalisation, get_args(Normalisation)),
        ):
            if value not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {value!r}.")
        self.units, self.cell, self.depth = units, cell, depth
        self.bidirectional, self.independent, self.residual = bidirectional, independent, residual
        self.dropout, self.locked_dropout = dropout, locked_dropout
        self.normalisation, self.weight_drop, self.seed = normalisation, weight_drop, seed
        random = dropout or weight_drop
        self.seed_generator = keras.random.SeedGenerator(seed) if random else None
        self.directions = ("forward", "backward") if bidirectional else ("forward",)
        self.recurrences = [
            self._recurrence(f"{direction}_{level}")
            for level in range(depth)
            for direction in self.directions
        ]
        self.norms = [
            keras.layers.LayerNormalization(dtype=self.dtype_policy, name=f"norm_{level}")
            for level in range(depth if normalisation == "layer" else 0)
        ]

    def _recurrence(self, name: str) -> keras.layers.Layer:
        if self.cell == "mingru":
            return MinGRU(self.units, dtype=self.dtype_policy, name=name)
        return _STOCK[self.cell](
            self.units,
            return_sequences=True,
            return_state=True,
            zero_output_for_mask=True,
            dtype=self.dtype_policy,
            name=name,
        )

    @property
    def output_size(self) -> int:
        """Width of the output: units, or 2 × units when bidirectional."""
        return self.units * len(self.directions)

    @property
    def states_per_recurrence(self) -> int:
        """Tensors of state per layer and direction: 2 (h, c) for LSTM, else 1 (h)."""
        return 2 if self.cell == "lstm" else 1

    @property
    def state_sizes(self) -> list[int]:
        """Width of each tensor of the state, in order."""
        return [self.units] * (len(self.recurrences) * self.states_per_recurrence)

    def zero_state(self, batch: int | tf.Tensor) -> list[tf.Tensor]:
        """The state before the first step: zeros, (batch, units) each, in the compute dtype."""
        return [tf.zeros((batch, size), self.compute_dtype) for size in self.state_sizes]

    def build(
        self, inputs_BTD_shape: Any, lengths_B_shape: Any = None, initial_state_shape: Any = None
    ) -> None:
        """Creates the weights of every layer and direction."""
        batch, steps, width = inputs_BTD_shape
        for index, recurrence in enumerate(self.recurrences):
            above = self.units if self.independent else self.output_size
            layer_width = width if index < len(self.directions) else above
            recurrence.build((batch, steps, layer_width))
        for norm in self.norms:
            norm.build((batch, steps, self.output_size))

    def call(
        self,
        inputs_BTD: tf.Tensor,
        lengths_B: tf.Tensor,
        initial_state: Sequence[tf.Tensor] | None = None,
        training: bool | None = None,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Runs over whole sequences.

        Args:
            inputs_BTD: float, (batch, time, width), right-padded.
            lengths_B: int32, (batch,). Real steps in each row, at most `time`.
            initial_state: as returned, to go on from; None starts from zeros.
            training: whether dropout is on.

        Returns:
            Outputs, (batch, time, units or 2 × units), zero past each length; and the state after
            each row's last real step: for each layer, forward then backward (which has then read
            the row's first step), h, and for LSTM also c: each (batch, units).
        """
        if initial_state is None:
            initial_state = self.zero_state(tf.shape(inputs_BTD)[0])
        state = list(initial_state)
        self._check_state(state)
        real_BT1 = tf.sequence_mask(lengths_B, tf.shape(inputs_BTD)[1])[:, :, tf.newaxis]
        real_BT1 = tf.cast(real_BT1, self.compute_dtype)
        count, new_state, values_BTO = self.states_per_recurrence, [], inputs_BTD
        for level in range(self.depth):
            layer_inputs, outputs = self._inputs_of(level, self._drop(values_BTO, training)), []
            for index, direction in enumerate(self.directions, level * len(self.directions)):
                before = state[index * count : (index + 1) * count]
                output, after = self._run(
                    self.recurrences[index],
                    layer_inputs[index % len(self.directions)],
                    lengths_B,
                    before,
                    backwards=direction == "backward",
                    training=bool(training),
                )
                outputs.append(output)
                new_state += after
            output = tf.concat(outputs, axis=-1) if self.bidirectional else outputs[0]
            values_BTO = self._combine(level, values_BTO, output) * real_BT1
        return values_BTO, new_state

    def step(
        self, inputs_BD: tf.Tensor, state: Sequence[tf.Tensor]
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Runs one step without dropout, for decoding: the same numbers as `call`.

        Args:
            inputs_BD: float, (batch, width).
            state: from `zero_state`, `call` or the step before.

        Returns:
            Output, (batch, units), and the new state.

        Raises:
            ValueError: the stack is bidirectional: it cannot know the steps to come.
        """
        if self.bidirectional:
            raise ValueError(
                "step needs a stack that reads forward only, got bidirectional=True; "
                "run whole sequences with call."
            )
        self._check_state(list(state))
        values_BO = tf.cast(inputs_BD, self.compute_dtype)
        count, new_state = self.states_per_recurrence, []
        for level, recurrence in enumerate(self.recurrences):
            before = list(state[level * count : (level + 1) * count])
            if self.cell == "mingru":
                output = recurrence.step(values_BO, before[0])
                after = [output]
            else:
                output, after = recurrence.cell(values_BO, before)
            values_BO = self._combine(level, values_BO, output)
            new_state += after
        return values_BO, new_state

    def _check_state(self, state: list[tf.Tensor]) -> None:
        if len(state) != len(self.state_sizes):
            raise ValueError(
                f"state must hold {len(self.state_sizes)} tensors (layers × directions × "
                f"{self.states_per_recurrence}), got {len(state)}; start from zero_state(batch)."
            )

    def _inputs_of(self, level: int, values_BTD: tf.Tensor) -> list[tf.Tensor]:
        """What each direction of a layer reads."""
        if self.independent and level:
            return tf.split(values_BTD, 2, axis=-1)
        return [values_BTD] * len(self.directions)

    def _drop(self, values_BTD: tf.Tensor, training: bool | None) -> tf.Tensor:
        if not (training and self.dropout):
            return values_BTD
        shape = tf.shape(values_BTD)
        noise_shape = (shape[0], 1, shape[2]) if self.locked_dropout else None
        return keras.random.dropout(
            values_BTD, self.dropout, noise_shape=noise_shape, seed=self.seed_generator
        )

    def _run(
        self,
        recurrence: keras.layers.Layer,
        inputs_BTD: tf.Tensor,
        lengths_B: tf.Tensor,
        before: list[tf.Tensor],
        *,
        backwards: bool,
        training: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Runs one layer in one direction: outputs, (batch, time, units), and last state."""
        fused = fused_recurrence.get()
        if fused and self.cell in ("gru", "lstm"):
            return fused(recurrence, inputs_BTD, lengths_B, before, backwards=backwards)
        dropping = training and bool(self.weight_drop) and self.cell != "mingru"
        if self.cell == "gru" and not (recurrence.use_cudnn and gpu_visible()):
            cell = recurrence.cell
            output_BTU, last_BU = gru(
                inputs_BTD,
                lengths_B,
                before[0],
                kernel=cell.kernel,
                recurrent_kernel=self._dropped(cell) if dropping else cell.recurrent_kernel,
                bias=cell.bias,
                backwards=backwards,
                training=training,
            )
            return output_BTU, [last_BU]
        with self._weights_dropped(recurrence.cell) if dropping else nullcontext():
            return self._run_stock(recurrence, inputs_BTD, lengths_B, before, backwards=backwards)

    def _run_stock(
        self,
        recurrence: keras.layers.Layer,
        inputs_BTD: tf.Tensor,
        lengths_B: tf.Tensor,
        before: list[tf.Tensor],
        *,
        backwards: bool,
    ) -> tuple[tf.Tensor, list[tf.Tensor]]:
        """Runs a layer that takes whole tensors of steps."""
        if backwards:
            inputs_BTD = tf.reverse_sequence(inputs_BTD, lengths_B, seq_axis=1)
        if self.cell == "mingru":
            output_BTU = recurrence(inputs_BTD, before[0])
            after = [last_real_step(output_BTU, lengths_B, before[0])]
        elif self.cell == "lstm":
            # c cannot be gathered from the outputs, so the layer must stop at each row's end.
            mask_BT = tf.sequence_mask(lengths_B, tf.shape(inputs_BTD)[1])
            output_BTU, *after = recurrence(inputs_BTD, initial_state=before, mask=mask_BT)
        else:
            output_BTU, _ = recurrence(inputs_BTD, initial_state=before)
            after = [last_real_step(output_BTU, lengths_B, before[0])]
        if backwards:
            output_BTU = tf.reverse_sequence(output_BTU, lengths_B, seq_axis=1)
        return output_BTU, after

    def _dropped(self, cell: keras.layers.Layer) -> tf.Tensor:
        """The recurrent weights with some of them zero and the others scaled up."""
        kernel = tf.cast(cell.recurrent_kernel, self.compute_dtype)
        return keras.random.dropout(kernel, self.weight_drop, seed=self.seed_generator)

    @contextmanager
    def _weights_dropped(self, cell: keras.layers.Layer) -> Iterator[None]:
        """Puts dropped weights in the place of a cell's own while it is called.

        The layer runs as ever, so cuDNN stays eligible, which `recurrent_dropout` would rule out.
        """
        whole = cell.recurrent_kernel
        # Past Keras, which would track the tensor as an attribute of the layer.
        object.__setattr__(cell, "recurrent_kernel", self._dropped(cell))
        try:
            yield
        finally:
            object.__setattr__(cell, "recurrent_kernel", whole)

    def _combine(self, level: int, inputs: tf.Tensor, output: tf.Tensor) -> tf.Tensor:
        """Normalises a layer's output and adds its input, as configured."""
        if self.norms:
            output = self.norms[level](output)
        if self.residual and inputs.shape[-1] == output.shape[-1]:
            output += inputs
        return output

    def compute_output_spec(
        self, inputs_BTD: Any, lengths_B: Any, initial_state: Any = None, training: Any = None
    ) -> tuple[Any, list[Any]]:
        """Says what `call` returns, for models built from `keras.Input`."""
        batch, steps = inputs_BTD.shape[:2]
        return (
            keras.KerasTensor((batch, steps, self.output_size), dtype=self.compute_dtype),
            [keras.KerasTensor((batch, n), dtype=self.compute_dtype) for n in self.state_sizes],
        )

    def get_config(self) -> dict[str, Any]:
        """Every argument of the constructor."""
        names = "units cell depth bidirectional independent residual dropout locked_dropout "
        names += "normalisation weight_drop seed"
        return {**super().get_config(), **{name: getattr(self, name) for name in names.split()}}
