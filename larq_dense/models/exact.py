"""The form of a trained network that gives the same bits on every machine.

A binary convolution is exact, but its neighbours are float32: a sum in another order differs in
the last bit, now and then that flips a sign near 0, and one flipped sign spreads over the picture.
A reciprocal square root differs from processor to processor even without a sum. Float32 adds and
multiplies without rounding where few bits are in play, though. So `inference_form` turns
normalizations and gates into constants, computed once in float64, and rounds every constant to a
grid (not from the paper):

| value | multiple of |
| --- | --- |
| input of an ordinary convolution (`layers.FixedPoint`) | 2^-6; the picture 2^-8 |
| kernel of an ordinary convolution, normalization folded in | 2^-12; the stem 2^-10 |
| scale and offset (`layers.Affine`), threshold | 2^-12 |
| coefficient of a branch (`layers.GatedMerge`) | 2^-6 |

All that a sign is taken of is then a multiple of 2^-18, exact while it and the partial sums that
lead to it stay below 2^6 = 64 in magnitude, as trained networks do by far. The exception is PReLU,
whose slopes are left as they are. docs/exactness.md says what follows from this.
"""

from collections.abc import Iterator

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from larq_dense.common.errors import WeightsError
from larq_dense.layers import Affine, FixedPoint, GatedMerge, ParallelConv2D, Threshold
from larq_dense.layers.gate import COEFFICIENT_BITS

Floats = NDArray[np.float64]

# Multiples of 2^-18 in all: fraction bits of a product's two factors together.
PRODUCT_BITS = 18
CONSTANT_BITS = 12

# Multiples of 2^-12 fit into the 24 bits of float32 below 2^12; offsets stay below 2^6 of that.
LARGEST_SUM, LARGEST_VALUE = 2.0**12, 2.0**6


def is_exact(model: tf.keras.Model) -> bool:
    """Whether a model promises the same signs on every machine.

    It does if its ordinary convolutions read values on the grid and nothing learns slopes (PReLU).
    """
    return _has_grid(model) and not any(
        isinstance(layer, tf.keras.layers.PReLU) for layer in model.submodules
    )


def _has_grid(model: tf.keras.Model) -> bool:
    return any(isinstance(layer, FixedPoint) for layer in model.layers)


# Autograph would rewrite every layer that is copied, to no effect, for most of the time.
@tf.autograph.experimental.do_not_convert
def inference_form(model: tf.keras.Model) -> tf.keras.Model:
    """Return the form of a trained model that predicts and converts, with constants on the grid.

    Batch normalizations become `layers.Affine`, and gates the coefficients of their merge. The
    form of a form is the form itself, also after it was trained further.

    Args:
        model: A functional model; it is left as it is. Only `layers` and what `models.blocks`
            builds are treated; the last convolution, of which no sign is taken, stays.

    Returns:
        A new model of the same input, output and layers' names; or `model` itself, if it is in
        this form already or has no `layers.FixedPoint`.

    Raises:
        WeightsError: A weight is infinite or no number.
    """
    if not _has_grid(model) or not off_grid(model):
        return model
    form = tf.keras.models.clone_model(model, clone_function=_folded)
    values = {variable.name: variable for variable in model.variables}
    for variable in form.variables:
        if variable.name in values:
            variable.assign(values[variable.name])
    convolutions = dict(_normalized_convolutions(form))
    for old, new in zip(_norms(model), _norms(form), strict=True):
        _round_norm(old, new, convolutions.get(new.name))
    for old, new in zip(_merges(model), _merges(form), strict=True):
        new.folded_coefficients.assign(coefficients(old))
    for variable in _short_as_they_are(form):
        variable.assign(_grid(variable.numpy(), CONSTANT_BITS))
    _refuse_nan(form)
    if hasattr(model, "spec"):
        form.spec = model.spec
    return form


def _refuse_nan(form: tf.keras.Model) -> None:
    for variable in form.variables:
        if not np.isfinite(variable.numpy()).all():
            raise WeightsError(
                f"{variable.name} holds values that are no finite numbers; train again from a "
                "checkpoint before they arose."
            )


def limit_scales(model: tf.keras.Model) -> None:
    """Bring scales after binary convolutions with ReLU below what float32 can hold, in place.

    A sum of K bits times a larger scale does not fit into float32 on the grid, and Larq Compute
    Engine adds K scales to the offset even where the sum itself is small. Only channels come near
    it that ReLU almost always closes, because their variance is next to 0. What they give while
    closed, the offset, stays. To be called once, before a network is published.

    Args:
        model: The form that trains. One without `layers.FixedPoint` is left alone.
    """
    if not _has_grid(model):
        return
    room = (LARGEST_SUM - LARGEST_VALUE) * 2.0**CONSTANT_BITS
    for layer in model.submodules:
        if not isinstance(layer, ParallelConv2D) or layer.activation != "relu":
            continue
        for convolution, norm in zip(layer.convolutions, layer.norms, strict=True):
            bits = int(np.prod(convolution.kernel.shape[:3]))
            largest = np.floor(room / bits) / 2.0**CONSTANT_BITS
            scale, mean, offset = read_norm(norm)
            less = np.clip(scale, -largest, largest)
            deviation = np.sqrt(norm.moving_variance.numpy().astype(np.float64) + norm.epsilon)
            changed = less != scale
            norm.gamma.assign(np.where(changed, less * deviation, norm.gamma))
            norm.beta.assign(np.where(changed, offset + (less - scale) * mean, norm.beta))


