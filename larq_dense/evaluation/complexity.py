"""How much a model computes and stores: binary and float MACs, OPs, parameters, bytes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from larq_dense.common.errors import LarqDenseError

if TYPE_CHECKING:
    import tensorflow as tf

BINARY_MACS_PER_OP = 64
"""One 64-bit XNOR and population count is 64 binary MACs (Bi-Real Net, ReActNet)."""


@dataclass(frozen=True)
class LayerComplexity:
    """What one layer computes for one picture, and what it stores.

    Attributes:
        name: The layer's name, with those of the layers around it, such as `stage_1/branch_0`.
        kind: The layer's class.
        output_shape: Without the batch axis.
        binary_macs: Multiply-accumulates of a 1-bit input with a 1-bit kernel.
        float_macs: All other multiply-accumulates.
        parameters: Numbers stored, those of batch normalization's statistics included.
        stored_bytes: Bytes of these: a bit for each weight of a binary kernel, 4 bytes for any
            other number.

    Examples:
        >>> import tensorflow as tf
        >>> from larq_dense import evaluation
        >>> conv = tf.keras.layers.Conv2D(8, 3, padding="same", input_shape=(4, 4, 3))
        >>> row = evaluation.complexity(tf.keras.Sequential([conv])).layers[0]
        >>> row.kind, row.float_macs, row.stored_bytes
        ('Conv2D', 3456, 896)
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    binary_macs: int
    float_macs: int
    parameters: int
    stored_bytes: int


@dataclass(frozen=True)
class Complexity:
    """What a model computes for one picture, and what it stores.

    Only convolutions and dense layers are counted as MACs, as is usual; batch normalization,
    gates, additions and resizing are not.

    Attributes:
        input_shape: Height, width and channels of the picture.
        layers: One row for each layer that computes MACs or stores weights, in running order.

    Examples:
        >>> import tensorflow as tf
        >>> from larq_dense import evaluation
        >>> conv = tf.keras.layers.Conv2D(8, 3, padding="same", input_shape=(4, 4, 3))
        >>> counted = evaluation.complexity(tf.keras.Sequential([conv]))
        >>> counted.ops, counted.parameters
        (3456.0, 224)
    """

    input_shape: tuple[int, ...]
    layers: tuple[LayerComplexity, ...]

    @property
    def binary_macs(self) -> int:
        """Multiply-accumulates of a 1-bit input with a 1-bit kernel."""
        return sum(layer.binary_macs for layer in self.layers)

    @property
    def float_macs(self) -> int:
        """All other multiply-accumulates."""
        return sum(layer.float_macs for layer in self.layers)

    @property
    def ops(self) -> float:
        """Float MACs + binary MACs / 64."""
        return self.float_macs + self.binary_macs / BINARY_MACS_PER_OP

    @property
    def parameters(self) -> int:
        """Numbers stored, those of batch normalization's statistics included."""
        return sum(layer.parameters for layer in self.layers)

    @property
    def stored_bytes(self) -> int:
        """Bytes of the parameters, binary kernels at 1 bit a weight, the rest at 32."""
        return sum(layer.stored_bytes for layer in self.layers)

    def __str__(self) -> str:
        """Return the table, one layer a line, and the totals under it."""
        head = ("layer", "kind", "output", "binary MACs", "float MACs", "parameters", "bytes")
        rows: list[tuple[str, ...]] = [head]
        for layer in self.layers:
            shape = "x".join(map(str, layer.output_shape))
            counts = (layer.binary_macs, layer.float_macs, layer.parameters, layer.stored_bytes)
            rows.append((layer.name, layer.kind, shape, *(f"{count:,}" for count in counts)))
        counts = (self.binary_macs, self.float_macs, self.parameters, self.stored_bytes)
        rows.append(("total", "", "", *(f"{count:,}" for count in counts)))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if place > 2 else cell.ljust(width)
                for place, (cell, width) in enumerate(zip(row, widths, strict=True))
            )
            for row in rows
        ]
        note = f"OPs = float MACs + binary MACs / {BINARY_MACS_PER_OP} = {self.ops:,.0f}"
        return "\n".join([*lines, note])

    def totals(self) -> dict[str, Any]:
        """Return the model's figures without the table, JSON-ready."""
        return {
            "input_shape": list(self.input_shape),
            "binary_macs": self.binary_macs,
            "float_macs": self.float_macs,
            "ops": self.ops,
            "parameters": self.parameters,
            "stored_bytes": self.stored_bytes,
        }

    def to_dict(self) -> dict[str, Any]:
        """Return the figures and the table, JSON-ready."""
        rows = [asdict(layer) for layer in self.layers]
        return {
            **self.totals(),
            "layers": [{**row, "output_shape": list(row["output_shape"])} for row in rows],
        }


