"""How each layer of a flat network is quantized, said to tensorflow-model-optimization."""

from collections.abc import Iterator, Mapping
from typing import Any

import larq as lq
import tensorflow as tf
from tensorflow_model_optimization.quantization import keras as tfmot

from larq_dense import layers
from larq_dense.layers._base import Tensor
from larq_dense.quantization.elements import BinaryMask, Scale, Sign
from larq_dense.quantization.quantizers import (
    KERNEL_GRID,
    FactorQuantizer,
    InterpolatedRange,
    KernelQuantizer,
    OffsetQuantizer,
    Quantizer,
    Range,
    ThresholdQuantizer,
)

keras = tf.keras.layers

# What gives values of its inputs, or sums of them: exact only where all have one range.
_SAME_RANGE = (
    keras.Add,
    keras.Concatenate,
    keras.MaxPooling2D,
    keras.Multiply,
    keras.UpSampling2D,
    layers.DepthToSpace,
    layers.NearestUpsampling2D,
    layers.Threshold,
)
# What the converter computes in one with the layer before it: the second with the first.
_FUSED = (
    ((lq.layers.QuantConv2D, keras.ReLU), Scale),
    (lq.layers.QuantConv2D, (keras.Activation, keras.ReLU)),
    ((keras.Conv2D, keras.DepthwiseConv2D, keras.Add), (keras.Activation, keras.ReLU)),
    (Scale, Sign),
)
_BINARY = (lq.layers.QuantConv2D, lq.layers.QuantDepthwiseConv2D)
# Masks: steps for 0 and 1, and -1.
_MASK_STEP = 2.0**-6


class LayerConfig(tfmot.QuantizeConfig):
    """A layer's rounding: some of its variables, and its output unless the next layer is fused.

    Args:
        output: What rounds the output, if anything does.
        variables: What rounds which of its variables, by their attributes' names.
        replaced: The attributes that take the rounded values, where they are others.
    """

    def __init__(
        self,
        output: Any = None,
        variables: Mapping[str, Quantizer] | None = None,
        replaced: Mapping[str, str] | None = None,
    ) -> None:
        self.output, self.variables = output, variables or {}
        self._replaced = replaced or {}

    def quantizers(self) -> Iterator[Quantizer]:
        """Yield those of this project, which observe and settle."""
        for each in (self.output, *self.variables.values()):
            if isinstance(each, Quantizer):
                yield each

    def get_weights_and_quantizers(self, layer: tf.keras.layers.Layer) -> list[tuple[Any, Any]]:
        """Return the variables to round and what rounds them."""
        return [(getattr(layer, name), each) for name, each in self.variables.items()]

    def set_quantize_weights(self, layer: tf.keras.layers.Layer, rounded: list[Tensor]) -> None:
        """Have the layer compute with rounded values."""
        for name, value in zip(self.variables, rounded, strict=True):
            setattr(layer, self._replaced.get(name, name), value)

    def get_activations_and_quantizers(self, layer: tf.keras.layers.Layer) -> list[Any]:
        """Return nothing: activations are layers of their own here."""
        return []

    def set_quantize_activations(self, layer: tf.keras.layers.Layer, activations: Any) -> None:
        """Leave the layer as it is, as above."""
        return  # AutoGraph cannot read a function of a docstring alone

    def get_output_quantizers(self, layer: tf.keras.layers.Layer) -> list[Any]:
        """Return what rounds the output."""
        return [] if self.output is None else [self.output]

    def get_config(self) -> dict[str, Any]:
        """Return nothing: only `layer_configs` makes these."""
        return {}


def layer_configs(flat: tf.keras.Model) -> dict[str, LayerConfig]:
    """Return each layer's rounding, by its name.

    Args:
        flat: The network, from `expand`.
    """
    scheme = _Scheme(flat)
    return {layer.name: scheme.config(layer) for layer in flat.layers}


class _Scheme:
    """Which tensors and variables of one flat network are rounded, and which share a range."""

    def __init__(self, flat: tf.keras.Model) -> None:
        self._leader: dict[int, int] = {}
        self._consumers: dict[int, list[Any]] = {}
        self._ranges: dict[int, Any] = {}
        for layer in flat.layers:
            (node,) = layer.inbound_nodes
            for x in node.keras_inputs:
                self._consumers.setdefault(id(x), []).append(layer)
            sources = node.keras_inputs if isinstance(layer, _SAME_RANGE) else []
            for x in sources[:1] if isinstance(layer, keras.Multiply) else sources:
                self._unite(id(node.outputs), id(x))

    def config(self, layer: tf.keras.layers.Layer) -> LayerConfig:
        """Return a layer's rounding."""
        node = layer.inbound_nodes[0]
        output = self._range_of(node.outputs)
        if node.is_input or isinstance(layer, _BINARY):
            return LayerConfig(output)
        source = self._range_of(node.keras_inputs[0])
        if isinstance(layer, keras.UpSampling2D) and layer.interpolation == "bilinear":
            return LayerConfig(InterpolatedRange(source))
        if isinstance(layer, keras.Conv2D | keras.DepthwiseConv2D):
            depthwise = isinstance(layer, keras.DepthwiseConv2D)
            result = output or self._range_of(self._consumers[id(node.outputs)][0].output)
            kernel = KernelQuantizer(source, result, depthwise=depthwise)
            bias = OffsetQuantizer(lambda: KERNEL_GRID * kernel.step * source.step)
            name = "depthwise_kernel" if depthwise else "kernel"
            return LayerConfig(output, {name: kernel, "bias": bias})
        if isinstance(layer, Scale):
            factor = FactorQuantizer(output)
            offset = OffsetQuantizer(lambda: factor.unit)
            return LayerConfig(output, {"gain": factor, "offset": offset}, {"gain": "factor"})
        if isinstance(layer, layers.Threshold):
            return LayerConfig(output, {"tau": ThresholdQuantizer(source)})
        return LayerConfig(output)

    def _unite(self, tensor: int, other: int) -> None:
        one, leader = self._find(tensor), self._find(other)
        if one != leader:
            self._leader[one] = leader

    def _find(self, tensor: int) -> int:
        while tensor in self._leader:
            tensor = self._leader[tensor]
        return tensor

    def _range_of(self, tensor: Any) -> Any:
        """Return what rounds a tensor; None for one that stays inside."""
        maker, consumers = tensor.node.layer, self._consumers.get(id(tensor), [])
        if len(consumers) == 1 and any(
            isinstance(maker, first) and isinstance(consumers[0], second)
            for first, second in _FUSED
        ):
            return None
        leader = self._find(id(tensor))
        if leader not in self._ranges:
            self._ranges[leader] = self._new_range(maker)
        return self._ranges[leader]

    def _new_range(self, maker: tf.keras.layers.Layer) -> Any:
        if isinstance(maker, Sign | BinaryMask):
            low, high = -128 * _MASK_STEP, 127 * _MASK_STEP
            return tfmot.quantizers.FixedQuantizer(8, low, high, narrow_range=False)
        if isinstance(maker, keras.GlobalAveragePooling2D):
            return Range(of_mean=self._range_of(maker.inbound_nodes[0].keras_inputs[0]))
        return Range()