def off_grid(model: tf.keras.Model) -> list[str]:
    """Return the names of what `inference_form` would change: layers or constants, in order."""
    found = [norm.name for norm in _norms(model) if not isinstance(norm, Affine)]
    found += [merge.name for merge in _merges(model) if not merge.folded]
    if found:
        return found
    constants = [(variable, CONSTANT_BITS) for variable in _short_as_they_are(model)]
    constants += [(each, CONSTANT_BITS) for norm in _norms(model) for each in norm.weights]
    constants += [(merge.folded_coefficients, COEFFICIENT_BITS) for merge in _merges(model)]
    constants += [kernel for _, kernel in _normalized_convolutions(model)]
    return [
        variable.name
        for variable, bits in constants
        if not np.array_equal(variable, _grid(variable.numpy(), bits))
    ]


def coefficients(merge: GatedMerge) -> Floats:
    """Return a merge's coefficients, `[K, channels]`, as float64 gives them, on the grid."""
    if merge.folded:
        return _grid(merge.folded_coefficients.numpy(), COEFFICIENT_BITS)
    weight = merge.merge.weight.numpy()
    if not merge.gated:
        return _grid(np.repeat(weight[:, None], merge.channels, axis=1), COEFFICIENT_BITS)
    return gated_coefficients(merge.gate.theta.numpy(), weight)


def gated_coefficients(theta: NDArray[np.floating], weight: NDArray[np.floating]) -> Floats:
    """Return the coefficients of gate and merge, `[K, channels]`, on the grid.

    Args:
        theta: The gate's, `[K, channels]`.
        weight: The merge's, `[K]`.
    """
    alpha = 1 / (1 + np.exp(-theta.astype(np.float64)))
    weight = weight.astype(np.float64)[:, None]
    return _grid(weight * alpha + np.sum(weight * (1 - alpha), axis=0), COEFFICIENT_BITS)


def _folded(layer: tf.keras.layers.Layer) -> tf.keras.layers.Layer:
    """Return a new layer like `layer`, with constants for what only training needs."""
    if isinstance(layer, tf.keras.layers.BatchNormalization):
        return Affine(name=layer.name)
    config = layer.get_config()
    if "folded" in config:
        config["folded"] = True
    return type(layer).from_config(config)


def _norms(model: tf.keras.Model) -> Iterator[tf.keras.layers.Layer]:
    kinds = (Affine, tf.keras.layers.BatchNormalization)
    yield from (layer for layer in model.submodules if isinstance(layer, kinds))


def _merges(model: tf.keras.Model) -> Iterator[GatedMerge]:
    """Yield the merges of more than one branch."""
    for layer in model.submodules:
        if isinstance(layer, GatedMerge) and layer.weights:
            yield layer


def _normalized_convolutions(
    model: tf.keras.Model,
) -> Iterator[tuple[str, tuple[tf.Variable, int]]]:
    """Yield the names of what normalizes ordinary convolutions, with their kernel and its bits."""
    layers = {layer.name: layer for layer in model.layers}
    for name, layer in layers.items():
        norm = layers.get(name.removesuffix("_conv") + "_norm")
        if isinstance(layer, tf.keras.layers.Conv2D) and norm is not None:
            source = layer.input.node.layer
            on_grid = isinstance(source, FixedPoint)
            bits = PRODUCT_BITS - source.fraction_bits if on_grid else CONSTANT_BITS
            yield norm.name, (layer.kernel, bits)


def _short_as_they_are(model: tf.keras.Model) -> Iterator[tf.Variable]:
    """Yield what is rounded without regard to a normalization."""
    for layer in model.submodules:
        if isinstance(layer, tf.keras.layers.DepthwiseConv2D):
            yield layer.depthwise_kernel
        elif isinstance(layer, Threshold):
            yield layer.tau


def _grid(values: NDArray[np.floating], bits: int) -> Floats:
    return np.round(np.asarray(values, np.float64) * 2.0**bits) / 2.0**bits


def read_norm(norm: tf.keras.layers.Layer) -> tuple[Floats, Floats, Floats]:
    """Return scale, mean and offset of `scale · (x - mean) + offset`, one of each a channel.

    Args:
        norm: A batch normalization or an `Affine`, whose mean is 0.
    """
    if isinstance(norm, Affine):
        scale, offset = (each.numpy().astype(np.float64) for each in (norm.scale, norm.offset))
        return scale, np.zeros_like(scale), offset
    mean, variance = (
        each.numpy().astype(np.float64) for each in (norm.moving_mean, norm.moving_variance)
    )
    gamma = norm.gamma.numpy().astype(np.float64) if norm.scale else np.ones_like(mean)
    beta = norm.beta.numpy().astype(np.float64) if norm.center else np.zeros_like(mean)
    return gamma / np.sqrt(variance + norm.epsilon), mean, beta


def _round_norm(
    old: tf.keras.layers.Layer, new: Affine, convolution: tuple[tf.Variable, int] | None
) -> None:
    """Write a normalization's constants; an ordinary convolution's kernel takes up the scale."""
    scale, mean, offset = read_norm(old)
    if convolution is None:
        scale = _grid(scale, CONSTANT_BITS)
        new.scale.assign(scale)
    else:
        kernel, bits = convolution
        kernel.assign(_grid(kernel.numpy() * scale, bits))
        new.scale.assign(np.ones_like(scale))
    new.offset.assign(_grid(offset - scale * mean, CONSTANT_BITS))