def complexity(
    model: tf.keras.Model, input_shape: tuple[int, int, int] | None = None
) -> Complexity:
    """Count what `model` computes and stores.

    The model is traced once at the input shape, so that layers inside other layers, and layers
    called several times, are counted as they run.

    Args:
        model: Any Keras model of one picture input `[batch, height, width, channels]`.
        input_shape: Height, width and channels; the model's own if it is fixed.

    Returns:
        The figures for one picture.

    Raises:
        LarqDenseError: Height or width is not known.

    Examples:
        >>> from larq_dense import evaluation, models
        >>> model = models.build_model(2, "compact_s", "compact_s", input_shape=(32, 32, 3))
        >>> counted = evaluation.complexity(model)
        >>> counted.binary_macs > counted.float_macs > 0
        True
    """
    import tensorflow as tf

    shape = tuple(input_shape or model.input_shape[1:])
    if None in shape:
        raise LarqDenseError(
            f"the model {model.name} has no fixed input size to count its complexity at; "
            "give one, such as input_shape=(256, 512, 3)."
        )
    names = _names(model)
    with _recorded_calls(layer for layer, _ in names.values()) as calls:
        run = tf.function(lambda image: model(image, training=False), autograph=False)
        run.get_concrete_function(tf.TensorSpec((1, *shape), tf.float32))
    running_order = dict.fromkeys([*calls, *names])
    rows = [_row(*names[key], calls.get(key, [])) for key in running_order]
    return Complexity(
        shape,
        tuple(row for row in rows if row.parameters or row.binary_macs or row.float_macs),
    )


def _names(model: tf.keras.Model) -> dict[int, tuple[Any, str]]:
    """Map the id of each layer inside `model`, however deep, to it and its path of names."""
    import tensorflow as tf

    found: dict[int, tuple[Any, str]] = {}

    def visit(parent: Any, prefix: str) -> None:
        for child in _children(parent, tf.keras.layers.Layer):
            if id(child) not in found:
                found[id(child)] = (child, prefix + child.name)
                visit(child, f"{prefix}{child.name}/")

    visit(model, "")
    return found


def _children(parent: Any, layer_type: Any) -> list[Any]:
    """Return the layers that `parent` holds itself, not those that its children hold."""
    inside = [module for module in parent.submodules if isinstance(module, layer_type)]
    deeper = {id(module) for child in inside for module in child.submodules}
    return [child for child in inside if id(child) not in deeper]


_Shapes = list[tuple[tuple[int, ...], tuple[int, ...]]]


@contextlib.contextmanager
def _recorded_calls(layers: Iterable[Any]) -> Iterator[dict[int, _Shapes]]:
    """Note the input and output shape of each call of each layer while the block runs.

    Yields:
        The shapes by the layer's id, in the order of the first calls.
    """
    calls: dict[int, _Shapes] = {}

    def watch(layer: Any) -> None:
        call = layer.call

        def recorded(inputs: Any, *args: Any, **kwargs: Any) -> Any:
            outputs = call(inputs, *args, **kwargs)
            calls.setdefault(id(layer), []).append((_shape(inputs), _shape(outputs)))
            return outputs

        layer.call = recorded

    watched = list(layers)
    try:
        for layer in watched:
            watch(layer)
        yield calls
    finally:
        for layer in watched:
            layer.__dict__.pop("call", None)


def _shape(tensors: Any) -> tuple[int, ...]:
    first = tensors[0] if isinstance(tensors, list | tuple) else tensors
    return tuple(getattr(first, "shape", ()))[1:]


def _row(layer: Any, name: str, shapes: _Shapes) -> LayerComplexity:
    binary = floating = 0
    for inputs, outputs in shapes:
        for macs, is_binary in _kernel_macs(layer, inputs, outputs):
            binary, floating = binary + is_binary * macs, floating + (not is_binary) * macs
    weights = _own_weights(layer)
    counts = [(int(np.prod(weight.shape)), _bits(weight)) for weight in weights]
    return LayerComplexity(
        name=name,
        kind=type(layer).__name__,
        output_shape=shapes[-1][1] if shapes else (),
        binary_macs=binary,
        float_macs=floating,
        parameters=sum(count for count, _ in counts),
        stored_bytes=sum(-(-count * bits // 8) for count, bits in counts),
    )


def _own_weights(layer: Any) -> list[Any]:
    """Return the weights that no layer inside `layer` holds."""
    nested = {id(w) for child in layer.submodules for w in getattr(child, "weights", ())}
    return [weight for weight in layer.weights if id(weight) not in nested]


def _bits(weight: Any) -> int:
    """Return the bits of one element: Larq marks quantized kernels with their precision."""
    return int(getattr(weight, "precision", 32))


def _kernel_macs(
    layer: Any, inputs: tuple[int, ...], outputs: tuple[int, ...]
) -> list[tuple[int, bool]]:
    """Return the MACs of each of the layer's kernels and whether input and kernel are binary.

    Each weight of a kernel is used once at each output position, in a transposed convolution at
    each input position.
    """
    import tensorflow as tf

    keras = tf.keras.layers

    one_bit_input = getattr(getattr(layer, "input_quantizer", None), "precision", 32) == 1
    if isinstance(layer, keras.SeparableConv1D | keras.SeparableConv2D):
        # The pointwise half reads the depthwise half's sums, which are not binary.
        kernels = [(layer.depthwise_kernel, one_bit_input), (layer.pointwise_kernel, False)]
    elif isinstance(layer, keras.DepthwiseConv1D | keras.DepthwiseConv2D):
        kernels = [(layer.depthwise_kernel, one_bit_input)]
    elif isinstance(layer, keras.Conv1D | keras.Conv2D | keras.Dense):
        kernels = [(layer.kernel, one_bit_input)]
    else:
        return []
    transposed = isinstance(layer, keras.Conv1DTranspose | keras.Conv2DTranspose)
    positions = int(np.prod((inputs if transposed else outputs)[:-1]))
    return [
        (int(np.prod(kernel.shape)) * positions, one_bit and _bits(kernel) == 1)
        for kernel, one_bit in kernels
    ]
