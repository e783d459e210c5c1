"""From a trained float network to one that computes in eight bits, and its ranges."""

from collections.abc import Iterable
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense import layers
from larq_dense.common.errors import DataError
from larq_dense.layers._base import Tensor
from larq_dense.quantization.elements import (
    DepthToSpace,
    FakeQuantize,
    Int8Conv2D,
    Int8DepthwiseConv2D,
    Int8Threshold,
    OpenGate,
    Ranged,
    Scale,
    Sign,
)
from larq_dense.quantization.expand import expand, rebuild

keras = tf.keras.layers
Pictures = Iterable[NDArray[np.float32]]

# What gives values of its inputs, or sums of them: exact only where all have one range.
_SAME_RANGE = (
    keras.Add,
    keras.Concatenate,
    keras.MaxPooling2D,
    keras.Multiply,
    keras.UpSampling2D,
    DepthToSpace,
    Int8Threshold,
    layers.NearestUpsampling2D,
)
# What the converter computes in one with the layer before it: the second with the first.
_FUSED = (
    ((lq.layers.QuantConv2D, keras.ReLU), Scale),
    (lq.layers.QuantConv2D, (keras.Activation, keras.ReLU)),
    ((Int8Conv2D, Int8DepthwiseConv2D, keras.Add), (keras.Activation, keras.ReLU)),
    (Scale, Sign),
)
# Steps for 0 and 1, and -1.
_MASK_STEP = 2.0**-6


def quantize(model: tf.keras.Model, pictures: Pictures) -> tf.keras.Model:
    """Return the int8 form of a network, to fine-tune and to convert.

    `tensorflow-model-optimization` does not serve here: `quantize_apply` wraps a whole layer, and
    ours hold several convolutions; its ranges belong to one tensor and have any step.

    Args:
        model: A trained functional model; it is left as it is.
        pictures: What the ranges are taken from (`calibrate`). Any one will do where weights of
            the int8 form are loaded afterwards, for they hold the ranges.

    Returns:
        A model of the same input and output, with the variables' own names where they remain.

    Raises:
        ConversionError: A layer has no int8 form; the sentence names it.
        DataError: There is no picture.
    """
    flat = expand(model)
    plan = _Plan(flat)
    inputs = tf.keras.Input(flat.input_shape[1:], name=flat.input_names[0])
    start = plan.round(inputs, flat.inputs[0])
    quantized = tf.keras.Model(inputs, rebuild(flat, start, plan.call), name=f"{model.name}_int8")
    calibrate(quantized, pictures)
    if hasattr(model, "spec"):
        quantized.spec = model.spec
    return quantized


def calibrate(model: tf.keras.Model, pictures: Pictures) -> None:
    """Set the ranges of a network's tensors by what they hold on real pictures.

    The ranges stay as they are in fine-tuning, which learns to live in them.

    Args:
        model: From `quantize`.
        pictures: Normalized inputs, float32 `[batch, height, width, 3]`.

    Raises:
        DataError: There is no picture.
    """
    ranges = [layer for layer in model.layers if isinstance(layer, FakeQuantize)]
    ranged = [layer for layer in model.layers if isinstance(layer, Ranged)]
    for layer in ranges:
        layer.observe()
    for layer in ranged:
        layer.rounds = False
    count = 0
    for picture in pictures:
        model(picture, training=False)
        count += 1
    for layer in ranges:
        layer.settle()
    for layer in ranged:
        layer.settle()
    if not count:
        raise DataError("ranges are taken from pictures; give at least one.")


def is_quantized(model: tf.keras.Model) -> bool:
    """Whether a model is one from `quantize`."""
    return any(isinstance(layer, FakeQuantize) for layer in model.layers)


class _Plan:
    """Which tensors of a flat network are rounded, and which share a range."""

    def __init__(self, flat: tf.keras.Model) -> None:
        self._leader: dict[int, int] = {}
        self._names: dict[int, str] = {}
        self._consumers: dict[int, list[Any]] = {}
        self._ranges: dict[int, FakeQuantize] = {}
        for layer in flat.layers:
            (node,) = layer.inbound_nodes
            output = id(node.outputs)
            self._names[output] = layer.name
            for x in node.keras_inputs:
                self._consumers.setdefault(id(x), []).append(layer)
            sources = node.keras_inputs if isinstance(layer, _SAME_RANGE) else []
            for x in sources[:1] if isinstance(layer, keras.Multiply) else sources:
                self._unite(output, id(x))

    def _unite(self, tensor: int, other: int) -> None:
        one, leader = self._find(tensor), self._find(other)
        if one != leader:
            self._leader[one] = leader

    def _find(self, tensor: int) -> int:
        while tensor in self._leader:
            tensor = self._leader[tensor]
        return tensor

    def range_of(self, tensor: Any) -> FakeQuantize | None:
        """Return what rounds a tensor of the flat network; None for one that stays inside."""
        maker, consumers = tensor.node.layer, self._consumers.get(id(tensor), [])
        if len(consumers) == 1 and any(
            isinstance(maker, first) and isinstance(consumers[0], second)
            for first, second in _FUSED
        ):
            return None
        leader = self._find(id(tensor))
        if leader not in self._ranges:
            self._ranges[leader] = self._new_range(tensor, f"{self._names[leader]}_range")
        return self._ranges[leader]

    def _new_range(self, tensor: Any, name: str) -> FakeQuantize:
        layer, step, of_mean = tensor.node.layer, 0.0, None
        if isinstance(layer, Sign | OpenGate):
            step = _MASK_STEP
        elif isinstance(layer, keras.GlobalAveragePooling2D):
            of_mean = self.range_of(layer.inbound_nodes[0].keras_inputs[0])
        made = FakeQuantize(step, of_mean, name=name)
        # The layer before needs its steps earlier than Keras would make them.
        with tf.name_scope(f"{name}/"):
            made.build(None)
        return made

    def round(self, made: Tensor, tensor: Any) -> Tensor:
        """Round what was made of a tensor of the flat network."""
        rounding = self.range_of(tensor)
        return made if rounding is None else rounding(made)

    def call(self, layer: Any, *arguments: Any, **named: Any) -> Tensor:
        """Call a layer of the flat network on rounded tensors and round its output."""
        node = layer.inbound_nodes[0]
        if isinstance(layer, Ranged):
            layer.source = self.range_of(node.keras_inputs[0])
            layer.result = self.range_of(node.outputs)
        return self.round(layer(*arguments, **named), node.outputs)
