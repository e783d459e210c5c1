"""A network in elementary layers: composite ones taken apart, normalization and gates folded."""

from collections.abc import Callable
from typing import Any

import larq as lq
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense import layers
from larq_dense.common.errors import ConversionError
from larq_dense.layers._base import Tensor, as_branches
from larq_dense.models.exact import coefficients, read_norm
from larq_dense.quantization.elements import BinaryMask, Scale, Sign

keras = tf.keras.layers
Layer = Any
Call = Callable[..., Any]
Floats = NDArray[np.float32]


def expand(model: tf.keras.Model) -> tf.keras.Model:
    """Return a network of elementary layers that computes what `model` does, in new variables.

    As the converter does, normalization is folded into the ordinary convolution before it, and
    becomes scale and offset (`Scale`) after a binary one, where gate and merge are folded in too:
    they only scale. Attention sees the branches so scaled, with the same signs where coefficients
    are positive.

    Args:
        model: A functional model of Keras', Larq's and this project's layers.

    Raises:
        ConversionError: A layer has no such form, or a merge has a coefficient that is not positive
            where there is attention; the sentence names it.
    """
    _check_signs(model)
    inputs = tf.keras.Input(model.input_shape[1:], name=model.input_names[0])
    start = keras.Identity(name=f"{inputs.name}_rounded")(inputs)  # where an input is rounded
    return tf.keras.Model(inputs, _rebuild(model, start), name=f"{model.name}_int8")


def _check_signs(model: tf.keras.Model) -> None:
    """Refuse a merge that would turn the signs that attention takes of its branches."""
    if not any(isinstance(layer, layers.BinaryAttention) for layer in model.layers):
        return
    for layer in model.layers:
        if isinstance(layer, layers.GatedMerge) and layer.weights:
            least = float(coefficients(layer).min())
            if least <= 0:
                raise ConversionError(
                    f"the layer {layer.name} has the merge coefficient {least:g}, which must be "
                    "positive for int8; train longer."
                )


def _rebuild(model: tf.keras.Model, inputs: Tensor) -> Any:
    """Expand each layer of a functional model, in order.

    Returns:
        What became of the model's output, or the list of its outputs.
    """
    made = {id(model.inputs[0]): inputs}

    def lookup(x: Any) -> Any:
        return made.get(id(x), x)

    for layer in model.layers:
        for node in list(layer.inbound_nodes):
            if node.is_input or any(id(x) not in made for x in node.keras_inputs):
                continue
            arguments, named = tf.nest.map_structure(lookup, (node.call_args, node.call_kwargs))
            outputs = _expand(layer, *arguments, **named)
            pairs = zip(tf.nest.flatten(node.outputs), tf.nest.flatten(outputs), strict=True)
            made.update((id(old), new) for old, new in pairs)
    found = [made[id(x)] for x in model.outputs]
    return found if len(found) > 1 else found[0]


def _expand(layer: Layer, *arguments: Any, **named: Any) -> Any:
    if isinstance(layer, tf.keras.Model):
        return _rebuild(layer, arguments[0])
    if type(layer).__name__ == "TFOpLambda":  # what `x + y` becomes, which Keras does not export
        return _operator(layer, *arguments, **named)
    return _FORMS.get(type(layer), _refuse)(layer, *arguments, **named)


def _refuse(layer: Layer, *arguments: Any, **named: Any) -> Any:
    raise ConversionError(
        f"the layer {layer.name} ({type(layer).__name__}) has no int8 form; replace it, or "
        "convert without int8."
    )


def _copy(layer: Layer, inputs: Any, name: str = "") -> Any:
    config = {**layer.get_config(), "name": name or layer.name}
    copy = type(layer).from_config(config)
    outputs = copy(inputs)
    copy.set_weights(layer.get_weights())
    return outputs


def _vanish(layer: Layer, inputs: Tensor) -> Tensor:
    return inputs


def _larq_conv(layer: Layer, inputs: Tensor) -> Tensor:
    config = layer.get_config()
    quantizers = [config.get(f"{part}_quantizer") for part in ("input", "kernel", "depthwise")]
    return _copy(layer, inputs) if any(quantizers) else _real_conv(layer, inputs)


def _real_conv(layer: Layer, inputs: Tensor) -> Tensor:
    depthwise = isinstance(layer, keras.DepthwiseConv2D)
    own = ("depth_multiplier",) if depthwise else ("filters", "groups")
    kept = ("name", "kernel_size", "strides", "padding", "dilation_rate", *own)
    config = {key: layer.get_config()[key] for key in kept}
    copy = (keras.DepthwiseConv2D if depthwise else keras.Conv2D)(**config)
    outputs = copy(inputs)
    _kernel(copy).assign(layer.get_weights()[0])
    if layer.use_bias:
        copy.bias.assign(layer.bias)
    name = tf.keras.activations.serialize(layer.activation)
    if name == "linear":
        return outputs
    return keras.Activation(layer.activation, name=f"{layer.name}/{name}")(outputs)


def _norm(layer: Layer, inputs: Tensor, name: str = "") -> Tensor:
    scale, mean, offset = read_norm(layer)
    offset = offset - scale * mean
    before = inputs.node.layer
    if type(before) in (keras.Conv2D, keras.DepthwiseConv2D):
        kernel = _kernel(before)
        shaped = scale.reshape(kernel.shape[2:]) if kernel.shape[-1] != len(scale) else scale
        kernel.assign(_array(kernel) * shaped)
        before.bias.assign(_array(before.bias) * scale + offset)
        return inputs
    copy = Scale(name=name or layer.name)
    outputs = copy(inputs)
    copy.scale.assign(scale)
    copy.offset.assign(offset)
    return outputs


def _kernel(layer: Layer) -> tf.Variable:
    """Return an ordinary convolution's kernel; its last axes are the output channels."""
    return layer.depthwise_kernel if isinstance(layer, keras.DepthwiseConv2D) else layer.kernel


def _array(variable: tf.Variable) -> Floats:
    values: Floats = variable.numpy()
    return values


def _add(layer: Layer, inputs: list[Tensor]) -> Tensor:
    return _sum(inputs, layer.name)


def _operator(layer: Layer, *arguments: Any, **named: Any) -> Tensor:
    terms = [x for x in (*arguments, *named.values()) if tf.is_tensor(x)]
    if layer.get_config()["function"] != "__operators__.add" or len(terms) != 2:
        _refuse(layer)
    return _sum(terms, layer.name)


def _sum(terms: list[Tensor], name: str) -> Tensor:
    # Eight-bit sums take two terms.
    total = terms[0]
    for k, term in enumerate(terms[1:], 1):
        last = k == len(terms) - 1
        total = keras.Add(name=name if last else f"{name}/{k}")([total, term])
    return total


def _parallel_conv(layer: layers.ParallelConv2D, inputs: Any, name: str = "") -> list[Tensor]:
    if layer.activation != "relu" or layer.precision != "binary":
        _refuse(layer)
    name = name or layer.name
    sources = as_branches(inputs)
    thresholds = layer.thresholds
    if thresholds and layer.shared_threshold:
        if len(sources) > 1:  # it would take copies, which training pulls apart
            _refuse(layer)
        sources, thresholds = [_copy(thresholds[0], sources[0], f"{name}/threshold")], []
    sources = sources * layer.branches if len(sources) == 1 else sources
    outputs = []
    for k, x in enumerate(sources):
        if thresholds:
            x = _copy(thresholds[k], x, f"{name}/threshold_{k}")
        x = _copy(layer.convolutions[k], x, f"{name}/conv_{k}")
        x = keras.ReLU(name=f"{name}/relu_{k}")(x)
        outputs.append(_norm(layer.norms[k], x, f"{name}/norm_{k}"))
    return outputs


def _gated_merge(layer: layers.GatedMerge, inputs: Any, name: str = "") -> Tensor:
    inputs = as_branches(inputs)
    if len(inputs) == 1:
        return inputs[0]
    for coefficient, x in zip(coefficients(layer), inputs, strict=True):
        before = x.node.layer
        if not isinstance(before, Scale):
            _refuse(layer)
        before.scale.assign(coefficient * before.scale)
        before.offset.assign(coefficient * before.offset)
    return _sum(inputs, name or layer.name)


def _attention(layer: layers.BinaryAttention, inputs: Any, targets: Any = None) -> Any:
    if layer.precision != "binary":
        _refuse(layer)
    branches, name = as_branches(inputs), layer.name
    joined = branches[0]
    if len(branches) > 1:
        joined = keras.Concatenate(name=f"{name}/concat")(branches)
    targets = inputs if targets is None else targets
    outputs = as_branches(targets)
    for part in layer.used:
        x = joined
        if part == "channel":
            x = keras.GlobalAveragePooling2D(keepdims=True, name=f"{name}/mean")(x)
        x = _copy(layer.convolutions[part], x, f"{name}/{part}_conv")
        x = _norm(layer.norms[part], x, f"{name}/{part}_norm")
        x = Sign(layer.estimator, name=f"{name}/{part}_sign")(x)
        mask = BinaryMask(name=f"{name}/{part}_mask")(x)
        outputs = [
            keras.Multiply(name=f"{name}/{part}_{k}")([x, mask]) for k, x in enumerate(outputs)
        ]
    return outputs if isinstance(targets, list | tuple) else outputs[0]


def _upsampling(layer: layers.ParallelUpsampling2D, inputs: Any) -> Tensor:
    sources, name = as_branches(inputs), layer.name
    subpixel = layer.method == "subpixel"
    if not subpixel:
        sources = [
            layers.NearestUpsampling2D(layer.factor, name=f"{name}/nearest_{k}")(x)
            for k, x in enumerate(sources)
        ]
    maps = _parallel_conv(layer.conv, sources, f"{name}/conv")
    x = _gated_merge(layer.merge, maps, f"{name}/merge")
    if subpixel and layer.factor > 1:
        x = layers.DepthToSpace(layer.factor, name=f"{name}/depth_to_space")(x)
    return x


_FORMS: dict[type, Call] = {
    lq.layers.QuantConv2D: _larq_conv,
    lq.layers.QuantDepthwiseConv2D: _larq_conv,
    keras.Activation: _copy,
    keras.Add: _add,
    keras.BatchNormalization: _norm,
    keras.Conv2D: _real_conv,
    keras.DepthwiseConv2D: _real_conv,
    keras.MaxPooling2D: _copy,
    keras.ReLU: _copy,
    keras.UpSampling2D: _copy,
    layers.Affine: _norm,
    layers.BinaryAttention: _attention,
    layers.DepthToSpace: _copy,
    layers.FixedPoint: _vanish,
    layers.GatedMerge: _gated_merge,
    layers.NearestUpsampling2D: _copy,
    layers.ParallelConv2D: _parallel_conv,
    layers.ParallelUpsampling2D: _upsampling,
    layers.Threshold: _copy,
}
